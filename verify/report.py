"""Checks and findings: the plain data that every command prints, saves, and takes its exit code from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from verify.errors import SurgeonError

Status = Literal["pass", "fail", "skip"]
Severity = Literal["error", "warning", "note"]
State = Literal["accepted", "refused", "unknown"]


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 finding`, `2 findings`; `plural` where an s does not make it."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


@dataclass(frozen=True)
class Check:
    """The result of one check of a model. A check that did not run is `skip`, never `pass`.

    `figures` holds numbers and strings (JSON types) behind the message. The HTML page draws two of them:
    "tensors" ({tensor name: {statistic: value, "histogram": {"edges": n + 1 numbers, "counts": n numbers}}}) and
    "op_counts" ({"before": {operator: count}, "after": {operator: count}}). `fix` on a model with eight-bit products
    gives "eight_bit_products" ({"before": count, "kept": count, "in_floating_point": count}).
    """

    name: str
    status: Status
    message: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One thing a rule found at one node.

    code      stable rule code, e.g. "SG012"
    message   what is wrong, with the names and values at hand
    node      the node's name (made up and stable when the file leaves it blank)
    op        its operator, with the domain when it is not ONNX's own
    path      where the node lives: "" for the main graph, else e.g. "If_7/else_branch"
    why       the reason in a sentence
    advice    what to do about it
    where     torch module or source line, if the exporter recorded one
    fix       repairs exactly this finding when called; None when the rule only reports
    touches   the nodes that the fix reads or changes; two findings that share one are never fixed in the same round
    details   further plain data (JSON types):
              "inputs", "outputs"  name, dtype and shape of each tensor
              "says"               the message of the target itself
              "flags"              command-line flags that go with the advice
              "fixable"            whether `surgeon fix` repairs it
              "rtx_only"           whether TensorRT-RTX alone refuses it
              "together_with"      names of nodes that are refused only together
              "neighbourhood"      {"nodes": [{"id", "label", "refused"}], "edges": [{"from", "to", "label"}]}
    """

    code: str
    message: str
    node: str = ""
    op: str = ""
    path: str = ""
    why: str = ""
    advice: str = ""
    where: str = ""
    severity: Severity = "warning"
    fix: Callable[[], None] | None = field(default=None, repr=False, compare=False)
    touches: tuple[Any, ...] = field(default=(), repr=False, compare=False)
    details: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Verdict:
    """What one judge says of a model: a parser and builder that ran here, a table of a version, a build elsewhere.

    judge    names it: "TensorRT-RTX 1.7.1.116 (built here)", "TensorRT 10.14 by NVIDIA's operator table"
    state    what it says of the whole model
    message  the same as a sentence: "refuses 2 places, 1 unknown"
    asked    it is the judge that was asked for, whose refusal makes the exit code 1; others are second opinions
    """

    judge: str
    state: State
    message: str
    asked: bool = True


@dataclass(repr=False)
class Report:
    """All checks, verdicts and findings of one model. `print` shows it as the command line does, a notebook as a table.

    cached   they come from an earlier run on the same files
    fail_on  "refused", or "unknown" to fail also where the judge that was asked does not know
    """

    model: str
    checks: list[Check] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    cached: bool = False
    verdicts: list[Verdict] = field(default_factory=list)
    fail_on: Literal["refused", "unknown"] = "refused"

    @property
    def exit_code(self) -> int:
        """0: nothing failed. 1: a check failed, a finding is an error or the judge that was asked refuses the model.

        2: unreadable. 4: a backend is missing.
        """
        codes = {check.figures.get("exit_code", 1) for check in self.checks if check.status == "fail"}
        codes |= {1 for finding in self.findings if finding.severity == "error"}
        failing = ("refused",) if self.fail_on == "refused" else ("refused", "unknown")
        codes |= {1 for verdict in self.verdicts if verdict.asked and verdict.state in failing}
        return _worst(codes)

    @property
    def ok(self) -> bool:
        """Whether nothing failed; a check that was skipped is no failure, and no pass."""
        return self.exit_code == 0

    def to_json(self) -> str:
        """The report as JSON, as `--format json` prints it; docs/reference/json.md describes the form."""
        from verify.render.data import to_json

        return to_json([self])

    def __str__(self) -> str:
        from io import StringIO

        from verify.render.text import print_text

        print_text([self], stream := StringIO(), plain=True)
        return stream.getvalue().rstrip("\n")

    def __repr__(self) -> str:
        from verify.render.text import summary

        return f"<Report {self.model}: {summary([self])}>"

    def _repr_html_(self) -> str:
        from verify.render.notebook import to_notebook

        return to_notebook(self)


def exit_code(reports: Iterable[Report]) -> int:
    """The exit code of a run over several models: unreadable before failed before a missing backend."""
    return _worst({report.exit_code for report in reports})


def _worst(codes: set[int]) -> int:
    return next((code for code in (2, 1, 4) if code in codes), 0)


def not_checked(model: object, error: SurgeonError) -> Report:
    """The report of a model that could not be checked, so that every format and the summary count it."""
    name = "file" if error.exit_code == SurgeonError.exit_code else "backend"
    message = str(error).removeprefix(f"{model}: ")
    return Report(str(model), [Check(name, "fail", message, {"exit_code": error.exit_code})])
