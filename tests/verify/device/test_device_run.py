"""The way to the GPU machine and back: `surgeon golden trtexec`, run.sh with an emulated trtexec, `surgeon verify`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.verify.cli_models import write

Surgeon = Callable[..., tuple[int, str, str]]


RunScript = Callable[..., Any]


TARGETS = {"8.6": "tensorrt-8.6", "10.9": "deepstream-8.0", "10.16": "deepstream-9.1", "11.0": "tensorrt-11"}


DEVICE = Path("device")


pytestmark = pytest.mark.usefixtures("own_folder")


def checks(surgeon: Surgeon, model: Path, *options: str | Path) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
    code, out, _ = surgeon("verify", model, "--no-trt", "--format", "json", *options)
    (report,) = json.loads(out)["reports"]
    return code, {check["name"]: check for check in report["checks"]}, report["verdicts"]


@pytest.fixture
def ran(surgeon: Surgeon, good: Path, run_script: RunScript) -> Path:
    """A folder that ran without a fault on 10.9; the model is net.onnx."""
    assert surgeon("golden", "trtexec", good, "-o", DEVICE)[0] == 0
    done = run_script(DEVICE.absolute(), "10.9")
    assert done.returncode == 0, done.stderr
    return good


@pytest.mark.parametrize("version", list(TARGETS))
def test_right_outputs_pass(surgeon: Surgeon, good: Path, run_script: RunScript, version: str) -> None:
    code, out, _ = surgeon("golden", "trtexec", good, "-o", DEVICE, "--target", TARGETS[version])
    assert code == 0
    assert "net.onnx, 7 cases, fp32" in out or "cases, fp32" in out
    done = run_script(DEVICE.absolute(), version)
    assert (done.returncode, done.stderr) == (0, "")
    code, found, (verdict,) = checks(surgeon, good, "--device-run", DEVICE)
    assert code == 0
    assert (
        found["device file"]["status"] == found["device build"]["status"] == found["device outputs"]["status"] == "pass"
    )
    assert "0.041 ms on the GPU" in found["device outputs"]["message"]
    digits = {"8.6": "8.6.1", "10.9": "10.9.0", "10.16": "10.16.0", "11.0": "11.0.0"}[version]
    assert verdict["judge"] == f"TensorRT {digits} on NVIDIA A10"
    assert verdict["state"] == "accepted"
    assert "from this very file in fp32; outputs as recorded" in verdict["message"]


@pytest.mark.parametrize(
    ("fault", "check", "says"),
    [
        ("crash", "device build", "ended in the middle: its log has no last line"),
        ("refuse", "device build", "not built: No importer registered for op: ToyNorm; surgeon diagnose MODEL --log"),
        ("random", "device outputs", "input x had random values, so the outputs cannot be compared"),
        ("stale", "device outputs", "output y: its raw dump is not of the same run as output.json"),
        ("scale", "device outputs", "y (normal): largest error / RMS"),
        ("nan", "device outputs", "1 elements are NaN on one side only"),
        ("inf", "device outputs", "1 elements are infinite on one side only"),
        ("wrong type", "device outputs", "output y: the engine gives fp16, the model float32; is it another model?"),
    ],
)
def test_each_fault_is_named(
    surgeon: Surgeon, good: Path, run_script: RunScript, fault: str, check: str, says: str
) -> None:
    assert surgeon("golden", "trtexec", good, "-o", DEVICE)[0] == 0
    done = run_script(DEVICE.absolute(), "10.9", fault)
    assert done.returncode == (1 if fault in ("crash", "refuse") else 0)
    code, found, (verdict,) = checks(surgeon, good, "--device-run", DEVICE)
    assert code == 1
    assert found[check]["status"] == "fail"
    assert says in found[check]["message"]
    refused = fault in ("refuse", "scale", "nan", "inf")
    assert verdict["state"] == ("refused" if refused else "unknown")


def _truncate(file: str) -> Callable[[], None]:
    def change() -> None:
        path = next(DEVICE.glob(f"net/case1/{file}"))
        path.write_bytes(path.read_bytes()[:-5])

    return change


def _remove(*files: str) -> Callable[[], None]:
    def change() -> None:
        for file in files:
            for path in DEVICE.glob(file):
                path.unlink()

    return change


def _change_raw() -> None:
    path = next(DEVICE.glob("net/case1/y.output*.raw"))
    values = np.frombuffer(path.read_bytes(), np.float32).copy()
    values[3] += 0.5
    path.write_bytes(values.tobytes())


def _older_run() -> None:
    (DEVICE / "result.txt").write_text("folder 0123456789abcdef\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "check", "says"),
    [
        (_truncate("y.output*.raw"), "device outputs", "is cut short: 123 bytes instead of 128"),
        (_truncate("output.json"), "device outputs", "output.json is cut short; copy the folder again"),
        (_truncate("input0.bin"), "device file", "case1/input0.bin in the folder is not what was written there"),
        (_truncate("x.input*.raw"), "device outputs", "the dump of input x has other values"),
        (_change_raw, "device outputs", "output y: its raw dump is not of the same run as output.json"),
        (_remove("net/build.log"), "device file", "it was not run: there is no net/build.log"),
        (_remove("net/case1/trtexec.log"), "device outputs", "it was not run: there is no trtexec.log"),
        (_remove("net/case1/*.raw", "net/case1/output.json"), "device outputs", "neither a raw dump nor output.json"),
        (_older_run, "device file", "its results are of an older folder"),
    ],
)
def test_each_damage_is_named(surgeon: Surgeon, ran: Path, change: Callable[[], None], check: str, says: str) -> None:
    change()
    code, found, (verdict,) = checks(surgeon, ran, "--device-run", DEVICE)
    assert (code, found[check]["status"], verdict["state"]) == (1, "fail", "unknown")
    assert says in found[check]["message"]


def test_rounded_numbers_do_where_the_dumps_are_missing(surgeon: Surgeon, ran: Path) -> None:
    _remove("net/case*/*.raw")()
    code, found, _ = checks(surgeon, ran, "--device-run", DEVICE)
    assert code == 0
    assert "outputs of six digits only, without raw dump" in found["device outputs"]["message"]


def test_engines_and_the_model_need_not_come_back(surgeon: Surgeon, ran: Path) -> None:
    _remove("net/engine.plan", "net/net.onnx")()
    assert checks(surgeon, ran, "--device-run", DEVICE)[0] == 0


def test_another_model_and_a_changed_one(surgeon: Surgeon, ran: Path) -> None:
    other = write(Path("other.onnx"), "m (float[2] x) => (float[2] y) { y = Relu(x) }")
    code, found, _ = checks(surgeon, other, "--device-run", DEVICE)
    assert code == 1
    assert found["device file"]["message"] == "another model: the folder has net.onnx"
    model = onnx.load(ran)
    model.doc_string = "changed"
    onnx.save(model, ran)
    code, found, _ = checks(surgeon, ran, "--device-run", DEVICE)
    assert code == 1
    assert "net.onnx has changed since the folder was made" in found["device file"]["message"]


def test_a_model_that_changed_on_the_way_is_not_run(surgeon: Surgeon, good: Path, run_script: RunScript) -> None:
    assert surgeon("golden", "trtexec", good, "-o", DEVICE)[0] == 0
    copy = DEVICE / "net" / "net.onnx"
    content = copy.read_bytes()
    copy.write_bytes(content + b"\0")
    done = run_script(DEVICE.absolute(), "10.9")
    assert done.returncode == 1
    assert "not the file that was copied here" in done.stderr
    copy.write_bytes(content)
    _, found, _ = checks(surgeon, good, "--device-run", DEVICE)
    assert "the GPU machine had another file" in found["device file"]["message"]


def test_an_input_that_was_cut_short_on_the_way_is_not_run(surgeon: Surgeon, good: Path, run_script: RunScript) -> None:
    assert surgeon("golden", "trtexec", good, "-o", DEVICE)[0] == 0
    copy = DEVICE / "net" / "case2" / "input0.bin"
    content = copy.read_bytes()
    copy.write_bytes(content[:-4])
    assert run_script(DEVICE.absolute(), "10.9").returncode == 1
    copy.write_bytes(content)
    _, found, _ = checks(surgeon, good, "--device-run", DEVICE)
    assert "the GPU machine had another file" in found["device file"]["message"]
    assert "case2/input0.bin" in found["device file"]["message"]


def test_what_cannot_be_judged_is_not_kept(surgeon: Surgeon, good: Path, run_script: RunScript) -> None:
    assert surgeon("golden", "trtexec", good, "-o", DEVICE)[0] == 0
    run_script(DEVICE.absolute(), "10.9", "random")
    code, found, _ = checks(surgeon, good, "--device-run", DEVICE, "--keep")
    assert (code, found["device outputs"]["status"]) == (1, "fail")
    assert not Path("golden/device.json").exists()


def test_refusal_is_kept(surgeon: Surgeon, good: Path, run_script: RunScript) -> None:
    assert surgeon("golden", "trtexec", good, "-o", DEVICE)[0] == 0
    run_script(DEVICE.absolute(), "10.9", "refuse")
    assert checks(surgeon, good, "--device-run", DEVICE, "--keep")[0] == 1
    code, _, (verdict,) = checks(surgeon, good)
    assert (code, verdict["state"]) == (0, "refused")
    assert verdict["message"] == "refused it today: No importer registered for op: ToyNorm"


def test_a_later_run_leaves_nothing_of_an_earlier_one(surgeon: Surgeon, ran: Path, run_script: RunScript) -> None:
    assert run_script(DEVICE.absolute(), "10.9", "refuse").returncode == 1
    assert not list(DEVICE.glob("net/case*/*.raw")) + list(DEVICE.glob("net/case*/*.json"))


def test_another_major_version_is_named(surgeon: Surgeon, good: Path, run_script: RunScript) -> None:
    assert surgeon("golden", "trtexec", good, "-o", DEVICE)[0] == 0
    run_script(DEVICE.absolute(), "11.0")
    _, found, _ = checks(surgeon, good, "--device-run", DEVICE)
    assert "TensorRT 11.0.0 ran a folder made for 10.9" in found["device file"]["message"]


TYPES = """m (float[2,N] x, int64[2,N] i, bool[2,N] b, float16[2,N] h, double[2,N] d, int64[1] n)
=> (float[2,N] y, int64[2,N] j, bool[2,N] c, float16[2,N] g, double[2,N] e, float[K] z)
<float[1] one = {1}>
{ y = Tanh(x) j = Add(i, i) c = Not(b) g = Add(h, h) e = Add(d, d) z = Expand(one, n) }"""


@pytest.mark.parametrize("version", list(TARGETS))
def test_every_type_and_shapes_as_inputs(surgeon: Surgeon, run_script: RunScript, version: str) -> None:
    path = write(Path("types.onnx"), TYPES)
    assert surgeon("golden", "record", path)[0] == 0
    code, _, err = surgeon("golden", "trtexec", path, "-o", DEVICE, "--target", TARGETS[version])
    assert code == 0, err
    script = (DEVICE / "run.sh").read_text()
    assert "n:input" not in script
    assert "--minShapes=x:2x" in script
    done = run_script(DEVICE.absolute(), version)
    assert done.returncode == 0, (done.stderr, (DEVICE / "types/build.log").read_text())
    code, found, _ = checks(surgeon, path, "--device-run", DEVICE)
    assert code == 0, found
    size = next(DEVICE.glob("types/case1/i.input*.raw")).stat().st_size
    assert size % 8 == 0 if version != "8.6" else ".Int32.raw" in str(next(DEVICE.glob("types/case1/i.input*.raw")))


def test_shape_that_depends_on_the_data(surgeon: Surgeon, run_script: RunScript) -> None:
    text = "m (float[8] x) => (int64[1,data_dependent] y, float[8] z) { y = NonZero(x) z = Neg(x) }"
    path = write(Path("data.onnx"), text)
    assert surgeon("golden", "record", path)[0] == 0
    assert surgeon("golden", "trtexec", path, "-o", DEVICE)[0] == 0
    assert run_script(DEVICE.absolute(), "10.9").returncode == 0
    assert "reported by the output allocator" in (DEVICE / "data/case1/output.json").read_text()
    assert checks(surgeon, path, "--device-run", DEVICE)[0] == 0
    _remove("data/case*/*.raw")()
    assert checks(surgeon, path, "--device-run", DEVICE)[0] == 0


def test_verdict_is_kept_and_goes_with_the_file(surgeon: Surgeon, ran: Path) -> None:
    code, _, _ = checks(surgeon, ran, "--device-run", DEVICE, "--keep")
    assert code == 0
    shutil.rmtree(DEVICE)
    for _ in range(2):  # the second comes from the cache
        code, _, (verdict,) = checks(surgeon, ran)
        assert (code, verdict["state"], verdict["asked"]) == (0, "accepted", False)
        assert verdict["judge"] == "TensorRT 10.9.0 on NVIDIA A10"
        assert "built it today from this very file in fp32; outputs as recorded" in verdict["message"]
    kept = json.loads(Path("golden/device.json").read_text())
    kept["runs"][0]["date"] = "2020-01-01T00:00:00Z"
    Path("golden/device.json").write_text(json.dumps(kept))
    assert " days ago from this very file" in checks(surgeon, ran)[2][0]["message"]
    model = onnx.load(ran)
    model.doc_string = "changed"
    onnx.save(model, ran)
    _, _, (verdict,) = checks(surgeon, ran)
    assert verdict["state"] == "unknown"
    assert "the file has changed since; run it there again" in verdict["message"]


def test_verdict_stands_in_every_format(surgeon: Surgeon, ran: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for style in ("text", "json", "sarif"):
        _, out, _ = surgeon("verify", ran, "--no-trt", "--device-run", DEVICE, "--format", style, "--html", page)
        assert "TensorRT 10.9.0 on NVIDIA A10" in out, style
    assert "TensorRT 10.9.0 on NVIDIA A10" in page.read_text(encoding="utf-8")


def test_half_precision_has_a_measured_tolerance(surgeon: Surgeon, good: Path, run_script: RunScript) -> None:
    assert surgeon("golden", "trtexec", good, "-o", DEVICE, "--precision", "fp16")[0] == 0
    assert "--fp16" in (DEVICE / "run.sh").read_text()
    manifest = json.loads((DEVICE / "manifest.json").read_text())
    tolerance = manifest["models"][0]["cases"][0]["tolerances"]["y"]
    assert "every tensor rounded to float16" in tolerance["reason"]
    assert 1e-4 < tolerance["rms_rel"] < 1e-1
    run_script(DEVICE.absolute(), "10.9")
    code, found, (verdict,) = checks(surgeon, good, "--device-run", DEVICE)
    assert code == 0, found
    assert "in fp16" in verdict["message"]
