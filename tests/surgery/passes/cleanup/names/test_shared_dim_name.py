"""SG302: Free dims of the inputs that share one meaningless name, such as '?'."""

from __future__ import annotations

import pytest

from tests.surgery.passes.comparing import Case, becomes, stays

CODE = "SG302"
REWRITES = [
    Case(
        "one name for two dims",
        'g (float["?"] x, float["?"] z) => (float[a] y) { y = Concat<axis = 0>(x, z) }',
        after="g (float[x_dim_0] x, float[z_dim_0] z) => (float[a] y) { y = Concat<axis = 0>(x, z) }",
    ),
    Case(
        "twice in one input, beside a name and a number",
        'g (float["?","?",n,2] x) => (float[a,b,c,d] y) { y = Neg(x) }',
        after="g (float[x_dim_0,x_dim_1,n,2] x) => (float[a,b,c,d] y) { y = Neg(x) }",
    ),
]
LEFT_ALONE = [
    Case("the name occurs once", 'g (float["?",n] x, float[n] z) => (float[a,b] y) { y = Add(x, z) }'),
    Case("the name has a letter", "g (float[n] x, float[n] z) => (float[n] y) { y = Add(x, z) }"),
]


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_rewrites(case: Case) -> None:
    becomes(CODE, case)


@pytest.mark.parametrize("case", LEFT_ALONE, ids=str)
def test_leaves_alone(case: Case) -> None:
    stays(CODE, case)
