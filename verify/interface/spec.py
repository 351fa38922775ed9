"""The documented interface of a model family, read from a TOML file.

A spec file (`verify/interface/sam2.toml` is the one that ships) holds:

    name = "sam2"
    [sizes]       name = integer, or an expression over other sizes ("image // 16")
    [symbols]     name = [smallest, usual, largest], for dims that change from call to call; integers or expressions
    [relations]   name = expression over symbols and sizes, for dims that follow from others
    [dynamic]     size = symbol: what `batch="dynamic"` puts in the size's place
    [modules.NAME]
    title, file = heading and file name; optional = true for a file that not every model has
    inputs, outputs = [{ name, dims, description, dtype (float32 unless given), values (of an input) }, ...]
    [golden]      module = [{ symbol = size, input = constant }, ...]: the cases goldens are recorded for; `edges = 1`
                  puts values at which operators change (0, tiny, large) among those of the inputs, and points outside
                  the picture among coordinates

A dim is an integer, the name of a size, symbol or relation, or an expression over sizes. Two dims with the
same symbol have the same size everywhere within a module. Expressions know + - * // and parentheses.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from verify.errors import SurgeonError
from verify.interface.spec_values import check_names, check_order, check_values
from verify.model.expressions import evaluate

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Dim = int | str
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Port:
    """One graph input or output; a string in `dims` is a symbol, `dtype` a NumPy name.

    `values` says what an input holds in use (a kind of `verify.inputs.seeded`), so that tests can feed it sensibly.
    """

    name: str
    dtype: str
    dims: tuple[Dim, ...]
    description: str = ""
    values: str = "normal"


@dataclass(frozen=True)
class Profile:
    """Shapes of one input at the three points of a TensorRT optimization profile."""

    min: Shape
    opt: Shape
    max: Shape


@dataclass(frozen=True)
class Spec:
    """The interface of one module: inputs and outputs in their documented order.

    `ranges` gives (smallest, usual, largest) of each free symbol, `relations` the expression of each
    symbol that follows from free ones. An `optional` module is exported only when it is asked for.
    """

    module: str
    title: str
    file: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    ranges: Mapping[str, tuple[int, int, int]]
    relations: Mapping[str, str]
    optional: bool = False

    @property
    def ports(self) -> tuple[Port, ...]:
        return self.inputs + self.outputs

    def port(self, name: str) -> Port:
        """The input or output called `name`; SurgeonError if there is none."""
        for port in self.ports:
            if port.name == name:
                return port
        known = ", ".join(port.name for port in self.ports)
        raise SurgeonError(f"{self.module} has no input or output {name!r}; it has {known}")

    def symbols(self) -> dict[str, None]:
        """Free symbols of this module in order of first use (dict as an ordered set)."""
        used = {dim for port in self.ports for dim in port.dims if isinstance(dim, str)}
        return {name: None for name in self.ranges if name in used or self._related(name, used)}

    def _related(self, name: str, used: set[str]) -> bool:
        return any(name in self.relations[dim].split() for dim in used if dim in self.relations)

    def values(self, **symbols: int) -> dict[str, int]:
        """All symbols, relations included; those not given take their usual value."""
        known = {name: symbols.get(name, self.ranges[name][1]) for name in self.symbols()}
        return known | {name: evaluate(text, known) for name, text in self.live_relations().items()}

    def live_relations(self) -> dict[str, str]:
        """The relations that some dim of this module uses."""
        used = {dim for port in self.ports for dim in port.dims}
        return {name: text for name, text in self.relations.items() if name in used}

    def shapes(self, **symbols: int) -> dict[str, Shape]:
        """Concrete shape of every input and output, e.g. `shapes(frames=3, pointers=16)`."""
        values = self.values(**symbols)
        return {p.name: tuple(d if isinstance(d, int) else values[d] for d in p.dims) for p in self.ports}

    def profiles(self) -> dict[str, Profile]:
        """Optimization profile of every input; relations hold at each of the three points."""
        points = [self.shapes(**{n: self.ranges[n][i] for n in self.symbols()}) for i in range(3)]
        return {p.name: Profile(*(point[p.name] for point in points)) for p in self.inputs}


@dataclass(frozen=True)
class SpecFile:
    """The modules of one spec file at one image size and batch mode; `golden` is the table of that name."""

    name: str
    modules: Mapping[str, Spec]
    image_size: int | None
    batch: int | str
    golden: Mapping[str, Sequence[Mapping[str, float]]] = field(default_factory=dict)

    def __getitem__(self, module: str) -> Spec:
        if module not in self.modules:
            raise SurgeonError(f"{module!r} is no module of spec {self.name!r}; choose {', '.join(self.modules)}")
        return self.modules[module]


def load_spec(
    name_or_path: str | Path = "sam2",
    *,
    image_size: int | None = None,
    batch: int | str | None = None,
    prompted_frames: int | None = None,
) -> SpecFile:
    """Read a spec by the name of a shipped file ("sam2") or by the path of a TOML file.

    `image_size` replaces the size `image`, `prompted_frames` the size `prompted` (from 1 up). `batch` is an integer,
    "dynamic", or None for what the file says; an integer above 1 also fixes the symbol that "dynamic" would use.
    Raises SurgeonError for an unknown name, unreadable TOML, a value of the wrong kind, or a dim that names nothing.
    """
    data = _read(name_or_path)
    try:
        check_values(data)
        return _resolved(data, image_size, batch, prompted_frames)
    except SurgeonError as error:
        raise SurgeonError(f"spec {name_or_path}: {error}") from error


def _resolved(
    data: dict[str, Any], image_size: int | None, batch: int | str | None, prompted_frames: int | None
) -> SpecFile:
    sizes = dict(data.get("sizes", {}))
    if image_size is not None:
        sizes["image"] = image_size
    if prompted_frames is not None:
        _set_prompted(sizes, prompted_frames)
    fixed = _apply_batch(data, sizes, batch)
    known = _resolve(sizes)
    symbols = {name: _range(name, span, known) for name, span in data.get("symbols", {}).items() if name not in fixed}
    known.update(fixed)
    relations = {n: _substitute(text, known) for n, text in data.get("relations", {}).items()}
    modules = {name: _module(name, table, known, symbols, relations) for name, table in data["modules"].items()}
    _check_golden(data.get("golden", {}), modules, data.get("symbols", {}))
    size = known.get("image")
    side = size if isinstance(size, int) else None
    return SpecFile(data["name"], modules, side, batch or sizes.get("batch", 1), data.get("golden", {}))


def shipped() -> list[str]:
    """Names of the spec files beside this module."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.toml"))


def _read(name_or_path: str | Path) -> dict[str, Any]:
    path = Path(name_or_path)
    if path.suffix != ".toml":
        if str(name_or_path) not in shipped():
            raise SurgeonError(f"no spec {str(name_or_path)!r}; choose {', '.join(shipped())} or give a .toml file")
        path = Path(__file__).parent / f"{name_or_path}.toml"
    try:
        data = _parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SurgeonError(f"cannot read spec {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SurgeonError(f"spec {path} is not valid TOML: {error}") from error
    if "name" not in data or not isinstance(data.get("modules"), dict):
        raise SurgeonError(f"spec {path} needs a `name` and at least one [modules.NAME] table")
    return data


@lru_cache(maxsize=8)
def _parsed(text: str) -> dict[str, Any]:
    """The tables of a spec, cached because one recognition reads the same file at many sizes; do not change them."""
    return tomllib.loads(text)


def _apply_batch(data: dict[str, Any], sizes: dict[str, Any], batch: int | str | None) -> dict[str, int]:
    """Put the batch mode into `sizes`; returns symbols that it fixes."""
    dynamic: dict[str, str] = data.get("dynamic", {})
    if batch is None or not dynamic:
        return {}
    if batch == "dynamic":
        sizes.update(dynamic)
        return {}
    if not isinstance(batch, int) or batch < 1:
        raise SurgeonError(f"batch is {batch!r}; give a whole number from 1 up, or dynamic")
    sizes.update(dict.fromkeys(dynamic, batch))
    return dict.fromkeys(dynamic.values(), batch) if batch > 1 else {}


def _set_prompted(sizes: dict[str, Any], count: int) -> None:
    if "prompted" not in sizes:
        raise SurgeonError("has no size `prompted`, so prompted frames cannot be chosen")
    if count < 1:
        raise SurgeonError(f"prompted frames is {count}; give a whole number from 1 up")
    sizes["prompted"] = count


def _range(name: str, span: Sequence[int | str], known: Mapping[str, Dim]) -> tuple[int, ...]:
    """Smallest, usual and largest value of a symbol."""
    numbers = {key: value for key, value in known.items() if isinstance(value, int)}
    values = tuple(value if isinstance(value, int) else evaluate(value, numbers) for value in span)
    check_order(name, values)
    return values


def _resolve(sizes: Mapping[str, Any]) -> dict[str, Dim]:
    known: dict[str, Dim] = {}
    for name, value in sizes.items():
        numbers = {n: v for n, v in known.items() if isinstance(v, int)}
        known[name] = value if isinstance(value, int) or value.isidentifier() else evaluate(value, numbers)
    return known


def _substitute(text: str, known: Mapping[str, Dim]) -> str:
    return " ".join(str(known.get(word, word)) for word in text.split())


def _module(
    name: str,
    table: Mapping[str, Any],
    known: Mapping[str, Dim],
    symbols: Mapping[str, Any],
    relations: Mapping[str, str],
) -> Spec:
    def port(entry: Mapping[str, Any]) -> Port:
        where = f"{name}.{entry['name']}"
        dims = tuple(_dim(dim, known, symbols, relations, where) for dim in entry["dims"])
        text, values = entry.get("description", ""), entry.get("values", "normal")
        return Port(entry["name"], entry.get("dtype", "float32"), dims, text, values)

    inputs, outputs = (tuple(port(entry) for entry in table[side]) for side in ("inputs", "outputs"))
    title, file = table.get("title", name), table.get("file", f"{name}.onnx")
    return Spec(name, title, file, inputs, outputs, symbols, relations, table.get("optional", False))


def _check_golden(
    golden: Mapping[str, Sequence[Mapping[str, Any]]], modules: Mapping[str, Spec], symbols: Mapping[str, Any]
) -> None:
    """SurgeonError where a case of [golden] names no module, symbol or input."""
    check_names("module", list(golden), list(modules), "[golden]")
    for name, cases in golden.items():
        known = [*symbols, *(port.name for port in modules[name].inputs)]
        for case in cases:
            check_names("symbol or input", [key for key in case if key != "edges"], known, f"[golden] {name}")


def _dim(
    dim: Dim, known: Mapping[str, Dim], symbols: Mapping[str, Any], relations: Mapping[str, str], where: str
) -> Dim:
    if isinstance(dim, int):
        return dim
    value = known.get(dim, dim)
    if isinstance(value, int) or value in symbols or value in relations:
        return value
    try:
        return evaluate(dim, {n: v for n, v in known.items() if isinstance(v, int)})
    except SurgeonError as error:
        raise SurgeonError(f"{where}: dim {dim!r} is neither a size nor a symbol of the spec") from error
