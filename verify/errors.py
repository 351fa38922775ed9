"""Errors a user can act on, each with the exit code the command line ends with."""

from __future__ import annotations


class SurgeonError(Exception):
    """Usage or unreadable input: one line that says what, where, and what to do next. Exit code 2."""

    exit_code = 2


class MissingBackend(SurgeonError):
    """A backend that was asked for is not installed. Exit code 4."""

    exit_code = 4


class FoundWanting(SurgeonError):
    """The input was read and judged, and is not good enough; nothing was written. Exit code 1."""

    exit_code = 1
