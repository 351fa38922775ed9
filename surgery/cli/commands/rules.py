"""`surgeon rules`: list every rule, or explain some."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from verify.render import RuleText


@click.command(name="rules")
@click.argument("codes", nargs=-1, metavar="[CODE]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="Format of the output.",
)
@click.option(
    "--pages", type=click.Path(file_okay=False, path_type=Path), help="Write a page for each rule into this folder."
)
def command(codes: tuple[str, ...], form: str, pages: Path | None) -> int:
    """List every rule, or explain those with the given CODEs."""
    from surgery.diagnose.rules import rule_texts
    from surgery.diagnose.rules.pages import as_json, as_markdown, index_markdown, rule, write_pages
    from surgery.passes import plug_in_failures

    for text in plug_in_failures():
        click.echo(f"surgeon: a plug-in was not loaded: {text}", err=True)
    if pages is not None:
        click.echo(f"{pages}: {len(write_pages(pages))} pages")
        return 0
    chosen = [rule(code) for code in codes] if codes else list(rule_texts().values())
    if form == "json":
        click.echo(as_json(chosen), nl=False)
    elif form == "markdown":
        click.echo("\n".join(map(as_markdown, chosen)) if codes else index_markdown(chosen), nl=False)
    elif codes:
        _explain(chosen)
    else:
        _list(chosen)
    return 0


def _explain(rules: list[RuleText]) -> None:
    from surgery.cli.console import wrapped
    from surgery.diagnose.rules.pages import KINDS

    for one in rules:
        head = f"{one.code}  {one.name}  ({KINDS.get(one.kind, one.kind)})"
        lines = [*wrapped(head, "", " " * 7), "", *wrapped(one.title, "  ")]
        for heading, body in one.sections.items():
            lines += ["", f"  {heading}", *wrapped(body, "    ")]
        click.echo("\n".join([*lines, ""]))


def _list(rules: list[RuleText]) -> None:
    from surgery.cli.console import wrapped

    widest = max(len(one.name) for one in rules)
    for one in rules:
        kind = "fix" if one.fixable else "report"
        first, *rest = wrapped(one.title, " " * (widest + 17))
        click.echo(f"{one.code}  {kind:6}  {one.name:{widest}} {first.strip()}")
        for line in rest:
            click.echo(line)
