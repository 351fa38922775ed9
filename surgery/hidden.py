"""Names the file that hides a package of ours: many people have a `verify.py` or an `export.py` of their own."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path


def hidden(package: str) -> str:
    """What to tell the user when `import package` would not give the package beside this one; "" when it would."""
    if package in sys.modules:
        module = sys.modules[package]
        found, folders = getattr(module, "__file__", None), list(getattr(module, "__path__", ()))
    else:
        spec = find_spec(package)
        found, folders = (spec.origin, spec.submodule_search_locations or []) if spec is not None else (None, [])
    ours = Path(__file__).resolve().parent.parent / package
    if not found or ours in [Path(folder).resolve() for folder in folders]:
        return ""
    file = Path(found)
    other = file.parent if file.name == "__init__.py" else file
    kind = "folder" if other is not file else "file"
    return f"{other} hides the package '{package}' of onnx-surgeon; rename that {kind}, or start in a folder without it"


def stop_if_hidden(package: str) -> None:
    """Stop before Python imports another `package` than ours.

    Raises:
        SystemExit: in the command line, with code 2 after one line on standard error.
        ImportError: elsewhere.
    """
    message = hidden(package)
    if not message:
        return
    if sys.argv and (sys.argv[0] == "-m" or Path(sys.argv[0]).stem in ("surgeon", "surgeon-script")):
        print(f"surgeon: {message}", file=sys.stderr)
        raise SystemExit(2)
    raise ImportError(message, name=package)
