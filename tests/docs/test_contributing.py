"""The worked examples of CONTRIBUTING and of the how-to do what the text says, taken from the text itself."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import onnx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tests.docs.blocks import ROOT, copy_repository, environment

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = re.compile(r"<!-- file: (?P<path>\S+) -->\n```\w+\n(?P<body>.*?)```", re.S)
ABS_OF_EXP = '<ir_version: 8, opset_import: ["" : 17]> g (float[2] x) => (float[2] y) { a = Exp(x)  y = Abs(a) }'


def write_files(page: str, folder: Path) -> list[Path]:
    """Write every block under a `file:` comment of the page into the folder."""
    written = []
    for found in FILE.finditer((ROOT / page).read_text(encoding="utf-8")):
        path = folder / found["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found["body"], encoding="utf-8")
        written.append(path)
    return written


def run(command: list[str], folder: Path, variables: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_pass_is_one_file_one_test_and_one_line(tmp_path: Path) -> None:
    copy = copy_repository(tmp_path)
    _, test = write_files("CONTRIBUTING.md", copy)
    line = re.search(r"<!-- pipeline -->\n```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.S)
    assert line is not None
    assert len(line[1].splitlines()) == 1
    pipeline = copy / "surgery" / "passes" / "__init__.py"
    text = pipeline.read_text(encoding="utf-8")
    pipeline.write_text(re.sub(r"(?s)(PIPELINE: .*?)(\n\))", rf"\1\n{line[1].rstrip()}\2", text, count=1), "utf-8")
    variables = environment(tmp_path, copy)
    run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(test), "-k", "double"], copy, variables)
    contract = str(copy / "tests" / "surgery" / "passes" / "test_contract.py")
    picked = run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", contract, "-k", "double"], copy, variables)
    assert re.search(r"[1-9][0-9]* passed", picked)
    assert "SG090" in run(["surgeon", "rules"], copy, variables)


def test_a_row_of_a_target_is_appended_and_probed(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx")
    copy = copy_repository(tmp_path)
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"<!-- append: (\S+) -->\n```toml\n(.*?)```", page, re.S)
    assert len(rows) == 2
    for path, row in rows:
        with (copy / path).open("a", encoding="utf-8") as table:
            table.write("\n" + row)
    probe = re.search(r"^python (-m surgery\.targets\.probe (\S+))$", page, re.M)
    assert probe is not None
    variables = environment(tmp_path, copy)
    run([sys.executable, *probe[1].split()], copy, variables)
    for name, refuses in (("tensorrt-rtx", True), ("onnxruntime", False)):
        path = Path("surgery", "targets", f"{name}.json")
        before, after = (json.loads((folder / path).read_text(encoding="utf-8")) for folder in (ROOT, copy))
        assert (after["refusals"].pop(probe[2], None) is not None) is refuses
        assert after == before
    script = f"from surgery.targets import load_target; print(load_target('tensorrt-rtx').refuses('{probe[2]}'))"
    assert "two dims" in run([sys.executable, "-c", script], copy, variables)
    tests = str(copy / "tests" / "surgery" / "targets")
    run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "0", tests], copy, variables)


def test_a_pass_may_live_in_a_package_of_its_own(tmp_path: Path) -> None:
    project, module = write_files("docs/howto/write-a-pass.md", tmp_path)
    points = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["entry-points"]
    installed = module.parent / "house_rules-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: house-rules\nVersion: 1.0\n", encoding="utf-8")
    lines = [f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in rows.items()) for group, rows in points.items()]
    (installed / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    onnx.save(onnx.parser.parse_model(ABS_OF_EXP), tmp_path / "in.onnx")

    variables = environment(tmp_path, ROOT)
    variables["PYTHONPATH"] = f"{ROOT}:{module.parent}"
    assert "abs-of-exp" in run(["surgeon", "rules", "HR001"], tmp_path, variables)
    run(["surgeon", "fix", "in.onnx", "-o", "out.onnx"], tmp_path, variables)
    assert "Abs" not in [node.op_type for node in onnx.load(tmp_path / "out.onnx").graph.node]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion_works_as_written(shell: str, tmp_path: Path) -> None:
    row = next(
        r for r in (ROOT / "docs/howto/shell-completion.md").read_text().splitlines() if r.startswith(f"| {shell}")
    )
    command = row.split("`")[1]
    variables = environment(tmp_path, ROOT)
    script = run(["bash", "-c", re.sub(r'eval "\$\((.*)\)"|(.*) \\\| source', r"\1\2", command)], tmp_path, variables)
    assert "_SURGEON_COMPLETE" in script
    asked = {
        "_SURGEON_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "surgeon di",
        "COMP_CWORD": "di" if shell == "fish" else "1",
    }
    assert "diagnose" in run(["surgeon"], tmp_path, variables | asked)


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {re.match(r"[\w-]+", entry)[0] for entry in stated} - {"onnx-surgeon"}  # type: ignore[index]
    rows = [row for row in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if row.startswith("| ")]
    stated_here = {name.strip() for row in rows for name in row.split("|")[1].split(",")}
    assert names <= stated_here, names - stated_here


def test_examples_parse_on_every_python(tmp_path: Path) -> None:
    for path in write_files("CONTRIBUTING.md", tmp_path):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))
