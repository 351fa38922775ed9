"""What a pass is: a rule with a code that finds, and findings that carry their own fix.

A pass is one module in `surgery/passes/` with a docstring (*What it does / Why / Before → After /
Leaves alone / Numerics*), a generator `find(graph, context)` and a constant `PASS`. `find` only looks; each finding it
yields carries `fix`, a callable without arguments that mends exactly that place, and `touches`, the nodes it looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from verify.report import Finding

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from surgery.pipeline.context import Context

__all__ = ["Declined", "Finding", "Kind", "Pass", "finding"]

Kind = Literal[
    "cleanup",  # smaller and plainer, always applied
    "replace",  # applied only when the target refuses the original (`feature` names the row of the target's table)
    "speed",  # a form the target runs faster
    "interface",  # changes graph inputs or outputs, only when a spec or an option asks for it
    "chosen",  # off unless selected by code
]


class Declined(Exception):
    """A fix that cannot be done after all, raised before it has changed the graph.

    Args:
        reason: what is missing.
        opset: the first version of the default domain in which it could be done; 0 where there is none.
    """

    def __init__(self, reason: str, opset: int = 0) -> None:
        super().__init__(reason)
        self.opset = opset


@dataclass(frozen=True)
class Pass:
    """A rule with a stable code.

    code      "SG" and three digits; 0xx folding and clean-up, 1xx what TensorRT refuses, 2xx speed, 3xx interface,
              6xx precision
    name      says what is wrong, never how it is mended ("unused-node", "runtime-reduce-axes")
    find      looks at one graph (main, subgraph or function body) and yields findings; changes nothing
    exact     True when the values it leaves are bit-identical for every input (no rounding, no assumption)
    feature   for `replace`: key in the target's table; the pass runs only where the target refuses that feature
    removes_overflow  True when its result may be finite where the original overflows to NaN or infinity; the guard
              does not compare such places then, and the report says so
    moves_nan  True when NaN or infinity in an input may reach other places of the result than in the original; the
              guard then reports such a place and keeps the pass, as it does for every pass that the target needs
              (kind "replace")
    moves_steps  True when its rounding may move an eight-bit number by a step; the guard then compares with what the
              original itself moves where its inputs change by a millionth, and each tensor that changed with its own
    """

    code: str
    name: str
    find: Callable[[gs.Graph, Context], Iterator[Finding]]
    exact: bool
    kind: Kind = "cleanup"
    feature: str = ""
    removes_overflow: bool = False
    moves_nan: bool = False
    moves_steps: bool = False


def finding(
    message: str,
    node: gs.Node,
    fix: Callable[[], None] | None,
    *touches: gs.Node,
    **details: Any,
) -> Finding:
    """A finding at `node`; `touches` names further nodes the fix depends on. The pipeline fills in the code."""
    return Finding(
        code="",
        message=message,
        node=node.name or "",
        op=f"{node.domain}::{node.op}" if node.domain else node.op,
        fix=fix,
        touches=(node, *touches),
        **details,
    )
