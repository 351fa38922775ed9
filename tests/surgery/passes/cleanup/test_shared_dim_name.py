"""SG302: Free dims of the inputs that share one meaningless name, such as '?'."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes

CODE = "SG302"
REWRITES = [
    Case(
        "one name for two dims",
        'g (float["?"] x, float["?"] z) => (float[a] y) { y = Concat<axis = 0>(x, z) }',
        after="g (float[x_dim_0] x, float[z_dim_0] z) => (float[a] y) { y = Concat<axis = 0>(x, z) }",
    ),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)
