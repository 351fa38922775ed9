"""Check that each value of a spec file has the kind that the format asks for, before anything is computed from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from verify.errors import SurgeonError

NUMBER = "a whole number or an expression"
TABLES = ("sizes", "symbols", "relations", "dynamic", "modules", "golden")
MODULE_KEYS = ("title", "file", "optional", "inputs", "outputs")
PORT_KEYS = ("name", "dims", "description", "dtype", "values")
# What an input may hold: the kinds of `verify.inputs.seeded`, which needs NumPy and is not imported here.
VALUES = (
    "normal", "uniform", "heavy", "edges", "integers", "ends", "sweep", "constant", "photo", "mask", "coordinates",
    "labels", "signs", "count", "edge_photo", "edge_mask", "edge_coordinates",
)  # fmt: skip
# Element types of ONNX by their NumPy names.
DTYPES = (
    "float32", "float16", "bfloat16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
    "uint64", "bool", "string", "complex64", "complex128", "int2", "int4", "uint2", "uint4", "float4e2m1",
    "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "float8e8m0", "float6e2m3", "float6e3m2",
)  # fmt: skip


def check_values(data: Mapping[str, Any]) -> None:
    """Raise SurgeonError for the first value of the wrong kind; `data` holds the tables of the file.

    Names are not looked up here: whether a dim is a size or symbol of the spec is checked when it is resolved.
    """
    for table in TABLES:
        _require(isinstance(data.get(table, {}), dict), f"[{table}]", data.get(table), "a table")
    for name, size in data.get("sizes", {}).items():
        _require(_is_dim(size), f"[sizes] {name}", size, NUMBER)
    for name, span in data.get("symbols", {}).items():
        whole = isinstance(span, list) and len(span) == 3 and all(map(_is_dim, span))
        _require(whole, f"[symbols] {name}", span, "[smallest, usual, largest]")
    for table in ("relations", "dynamic"):
        for name, text in data.get(table, {}).items():
            _require(isinstance(text, str), f"[{table}] {name}", text, "a text")
    for name, module in data["modules"].items():
        _require(isinstance(module, dict), f"[modules] {name}", module, f"a table [modules.{name}]")
        _check_module(f"[modules.{name}]", module)
    for name, cases in data.get("golden", {}).items():
        whole = isinstance(cases, list) and all(isinstance(case, dict) for case in cases)
        _require(whole, f"[golden] {name}", cases, "[{ symbol = size, input = constant }, ...]")
    _require(_is_text(data["name"]), "name", data["name"], "a text")
    check_names("table", list(data), ("name", *TABLES), "the file")


def check_names(kind: str, names: Sequence[str], known: Sequence[str], where: str) -> None:
    """Raise SurgeonError for the first of `names` that is not known; the error lists those that are."""
    for name in names:
        if name not in known:
            raise SurgeonError(f"{where}: no {kind} {name!r}; choose {', '.join(known)}")


def check_order(name: str, span: tuple[int, ...]) -> None:
    """Raise SurgeonError for a symbol whose smallest, usual and largest value do not ascend, or are negative."""
    ascends = 0 <= span[0] <= span[1] <= span[2]
    _require(ascends, f"[symbols] {name}", list(span), "the values from the smallest to the largest, none negative")


def _check_module(where: str, module: Mapping[str, Any]) -> None:
    seen: set[str] = set()
    for side in ("inputs", "outputs"):
        if side not in module:
            raise SurgeonError(f"{where} lacks '{side}'")
        _check_ports(f"{where} {side}", module[side], seen)
    for key in ("title", "file"):
        text = module.get(key, "default")
        _require(_is_text(text), f"{where} {key}", text, "a text")
    optional = module.get("optional", False)
    _require(isinstance(optional, bool), f"{where} optional", optional, "true or false")
    check_names("key", list(module), MODULE_KEYS, where)


def _check_ports(where: str, ports: Any, seen: set[str]) -> None:
    """Check the inputs or outputs of a module; `seen` holds the names of its earlier ones and gets those of `ports`."""
    form = '[{ name = "...", dims = [...] }, ...]'
    _require(isinstance(ports, list) and all(isinstance(port, dict) for port in ports), where, ports, form)
    for port in ports:
        place = f"{where}: {port.get('name', 'a port without a name')}"
        check_names("key", list(port), PORT_KEYS, place)
        for key in ("name", "dims"):
            if key not in port:
                raise SurgeonError(f"{place} lacks '{key}'")
        for key, value in port.items():
            if key == "dims":
                whole = isinstance(value, list) and all(map(_is_dim, value))
                _require(whole, f"{place}: dims", value, "a list of whole numbers and names")
            else:
                _require(isinstance(value, str), f"{place}: {key}", value, "a text")
        check_names("dtype", [port.get("dtype", "float32")], DTYPES, place)
        check_names("kind of values", [port.get("values", "normal")], VALUES, place)
        if "values" in port and where.endswith("outputs"):
            raise SurgeonError(f"{place}: values says what an input holds; an output has none")
        _require(bool(port["name"].strip()), f"{place}: name", port["name"], "a text that is not empty")
        if port["name"] in seen:
            raise SurgeonError(f"{place}: two inputs or outputs of the module have this name")
        seen.add(port["name"])


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_dim(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _require(holds: bool, where: str, value: Any, wanted: str) -> None:
    if not holds:
        raise SurgeonError(f"{where} is {value!r}; give {wanted}")
