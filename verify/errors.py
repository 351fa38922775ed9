"""Errors that a user can act on, each with the exit code of the command line."""

from __future__ import annotations

from collections.abc import Iterable


class SurgeonError(Exception):
    """Wrong usage or unreadable input: one line that says what, where, and what to do next. Exit code 2."""

    exit_code = 2


def did_you_mean(name: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    """ "; did you mean a, b?" with those of the names that are like this one, or "".

    Args:
        cutoff: how alike a name must be, from 0 to 1.
    """
    from difflib import get_close_matches

    close = get_close_matches(name, list(names), n=3, cutoff=cutoff)
    return f"; did you mean {', '.join(close)}?" if close else ""


def no_file(path: object) -> SurgeonError:
    """The error for a path that is no model file."""
    from os.path import isdir

    if isdir(str(path)):
        return SurgeonError(f"{path}: is a folder; name the .onnx file in it")
    return SurgeonError(f"{path}: no such file")


class MissingBackend(SurgeonError):
    """A backend that was asked for is not installed. Exit code 4."""

    exit_code = 4


class CheckFailed(SurgeonError):
    """The input was read and a check of it failed; nothing was written. Exit code 1."""

    exit_code = 1
