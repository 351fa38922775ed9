"""The command line: a table of commands, each loaded from its own module only when it is called."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from typing import Any

import click

from surgery import __version__
from surgery.hidden import hidden
from surgery.interrupts import insist
from verify.errors import SurgeonError

# Name and help line of each command, written here so that `surgeon --help` loads none of them.
COMMANDS: dict[str, str] = {
    "export": "Export the four SAM2 modules from PyTorch to ONNX files that TensorRT builds.",
    "fix": "Simplify a model and rewrite what the target refuses; it computes the same.",
    "verify": "Check models: documented interface, goldens, TensorRT's parser and builder.",
    "diagnose": "List what TensorRT refuses in a model: where, why, and what to do.",
    "inspect": "Show what a model contains, or what differs between two.",
    "extract": "Write a part of a model as a model of its own, checked against the whole.",
    "rules": "List every rule, or explain one.",
    "golden": "Record what a correct model computes, for verify to compare with later.",
    "compile": "Build a model with TensorRT; report kernels, fused attention and memory.",
    "track": "Track objects through a video with the four SAM2 files, without torch.",
    "evaluate": "Score the SAM2 files over a data set in the layout of DAVIS or SA-V: J, F, J&F.",
    "deepstream": "Write the settings of DeepStream's MaskTracker for the four SAM2 files.",
}

# Parameters that take `-` for a model on standard input or output.
TAKE_DASH: dict[str, tuple[str, ...]] = {
    "fix": ("models", "target_path"),
    "extract": ("model", "output"),
    "verify": ("models",),
    "diagnose": ("models",),
    "inspect": ("models",),
    "compile": ("model", "other"),
}

VERBOSE = "Print seconds, versions, and the traceback of a bug."
STARTED = time.perf_counter()
USE_EXPORT = ("export", "track", "evaluate", "deepstream")


@contextmanager
def _reader_may_go() -> Iterator[None]:
    """Exit 141 when the reader closes the pipe; click would exit 1, which means that a check failed."""
    try:
        yield
    except BrokenPipeError as gone:
        _write_no_more()
        raise click.exceptions.Exit(141) from gone


def _write_no_more() -> None:
    """Let standard output go nowhere: Python writes what is left in its buffer when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class LazyGroup(click.Group):
    """Loads the click command named `command` from `surgery/cli/commands/<name>.py` when it is called."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        with _reader_may_go():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _reader_may_go():
            return super().invoke(ctx)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args == ["help"]:
            click.echo(ctx.get_help())
            ctx.exit()
        if args[0] == "help":
            args = [*args[1:], "--help"]
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            from surgery.cli.habits import answer_command

            if answer := answer_command(args[0]):
                raise SurgeonError(answer) from None
            close = get_close_matches(args[0], COMMANDS, n=1)
            if not close:
                raise
            raise click.UsageError(f"{error.message} Did you mean '{close[0]}'?", ctx) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        if name in USE_EXPORT and (message := hidden("export")):
            raise SurgeonError(message)
        module = import_module(f"surgery.cli.commands.{name.replace('-', '_')}")
        loaded: click.Command = module.command
        _add_verbose(loaded)
        _refuse_dash(loaded, TAKE_DASH.get(name, ()))
        return loaded

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _refuse_dash(command: click.Command, taken: tuple[str, ...]) -> None:
    """Make `-` an error for every path of the command, or of each command of a group, except those `taken`."""
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        _refuse_dash(inner, taken)
    for parameter in command.params:
        if isinstance(parameter.type, click.Path) and parameter.name not in taken:
            parameter.callback = partial(_no_dash, parameter.callback)


def _no_dash(
    callback: Callable[..., Any] | None, context: click.Context, parameter: click.Parameter, value: Any
) -> Any:
    if "-" in map(str, value if isinstance(value, tuple) else (value,)):
        command = context.command_path.removeprefix("surgeon ")
        place = command if isinstance(parameter, click.Argument) else f"{command} {parameter.opts[0]}"
        raise SurgeonError(f"{place} -: give a path; - is the model of {', '.join(TAKE_DASH)} only")
    return callback(context, parameter, value) if callback is not None else value


def _add_verbose(command: click.Command) -> None:
    """Add an option -v to the command, or to each command of a group, unless it already has one."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _add_verbose(inner)
    elif not any("-v" in parameter.opts for parameter in command.params):
        command.params.append(
            click.Option(["-v", "--verbose"], is_flag=True, expose_value=False, callback=_set_verbose, help=VERBOSE)
        )


def _set_verbose(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.call_on_close(_print_versions)


def _print_versions() -> None:
    """Print the versions that a bug report needs to standard error."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = [f"surgeon {__version__}", f"Python {platform.python_version()}"]
    for package in ("onnx", "onnxruntime", "numpy", "tensorrt-rtx", "tensorrt", "torch"):
        with suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    click.echo(f"surgeon: {time.perf_counter() - STARTED:.1f} s with {', '.join(found)}", err=True)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="surgeon")
def surgeon() -> None:
    """Fix, check and explain ONNX models for TensorRT; export SAM2."""


def main() -> None:
    """Run the command line; exit 0 clean, 1 a check failed, 2 usage or unreadable input, 3 bug, 4 backend missing.

    As in a shell, 130 is an interrupt and 141 means that the reader closed the pipe (`surgeon rules | head`).
    """
    gc.set_threshold(100_000)  # loading modules and models makes many objects and hardly any garbage
    insist()
    try:
        code = surgeon.main(prog_name="surgeon", standalone_mode=False)
    except click.exceptions.Abort:
        code = _say("interrupted; nothing was left half-written", 130)
    except click.NoSuchOption as error:
        code = _no_such_option(error)
    except click.ClickException as error:
        error.show()
        code = 2
    except SurgeonError as error:
        from surgery.cli.streams import spoken

        code = _say(spoken(str(error)), error.exit_code)
    except OSError as error:
        code = _say(f"{error.filename or 'file system'}: {error.strerror or error}", 2)
    except KeyboardInterrupt:
        code = _say("interrupted; nothing was left half-written", 130)
    except Exception as error:
        code = _unexpected(error)
    gc.freeze()  # or the interpreter looks through all modules for garbage before it ends
    sys.exit(_written(code if isinstance(code, int) else 0))


def _written(code: int) -> int:
    """The exit code, once all output is written; 2 where that fails, as on a full disk."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _write_no_more()
        return 141
    except OSError as error:
        _write_no_more()
        return code if code == 2 else _say(f"standard output: {error.strerror or error}", 2)
    return code


def _no_such_option(error: click.NoSuchOption) -> int:
    """Suggest what to use instead of an option that only other tools have."""
    from surgery.cli.habits import answer_option

    if error.ctx is not None:
        path = error.ctx.command_path.removeprefix("surgeon ")
        if answer := answer_option(error.ctx.command, path, error.option_name):
            return _say(answer, 2)
    error.show()
    return 2


def _unexpected(error: Exception) -> int:
    """Report an error that no part of surgeon expected: a file that hides a package of ours, or a bug."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if package in ("export", "verify") and (message := hidden(package)):
        return _say(message, 2)
    if os.environ.get("SURGEON_DEBUG") or {"-v", "--verbose"} & set(sys.argv):
        import traceback

        traceback.print_exception(error)
    text = f"a bug in surgeon: {type(error).__name__}: {error}"
    return _say(f"{text}. Please report it, with what the same command prints with -v", 3)


def _say(message: str, code: int) -> int:
    click.echo(f"surgeon: {message}", err=True)
    return code
