"""Integer expressions in dims and spec files: names, + - * // and parentheses, nothing else."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

from verify.errors import SurgeonError

OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}


def evaluate(text: str, values: Mapping[str, int]) -> int:
    """Value of the expression `text`; SurgeonError if it holds an unknown name or anything but arithmetic."""
    try:
        return _value(ast.parse(text, mode="eval").body, values)
    except (SyntaxError, ValueError, ZeroDivisionError) as error:
        raise SurgeonError(f"cannot evaluate {text!r}: {error}") from error


def _value(node: ast.expr, values: Mapping[str, int]) -> int:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name):
        if node.id not in values:
            raise ValueError(f"{node.id!r} is not known here")
        return values[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](_value(node.left, values), _value(node.right, values))
    raise ValueError("only whole numbers, names, + - * // and parentheses are allowed")
