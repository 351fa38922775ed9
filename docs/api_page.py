"""The page of the Python API, made from signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import surgery
import verify
from verify.report import Check, Finding, Report, Verdict

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f"surgery.{name}": getattr(surgery, name) for name in surgery.__all__},
    **{f"verify.{name}": getattr(verify, name) for name in verify.__all__},
}
RECORDS = (Report, Check, Verdict, Finding)
INTRODUCTION = """\
`import surgery` changes and diagnoses models, `import verify` checks them. Neither imports anything heavy before a
function is used. The functions print nothing; in a notebook they show what is running and how long it took. They raise
`verify.errors.SurgeonError`, whose message says what is wrong, where, and what to do; `MissingBackend` and
`CheckFailed` are kinds of it. `docs/examples/fix_and_verify.ipynb` is a notebook that uses them."""


def page() -> str:
    """Every public function with its signature and docstring, and the records that they return."""
    parts = ["# Python API", INTRODUCTION, "## Functions"]
    parts += [_function(name, function) for name, function in FUNCTIONS.items()]
    parts += ["## Records", "The plain data that the functions return."]
    parts += [_record(record) for record in RECORDS]
    return "\n\n".join(parts) + "\n"


def _function(name: str, function: Callable[..., Any]) -> str:
    signature = f"```python\n{_signature(name, function)}\n```"
    return "\n\n".join([f"### {name}", signature, _text(inspect.getdoc(function) or "")])


def _signature(name: str, function: Callable[..., Any]) -> str:
    """`name(argument: type = default, ...)`, one argument a line."""
    lines, starred = [], False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            lines.append("*")
            starred = True
        lines.append(_argument(parameter))
    back = str(inspect.signature(function).return_annotation)
    return f"{name}(\n" + "".join(f"    {line},\n" for line in lines) + f") -> {back}"


def _argument(parameter: inspect.Parameter) -> str:
    """`name: type = default`; a default that is a function is written as three dots."""
    text = f"{parameter.name}: {parameter.annotation}"
    if parameter.default is parameter.empty:
        return text
    return f"{text} = {'...' if callable(parameter.default) else repr(parameter.default)}"


def _text(docstring: str) -> str:
    """A docstring as Markdown: sections as lists and blocks of code."""
    parts = re.split(r"^(Args|Returns|Raises|Example):$", docstring, flags=re.M)
    made = [parts[0].strip()]
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        body = inspect.cleandoc(body)
        if heading == "Example":
            made.append(f"```pycon\n{body}\n```")
        elif heading == "Returns":
            made.append(f"**Returns.** {_joined(body)}")
        else:
            title = "Arguments" if heading == "Args" else heading
            made.append(f"**{title}**\n\n" + "\n".join(_item(item) for item in re.split(r"\n(?! )", body)))
    return "\n\n".join(made)


def _item(text: str) -> str:
    names, _, meaning = text.partition(":")
    return f"- `{_joined(names)}`: {_joined(meaning)}"


def _joined(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text).strip()


def _record(record: type[Any]) -> str:
    """The docstring of a record as it stands, and its fields, properties and methods with their types."""
    fields = [f"{name}: {kind}" for name, kind in inspect.get_annotations(record).items()]
    public = {name: value for name, value in vars(record).items() if not name.startswith("_") and name not in fields}
    extras = [f"{name}  # {_joined(inspect.getdoc(value) or '')}" for name, value in public.items() if _own(value)]
    text = "\n".join([*fields, *(extra.split("\n")[0] for extra in extras)])
    title, _, rest = (inspect.getdoc(record) or "").partition("\n\n")
    parts = [f"### verify.report.{record.__name__}", _joined(title), f"```python\n{text}\n```"]
    return "\n\n".join([*parts, *([f"```text\n{rest}\n```"] if rest else [])])


def _own(value: Any) -> bool:
    return isinstance(value, property) or inspect.isfunction(value)
