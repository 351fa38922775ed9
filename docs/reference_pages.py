"""The pages under docs/reference that are made from the code: commands, spec files and rules."""

from __future__ import annotations

import api_page
import click

from surgery.cli import COMMANDS, surgeon
from surgery.cli.habits import COMMANDS_ELSEWHERE, OPTIONS_ELSEWHERE, SHARED_OPTIONS
from surgery.diagnose.rules import rule_texts
from surgery.diagnose.rules.pages import KINDS
from verify.interface.spec import __doc__ as spec_format
from verify.render import RuleText

GROUPS = {
    "0": ("cleanup", "Folding and clean-up"),
    "1": ("tensorrt", "Refused by TensorRT"),
    "2": ("speed", "Speed"),
    "3": ("interface", "Interface"),
    "7": ("specification", "Breaches of the ONNX specification"),
    "8": ("reported", "Reported only"),
}


def pages() -> dict[str, str]:
    """Path below docs -> text of every page that is made as a whole."""
    made = {
        "reference/commands.md": commands(),
        "reference/spec.md": spec(),
        "reference/api.md": api_page.page(),
        "reference/habits.md": habits(),
    }
    return made | {f"reference/rules/{GROUPS[digit][0]}.md": rules(digit) for digit in GROUPS}


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


def spec() -> str:
    """The format of spec files, from the docstring of the module that reads them."""
    title, _, rest = (spec_format or "").strip().partition("\n")
    example = "[Write a spec for my own model](../howto/own-model.md) goes through an example."
    return f"# Spec files\n\n{title}\n{rest}\n\n{example}\n"


def habits() -> str:
    """What users of other tools type, and what does the same here."""
    head = ["# Coming from another tool", "What other tools call it, and what does it here. surgeon answers the same."]
    works = (
        "These work as elsewhere: `surgeon fix in.onnx out.onnx`; several shapes in one option,\n"
        "`--input-shape a:1x3,b:2x3`; the three spellings `x:1x3`, `x:1,3` and `x:[1,3]`;\n"
        "`-` for standard input and output."
    )
    rows = [(f"surgeon {name}", text) for name, text in COMMANDS_ELSEWHERE.items()]
    for command, options in OPTIONS_ELSEWHERE.items():
        rows += [(f"surgeon {command} {option}", text.removeprefix("nothing: ")) for option, text in options.items()]
    rows += [(option, f"{text}, where the command has it") for option, text in SHARED_OPTIONS.items()]
    table = ["| typed | use |", "| --- | --- |", *(f"| `{typed}` | {text} |" for typed, text in rows)]
    return "\n\n".join([*head, works, "\n".join(table)]) + "\n"


def rules(digit: str) -> str:
    """The rules whose codes begin with this digit, each under its code."""
    own = [one for one in rule_texts().values() if one.code.startswith(f"SG{digit}")]
    head = [
        f"# {GROUPS[digit][1]}",
        "`surgeon rules CODE` prints the same; [All rules](../../all-rules.md) is the table.",
    ]
    return "\n\n".join([*head, *map(_rule, own)]) + "\n"


def _rule(one: RuleText) -> str:
    parts = [f"## {one.code} {one.name}", one.title, f"*{KINDS.get(one.kind, one.kind)}*"]
    return "\n\n".join([*parts, *(f"**{heading}.** {body}" for heading, body in one.sections.items())])


def rule_link(code: str, name: str) -> str:
    """The place of a rule, seen from docs."""
    return f"reference/rules/{GROUPS[code[2]][0]}.md#{code.lower()}-{name}"
