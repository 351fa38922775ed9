"""Names of commands and options of other tools, each with the way to do the same in surgeon."""

from __future__ import annotations

import click

FIX = "surgeon fix MODEL"
VERIFY = "surgeon verify MODEL"
COMPILE = "surgeon compile MODEL"
INSPECT = "surgeon inspect MODEL"
EXTRACT = "surgeon extract MODEL --inputs NAME --outputs NAME"

COMMANDS_ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(("simplify", "slim", "optimize", "optimise", "sanitize", "clean", "surgery", "fold"), FIX),
    "convert": f"{FIX} --precision fp16, or surgeon export for SAM2",
    "quantize": f"{FIX} --precision fp16; eight bits are not offered",
    **dict.fromkeys(("check", "lint", "validate", "test"), VERIFY),
    "run": "surgeon golden record MODEL, which runs it and keeps what it computes",
    **dict.fromkeys(("compare", "diff", "debug"), "surgeon diagnose MODEL --against OTHER"),
    "doctor": "surgeon diagnose MODEL",
    **dict.fromkeys(("build", "trtexec", "engine", "profile"), COMPILE),
    **dict.fromkeys(("info", "show", "view", "summary", "stats", "print"), INSPECT),
    **dict.fromkeys(("cut", "subgraph", "split"), EXTRACT),
    "version": "surgeon --version",
    "list": "surgeon rules, or surgeon golden list",
}

SHARED_OPTIONS: dict[str, str] = {
    "--json": "--format json",
    "--sarif": "--format sarif",
    "--junit": "--format junit",
    "--debug": "-v",
    "--output-file": "-o FILE",
    "--out": "-o FILE",
}

# The answers where a command lacks what SHARED_OPTIONS names.
NOT_SHARED = {
    "--json": "it prints text only",
    "--sarif": "surgeon verify and surgeon diagnose have --format sarif",
    "--junit": "surgeon verify and surgeon diagnose have --format junit",
}
STANDARD_OUTPUT = "it writes to standard output; use: > FILE"
COMPARED = "nothing: fix always compares the result with the original before it writes; --no-guard leaves that out"
OPTIONS_ELSEWHERE: dict[str, dict[str, str]] = {
    "fix": {
        **{f"--{name}": f"--precision {name}" for name in ("fp16", "bf16")},
        **dict.fromkeys(("--half", "--float16", "--convert-fp16"), "--precision fp16"),
        "--dtype": "--precision fp16, bf16 or mixed",
        **dict.fromkeys(("--int8", "--fp8", "--quantize"), "nothing: eight bits are not offered"),
        **dict.fromkeys(("--dry-run", "--check"), "surgeon diagnose MODEL, which lists what fix would change"),
        **dict.fromkeys(("--model-check", "--check-n", "--verify", "--check_n"), COMPARED),
        **dict.fromkeys(("--skip-check", "--no-check"), "--no-guard"),
        "--inspect": INSPECT,
        **dict.fromkeys(
            ("--overwrite-input-shape", "--override-input-shape", "--override-input-shapes", "--input-shapes"),
            "--input-shape NAME:SHAPE",
        ),
        **dict.fromkeys(("--test-input-shape", "--input-data-path"), "--check-inputs FILE.npz"),
        **dict.fromkeys(("--override-inputs", "--inputs"), "surgeon extract MODEL --inputs NAME"),
        **dict.fromkeys(("--skip-optimization", "--skip-fusion-patterns", "--skip-optimizer"), "--ignore CODE"),
        **dict.fromkeys(("--fold-constants", "--cleanup", "--toposort", "--simplify"), "nothing: fix always does that"),
        **dict.fromkeys(("--fold-size-threshold", "--no-large-tensor", "--size-threshold"), "--fold-limit SIZE"),
        **dict.fromkeys(("--save-as-external-data", "--external-data"), "--save-external-data"),
        "--inplace": "--in-place",
        "--overwrite": "--in-place",
    },
    "verify": {
        **dict.fromkeys(("--onnxrt", "--onnxruntime"), "nothing: goldens always run in onnxruntime"),
        **dict.fromkeys(("--atol", "--rtol", "--tolerance"), "--max-error, --rms-error or --cosine"),
        **dict.fromkeys(("--fp16", "--int8"), "surgeon fix --precision fp16 before, since types are in the file"),
        "--fix": FIX,
    },
    "diagnose": {"--fix": FIX, **dict.fromkeys(("--fp16", "--bf16"), "--against float16 or bfloat16")},
    "compile": {
        "--onnx": "surgeon compile MODEL",
        "--saveEngine": "-o FILE",
        "--save-engine": "-o FILE",
        **dict.fromkeys(("--fp16", "--bf16", "--best", "--stronglyTyped"), "surgeon fix --precision fp16 before"),
        "--int8": "nothing: eight bits are not offered",
        "--minShapes": "--min-shape NAME:SHAPE",
        "--optShapes": "--input-shape NAME:SHAPE",
        "--maxShapes": "--max-shape NAME:SHAPE",
        **dict.fromkeys(("--dumpLayerInfo", "--exportLayerInfo", "--exportProfile"), "--format json"),
    },
    "export": {"--fp16": "--precision fp16", "--bf16": "--precision bf16", "--half": "--precision fp16"},
}


def answer_command(name: str) -> str:
    """The hint for a command of another tool; "" for a name that no listed tool has."""
    found = COMMANDS_ELSEWHERE.get(name.lower())
    return f"there is no command '{name}'; use: {found}" if found else ""


def answer_option(command: click.Command, path: str, option: str) -> str:
    """The hint for an option of another tool; "" for a name that no listed tool has.

    Args:
        path: the command as it is typed after `surgeon`: "fix", or "golden record".
    """
    found = OPTIONS_ELSEWHERE.get(path, {}).get(option.replace("_", "-")) or SHARED_OPTIONS.get(option)
    if not found:
        return ""
    if option in SHARED_OPTIONS and not _has(command, found):
        return f"{path} has no option {option}; {NOT_SHARED.get(option, STANDARD_OUTPUT)}"
    what = found.removeprefix("nothing: ") if found.startswith("nothing: ") else f"use: {found}"
    return f"{path} has no option {option}; {what}"


def _has(command: click.Command, answer: str) -> bool:
    """Whether the command has the option of an answer such as "--format json", with that choice."""
    option, *value = answer.split()
    own = next((parameter for parameter in command.params if option in parameter.opts), None)
    choices = getattr(getattr(own, "type", None), "choices", value)
    return own is not None and all(word in choices for word in value)
