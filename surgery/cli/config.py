"""Defaults from `[tool.surgeon]` of the nearest pyproject.toml; options of the command line override them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from verify.errors import SurgeonError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def find_table(start: Path) -> tuple[Path, dict[str, Any]] | None:
    """The nearest pyproject.toml from `start` upwards that has a table [tool.surgeon], and that table."""
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if not path.is_file():
            continue
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("surgeon")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise SurgeonError(f"{path}: cannot be read as TOML: {error}") from None
        if isinstance(table, dict):
            return path, table
    return None


def with_defaults(context: click.Context, given: dict[str, Any]) -> dict[str, Any]:
    """`given`, with the configured value for every option that is not on the command line.

    Keys are option names, `fold-limit` or `fold_limit`: in [tool.surgeon.COMMAND] for one command, in [tool.surgeon]
    for all.

    Raises:
        SurgeonError: a key of [tool.surgeon.COMMAND] is no option of the command, or a value has the wrong type.
    """
    found = find_table(Path.cwd())
    if found is None:
        return given
    path, table = found
    options = {option.name: option for option in context.command.params if isinstance(option, click.Option)}
    own = table.get(context.command.name or "", {})
    shared = {key: value for key, value in table.items() if not isinstance(value, dict)}
    for key in own:
        if key.replace("-", "_") not in options:
            raise SurgeonError(f"{path}: [tool.surgeon.{context.command.name}] has no option '{key}'")
    merged = dict(given)
    for key, value in {**shared, **own}.items():
        name = key.replace("-", "_")
        source = context.get_parameter_source(name)
        if name in options and source in (None, click.core.ParameterSource.DEFAULT):
            merged[name] = _convert(options[name], value, context, path)
    return merged


def _convert(option: click.Option, value: Any, context: click.Context, path: Path) -> Any:
    try:
        if option.multiple:
            items = value if isinstance(value, list) else [value]
            return tuple(option.type.convert(item, option, context) for item in items)
        return option.type.convert(value, option, context)
    except click.BadParameter as error:
        raise SurgeonError(f"{path}: '{option.name}': {error.message}") from None
