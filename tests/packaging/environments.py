"""Install the wheel and each extra on every Python of this machine, at both ends of the ranges, and print a table.

    python tests/packaging/environments.py [--extra NAME ...] [--python VERSION ...] [--end newest|lowest]

Each row is a new virtual environment. It holds if the wheel can be installed, the modules of the extra imported, and a
small model fixed and verified there. `lowest` installs the versions of constraints-lowest.txt, which have
wheels for Python 3.10 and 3.11 only; on a later Python it installs the lowest versions in range that have a wheel.
A Python that is not on this machine gets a row that says for which extras there are wheels for it. Needs `build` and
`uv`, a minute for each row, and a few gigabytes for the extra `export`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
LOWEST_ON = ("3.10", "3.11")
MODULES = {
    "": "onnx, onnxruntime",
    "trt": "tensorrt_rtx",
    "video": "av, PIL",
    "cluster": "ray",
    "docs": "mkdocs, material",
    "export": "torch, torchvision, sam2, onnxscript, safetensors",
}
TRIAL = """
import onnx, surgery, verify
onnx.save(onnx.parser.parse_model('''<ir_version: 8, opset_import: ["" : 17]>
tiny (float[2] x) => (float[2] y) { a = Identity(x)  dead = Neg(a)  y = Relu(a) }'''), "tiny.onnx")
assert surgery.fix("tiny.onnx", "out.onnx").ok
assert [node.op_type for node in onnx.load("out.onnx").graph.node] == ["Relu"]
assert verify.verify_model("out.onnx").ok
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", action="append", choices=[name or "base" for name in MODULES])
    parser.add_argument("--python", action="append", choices=PYTHONS)
    parser.add_argument("--end", action="append", choices=["newest", "lowest"])
    given = parser.parse_args()
    extras = [name for name in MODULES if not given.extra or (name or "base") in given.extra]
    ends = given.end or ["newest", "lowest"]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="environments-") as folder:
        wheel = build(Path(folder))
        for version in given.python or PYTHONS:
            for end in ends:
                for extra in extras:
                    started = time.monotonic()
                    result = trial(version, end, extra, wheel, Path(folder))
                    failed += result.startswith("FAIL")
                    took = time.monotonic() - started
                    print(f"{version:5} {end:7} {extra or 'base':8} {took:4.0f} s  {result}", flush=True)
    return 1 if failed else 0


def build(folder: Path) -> Path:
    run(folder, sys.executable, "-m", "build", "--installer", "uv", "--outdir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def trial(version: str, end: str, extra: str, wheel: Path, folder: Path) -> str:
    """What came of one environment, in a line that starts with FAIL where something did not work."""
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    constraints = lowest(version, extra) if end == "lowest" else []
    python = interpreter(version)
    place = folder / "trial"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        if python is None:
            return wheels_for(version, wanted, place)
        run(place, "uv", "venv", "-q", "-p", python, "venv")
        scripts = place / "venv" / "bin"
        run(place, "uv", "pip", "install", "-q", "-p", "venv", *constraints, wanted)
        run(place, "uv", "pip", "check", "-p", "venv")
        run(place, str(scripts / "python"), "-c", f"import {MODULES[extra]}")
        run(place, str(scripts / "python"), "-c", TRIAL)
        run(place, str(scripts / "surgeon"), "fix", "tiny.onnx", "-o", "again.onnx")
        run(place, str(scripts / "surgeon"), "verify", "--trt" if extra == "trt" else "--no-trt", "out.onnx")
        for command in ("export", "track", "evaluate", "deepstream"):
            run(place, str(scripts / "surgeon"), command, "--help")
        return f"works with {', '.join(shown(place))}"
    except subprocess.CalledProcessError as error:
        return f"FAIL {' '.join(error.cmd[-3:])[:80]}: {last_lines(error.stdout)}"
    except subprocess.TimeoutExpired as error:
        return f"FAIL no end after {error.timeout:.0f} s: {' '.join(error.cmd[-3:])[:80]}"


def lowest(version: str, extra: str) -> list[str]:
    """Arguments of `uv pip install` for the lower end of every range."""
    file = ROOT / "constraints-lowest.txt"
    if version in LOWEST_ON:
        return ["-c", str(file)]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = [*project["dependencies"], *(project["optional-dependencies"][extra] if extra else [])]
    pinned = [line.partition("==")[0] for line in file.read_text(encoding="utf-8").splitlines() if "==" in line]
    wheels = [
        f"--only-binary={name}" for name in pinned if name not in ("sam2", "tensorrt-rtx")
    ]  # these have no wheels
    return ["--resolution", "lowest-direct", *wheels, *direct]


def interpreter(version: str) -> str | None:
    """The command of this Python: from PATH, or from a folder of pyenv or uv."""
    homes = [os.environ.get("PYENV_ROOT", "~/.pyenv") + "/versions", "~/.local/share/uv/python"]
    found = (
        str(path)
        for home in homes
        for path in sorted(Path(home).expanduser().glob(f"*{version}.*/bin/python{version}"), reverse=True)
    )
    candidates = [command for command in (shutil.which(f"python{version}"), *found) if command]
    return next((command for command in candidates if works(command)), None)


def works(command: str) -> bool:
    """A shim of pyenv is on PATH for versions that are not chosen, and refuses to run."""
    return subprocess.run([command, "-c", "import venv"], capture_output=True, check=False).returncode == 0


def wheels_for(version: str, wanted: str, place: Path) -> str:
    (place / "wanted.in").write_text(wanted, encoding="utf-8")
    options = ("-q", "--only-binary", ":all:", "--python-version", version, "--python-platform", "linux")
    try:
        run(place, "uv", "pip", "compile", *options, "wanted.in")
    except subprocess.CalledProcessError as error:
        return f"not on this machine, and not every package has a wheel: {last_lines(error.stdout)}"
    return "not on this machine; every package has a wheel for it"


def shown(place: Path) -> Iterator[str]:
    names = ("onnx", "onnxruntime", "numpy", "torch", "tensorrt-rtx", "av", "ray", "mkdocs")
    for line in run(place, "uv", "pip", "freeze", "-p", "venv").splitlines():
        if line.partition("==")[0].lower() in names:
            yield line.replace("==", " ")


def last_lines(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-3:])[-300:]


def run(folder: Path, *command: str) -> str:
    """Standard output and error of a command, which must end with 0."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment | {"SURGEON_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=1800,
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
