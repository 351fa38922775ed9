"""SG141: TfIdfVectorizer over numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.surgery.passes.comparing import Case, keeps_values, left_alone, operators, same

CODE = "SG141"
REWRITES = [
    Case(
        "pairs",
        """g (int32[6] x) => (float[2] y) {
          y = TfIdfVectorizer<mode = "TF", min_gram_length = 2, max_gram_length = 2, max_skip_count = 1,
            ngram_counts = [0, 0], ngram_indexes = [0, 1], pool_int64s = [1, 2, 2, 3]>(x)
        }""",
        opset=9,
        gone=("TfIdfVectorizer",),
        inputs={"x": [1, 2, 3, 2, 3, 3]},
    ),
]


POOL = "ngram_counts = [0, 4], pool_int64s = [2, 3, 5, 4, 5, 6, 7, 8, 6, 7]"


def draws(shape: tuple[int, ...]) -> list[dict[str, np.ndarray]]:
    generator = np.random.default_rng(3)
    return [{"x": generator.integers(2, 9, shape).astype(np.int32)} for _ in range(6)]


@pytest.mark.parametrize("mode", ["TF", "IDF", "TFIDF"])
@pytest.mark.parametrize("skip", [0, 1, 5])
@pytest.mark.parametrize("lengths", [(1, 1), (1, 2), (2, 2)])
def test_counts(mode: str, skip: int, lengths: tuple[int, int]) -> None:
    text = (
        f'g (int32[2,9] x) => (float[2,7] y) {{ y = TfIdfVectorizer<mode = "{mode}", min_gram_length = {lengths[0]},'
        f" max_gram_length = {lengths[1]}, max_skip_count = {skip}, {POOL}, ngram_indexes = [0, 1, 2, 3, 4, 5, 6],"
        " weights = [0.5, 2.0, 1.5, 3.0, 1.0, 0.25, 7.0]>(x) }"
    )
    fixed = same(text, 9, "SG141", draws((2, 9)), exact=True)
    assert "TfIdfVectorizer" not in operators(fixed)


def test_columns_in_another_order_with_a_gap() -> None:
    text = (
        'g (int32[9] x) => (float[9] y) { y = TfIdfVectorizer<mode = "TF", min_gram_length = 1, max_gram_length = 2,'
        f" max_skip_count = 2, {POOL}, ngram_indexes = [8, 0, 5, 3, 2, 1, 6]>(x) }}"
    )
    same(text, 9, "SG141", draws((9,)), exact=True)


def test_rows_shorter_than_the_grams() -> None:
    text = (
        'g (int32[2,1] x) => (float[2,7] y) { y = TfIdfVectorizer<mode = "TF", min_gram_length = 1,'
        f" max_gram_length = 2, max_skip_count = 0, {POOL}, ngram_indexes = [0, 1, 2, 3, 4, 5, 6]>(x) }}"
    )
    same(text, 9, "SG141", draws((2, 1)), exact=True)


@pytest.mark.parametrize(
    ("shape", "columns", "more"),
    [
        ("n", "[0, 1, 2, 3, 4, 5, 6]", ""),  # rows of unknown length
        ("9", "[0, 1, 2, 3, 4, 5, 5]", ""),  # two n-grams share a column
        ("9", "[1, 0, 2, 3, 4, 5, 6]", ", weights = [0.5, 2.0, 1.5, 3.0, 1.0, 0.25, 7.0]"),  # whose weight is it?
    ],
)
def test_left_alone(shape: str, columns: str, more: str) -> None:
    text = (
        f'g (int32[{shape}] x) => (float[k] y) {{ y = TfIdfVectorizer<mode = "IDF", min_gram_length = 1,'
        f" max_gram_length = 2, max_skip_count = 0, {POOL}, ngram_indexes = {columns}{more}>(x) }}"
    )
    left_alone(text, 9, "SG141")


@pytest.mark.parametrize("case", REWRITES, ids=str)
def test_keeps_values(case: Case) -> None:
    keeps_values(CODE, case)
