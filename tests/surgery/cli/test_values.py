"""Sizes and values as options of the command line take them."""

from __future__ import annotations

import pytest

from surgery.cli.arguments import parse_size, parse_value
from verify.errors import SurgeonError


def test_sizes_and_values() -> None:
    assert [parse_size(text) for text in ("7", "64K", "16M", "1G", "2MB")] == [7, 65536, 1 << 24, 1 << 30, 2 << 20]
    assert parse_value("sr=16000") == ("sr", 16000)
    assert parse_value("axes=[0,1]") == ("axes", [0, 1])
    assert parse_value("flag=true") == ("flag", True)


@pytest.mark.parametrize("text", ["x", "x=", "=1", "x=__import__('os')", "x=@none.npy"])
def test_what_is_no_value(text: str) -> None:
    with pytest.raises(SurgeonError):
        parse_value(text)
