"""What a user installs: both archives are whole, and the wheel answers in an empty environment, with each extra too."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import onnx
import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = """<ir_version: 8, opset_import: ["" : 17]>
tiny (float[2] x) => (float[2] y) { a = Identity(x)  dead = Neg(a)  y = Relu(a) }"""
NEVER_IN_BASE = ("torch", "torchvision", "sam2", "tensorrt_rtx", "av", "mkdocs", "pytest")

pytestmark = pytest.mark.slow


def run(*command: str | Path, folder: Path | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=1200,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel, built from the sdist as `python -m build` does it, and the sdist."""
    pytest.importorskip("build", reason="python-build is not installed")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """The bin folder of a new virtual environment."""
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    return tmp_path / "venv" / "bin"


def install(wheel: Path, bin_folder: Path, extra: str = "") -> None:
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    run(bin_folder / "pip", "install", "-q", "--disable-pip-version-check", "-c", ROOT / "constraints.txt", wanted)


def test_archives_hold_everything(archives: tuple[Path, Path]) -> None:
    wheel, sdist = archives
    in_wheel = set(zipfile.ZipFile(wheel).namelist())
    with tarfile.open(sdist) as opened:
        in_sdist = {name.partition("/")[2] for name in opened.getnames()}
    code = [p.relative_to(ROOT).as_posix() for top in ("surgery", "verify", "export") for p in (ROOT / top).rglob("*")]
    wanted = {name for name in code if (ROOT / name).is_file() and "__pycache__" not in name}
    assert wanted <= in_wheel, wanted - in_wheel
    assert wanted <= in_sdist, wanted - in_sdist
    assert {"surgery/py.typed", "verify/py.typed", "export/py.typed", "verify/goldens/shipped/index.json"} <= in_wheel
    assert {"golden/index.json", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "tests/run.sh"} <= in_sdist
    assert not {name for name in in_wheel if name.startswith(("tests", "docs", "benchmarks"))}


def test_base_answers_without_torch(archives: tuple[Path, Path], empty: Path, tmp_path: Path) -> None:
    install(archives[0], empty)
    answers(empty, tmp_path)
    for module in NEVER_IN_BASE:
        done = subprocess.run([empty / "python", "-c", f"import {module}"], capture_output=True, check=False)
        assert done.returncode != 0, module
    lines = run(empty / "pip", "show", "-f", "onnx-surgeon", folder=tmp_path)
    assert "py.typed" in lines


@pytest.mark.parametrize(
    ("extra", "modules"),
    [
        ("trt", "tensorrt_rtx"),
        ("video", "av, PIL"),
        ("export", "torch, sam2, onnxscript"),
        ("docs", "mkdocs, material"),
    ],
)
def test_each_extra_brings_what_it_says(
    extra: str, modules: str, archives: tuple[Path, Path], empty: Path, tmp_path: Path
) -> None:
    install(archives[0], empty, extra)
    run(empty / "python", "-c", f"import {modules}", folder=tmp_path)
    answers(empty, tmp_path)
    if extra == "trt":
        assert "accepted by tensorrt_rtx" in run(empty / "surgeon", "verify", "--trt", "out.onnx", folder=tmp_path)
    if extra == "export":
        text = run(empty / "surgeon", "export", "--help", folder=tmp_path)
        assert "MODEL_TYPE" in text


def answers(bin_folder: Path, folder: Path) -> None:
    """`surgeon` and `python -m surgery` work, and fix a model."""
    assert "Usage: surgeon" in run(bin_folder / "surgeon", "--help", folder=folder)
    assert run(bin_folder / "python", "-m", "surgery", "--version", folder=folder).startswith("surgeon, version ")
    onnx.save(onnx.parser.parse_model(TINY), folder / "tiny.onnx")
    assert "parity: equal" in run(bin_folder / "surgeon", "fix", "tiny.onnx", "-o", "out.onnx", folder=folder)
    assert [node.op_type for node in onnx.load(folder / "out.onnx").graph.node] == ["Relu"]
    assert "SG001" in run(bin_folder / "surgeon", "rules", folder=folder)
    assert "sam2" in run(bin_folder / "surgeon", "verify", "--help", folder=folder)
