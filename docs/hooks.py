"""Pages of the site that are made from the code while it is built: rules, commands, interface, architecture.

mkdocs calls `on_files` and `on_page_markdown`. Nothing made here is kept in the repository, so nothing can go stale.
"""

from __future__ import annotations

import re
from typing import Any

import click
import imports
from mkdocs.structure.files import File, Files

from surgery.cli import COMMANDS, surgeon
from surgery.diagnose.rules import rule_texts
from surgery.diagnose.rules.pages import as_markdown, index_markdown
from verify.interface.spec import __doc__ as spec_format
from verify.interface.spec import load_spec, render_tables

HUNDREDS = {
    "0": "Folding and clean-up",
    "1": "Refused by TensorRT",
    "2": "Speed",
    "3": "Interface",
    "6": "Precision",
    "8": "Reported only",
}


def commands() -> str:
    """`surgeon --help` and the help of every command, 80 columns wide."""
    context = _context(surgeon, "surgeon")
    parts = ["# Commands", "What `surgeon --help` and the help of every command print.", _help(surgeon, context)]
    for name in COMMANDS:
        command = surgeon.get_command(context, name)
        assert command is not None
        inner = _context(command, name, context)
        parts += [f"## surgeon {name}", _help(command, inner)]
        for below in getattr(command, "commands", {}).values():
            deeper = _context(below, below.name, inner)
            parts += [f"### surgeon {name} {below.name}", _help(below, deeper)]
    return "\n\n".join(parts) + "\n"


def _context(command: click.Command, name: str | None, parent: click.Context | None = None) -> click.Context:
    names = ["-h", "--help"]
    return click.Context(command, parent, name, max_content_width=80, terminal_width=80, help_option_names=names)


def _help(command: click.Command, context: click.Context) -> str:
    return f"```text\n{command.get_help(context)}\n```"


def rules() -> dict[str, str]:
    """A page for each rule and the index."""
    texts = list(rule_texts().values())
    return {f"rules/{one.code}.md": as_markdown(one) for one in texts} | {"rules/index.md": index_markdown(texts)}


def interface() -> str:
    """The documented inputs and outputs of SAM2."""
    head = "# The SAM2 interface\n\nRendered from `verify/interface/sam2.toml`; -1 stands for a dim that changes.\n\n"
    optional = "\n## Optional file\n\nWritten with `surgeon export --prompts`.\n\n"
    spec = load_spec("sam2")
    return f"{head}{render_tables(spec)}\n{optional}{render_tables(spec, optional=True)}\n"


def spec() -> str:
    """The format of spec files, from the docstring of the module that reads them."""
    title, _, rest = (spec_format or "").strip().partition("\n")
    return f"# Spec files\n\n{title}\n{rest}\n"


def changelog() -> str:
    return (imports.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def on_files(files: Files, config: Any) -> Files:
    """Add the made pages."""
    pages = {"commands.md": commands(), "interface.md": interface(), "spec.md": spec(), "changelog.md": changelog()}
    for name, text in (pages | rules()).items():
        files.append(File.generated(config, name, content=text))
    config.nav.append({"Rules": ["rules/index.md", *({title: codes} for title, codes in groups().items())]})
    return files


def groups() -> dict[str, list[dict[str, str]]]:
    """Pages of the rules under the heading of their hundred."""
    found: dict[str, list[dict[str, str]]] = {}
    for one in rule_texts().values():
        title = HUNDREDS.get(one.code[2], f"SG{one.code[2]}xx")
        found.setdefault(title, []).append({f"{one.code} {one.name}": f"rules/{one.code}.md"})
    return found


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Put the drawing and the table of imports in the place of the comments that ask for them."""
    made = {"imports": imports.svg, "imports_table": imports.table}
    return re.sub(r"<!-- (imports|imports_table) -->", lambda found: made[found[1]](), markdown)
