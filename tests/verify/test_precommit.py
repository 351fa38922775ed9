"""The hooks under the real pre-commit, in a repository of their own: installs surgeon from this one, without torch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import numpy_helper, parser

ROOT = Path(__file__).parents[2]
TEXT = """<ir_version: 8, opset_import: ["" : 17]>
m (float[2,8] x) => (float[2,16] y) { [a] h = MatMul(x, w) [b] y = Tanh(h) }"""


def write(path: Path, text: str = TEXT, factor: float = 1.0) -> None:
    model = parser.parse_model(text)
    weight = np.random.Generator(np.random.Philox(3)).standard_normal((8, 16)).astype(np.float32)
    weight[3, 5] *= factor
    model.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    onnx.save(model, path)


def test_hooks_name_commands_and_files_that_exist() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [hook["id"] for hook in hooks] == ["surgeon-verify", "surgeon-fix"]
    for hook in hooks:
        program, command, *options = hook["entry"].split()
        assert program == "surgeon"
        shown = subprocess.run(
            [sys.executable, "-m", "surgery", command, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout
        assert all(option in shown for option in options)
        assert hook["language"] == "python"


@pytest.mark.parametrize(
    ("path", "runs"),
    [
        ("net.onnx", True),
        ("a/b/NET.ONNX", True),
        ("a/net.onnx.data", True),
        ("net.onnx_data", True),
        ("golden/index.json", True),
        ("a/golden/net-01234567.npz", True),
        ("golden/README.md", False),
        ("marigolden/index.json", False),
        ("net.onnx.bak", False),
        ("onnx", False),
    ],
)
def test_files_that_the_verify_hook_runs_for(path: str, runs: bool) -> None:
    hook = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())[0]
    assert bool(re.search(hook["files"], path)) is runs


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this repository, as pre-commit takes it."""
    pytest.importorskip("pre_commit")
    clone = tmp_path_factory.mktemp("hooks") / "surgeon"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    return clone


class Repository:
    """A git repository with the hooks installed: those of `config`, where it is given, as they are printed there."""

    def __init__(self, folder: Path, hooks: Path, config: str = "") -> None:
        self.folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
            "PRE_COMMIT_HOME": str(folder.parent / "home"),
            "SURGEON_CACHE": str(folder.parent / "cache"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "PYTHONPATH": "",
        }
        folder.mkdir()
        self.run("git", "init", "-q", "-b", "main")
        revision = subprocess.check_output(["git", "-C", str(hooks), "rev-parse", "HEAD"], text=True).strip()
        wanted = [{"id": "surgeon-fix"}, {"id": "surgeon-verify", "args": ["--no-trt"]}]
        text = config.replace("/path/to/surgeon", str(hooks)).replace("v0.1.0", revision)
        text = text or yaml.safe_dump({"repos": [{"repo": str(hooks), "rev": revision, "hooks": wanted}]})
        (folder / ".pre-commit-config.yaml").write_text(text)
        self.run(sys.executable, "-m", "pre_commit", "install")

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert done.returncode == 0 or not check, done.stdout
        return done

    def commit(self) -> subprocess.CompletedProcess[str]:
        self.run("git", "add", "-A")
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        return self.run("git", *who, "commit", "-q", "-m", "change", check=False)


@pytest.mark.slow
def test_good_commit_passes_and_bad_ones_are_stopped(hooks: Path, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "own", hooks)
    path = repository.folder / "net.onnx"
    write(path)
    record = [sys.executable, "-m", "surgery", "golden", "record", "net.onnx"]
    subprocess.run(record, check=True, cwd=repository.folder, env={**os.environ, "PYTHONPATH": str(ROOT)})

    good = repository.commit()
    assert good.returncode == 0, good.stdout
    assert "surgeon verify" in good.stdout

    def stopped(message: str) -> Any:
        done = repository.commit()
        assert done.returncode == 1, done.stdout
        assert message in " ".join(done.stdout.split()), done.stdout
        assert "Traceback" not in done.stdout

    write(path, TEXT.replace(" y)", " z)").replace("y =", "z ="))
    stopped("output y is missing; the model has z: renamed?")
    write(path, factor=1.001)
    stopped("y (normal): largest error / RMS")
    path.write_bytes(path.read_bytes()[:100])
    stopped("cut short")
    write(path, TEXT.replace("[b] y = Tanh(h)", "[i] i = Identity(h) [b] y = Tanh(i)"))
    stopped("files were modified by this hook")
    fixed = repository.commit()
    assert fixed.returncode == 0, fixed.stdout

    inside = next((tmp_path / "home").glob("repo*/py_env*/bin/python*"))
    absent = "import importlib.util as u, sys; sys.exit(any(u.find_spec(n) for n in ('torch', 'sam2')))"
    subprocess.run([str(inside), "-c", absent], check=True)
    shutil.rmtree(tmp_path / "home")


def printed(fence: str, after: str) -> str:
    """The code block of the README that begins with `fence` and follows `after`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    start = text.index(fence, text.index(after)) + len(fence)
    return text[start : text.index("```", start)]


@pytest.mark.slow
def test_the_snippet_of_the_readme_stops_the_bad_model_of_the_readme(hooks: Path, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "own", hooks, printed("```yaml\n", "[pre-commit](https://pre-commit.com) hook"))
    script = printed("python - <<'END'\n", "## Fix a model").split("END\n")[0]
    run = {"check": True, "cwd": repository.folder, "env": {**os.environ, "PYTHONPATH": str(ROOT)}}
    subprocess.run([sys.executable, "-c", script], **run)  # type: ignore[call-overload]
    stopped = repository.commit()
    assert stopped.returncode == 1, stopped.stdout
    assert "FAIL tensorrt parser ReduceMax: " in " ".join(stopped.stdout.split())

    for command in (["fix", "detector.onnx", "--in-place"], ["golden", "record", "detector.onnx"]):
        subprocess.run([sys.executable, "-m", "surgery", *command], **run)  # type: ignore[call-overload]
    (repository.folder / "detector.onnx.bak").unlink()
    passed = repository.commit()
    assert passed.returncode == 0, passed.stdout

    index = repository.folder / "golden" / "index.json"
    index.write_text(index.read_text().replace('"1/normal/image"', '"2/normal/image"'))
    stopped = repository.commit()
    assert stopped.returncode == 1, stopped.stdout
    assert "detector.onnx" in stopped.stdout
    assert "cannot be made again here" in " ".join(stopped.stdout.split())
    shutil.rmtree(tmp_path / "home")


@pytest.mark.slow
def test_a_hook_without_tensorrt_fails_and_says_so(hooks: Path, tmp_path: Path) -> None:
    config = printed("```yaml\n", "[pre-commit](https://pre-commit.com) hook")
    without = "\n".join(line for line in config.splitlines() if "additional_dependencies" not in line)
    repository = Repository(tmp_path / "own", hooks, without)
    write(repository.folder / "net.onnx")
    stopped = repository.commit()
    assert stopped.returncode == 1, stopped.stdout
    assert "FAIL tensorrt TensorRT is not installed" in " ".join(stopped.stdout.split())
    config_file = repository.folder / ".pre-commit-config.yaml"
    config_file.write_text(f"{config_file.read_text()}\n        args: [--no-trt]\n")
    passed = repository.commit()
    assert passed.returncode == 0, passed.stdout
    shutil.rmtree(tmp_path / "home")
