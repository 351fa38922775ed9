"""`surgeon inspect`: what a model contains, or what differs between two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from surgery.cli.arguments import format_option

if TYPE_CHECKING:
    from surgery.inspect import Description

SCHEMA_VERSION = "1.0"


@click.command(name="inspect")
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="MODEL...")
@format_option("form")
@click.option("-v", "--verbose", is_flag=True, help="List every weight, and metadata in full.")
def command(models: tuple[Path, ...], form: str, verbose: bool) -> int:
    """Show what each MODEL contains: interface, operators, weights, and what each target refuses. Nothing runs.

    - is standard input. With two models, such as the file before and after a fix, show what differs between them.
    """
    from dataclasses import replace

    from surgery.cli.console import console
    from surgery.cli.streams import read_dash
    from surgery.inspect import describe
    from surgery.inspect.text import print_comparison, print_description

    paths = read_dash(click.get_current_context(), models)
    described = [replace(describe(path), path=str(model)) for path, model in zip(paths, models, strict=True)]
    if form == "json":
        click.echo(_json(described))
        return 0
    if len(described) == 2:
        print_comparison(console(), *described)
        return 0
    for model in described:
        print_description(console(), model, verbose)
    return 0


def _json(described: list[Description]) -> str:
    """One document; with two models it also has their differences."""
    import json
    from dataclasses import asdict

    from surgery.inspect.compare import changes
    from surgery.inspect.text import as_data
    from verify.render.data import plain, tool_version

    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "surgeon", "version": tool_version()},
        "models": [as_data(model) for model in described],
    }
    if len(described) == 2:
        document["changes"] = [asdict(change) for change in changes(*described)]
    return json.dumps(plain(document), indent=2, ensure_ascii=False)
