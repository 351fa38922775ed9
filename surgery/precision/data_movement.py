"""Nodes that only move data follow their neighbours, and a light node whose Casts cost more than it saves stays."""

from __future__ import annotations

from surgery.precision.candidates import HEAVY, Candidates, Key, data_inputs, data_outputs
from verify.model.walk import initializer_names


def with_moves(found: Candidates, chosen: dict[Key, str], *, prune: bool = True) -> dict[Key, str]:
    """`chosen` with the precision of moving nodes added and, with `prune`, without light nodes that stand alone.

    A move takes the precision of what it reads, or, when all its readers agree on a lower one, theirs: then the Cast
    stands before it and fewer bytes are moved.
    """
    choice = dict(chosen)
    graph = _Neighbours(found)
    moves = set(found.moves)
    for _ in range(len(found.moves) + 1):
        before = dict(choice)
        for key in found.moves:
            _follow(key, graph, choice)
        for key in reversed(found.moves):
            _follow(key, graph, choice)
        if choice == before:
            break
    for key in list(choice) if prune else ():
        if key not in moves and found.node(key).op_type not in HEAVY and _alone(key, graph, choice):
            del choice[key]
    return choice


def _follow(key: Key, graph: _Neighbours, choice: dict[Key, str]) -> None:
    makers = {choice.get(maker, "") if maker else "" for maker in graph.makers[key]}
    readers = {choice.get(reader, "") if reader else "" for reader in graph.readers[key]}
    for side in (makers, readers):
        if len(side) == 1 and (kind := next(iter(side))):
            choice[key] = kind
            return
    choice.pop(key, None)


def _alone(key: Key, graph: _Neighbours, choice: dict[Key, str]) -> bool:
    """Whether no neighbour has the same precision."""
    kind = choice[key]
    near = [choice.get(other, "") for other in (*graph.makers[key], *graph.readers[key]) if other]
    return kind not in near


class _Neighbours:
    """Makers and readers of each candidate's data tensors; None stands for any node that is not a candidate."""

    def __init__(self, found: Candidates) -> None:
        keys = {key for unit in found.units for key in unit.keys} | set(found.moves)
        makes: dict[tuple[str, str], Key] = {}
        reads: dict[tuple[str, str], list[Key | None]] = {}
        for path, scope in found.scopes.items():
            for value in scope.graph.output:
                reads.setdefault((path, value.name), []).append(None)
            for index, node in enumerate(scope.graph.node):
                key = (path, index)
                data = set(data_inputs(scope, node)) if key in keys else set()
                for name in dict.fromkeys(node.input):
                    reads.setdefault((path, name), []).append(key if name in data else None)
                if key in keys:
                    makes.update({(path, name): key for name in data_outputs(scope, node)})
        stored = {(path, name) for path, scope in found.scopes.items() for name in initializer_names(scope.graph)}
        self.makers: dict[Key, list[Key | None]] = {}
        self.readers: dict[Key, list[Key | None]] = {}
        for key in keys:
            scope, node = found.scopes[key[0]], found.node(key)
            sources = [(key[0], name) for name in data_inputs(scope, node)]
            self.makers[key] = [makes.get(source) for source in sources if source not in stored]
            outputs = [(key[0], name) for name in data_outputs(scope, node)]
            self.readers[key] = [reader for name in outputs for reader in reads.get(name, [])]
