"""Shapes on the command line: three spellings, free dims where they may be free, and a clear refusal of the rest."""

from __future__ import annotations

import pytest

from verify.errors import SurgeonError
from verify.model.shape_text import parse_shape, parse_static_shape


@pytest.mark.parametrize("text", ["x:1x3x64", "x:1,3,64", "x:[1,3,64]", "x:[1, 3, 64]", "x: 1, 3, 64 "])
def test_three_spellings(text: str) -> None:
    assert parse_shape(text) == parse_static_shape(text) == ("x", (1, 3, 64))


def test_scalars_and_names_with_colons() -> None:
    assert parse_shape("x:") == parse_shape("x:[]") == parse_static_shape("x:") == ("x", ())
    assert parse_static_shape("a:b:0:2x5") == ("a:b:0", (2, 5))


@pytest.mark.parametrize(
    ("text", "dims"), [("x:2x-1", (2, -1)), ("x:[n,3]", ("n", 3)), ("x:['batch', 3]", ("batch", 3)), ("x:n", ("n",))]
)
def test_free_dims(text: str, dims: tuple[int | str, ...]) -> None:
    assert parse_shape(text) == ("x", dims)
    with pytest.raises(SurgeonError, match=r"has the free dim .*; give every dim a size"):
        parse_static_shape(text)


@pytest.mark.parametrize("text", ["x", "1x3", ":1x2", "x:1x", "x:1x2y", "x:1//2", "x:1,,2", "x:-", "x:1.5"])
def test_what_is_not_a_shape(text: str) -> None:
    for parse in (parse_shape, parse_static_shape):
        with pytest.raises(SurgeonError, match="is not a shape; write it as input:1x3x64x64"):
            parse(text)
