"""Codes that are only reported, and the texts of every code: the passes' own docstrings, the catalog, `codes.toml`."""

from __future__ import annotations

import re
import sys
from functools import cache
from importlib.resources import files

from surgery.passes import all_passes
from surgery.pipeline.rule import Pass
from surgery.targets.catalog import Feature, load_catalog
from verify.lint import rule_texts as lint_texts
from verify.render.rule_text import RuleText

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HEADINGS = ("What it does", "Why", "Before → After", "Leaves alone", "Numerics")


@cache
def report_codes() -> dict[str, dict[str, str]]:
    """The table of codes.toml: code -> its row, with reason and advice filled in from the catalog."""
    rows = tomllib.loads(files(__package__).joinpath("codes.toml").read_text(encoding="utf-8"))
    catalog = load_catalog()
    for row in rows.values():
        feature = catalog.get(row.get("feature", ""))
        if feature is not None:
            row.update(reason=feature.reason, advice=feature.advice)
    return {code: row for code, row in rows.items() if "reason" in row}


def code_of(feature: Feature) -> str:
    """The code a finding of this feature carries: its pass's, else the one it has in codes.toml."""
    passes = (rule.code for rule in all_passes() if rule.feature == feature.key)
    if (code := next(passes, None)) is not None:
        return code
    if feature.pass_code:
        return feature.pass_code
    own = (code for code, row in report_codes().items() if row.get("feature") == feature.key)
    return next(own, "SG800")


@cache
def rule_texts() -> dict[str, RuleText]:
    """Every code with its text, in the order of the codes."""
    texts = {rule.code: of_pass(rule) for rule in all_passes()}
    for feature in load_catalog().values():
        if feature.pass_code and feature.pass_code not in texts:
            texts[feature.pass_code] = _of_row(feature.pass_code, feature.key, feature.reason, feature.advice)
    for code, row in report_codes().items():
        texts.setdefault(code, _of_row(code, row["name"], row["reason"], row["advice"]))
    return dict(sorted((texts | lint_texts()).items()))


def of_pass(rule: Pass) -> RuleText:
    """The text of a pass, from the docstring of its module."""
    text = (sys.modules[rule.find.__module__].__doc__ or "").strip()
    title, _, rest = text.partition("\n")
    return RuleText(rule.code, rule.name, title.strip(), True, rule.kind, _sections(rest))


def _sections(text: str) -> dict[str, str]:
    pattern = "|".join(re.escape(heading) for heading in HEADINGS)
    parts = re.split(rf"^({pattern}):", text, flags=re.M)
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return {heading: re.sub(r"\s*\n\s*", " ", body).strip() for heading, body in pairs}


def _of_row(code: str, name: str, reason: str, advice: str) -> RuleText:
    return RuleText(code, name, reason, False, "report", {"What to do": advice})
