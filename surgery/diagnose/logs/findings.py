"""An error in a log as a finding: its node, the reason and what to do."""

from __future__ import annotations

import re
from typing import Any

from surgery.diagnose.findings import tidy
from surgery.diagnose.logs.errors import LogError
from surgery.diagnose.logs.places import NodeAt, Places
from surgery.diagnose.logs.run import Run
from surgery.diagnose.logs.warnings import tool_error
from surgery.diagnose.model_view import ModelView
from surgery.diagnose.rules.reasons import Reason, explain
from verify.model.walk import domain_of, node_name, op_of
from verify.report import Finding

QUOTED = re.compile(r'&& "(.*)"\s*$', re.DOTALL)
UNEXPLAINED = ("refused-by-parser", "refused-by-builder")


def finding_of(error: LogError, run: Run, view: ModelView | None, places: Places | None) -> Finding:
    """The finding for an error; without a model, or where the model has no such node, with the log's own names."""
    found = _nodes(error, run, places)
    node = found[-1].node if found else None
    op = error.op or (node.op_type if node is not None else "")
    domain = domain_of(node.domain if node is not None else error.domain)
    reason = _reason(error, op, domain)
    details: dict[str, Any] = {"says": _words(error.text), "line": error.line}
    if view is not None and found:
        details |= _details(view, found)
    elif error.inputs or error.outputs:
        details |= {"inputs": _ports(error.inputs), "outputs": _ports(error.outputs)}
    before = _between(error) if error.spans else ""
    return Finding(
        code=reason.code,
        message=f"{_who(error, run)}{before}{_what(reason)}",
        node=_name(error, found),
        op=op_of(node) if node is not None and node.op_type == op else (f"{domain}::{op}" if domain else op),
        path=found[-1].path if found else "",
        where=view.where(node) if view is not None and node is not None else "",
        why=reason.reason,
        advice=reason.advice,
        severity="error",
        details=details,
    )


def _words(text: str) -> str:
    """What an assertion says to people, where it does, else all of it."""
    quoted = QUOTED.search(text)
    return quoted[1] if quoted else tidy(text)


def _nodes(error: LogError, run: Run, places: Places | None) -> list[NodeAt]:
    if places is None:
        return []
    if error.stage == "builder":
        return places.of_layers(error.layers)
    found = places.of_parser(error, by_number=run.producer != "onnxruntime")
    return [found] if found is not None else []


def _reason(error: LogError, op: str, domain: str) -> Reason:
    own = tool_error(error.text)
    if error.stage == "parser":
        return own or explain(error.text, op, domain, "parser", error.code)
    known = explain(error.text, op, domain, "builder")
    return own if own is not None and known.name in UNEXPLAINED else known


def _details(view: ModelView, found: list[NodeAt]) -> dict[str, Any]:
    last = found[-1]
    details = view.details(last.node)
    if last.index >= 0:
        details["neighbourhood"] = view.neighbourhood(last.index)
    others = [node_name(at.node) for at in found[:-1]]
    return details | ({"together_with": others} if others else {})


def _ports(names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{"name": name, "dtype": "", "shape": None} for name in names if name]


def _name(error: LogError, found: list[NodeAt]) -> str:
    if found:
        return node_name(found[-1].node)
    if error.stage == "builder":
        return error.layers[-1] if error.layers else ""
    if error.tensor:
        return error.tensor
    return error.name or (f"node_of_{error.output}" if error.output else "")


def _who(error: LogError, run: Run) -> str:
    if error.stage == "parser":
        code = f" ({error.code})" if error.code else ""
        elsewhere = "; onnxruntime runs it on another provider" if run.producer == "onnxruntime" and error.op else ""
        return f"the parser refuses it{code}{elsewhere}"
    return f"TensorRT fails{f' ({error.code})' if error.code else ''}"


def _between(error: LogError) -> str:
    return f" in the fused nodes from {error.layers[0]} to {error.layers[-1]}" if len(error.layers) > 1 else ""


def _what(reason: Reason) -> str:
    return "" if reason.name in UNEXPLAINED else f": {reason.name.replace('-', ' ')}"
