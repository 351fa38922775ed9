"""Write the generated parts of README.md (tables of inputs and outputs, commands, rules) from the code.

`python docs/generate.py` rewrites them; `--check` only says whether they are fresh (exit 1 when not).
A part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from surgery.cli import COMMANDS
from surgery.passes import all_passes
from verify.spec import load_spec, render_tables

ROOT = Path(__file__).resolve().parent.parent


def interface() -> str:
    """The documented inputs and outputs of the four modules."""
    return render_tables(load_spec("sam2"))


def commands() -> str:
    """One row for each command of `surgeon`."""
    rows = [f"| `surgeon {name}` | {text} |" for name, text in COMMANDS.items()]
    return "\n".join(["| command | what it does |", "| --- | --- |", *rows])


def rules() -> str:
    """One row for each pass, in the order of its code."""
    rows = []
    for rule in sorted(all_passes(), key=lambda rule: rule.code):
        title = (sys.modules[rule.find.__module__].__doc__ or "").strip().splitlines()[0]
        rows.append(f"| {rule.code} | {rule.name} | {rule.kind} | {'yes' if rule.exact else 'no'} | {title} |")
    return "\n".join(["| code | name | kind | exact | what it finds |", "| --- | --- | --- | --- | --- |", *rows])


def benchmarks() -> str:
    """The table that the last benchmark run wrote."""
    table = ROOT / "benchmarks" / "results" / "table.md"
    return table.read_text(encoding="utf-8").strip() if table.is_file() else "No benchmark has been recorded yet."


PARTS = {"interface": interface, "commands": commands, "rules": rules, "benchmarks": benchmarks}


def refresh(text: str) -> str:
    """`text` with every generated part replaced by what the code says today."""
    for name in re.findall(r"<!-- generated: (\w+) -->", text):
        pattern = rf"(<!-- generated: {name} -->\n).*?(<!-- end: {name} -->)"
        body = PARTS[name]()
        text = re.sub(pattern, lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text, flags=re.S)
    return text


def main() -> int:
    readme = ROOT / "README.md"
    old = readme.read_text(encoding="utf-8")
    new = refresh(old)
    if "--check" in sys.argv:
        return int(new != old)
    readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
