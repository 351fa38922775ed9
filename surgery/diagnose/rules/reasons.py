"""The reason behind a refusal, looked up by TensorRT's message and the operator in the table of known messages."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Literal

from surgery.diagnose.rules import code_of, report_codes
from surgery.targets.catalog import Feature, load_catalog
from surgery.targets.table import load_table
from verify.model.walk import domain_of
from verify.render import RuleText

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Stage = Literal["parser", "builder"]

BITWISE = {"BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitwiseNot"}
# The parser answers these with "false" or "Plugin not found", so the operator alone gives the reason.
BY_OPERATOR = {
    **dict.fromkeys(BITWISE, "bitwise"),
    **dict.fromkeys(
        ("SequenceConstruct", "SequenceEmpty", "SequenceAt", "SequenceInsert", "SequenceErase"), "sequence"
    ),
    **dict.fromkeys(("SequenceLength", "SequenceMap", "SplitToSequence", "ConcatFromSequence"), "sequence"),
    **dict.fromkeys(("Optional", "OptionalHasElement", "OptionalGetElement"), "optional"),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul"), "qlinear"),
    **dict.fromkeys(("MatMulInteger", "ConvInteger"), "matmul-integer"),
    **dict.fromkeys(("RandomNormal", "RandomNormalLike", "RandomUniform", "Bernoulli", "Multinomial"), "random"),
}
HALF = ("float16", "bfloat16")
GIVES_NO_REASON = re.compile(r"^\s*(false|0)?\s*$|Plugin not found|plugin creator|CreatorVersion")


@dataclass(frozen=True)
class Reason:
    """The explanation of a refusal: rule code, reason and advice in a sentence each, and the catalog row if any."""

    code: str
    name: str
    reason: str
    advice: str
    feature: str = ""
    rtx_only: bool = False


@lru_cache(maxsize=4096)
def explain(
    message: str, op: str, domain: str = "", stage: Stage = "parser", kind: str = "", dtype: str = ""
) -> Reason:
    """The reason behind TensorRT's `message` about an operator; SG800 and SG890 stand for unknown reasons.

    Args:
        dtype: of the first input, where the reason depends on it.
        kind: the error code TensorRT or its adapter gave ("UNSUPPORTED_NODE", "CRASH", "TIMEOUT", ...).
    """
    if kind in ("CRASH", "TIMEOUT"):
        return of_code({"CRASH": "SG891", "TIMEOUT": "SG892"}[kind])
    if kind == "MODEL_DESERIALIZE_FAILED":
        return of_code("SG823")
    if GIVES_NO_REASON.search(message) or not message:
        reason = _by_operator(op, domain)
        if reason is not None:
            return reason
    for entry in _entries():
        if entry.get("stage", stage) != stage or not re.search(entry["says"], message, re.S):
            continue
        if "op" in entry and not re.fullmatch(entry["op"], op):
            continue
        feature = entry.get("or_feature" if dtype in HALF else "feature", entry.get("feature"))
        if feature in load_catalog():
            return of_feature(load_catalog()[feature])
        if "code" in entry:
            return of_code(entry["code"])
    known = load_catalog().get(BY_OPERATOR.get(op, ""))
    if known is not None and stage == "parser":
        return of_feature(known)
    return of_code("SG800" if stage == "parser" else "SG890")


def of_feature(feature: Feature) -> Reason:
    """The catalog row as a reason."""
    code = code_of(feature)
    return Reason(code, feature.key, feature.reason, feature.advice, feature.key, feature.rtx_only)


@cache
def _entries() -> list[dict[str, Any]]:
    text = files(__package__).joinpath("messages.toml").read_text(encoding="utf-8")
    entries: list[dict[str, Any]] = tomllib.loads(text)["fits"]
    return entries


def of_code(code: str) -> Reason:
    """The row of codes.toml as a reason."""
    row = report_codes()[code]
    return Reason(code, row["name"], row["reason"], row["advice"], row.get("feature", ""))


def of_pass(text: RuleText) -> Reason:
    """The text of a pass as a reason."""
    return Reason(text.code, text.name, text.sections["Why"], text.sections["What it does"])


def _by_operator(op: str, domain: str) -> Reason | None:
    """The reason when the parser's message is only that it does not know the operator."""
    if domain.startswith("ai.onnx.ml"):
        return of_code("SG825")
    if domain.startswith("ai.onnx.preview.training") or op == "Gradient":
        return of_code("SG826")
    catalog = load_catalog()
    own = [row for row in catalog.values() if row.op == op and row.key not in ("function-body", "io-dtype")]
    known = catalog.get(BY_OPERATOR.get(op, "")) or (own[0] if own and _standard(domain, op) is not None else None)
    if known is not None:
        return of_feature(known)
    schema = _standard(domain, op)
    if schema is None:
        return replace(of_code("SG847"), rtx_only=True) if op in load_table("tensorrt").plugins else of_code("SG820")
    if schema.has_function or schema.has_context_dependent_function:
        return of_feature(catalog["function-body"])
    return of_code("SG821")


def _standard(domain: str, op: str) -> Any:
    """The ONNX schema of an operator, None where ONNX does not define it."""
    import onnx

    try:
        return onnx.defs.get_schema(op, domain=domain_of(domain))
    except onnx.defs.SchemaError:
        return None
