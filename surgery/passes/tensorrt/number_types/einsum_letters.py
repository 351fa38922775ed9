"""Einsum with upper-case letters.

What it does: renames the letters to free lower-case ones, and adds the result letters to an equation without `->`.
Why: TensorRT's parser takes lower-case letters only; torchvision's MaxViT has upper-case ones.
Before → After: `y = Einsum<equation = "BTC,BSC->BTS">(a, b)` → `y = Einsum<equation = "abc,adc->abd">(a, b)`
Leaves alone: equations of more than 26 letters.
Numerics: exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from string import ascii_lowercase

import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.passes.ops.contrib import text
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "Einsum"):
        equation = text(node.attrs.get("equation", ""))
        lowered = lower_case(equation)
        if lowered and any(letter.isupper() for letter in equation):
            message = f"the equation '{equation}' has upper-case letters"
            yield finding(message, node, partial(rewrite, graph, node, context, lowered))


def lower_case(equation: str) -> str:
    """The same equation in lower-case letters, with its result letters; "" where there are too many letters."""
    plain = equation.replace(" ", "")
    left, arrow, right = plain.partition("->")
    if not arrow:  # the letters that occur once, in the order of the alphabet, behind the dims of an ellipsis
        once = sorted(letter for letter in set(left) if letter.isalpha() and left.count(letter) == 1)
        right = ("..." if "..." in left else "") + "".join(once)
    letters = list(dict.fromkeys(letter for letter in left + right if letter.isalpha()))
    if len(letters) > len(ascii_lowercase):
        return ""
    names = str.maketrans(dict(zip(letters, ascii_lowercase, strict=False)))
    return f"{left}->{right}".translate(names)


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, equation: str) -> None:
    """The same product under the new equation."""
    build = Build(graph, node, context, PASS.code)
    build.replace(build("Einsum", *node.inputs, equation=equation))


PASS = Pass(code="SG191", name="einsum-letters", find=find, exact=True, kind="replace", feature="einsum-upper-case")
