"""`surgeon fix`: options, spellings, exit codes, defaults from pyproject.toml."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result

from surgery.cli.commands.fix import command
from verify.errors import SurgeonError

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[n, 4] x, float s) => (float[n, 4] y) { [one] a = Identity(x) [two] b = Mul(a, s) [three] y = Relu(b) }"""


def fix(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], standalone_mode=False)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "m.onnx"
    onnx.save(onnx.parser.parse_model(TEXT), path)
    return path


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


def test_default_name_and_summary(source: Path) -> None:
    result = fix(source)
    assert result.return_value == 0
    assert operators(source.with_name("m.fixed.onnx")) == ["Mul", "Relu"]
    assert "3 -> 2 nodes" in result.output
    assert "parity: equal" in result.output


def test_ignore_and_select_and_skip(source: Path) -> None:
    out = source.with_name("o.onnx")
    for options in (["--ignore", "SG001"], ["--select", "sg005,SG016"], ["--skip-node", "one"]):
        assert fix(source, "-o", out, *options).return_value == 0
        assert operators(out) == ["Identity", "Mul", "Relu"]
    with pytest.raises(SurgeonError, match="no pass has the code"):
        raise fix(source, "--select", "SG9999").exception  # type: ignore[misc]


def test_bindings(source: Path) -> None:
    out = source.with_name("o.onnx")
    fix(source, "-o", out, "--set-input", "s=2.5", "--input-shape", "x:3x4", "--outputs", "b")
    model = onnx.load(out)
    assert [info.name for info in model.graph.input] == ["x"]
    assert [info.name for info in model.graph.output] == ["b"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 3


def test_reports(source: Path) -> None:
    result = fix(source, "--format", "json", "--report", "r.json")
    assert json.loads(result.output) == json.loads(Path("r.json").read_text())
    assert fix(source, "--report", "r.txt", "-q").output == ""
    assert "SG001" in Path("r.txt").read_text()


def test_several_models_and_exit_codes(source: Path) -> None:
    Path("out").mkdir()
    result = fix(source, "none.onnx", "-o", "out")
    assert result.return_value == 2
    assert (source.parent / "out" / "m.onnx").is_file()
    assert "none.onnx: no such file" in result.stderr


def test_half_precision_of_a_model_that_takes_no_drawn_inputs_asks_for_real_ones(source: Path) -> None:
    onnx.save(
        onnx.parser.parse_model(
            TEXT.replace("Identity(x)", "Reshape(x, two)").replace(
                "(float[n, 4] y) {", "(float[n, 4] y) <int64[2] two = {977, -1}> {"
            )
        ),
        source,
    )
    result = fix(source, "--no-guard", "--precision", "fp16")
    assert result.return_value == 2
    assert "m.fixed.onnx: does not run on drawn inputs" in result.stderr
    assert "give real ones with --calibrate" in result.stderr
    np.savez("real.npz", x=np.ones((977, 4), np.float32), s=np.float32(2))
    assert fix(source, "--no-guard", "--precision", "fp16", "--calibrate", "real.npz").return_value == 0


def test_a_mistyped_command_is_told_its_likely_name() -> None:
    from surgery.cli import surgeon

    result = CliRunner().invoke(surgeon, ["verfy"])
    assert result.exit_code == 2
    assert "No such command 'verfy'. Did you mean 'verify'?" in result.stderr


def test_an_output_that_is_the_input_is_refused_in_every_spelling(source: Path) -> None:
    before = source.read_bytes()
    Path("link.onnx").symlink_to(source)
    Path("hard.onnx").hardlink_to(source)
    for output in ("m.onnx", "./m.onnx", ".", "link.onnx", "hard.onnx", source):
        result = fix("m.onnx", "-o", output)
        assert result.return_value == 2
        assert result.stderr == "surgeon: m.onnx: is the input too; choose another output, or ask for --in-place\n"
        assert source.read_bytes() == before
    assert sorted(path.name for path in source.parent.iterdir()) == ["hard.onnx", "link.onnx", "m.onnx"]


def test_a_model_named_twice_is_fixed_once_and_a_result_never_replaces_another(source: Path) -> None:
    assert fix("m.onnx", "m.onnx").output.count("->") == fix("m.onnx").output.count("->")
    for folder in ("a", "b"):
        Path(folder).mkdir()
        Path(folder, "m.onnx").write_bytes(source.read_bytes())
    result = fix("a/m.onnx", "b/m.onnx", "-o", "out")
    assert result.return_value == 2
    assert "out/m.onnx: holds the result of a/m.onnx; fix this model in a separate run" in result.stderr
    assert Path("out/m.onnx").is_file()


def test_a_second_name_that_is_no_file_yet_is_the_output_as_in_other_tools(source: Path) -> None:
    result = fix("m.onnx", "new.onnx")
    assert (result.return_value, result.output.splitlines()[0]) == (0, "m.onnx -> new.onnx")
    assert operators(Path("new.onnx")) == ["Mul", "Relu"]
    assert not Path("m.fixed.onnx").exists()
    assert fix("m.onnx", "new.onnx").output.count("->") == 2 * fix("m.onnx").output.count("->")  # now both are models
    result = fix("m.onnx", "new.onnx", "newer.onnx")
    assert result.return_value == 2
    assert "newer.onnx: no such file; a file to write goes after -o" in result.stderr
    assert fix("none.onnx", "neither.onnx").return_value == 2
    assert not Path("neither.onnx").exists()


def test_results_of_an_earlier_run_are_not_fixed_again(source: Path) -> None:
    Path("n.onnx").write_bytes(source.read_bytes())
    files = ["m.fixed.onnx", "m.onnx", "n.fixed.onnx", "n.onnx"]
    assert fix("m.onnx", "n.onnx").return_value == 0
    again = fix(*files)
    assert again.return_value == 0
    assert sorted(path.name for path in source.parent.glob("*.onnx")) == files
    assert again.stderr.splitlines() == [
        "surgeon: m.fixed.onnx: skipped, because fix wrote it from m.onnx",
        "surgeon: n.fixed.onnx: skipped, because fix wrote it from n.onnx",
    ]
    alone = fix("m.fixed.onnx")
    assert alone.return_value == 2
    assert "m.fixed.onnx: fix wrote it from another model; give -o OUT or --in-place to fix it again" in alone.stderr
    assert fix("m.fixed.onnx", "-o", "twice.onnx").return_value == 0
    assert fix("m.fixed.onnx", "--in-place").return_value == 0


def test_output_names_the_file_and_outputs_the_tensors(source: Path) -> None:
    assert fix(source, "--output", "o.onnx", "--outputs", "b,y").return_value == 0
    assert [info.name for info in onnx.load("o.onnx").graph.output] == ["b", "y"]


def test_findings_in_the_model_are_counted_apart_from_what_the_rewrites_leave(source: Path) -> None:
    assert "  1 finding fixed: 3 -> 2 nodes" in fix(source).output
    text = """<ir_version: 8, opset_import: ["" : 18]>
    g (int32[8] x) => (int32[8] y) <int32 mask = {12}> { y = BitwiseAnd(x, mask) }"""
    onnx.save(onnx.parser.parse_model(text), source)
    report = json.loads(fix(source, "--format", "json").output)["reports"][0]
    rounds = [finding["details"]["round"] for finding in report["findings"]]
    later = len([number for number in rounds if number > 1])
    assert later
    said = f"{len(rounds)} findings fixed: {len(rounds) - later} in the model, {later} that the rewrites left behind"
    assert report["checks"][0]["message"] == said


def test_in_place_keeps_a_backup(source: Path) -> None:
    before = source.read_bytes()
    assert fix(source, "--in-place").return_value == 0
    assert source.with_name("m.onnx.bak").read_bytes() == before


def test_check_inputs(source: Path) -> None:
    np.savez("x.npz", x=np.ones((2, 4), "f"), s=np.float32(3))
    assert "on 1 set of" in fix(source, "--check-inputs", "x.npz").output


def test_pyproject_gives_defaults_and_the_command_line_wins(source: Path) -> None:
    Path("pyproject.toml").write_text('[tool.surgeon.fix]\nignore = ["SG001"]\nfold-limit = "16M"\n')
    fix(source, "-o", "a.onnx")
    fix(source, "-o", "b.onnx", "--ignore", "SG016")
    assert operators(Path("a.onnx")) == ["Identity", "Mul", "Relu"]
    assert operators(Path("b.onnx")) == ["Mul", "Relu"]
    Path("pyproject.toml").write_text("[tool.surgeon.fix]\ncolour = 1\n")
    with pytest.raises(SurgeonError, match="no option 'colour'"):
        raise fix(source).exception  # type: ignore[misc]


def test_report_page_counts_operators_before_and_after(source: Path) -> None:
    assert fix(source, "--report", source.with_name("page.html"), "-q").return_value == 0
    page = source.with_name("page.html").read_text(encoding="utf-8")
    row = page[page.index("Nodes of each operator") :]
    assert "<code>Identity</code>" in row
    assert "-1" in row[row.index("Identity") : row.index("Identity") + 200]
    assert 'class="is-note"' in page
    assert 'class="is-warning"' not in page


MAXIMA = """<ir_version: 8, opset_import: ["" : 18]>
detector (float[1, 3, 8, 8] image) => (float[1, 8] best, bool[1] found) <float low = {0.5}, int64[2] axes = {1, 2}> {
  best = ReduceMax <keepdims = 0> (image, axes)
  over = Greater(best, low)
  last = Constant <value_ints = [-1]> ()
  found = ReduceMax <keepdims = 0> (over, last)
}"""


def test_nan_that_two_runtimes_treat_differently_is_not_blamed_on_a_pass_alone(tmp_path: Path) -> None:
    """onnxruntime does not load a ReduceMax of booleans, so that onnx.reference runs the original."""
    onnx.save(onnx.parser.parse_model(MAXIMA), tmp_path / "m.onnx")
    done = fix(tmp_path / "m.onnx")
    assert done.return_value == 0
    said = (
        "'best' has NaN in other places (SG105, or because onnxruntime ran the result and onnx.reference the original)"
    )
    assert said in done.stdout
    assert onnx.load(tmp_path / "m.fixed.onnx").graph.output[0].name == "best"


def test_report_is_on_standard_output_and_nothing_else(source: Path) -> None:
    text = fix(source)
    first, second, third, *rest = text.stdout.splitlines()
    assert (first, text.stderr) == (f"{source} -> {source.with_name('m.fixed.onnx')}", "")
    assert re.fullmatch(r"  1 finding fixed: 3 -> 2 nodes, [\d,]+ -> [\d,]+ bytes, \d+\.\d s", second)
    assert third == "  SG001 x1"
    assert not any("SG001 one" in line for line in rest)
    data = fix(source, "--format", "json", "-q")
    assert json.loads(data.stdout)["reports"][0]["model"] == str(source)
    assert data.stderr == ""


def test_verbose_lists_each_finding_with_its_place(source: Path) -> None:
    lines = fix(source, "-v").stdout.splitlines()
    assert [line for line in lines if line.startswith("  SG001 one: ")]


def test_where_the_results_of_one_and_of_several_models_go(source: Path) -> None:
    for folder in ("out", "folder.onnx"):
        Path(folder).mkdir()
    Path("n.onnx").write_bytes(source.read_bytes())
    assert fix("m.onnx", "-o", "out").return_value == 0
    assert [path.name for path in Path("out").iterdir()] == ["m.onnx"]
    assert fix("m.onnx", "n.onnx", "-o", "folder.onnx").return_value == 0
    assert sorted(path.name for path in Path("folder.onnx").iterdir()) == ["m.onnx", "n.onnx"]
    assert fix("m.onnx", "n.onnx", "-o", "new").return_value == 0
    assert sorted(path.name for path in Path("new").iterdir()) == ["m.onnx", "n.onnx"]
    several = fix("m.onnx", "n.onnx", "-o", "one.onnx")
    assert several.return_value == 2
    assert several.stderr.count("-o one.onnx: is one file for 2 models; give a folder") == 2
    both = fix("m.onnx", "--in-place", "-o", "out")
    assert both.return_value == 2
    assert both.stderr == "surgeon: m.onnx: --in-place and -o exclude each other; choose one\n"


def test_without_the_comparison_the_report_says_so(source: Path) -> None:
    assert "parity: equal" not in fix(source, "--no-guard").output
    assert "parity: equal" in fix(source).output


def test_empty_names_of_outputs_are_left_out(source: Path) -> None:
    assert fix(source, "-o", "o.onnx", "--outputs", "b,,y,").return_value == 0
    assert [info.name for info in onnx.load("o.onnx").graph.output] == ["b", "y"]
