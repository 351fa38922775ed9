"""Plant faults in a few modules, one at a time in a copy of the repository, and say which of them no test noticed.

    python tests/faults.py SEED COUNT MODULE... [-- TEST...]

COUNT faults of each module are drawn by SEED from those that cosmic-ray knows (another operator, number, comparison,
branch; no annotations) and from statements left out and results that are None. The tests named after a module run
first, then TEST (default: tests/surgery). The last line is the share that was noticed; whoever wrote tests to what one
seed left over measures with another.
"""

from __future__ import annotations

import ast
import difflib
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

SECONDS = 300  # for the tests of one fault; a fault that makes them hang is noticed
Fault = tuple[str, str]  # kind, and the text of the module with it


def planted(text: str) -> dict[str, list[Fault]]:
    """The faults of a module, by the place they are at."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import Visitor, get_ast
    from cosmic_ray.mutating import MutationVisitor

    names = [n for n in plugins.operator_names() if "Variable" not in n and ("_Is" not in n or n.count("_Is") == 2)]
    operators = {name.split("/")[1]: plugins.get_operator(name)() for name in names}
    found: list[tuple[str, tuple[int, int]]] = []

    class Look(Visitor):  # type: ignore[misc]
        def visit(self, node: object) -> object:
            found.extend((name, place[0]) for name, it in operators.items() for place in it.mutation_positions(node))
            return node

    Look().walk(get_ast(text))
    places: dict[str, list[Fault]] = {}
    counts: dict[str, int] = {}
    spans = list(annotations(ast.parse(text)))
    for name, start in found:
        count = counts.get(name, 0)
        counts[name] = count + 1
        if any(first <= start < last for first, last in spans):
            continue
        try:
            changed = MutationVisitor(count, operators[name]).walk(get_ast(text)).get_code()
        except AttributeError:  # the tool cannot replace an exception with a dot in its name
            continue
        places.setdefault(f"{start} {name.split('_')[0]}", []).append((name, changed))
    for kind, start, changed in statements(text):
        places.setdefault(f"{start} {kind}", []).append((kind, changed))
    return places


def annotations(tree: ast.AST) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for node in ast.walk(tree):
        for note in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if note is not None:
                yield (note.lineno, note.col_offset), (note.end_lineno, note.end_col_offset)


def statements(text: str) -> Iterator[tuple[str, tuple[int, int], str]]:
    """Each call, addition in place, raise and continue left out; each result None."""
    lines = text.encode().splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Return) and node.value is not None:
            kind, new = "ReturnNone", b"return None"
        elif isinstance(node, (ast.AugAssign, ast.Raise, ast.Continue)) or (
            isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
        ):
            dropped = isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield)
            kind, new = "RemoveStatement", b"yield from ()" if dropped else b"pass"
        else:
            continue
        before = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
        after = lines[node.end_lineno - 1][node.end_col_offset :] + b"".join(lines[node.end_lineno :])
        yield kind, (node.lineno, node.col_offset), (before + new + after).decode()


def drawn(module: str, text: str, seed: str, count: int) -> list[Fault]:
    """`count` faults at different places, none of them the module itself in other words."""
    chance = random.Random(f"{seed}:{module}")
    places = sorted(planted(text).items())
    chance.shuffle(places)
    found: list[Fault] = []
    same = ast.dump(ast.parse(text))
    for _, faults in places:
        kind, changed = chance.choice(faults)
        try:
            differs = ast.dump(ast.parse(changed)) != same
        except SyntaxError:
            continue
        if differs and len(found) < count:
            found.append((kind, changed))
    return found


def noticed(copy: Path, tests: list[str]) -> bool:
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return bool(subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS).returncode)
    except subprocess.TimeoutExpired:
        return True


def main(arguments: list[str]) -> None:
    seed, count, *modules = arguments
    rest: list[str] = []
    if "--" in modules:
        modules, rest = modules[: modules.index("--")], modules[modules.index("--") + 1 :]
    caught = total = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        subprocess.run(["git", "clone", "-q", ".", str(copy)], check=True)
        everything = rest or ["tests/surgery"]
        if noticed(copy, everything):
            sys.exit("the tests fail without any fault")
        for module in modules:
            text = (copy / module).read_text()
            near = sorted(str(path) for path in copy.glob(f"tests/**/test_{Path(module).stem}*.py"))
            for kind, changed in drawn(module, text, seed, int(count)):
                (copy / module).write_text(changed)
                found = noticed(copy, near) if near else False
                found = found or noticed(copy, everything)
                caught, total = caught + found, total + 1
                if not found:
                    lines = difflib.unified_diff(text.splitlines(), changed.splitlines(), module, kind, "", "", 0, "")
                    print(*lines, sep="\n", flush=True)
            (copy / module).write_text(text)
    print(f"{caught} of {total} noticed")


if __name__ == "__main__":
    main(sys.argv[1:])
