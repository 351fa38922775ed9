"""The options of `fix`, with their types checked: a wrong type is an error here, not a failure inside a pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx

from surgery.pipeline.rule import Pass
from verify.errors import SurgeonError, did_you_mean
from verify.interface.recognise import recognise
from verify.interface.spec import Spec, load_spec
from verify.model.walk import every_node, node_name

FOLD_LIMIT = 64 * 1024
LOOP_LIMIT = 64


@dataclass(frozen=True)
class Options:
    """What the passes read.

    target        "tensorrt-rtx", "tensorrt" or "onnxruntime"
    select        pass codes or code prefixes ("SG1"); empty means the default set
    ignore        pass codes or code prefixes that do not run
    skip_nodes    names of nodes no pass may touch
    fold_limit    bytes a folded constant may be larger than the constants it is computed from
    loop_limit    largest constant trip count that is unrolled
    spec          a verify.interface.spec.Spec for the interface passes, or None
    input_shapes  dims of an input by its name; a number fixes a dim, a name or -1 leaves it free
    set_inputs    inputs that become constants, by name
    outputs       names of the tensors that become the outputs; empty keeps those of the model
    passes        passes that run after those of surgeon and of plug-ins
    """

    target: str = "tensorrt-rtx"
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    skip_nodes: frozenset[str] = frozenset()
    fold_limit: int = FOLD_LIMIT
    loop_limit: int = LOOP_LIMIT
    spec: Spec | None = None
    input_shapes: dict[str, tuple[int | str, ...]] = field(default_factory=dict)
    set_inputs: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    passes: tuple[Pass, ...] = ()


def checked_options(
    *,
    target: str,
    select: str | Iterable[str],
    ignore: str | Iterable[str],
    skip_nodes: str | Iterable[str],
    fold_limit: int,
    loop_limit: int,
    input_shapes: Mapping[str, Sequence[int | str]] | None,
    set_inputs: Mapping[str, Any] | None,
    outputs: str | Iterable[str],
    passes: Pass | Iterable[Pass] = (),
) -> Options:
    """The options, each of its type; a string where several are wanted is one.

    Raises:
        SurgeonError: an option has a wrong type.
    """
    if not isinstance(target, str):
        raise wrong_type("target", target, "a string")
    shapes = _mapping("input_shapes", input_shapes)
    return Options(
        target=target,
        select=tuple(code.upper() for code in strings("select", select)),
        ignore=tuple(code.upper() for code in strings("ignore", ignore)),
        skip_nodes=frozenset(strings("skip_nodes", skip_nodes)),
        fold_limit=_whole_number("fold_limit", fold_limit),
        loop_limit=_whole_number("loop_limit", loop_limit),
        input_shapes={name: _dims(name, dims) for name, dims in shapes.items()},
        set_inputs=_mapping("set_inputs", set_inputs),
        outputs=strings("outputs", outputs),
        passes=pass_tuple(passes),
    )


def check_names(options: Options, model: onnx.ModelProto) -> None:
    """Raise SurgeonError for a node in `skip_nodes` that the model does not have; the error names some that it has."""
    if not options.skip_nodes:
        return
    names = dict.fromkeys(node_name(node) for node in every_node(model))
    for name in sorted(options.skip_nodes - names.keys()):
        hint = did_you_mean(name, names) or _first_names(list(names))
        raise SurgeonError(f"--skip-node '{name}': no node has this name{hint}")


def _first_names(names: list[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"; the nodes are {', '.join(names[:shown])}{more}" if names else "; the model has no nodes"


def with_spec(options: Options, spec: str | Path | Spec | None, model: onnx.ModelProto, path: Path | None) -> Options:
    """The options with the module of the spec that this model is; `spec` is a name, a TOML file or a `Spec`.

    Raises:
        SurgeonError: the spec is unknown, or the model is none of its modules.
    """
    if spec is None or isinstance(spec, Spec):
        return replace(options, spec=spec)
    if not isinstance(spec, (str, Path)):
        raise wrong_type("spec", spec, "a name, the path of a TOML file or a Spec")
    found = recognise(model, path, spec)
    if found is None:
        name = path or "the model"
        raise SurgeonError(f"{name}: is no module of spec '{spec}' by name, inputs or outputs; {_choice(spec, path)}")
    return replace(options, spec=found)


def _choice(spec: str | Path, path: Path | None) -> str:
    """How to say which module of the spec a model is."""
    modules = load_spec(spec).modules.values()
    if path is not None:
        return f"name the file as the spec does: {', '.join(module.file for module in modules)}"
    return f"give verify.interface.spec.load_spec('{spec}')[NAME], NAME: {', '.join(one.module for one in modules)}"


def strings(option: str, value: Any) -> tuple[str, ...]:
    """One string or several as a tuple."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise wrong_type(option, value, "a string or several")
    found = tuple(value)
    for entry in found:
        if not isinstance(entry, str):
            raise wrong_type(option, value, "a string or several")
    return found


def pass_tuple(value: Any) -> tuple[Pass, ...]:
    """One pass or several as a tuple."""
    if isinstance(value, Pass):
        return (value,)
    found = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    for entry in found:
        if not isinstance(entry, Pass):
            raise wrong_type("passes", entry, "a surgery.pipeline.rule.Pass or several")
    return found


def flag(option: str, value: Any) -> bool:
    """`value` if it is a bool; an error for other values, also those that Python treats as true or false."""
    if not isinstance(value, bool):
        raise wrong_type(option, value, "True or False")
    return value


def wrong_type(option: str, value: Any, wanted: str) -> SurgeonError:
    """The error for an option of a wrong type."""
    return SurgeonError(f"{option}={value!r:.80}: give {wanted}, not {type(value).__name__}")


def _whole_number(option: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(option, value, "a whole number")
    if value < 0:
        raise SurgeonError(f"{option}={value}: give a number that is not negative")
    return value


def _mapping(option: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise wrong_type(option, value, "a dict by input name")
    return dict(value)


def _dims(name: str, dims: Any) -> tuple[int | str, ...]:
    good = isinstance(dims, (list, tuple)) and all(isinstance(d, (int, str)) and not isinstance(d, bool) for d in dims)
    if not good:
        raise wrong_type(f"input_shapes['{name}']", dims, "a list or tuple of numbers and names")
    return tuple(dims)
