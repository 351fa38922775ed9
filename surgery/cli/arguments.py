"""Options that several commands share, and parsers of shapes, sizes and values."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from surgery.targets import TARGETS, load_target
from verify.errors import SurgeonError

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class TargetType(click.ParamType):  # type: ignore[type-arg]
    """A target by its name: one of TARGETS, or any other version of TensorRT that the table knows."""

    name = "target"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return f"[{'|'.join(TARGETS)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            load_target(value)
        except SurgeonError as error:
            self.fail(str(error), param, ctx)
        return str(value)


TARGET = TargetType()


def split_shapes(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """One entry for each shape of an option that holds several: `a:1x3,b:2x3` as trtexec has it, or with spaces."""
    return tuple(one for text in values for one in re.split(r"[,\s]+(?=[^,\s:\[\]]+:)", text.strip()))


def shape_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --input-shape, --min-shape and --max-shape of dynamic inputs, as `shapes`, `smallest` and `largest`."""
    options = (("--max-shape", "largest"), ("--min-shape", "smallest"), ("--input-shape", "shapes"))
    for flag, name in options:
        which = "usual" if name == "shapes" else name
        command = click.option(
            flag,
            name,
            multiple=True,
            callback=split_shapes,
            metavar="NAME:SHAPE",
            help=f"{which.capitalize()} shape of a dynamic input.",
        )(command)
    return command


def format_option(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option --format, text or json, as the parameter `name`."""
    return click.option(
        "--format",
        name,
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Format of the output.",
    )


def parse_size(text: str) -> int:
    """Bytes from `65536`, `64K`, `16M` or `1G`.

    Raises:
        SurgeonError: not written so.
    """
    match = re.fullmatch(r"(\d+)\s*([KMG]?)(?:I?B)?", text.strip().upper())
    if match is None:
        raise SurgeonError(f"'{text}' is not a size; write it as 65536, 64K, 16M or 1G")
    return int(match[1]) * UNITS[match[2]]


def parse_dim(text: str) -> tuple[str, int]:
    """Name and size of a free dim from `batch=2`.

    Raises:
        SurgeonError: not written so.
    """
    name, equals, size = text.rpartition("=")
    if not equals or not size.isdecimal():
        raise SurgeonError(f"--size {text}: write it as NAME=N, for example batch=2")
    return name, int(size)


def parse_value(text: str) -> tuple[str, Any]:
    """Name and value from `sr=16000`, `axes=[0,1]`, `flag=true` or `x=@file.npy`.

    Raises:
        SurgeonError: not written so, or the file cannot be read.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise SurgeonError(f"'{text}' is not an assignment; write it as input=VALUE")
    if value.startswith("@"):
        return name, _array(Path(value[1:]))
    if value.lower() in ("true", "false"):
        return name, value.lower() == "true"
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise SurgeonError(f"'{value}' is not a value for '{name}'; write a number, true, [1,2] or @file.npy") from None


def _array(path: Path) -> Any:
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SurgeonError(f"{path}: not a readable .npy file ({error})") from None
