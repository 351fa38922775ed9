"""Conditions of the tables: small expressions about one node, which are true, false, or unknown.

A condition is written as a Python expression of calls to facts (`dtype(0)`, `attr('mode', 'nearest')`), numbers, texts,
tuples, comparisons, arithmetic, `and`, `or`, `not`. A fact that the file does not tell is UNKNOWN, and so is every
expression whose value depends on it.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from functools import cache
from typing import Any

from verify.errors import SurgeonError


class _Unknown:
    """The value of a fact that the file does not determine."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Any = _Unknown()
Facts = Callable[[str, tuple[Any, ...]], Any]

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, group: value in group,
    ast.NotIn: lambda value, group: value not in group,
}


def evaluate(text: str, facts: Facts) -> bool | None:
    """Whether the condition holds; None where that is not known.

    Args:
        facts: gives the value of a fact by its name and arguments, or UNKNOWN.

    Raises:
        SurgeonError: the text is not a condition.
    """
    try:
        value = _value(_parsed(text), facts)
    except (SyntaxError, TypeError, ValueError, KeyError) as error:
        raise SurgeonError(f"cannot evaluate the condition {text!r}: {error}") from error
    return None if value is UNKNOWN else bool(value)


@cache
def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _value(node: ast.expr, facts: Facts) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return facts(node.id, ())
    if isinstance(node, ast.Tuple):
        return tuple(_value(item, facts) for item in node.elts)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        arguments = tuple(_value(item, facts) for item in node.args)
        return UNKNOWN if UNKNOWN in arguments else facts(node.func.id, arguments)
    if isinstance(node, ast.BoolOp):
        return _connected(isinstance(node.op, ast.And), node.values, facts)
    if isinstance(node, ast.UnaryOp):
        return _unary(node, facts)
    if isinstance(node, ast.Compare):
        return _compared(node, facts)
    if isinstance(node, ast.BinOp) and type(node.op) in BINARY:
        left, right = _value(node.left, facts), _value(node.right, facts)
        return UNKNOWN if left is UNKNOWN or right is UNKNOWN else BINARY[type(node.op)](left, right)
    raise ValueError(f"{ast.unparse(node)} is not allowed here")


def _connected(every: bool, parts: list[ast.expr], facts: Facts) -> Any:
    """`and` and `or`: one part may decide the whole although another is unknown."""
    result: Any = every
    for part in parts:
        value = _value(part, facts)
        if value is UNKNOWN:
            result = UNKNOWN
        elif bool(value) != every:
            return not every
    return result


def _unary(node: ast.UnaryOp, facts: Facts) -> Any:
    value = _value(node.operand, facts)
    if value is UNKNOWN:
        return UNKNOWN
    if isinstance(node.op, ast.Not):
        return not value
    if isinstance(node.op, ast.USub):
        return -value
    raise ValueError(f"{ast.unparse(node)} is not allowed here")


def _compared(node: ast.Compare, facts: Facts) -> Any:
    left = _value(node.left, facts)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        right = _value(right_node, facts)
        if left is UNKNOWN or right is UNKNOWN:
            return UNKNOWN
        if not COMPARE[type(op)](left, right):
            return False
        left = right
    return True
