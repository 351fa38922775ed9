"""A model's inputs and outputs against the documented interface: names, order, dtype, rank and dims."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from verify.interface.spec import Dim, Port, Spec, load_spec
from verify.model.walk import dims_of, fed_inputs
from verify.report import Check

if TYPE_CHECKING:
    import onnx

    ValueInfos = Sequence[onnx.ValueInfoProto]


def check_form(path: Path, model: onnx.ModelProto) -> Check:
    """Whether the file is valid ONNX and its declared types and shapes are those that ONNX infers (`full_check`).

    Skipped where an operator is not ONNX's own.

    Args:
        model: what is in the file; weights may be missing.
    """
    import onnx

    from verify.model.negative_sizes import declared_negative
    from verify.run.known_faults import ends_process

    if why := ends_process(model):
        return Check("onnx", "fail", f"{why}; no runtime can read it")
    try:
        onnx.checker.check_model(str(path), full_check=not declared_negative(model))
    except onnx.checker.ValidationError as error:
        first = " ".join(str(error).split("\n")[0].split())
        unknown = "No Op registered" in str(error)
        return Check("onnx", "skip" if unknown else "fail", first[:300])
    except onnx.shape_inference.InferenceError as error:
        first = " ".join(str(error).split())
        return Check("onnx", "fail", f"declared types or shapes are not those that ONNX infers: {first}"[:300])
    except Exception as error:  # the checker passes on the exceptions of its readers, of any type
        return Check("onnx", "fail", " ".join(f"{type(error).__name__}: {error}".split())[:300])
    return Check("onnx", "pass", "well-formed")


def check_interface(model: onnx.ModelProto, spec: Spec, source: str | Path | Spec | None = None) -> list[Check]:
    """One check when all inputs and outputs are as documented, else one for each that is not.

    A model that is another module than its metadata or file name say gives the single check "module".

    Args:
        source: name or path of the spec file, whose other modules are then compared too.
    """
    other = _other_module(model, spec, source)
    if other:
        return [Check("module", "fail", other)]
    bad = [check for check in check_shapes(model, spec) if check.status == "fail"]
    count = len(spec.ports)
    return bad or [
        Check("interface", "pass", f"{spec.title}: {count} inputs and outputs as documented", {"ports": count})
    ]


def _other_module(model: onnx.ModelProto, spec: Spec, source: str | Path | Spec | None) -> str:
    """What is wrong when the model is not the module that its metadata or file name say; else empty."""
    names = {value.name for value in (*fed_inputs(model.graph), *model.graph.output)}

    def share(one: Spec) -> float:
        return len(names & {port.name for port in one.ports}) / len(one.ports)

    if share(spec) > 0.5:
        return ""
    modules = load_spec(source).modules.values() if isinstance(source, (str, Path)) else [spec]
    best = max(modules, key=share)
    if best.module != spec.module and share(best) > 0.5:
        return f"says it is the {spec.module}, but its inputs and outputs are those of the {best.module}"
    return f"says it is the {spec.module}, but has {share(spec):.0%} of its inputs and outputs"


def check_shapes(model: onnx.ModelProto | str | Path, spec: Spec) -> list[Check]:
    """One check for each documented input and output, one for each undocumented one, one for the order.

    A dim that the spec leaves open must be open in the model, and two dims may share a dim_param only where
    the spec gives them the same symbol (TensorRT takes equal names for equal sizes).
    `model` may be a path; weights in external files are not read.
    """
    proto = _load(model)
    sides = {
        "input": (fed_inputs(proto.graph), spec.inputs),
        "output": (list(proto.graph.output), spec.outputs),
    }
    checks = []
    for kind, (values, ports) in sides.items():
        checks += [_check_port(kind, port, values, ports) for port in ports]
        checks += _check_extra(kind, values, ports)
        checks += _check_order(kind, values, ports)
    return [*checks, *_check_symbols([v for values, _ in sides.values() for v in values], spec)]


def _load(model: onnx.ModelProto | str | Path) -> onnx.ModelProto:
    if not isinstance(model, str | Path):
        return model
    from verify.model.read import read_model

    return read_model(model)


def _check_port(kind: str, port: Port, values: ValueInfos, ports: Sequence[Port]) -> Check:
    name = f"{kind} {port.name}"
    found = {value.name: value for value in values}.get(port.name)
    if found is None:
        return Check(name, "fail", f"{kind} {port.name} is missing" + _hint(port, values, ports))
    wanted = show(port.dims)
    dtype, dims = _dtype(found), read_dims(found)
    figures = {"dtype": dtype, "dims": None if dims is None else list(dims)}
    if dtype != port.dtype:
        return Check(name, "fail", f"{name} is {dtype}, the spec says {port.dtype}", figures)
    if dims is None:
        return Check(name, "fail", f"{name} has no shape, the spec says {wanted}", figures)
    problem = _compare(dims, port.dims)
    if problem:
        return Check(name, "fail", f"{name} is {show(dims)}, the spec says {wanted}: {problem}", figures)
    return Check(name, "pass", f"{wanted} {dtype}", figures)


def _hint(port: Port, values: ValueInfos, ports: Sequence[Port]) -> str:
    """Name the undocumented value that this port may have become: a close name, or the only equal shape."""
    known = {p.name for p in ports}
    others = [value for value in values if value.name not in known]
    close = difflib.get_close_matches(port.name, [value.name for value in others], n=1, cutoff=0.6)
    same = [v.name for v in others if not _compare(read_dims(v) or (), port.dims)]
    guess = close[0] if close else same[0] if len(same) == 1 else None
    return f"; the model has {guess}: renamed?" if guess else ""


def _compare(dims: tuple[Dim, ...], wanted: tuple[Dim, ...]) -> str:
    """What is wrong with `dims`, or an empty string."""
    if len(dims) != len(wanted):
        return f"rank {len(dims)} instead of {len(wanted)}"
    pairs = list(enumerate(zip(dims, wanted, strict=True)))
    lost = [i for i, (d, w) in pairs if isinstance(d, str) and isinstance(w, int)]
    frozen = [i for i, (d, w) in pairs if isinstance(d, int) and isinstance(w, str)]
    wrong = [i for i, (d, w) in pairs if isinstance(d, int) and isinstance(w, int) and d != w]
    if wrong and not lost and not frozen and sorted(map(str, dims)) == sorted(map(str, wanted)):
        return "transposed?"
    parts = [
        f"{_list(lost)} lost its size" if lost else "",
        f"{_list(frozen)} must stay dynamic" if frozen else "",
        f"{_list(wrong)} is wrong" if wrong else "",
    ]
    return ", ".join(part for part in parts if part)


def _check_extra(kind: str, values: ValueInfos, ports: Sequence[Port]) -> list[Check]:
    known = {port.name for port in ports}
    return [
        Check(f"{kind} {v.name}", "fail", f"{kind} {v.name} is not in the spec") for v in values if v.name not in known
    ]


def _check_order(kind: str, values: ValueInfos, ports: Sequence[Port]) -> list[Check]:
    """Check the order of the documented names; no result if one is missing, since that has its own check."""
    wanted = [port.name for port in ports]
    got = [value.name for value in values if value.name in wanted]
    if len(got) != len(wanted):
        return []
    if got == wanted:
        return [Check(f"{kind} order", "pass", "as documented")]
    return [Check(f"{kind} order", "fail", f"{kind}s come as {', '.join(got)}; the spec says {', '.join(wanted)}")]


def _check_symbols(values: ValueInfos, spec: Spec) -> list[Check]:
    """Fail when one dim_param stands for two symbols of the spec."""
    ports = {port.name: port for port in spec.ports}
    meaning: dict[str, str] = {}
    for value in values:
        wanted = ports[value.name].dims if value.name in ports else ()
        for got, symbol in zip(read_dims(value) or (), wanted, strict=False):
            if not isinstance(got, str) or not got or not isinstance(symbol, str):
                continue
            if meaning.setdefault(got, symbol) != symbol:
                message = f"dim name {got!r} stands for both {meaning[got]} and {symbol}; give each its own name"
                return [Check("dim names", "fail", message)]
    return [Check("dim names", "pass", "each stands for one size")] if meaning else []


def read_dims(value: onnx.ValueInfoProto) -> tuple[Dim, ...] | None:
    """Dims of a tensor: numbers, or dim_param (empty when unnamed); None when it has no shape at all."""
    dims = dims_of(value.type.tensor_type)
    return None if dims is None else tuple("" if dim is None else dim for dim in dims)


def _dtype(value: onnx.ValueInfoProto) -> str:
    import onnx

    if value.type.WhichOneof("value") != "tensor_type":
        return str(value.type.WhichOneof("value"))
    name: str = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def show(dims: Sequence[Dim]) -> str:
    """Dims as text, `?` for a dim with no name."""
    return "[" + ", ".join(str(dim) if dim != "" else "?" for dim in dims) + "]"


def _list(axes: Sequence[int]) -> str:
    """`dim 1`, or `each of dims 0, 2`; both take a singular verb."""
    return f"dim {axes[0]}" if len(axes) == 1 else f"each of dims {', '.join(map(str, axes))}"
