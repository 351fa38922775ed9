"""The text of a rule, from which `surgeon rules`, its documentation page and SARIF are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class RuleText:
    """One code and its explanation.

    code      "SG012"
    name      what is wrong, in words joined by hyphens
    title     one line
    fixable   whether `surgeon fix` repairs what the rule finds
    kind      when it runs: a pass's kind, or "report" for a code that is only ever reported
    sections  heading -> paragraph, in the order they are shown
    """

    code: str
    name: str
    title: str
    fixable: bool = False
    kind: str = "report"
    sections: Mapping[str, str] = field(default_factory=dict)
