"""What users of other tools type: it works, or one line names what does the same here."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import onnx
import pytest

from surgery import cli
from surgery.cli import habits
from tests.surgery.cli.hostile_models import WHOLE
from tests.surgery.cli.test_diagnose_hostile import said, surgeon


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("m.onnx").write_bytes(WHOLE)
    return tmp_path


def loaded(name: str) -> click.Command:
    found = cli.surgeon.get_command(click.Context(cli.surgeon), name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("simplify m.onnx", "there is no command 'simplify'; use: surgeon fix MODEL"),
        ("check m.onnx", "there is no command 'check'; use: surgeon verify MODEL"),
        (
            "run m.onnx",
            "there is no command 'run'; use: surgeon golden record MODEL, which runs it and keeps what it computes",
        ),
        ("fix --fp16 m.onnx", "fix has no option --fp16; use: --precision fp16"),
        ("fix m.onnx --dtype fp16", "fix has no option --dtype; use: --precision fp16, bf16 or mixed"),
        (
            "fix m.onnx --dry-run",
            "fix has no option --dry-run; use: surgeon diagnose MODEL, which lists what fix would change",
        ),
        ("fix m.onnx --json", "fix has no option --json; use: --format json"),
        ("golden record m.onnx --json", "golden record has no option --json; it prints text only"),
        ("fix m.onnx --sarif", "fix has no option --sarif; surgeon verify and surgeon diagnose have --format sarif"),
        ("inspect m.onnx --out x", "inspect has no option --out; it writes to standard output; use: > FILE"),
        (
            "fix m.onnx --overwrite_input_shape x:1",
            "fix has no option --overwrite_input_shape; use: --input-shape NAME:SHAPE",
        ),
        (
            "fix m.onnx --model-check",
            "fix has no option --model-check; fix always compares the result with the original before it writes; "
            "--no-guard leaves that out",
        ),
        ("compile m.onnx --saveEngine=m.engine", "compile has no option --saveEngine; use: -o FILE"),
        ("compile --onnx=m.onnx", "compile has no option --onnx; use: surgeon compile MODEL"),
    ],
)
def test_answer_is_one_line(
    typed: str, answer: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert surgeon(*shlex.split(typed), monkeypatch=monkeypatch) == 2
    assert said(capfd) == f"surgeon: {answer}\n"
    assert [path.name for path in Path().iterdir()] == ["m.onnx"]


def test_every_answer_names_commands_and_options_that_exist() -> None:
    for name, answer in habits.COMMANDS_ELSEWHERE.items():
        assert name not in cli.COMMANDS
        _check(answer, "")
    for command, options in {**habits.OPTIONS_ELSEWHERE, "fix ": habits.SHARED_OPTIONS}.items():
        own = [option for parameter in loaded(command.strip()).params for option in parameter.opts]
        for option, answer in options.items():
            assert option not in own
            _check(answer, command.strip())


@pytest.mark.parametrize("typed", list(habits.SHARED_OPTIONS))
def test_an_option_is_recommended_where_the_command_has_it(typed: str) -> None:
    for path, command in commands():
        own = {option: parameter for parameter in command.params for option in parameter.opts}
        answer = habits.answer_option(command, path, typed)
        if typed in own or not (found := re.search(r"; use: (--?[a-z-]+) ?([a-z]*)$", answer)):
            continue
        assert found[1] in own, answer
        if found[2]:
            assert found[2] in own[found[1]].type.choices, answer  # type: ignore[attr-defined]


def _check(answer: str, command: str) -> None:
    """Each `surgeon NAME` in the answer is a command, and each option behind it is one of that command."""
    options = {"--version", "--golden"}
    for name in [*re.findall(r"surgeon ([a-z]+)", answer), *([command] if command else [])]:
        assert name in cli.COMMANDS, answer
        options |= {option for parameter in loaded(name).params for option in parameter.opts}
    for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", answer):
        assert option in options or option in {"--format"}, answer


def test_name_that_no_tool_has_gets_the_usual_answer(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert surgeon("frobnicate", monkeypatch=monkeypatch) == 2
    assert "No such command 'frobnicate'" in said(capfd)
    assert surgeon("fix", "--slect", "SG0", "m.onnx", monkeypatch=monkeypatch) == 2
    assert "Did you mean one of: '--select'" in said(capfd)


def test_help_is_a_command_too(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert surgeon("help", monkeypatch=monkeypatch) == 0
    whole = said(capfd)
    assert surgeon("--help", monkeypatch=monkeypatch) == 0
    assert said(capfd) == whole
    assert surgeon("help", "inspect", monkeypatch=monkeypatch) == 0
    assert said(capfd).startswith("Usage: surgeon inspect ")
    assert surgeon("help", "simplify", monkeypatch=monkeypatch) == 2
    assert "use: surgeon fix MODEL" in said(capfd)


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_takes_v(name: str) -> None:
    command = loaded(name)
    for one in command.commands.values() if isinstance(command, click.Group) else [command]:
        assert sum("-v" in parameter.opts for parameter in one.params) == 1
        assert sum("-v" in parameter.opts for parameter in loaded(name).params) <= 1  # also when loaded again


def test_v_prints_versions_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert surgeon("rules", "SG001", "-v", monkeypatch=monkeypatch) == 0
    captured = capfd.readouterr()
    assert captured.out.startswith("SG001")
    assert re.fullmatch(
        rf"surgeon: \d+\.\d s with surgeon \S+, Python \S+, onnx {onnx.__version__}, .*\n", captured.err
    )
    assert surgeon("rules", "SG001", monkeypatch=monkeypatch) == 0
    assert capfd.readouterr().err == ""


def test_traceback_of_a_bug_is_printed_with_v_only(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh no")

    monkeypatch.setattr("surgery.inspect.describe", broken)
    monkeypatch.delenv("SURGEON_DEBUG", raising=False)
    assert surgeon("compile", "none.onnx", monkeypatch=monkeypatch) == 2
    assert surgeon("inspect", "m.onnx", monkeypatch=monkeypatch) == 3
    assert "Traceback" not in (text := capfd.readouterr().err)
    assert "a bug in surgeon: ZeroDivisionError: oh no. Please report it" in text
    assert surgeon("inspect", "m.onnx", "-v", monkeypatch=monkeypatch) == 3
    assert "Traceback" in capfd.readouterr().err


def commands() -> list[tuple[str, click.Command]]:
    """Every command with its path, those of groups too."""
    found = []
    for name in cli.COMMANDS:
        command = loaded(name)
        inner = command.commands.items() if isinstance(command, click.Group) else ()
        found += [(name, command), *((f"{name} {second}", one) for second, one in inner)]
    return found


@pytest.mark.parametrize("columns", [80, 120])
def test_help_says_what_every_option_does_within_the_width(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for path, command in [("", cli.surgeon), *commands()]:
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, f"{path} {parameter.opts}"
        parent = click.Context(cli.surgeon, info_name="surgeon", **cli.surgeon.context_settings)
        text = command.get_help(click.Context(command, info_name=path, parent=parent))
        lines = text.splitlines()
        assert max(map(len, lines)) <= columns, path
        assert max(map(len, lines)) > 80 or columns == 80 or len(lines) < 25, path  # a wide terminal is used
        assert "..." not in text.partition("Commands:")[2], f"{path}: a summary is cut"


TWO = '<ir_version: 8, opset_import: ["" : 18]> two (float[n, 2] a, float[m, 2] b) => (float[n, 2] y) { y = Add(a, b) }'


@pytest.mark.parametrize("shapes", ["a:3x2,b:3x2", "a:3x2 b:3x2", "a:3,2,b:3,2", "a:[3,2],b:[3,2]", "a:[3,2] b:3x2"])
def test_several_shapes_in_one_option(shapes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx.save(onnx.parser.parse_model(TWO), "two.onnx")
    assert surgeon("fix", "two.onnx", "-o", "out.onnx", "--input-shape", shapes, monkeypatch=monkeypatch) == 0
    for value in onnx.load("out.onnx").graph.input:
        assert [dim.dim_value for dim in value.type.tensor_type.shape.dim] == [3, 2]


def test_a_name_with_a_colon_is_one_shape() -> None:
    from surgery.cli.arguments import split_shapes

    context, parameter = click.Context(cli.surgeon), click.Option(["--input-shape"])
    assert split_shapes(context, parameter, ("x:0:1,3",)) == ("x:0:1,3",)
    assert split_shapes(context, parameter, ("x:0:1,3,y:0:2",)) == ("x:0:1,3", "y:0:2")
    assert split_shapes(context, parameter, ("x:batch,3", "y:")) == ("x:batch,3", "y:")


def test_one_file_is_no_place_for_two_models(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("n.onnx").write_bytes(WHOLE)
    assert surgeon("fix", "m.onnx", "n.onnx", "-o", "out.onnx", monkeypatch=monkeypatch) == 2
    assert "-o out.onnx: is one file for 2 models; give a folder" in said(capfd)
    assert not Path("out.onnx").exists()
