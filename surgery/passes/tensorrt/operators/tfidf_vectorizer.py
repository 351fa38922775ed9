"""TfIdfVectorizer over numbers.

What it does: gathers every window of the row (each length, each skip), compares it with the n-grams of the pool, and
counts the matches.
Why: TensorRT's parser has no TfIdfVectorizer.
Before → After: `y = TfIdfVectorizer<.., pool_int64s = [5, 6]>(x)` →
`y = ReduceSum(Cast(And(Equal(Gather(x, first), 5), Equal(Gather(x, second), 6))))`
Leaves alone: strings; rows of unknown length; n-grams that occur twice in the pool or share a column; weights with
columns in another order than the pool, which runtimes interpret differently; comparisons of more than 4M elements.
Numerics: exact: counts are whole numbers, and a weight multiplies once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import onnx_graphsurgeon as gs

from surgery.passes.ops.build import Build
from surgery.pipeline.context import Context
from surgery.pipeline.rule import Finding, Pass, finding

LARGEST = 1 << 22
MODES = ("TF", "IDF", "TFIDF")


def find(graph: gs.Graph, context: Context) -> Iterator[Finding]:
    for node in context.nodes(graph, "TfIdfVectorizer"):
        shape, pools = context.static_shape(node.inputs[0]), grams(node)
        if shape is None or not 1 <= len(shape) <= 2 or 0 in shape or pools is None:
            continue
        if node.inputs[0].dtype is None or np.dtype(node.inputs[0].dtype).kind != "i":
            continue
        size = sum(len(pool) * len(windows(node, shape[-1], pool.shape[1])) for pool in pools)
        if size and size * (shape[0] if len(shape) == 2 else 1) <= LARGEST:
            message = f"{context.target.name} has no TfIdfVectorizer"
            yield finding(message, node, partial(rewrite, graph, node, context, pools))


def grams(node: gs.Node) -> list[np.ndarray] | None:
    """int64[n-grams, n] for each length the pool holds, in its order, or None where the node is to be left alone."""
    pool, columns = node.attrs.get("pool_int64s"), node.attrs.get("ngram_indexes") or []
    starts = node.attrs.get("ngram_counts") or []
    if not pool or not starts or node.attrs.get("mode") not in MODES or len(set(columns)) != len(columns):
        return None
    found = []
    for place, (start, end) in enumerate(pairwise([*starts, len(pool)])):
        if start < 0 or start > end or (end - start) % (place + 1):
            return None
        found.append(np.array(pool[start:end], np.int64).reshape(-1, place + 1))
    if any(len(np.unique(pool, axis=0)) != len(pool) for pool in found) or min(columns, default=-1) < 0:
        return None
    weights = node.attrs.get("weights")
    if sum(len(pool) for pool in found) != len(columns):
        return None
    in_order = list(columns) == list(range(len(columns))) and weights is not None and len(weights) == len(columns)
    return found if weights is None or node.attrs["mode"] == "TF" or in_order else None


def windows(node: gs.Node, length: int, size: int) -> np.ndarray:
    """int64[windows, size]: the places in a row of `length` that the n-grams of `size` are looked for at."""
    if not int(node.attrs.get("min_gram_length", 1)) <= size <= int(node.attrs.get("max_gram_length", 1)):
        return np.zeros((0, size), np.int64)
    skips = range(1, int(node.attrs.get("max_skip_count", 0)) + 2) if size > 1 else range(1, 2)
    starts = [np.arange(size) * skip + first for skip in skips for first in range(length - (size - 1) * skip)]
    return np.array(starts, np.int64).reshape(-1, size)


def rewrite(graph: gs.Graph, node: gs.Node, context: Context, pools: list[np.ndarray]) -> None:
    """Windows against n-grams, then the columns in their order, then the weights."""
    build = Build(graph, node, context, PASS.code)
    data = build.cast(node.inputs[0], np.int64)
    rank, length = len(data.shape), data.shape[-1]
    parts = []
    for pool in pools:
        table = windows(node, length, pool.shape[1])
        if not len(pool):
            continue
        if not len(table):
            parts.append(build.constant(np.zeros((*data.shape[:-1], len(pool))), np.float32))
            continue
        hits = None
        for place in range(pool.shape[1]):
            at = build.unsqueeze(build("Gather", data, table[:, place], axis=rank - 1), rank)
            equal = build("Equal", at, pool[:, place])
            hits = equal if hits is None else build("And", hits, equal)
        parts.append(build.axes("ReduceSum", build.cast(hits, np.float32), [rank - 1], keepdims=0))
    build.replace(weighted(build, ordered(build, parts, rank)))


def ordered(build: Build, parts: list[gs.Tensor], rank: int) -> gs.Tensor:
    """Counts in the columns that `ngram_indexes` names; columns it does not name hold zeros."""
    columns = [int(column) for column in build.node.attrs["ngram_indexes"]]
    count = max(columns) + 1
    if count > len(columns):
        rows = [*build.node.inputs[0].shape[:-1], 1]
        parts = [*parts, build.constant(np.zeros(rows), np.float32)]
    whole = parts[0] if len(parts) == 1 else build("Concat", *parts, axis=rank - 1)
    if columns == list(range(count)):
        return whole
    source = {column: place for place, column in enumerate(columns)}
    places = [source.get(column, len(columns)) for column in range(count)]
    return build("Gather", whole, build.ints(places), axis=rank - 1)


def weighted(build: Build, counts: gs.Tensor) -> gs.Tensor:
    """Counts (TF), whether there are any (IDF), or both at once (TFIDF), times the weights."""
    mode, weights = build.node.attrs["mode"], build.node.attrs.get("weights")
    if mode == "IDF":
        counts = build("Min", counts, build.constant(1, np.float32))
    if mode == "TF" or weights is None:
        return counts
    return build("Mul", counts, np.array(weights, np.float32))


PASS = Pass(code="SG141", name="tfidf-vectorizer", find=find, exact=True, kind="replace", feature="tfidf")
