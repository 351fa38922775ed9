"""Write the generated parts of README.md and of the guides (tables, examples) from the code.

`python docs/generate.py` rewrites them; `--check` only says whether they are fresh (exit 1 when not).
A part stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from surgery.cli import COMMANDS
from surgery.passes import all_passes
from verify.interface.spec import load_spec, render_tables

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "own_model"
PAGES = (
    "README.md",
    "docs/all-rules.md",
    "docs/measured.md",
    "docs/howto/own-model.md",
    "docs/howto/ci-sarif.md",
    "docs/howto/port-to-cpp.md",
)


def interface() -> str:
    """The documented inputs and outputs of the four modules."""
    return render_tables(load_spec("sam2"))


def prompts_interface() -> str:
    """The inputs and outputs of the decoder with mask prompts."""
    return render_tables(load_spec("sam2"), optional=True)


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
    """The pages of the closed loop and of `python -m benchmarks`, one level of headings further down."""
    pages = [ROOT / "benchmarks" / "results" / f"{stem}.md" for stem in ("closed_loop", "large", "tiny")]
    return "\n\n".join(re.sub(r"^#", "##", page.read_text("utf-8").strip(), flags=re.M) for page in pages)


def segmenter_spec() -> str:
    """The spec of the example model."""
    return f"```toml\n{(EXAMPLE / 'segmenter.toml').read_text(encoding='utf-8')}```"


def segmenter_export() -> str:
    """The function that exports the example model."""
    text = (EXAMPLE / "export_segmenter.py").read_text(encoding="utf-8")
    function = next(
        node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == "export"
    )
    return f"```python\n{ast.get_source_segment(text, function)}\n```"


def workflow() -> str:
    """The example of a GitHub workflow."""
    text = (ROOT / "docs" / "examples" / "surgeon.yml").read_text(encoding="utf-8")
    return f"```yaml\n{text}```"


PARTS = {
    "interface": interface,
    "prompts_interface": prompts_interface,
    "commands": commands,
    "rules": rules,
    "benchmarks": benchmarks,
    "segmenter_spec": segmenter_spec,
    "segmenter_export": segmenter_export,
    "workflow": workflow,
}


def refresh(text: str) -> str:
    """`text` with every generated part replaced by what the code says today."""
    for name in re.findall(r"<!-- generated: (\w+) -->", text):
        pattern = rf"(<!-- generated: {name} -->\n).*?(<!-- end: {name} -->)"
        body = PARTS[name]()
        text = re.sub(pattern, lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text, flags=re.S)
    return text


def main() -> int:
    stale = []
    for page in (ROOT / name for name in PAGES):
        old = page.read_text(encoding="utf-8")
        new = refresh(old)
        if new != old:
            stale.append(page)
            if "--check" not in sys.argv:
                page.write_text(new, encoding="utf-8")
    return int("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
