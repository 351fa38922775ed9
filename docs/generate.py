"""Write what README.md and docs show of the code: tables and examples inside pages, and the pages of docs/reference.

`python docs/generate.py` writes them; `--check` names those that are stale and exits with 1 if there are any.
A part of a page stands between `<!-- generated: NAME -->` and `<!-- end: NAME -->`.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import reference_pages
import versions_table

from surgery.cli import COMMANDS
from surgery.passes import all_passes
from verify.interface.spec import load_spec
from verify.interface.tables import render_tables

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "own_model"


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
        link = reference_pages.rule_link(rule.code, rule.name)
        rows.append(
            f"| [{rule.code}]({link}) | {rule.name} | {rule.kind} | {'yes' if rule.exact else 'no'} | {title} |"
        )
    return "\n".join(["| code | name | kind | exact | what it finds |", "| --- | --- | --- | --- | --- |", *rows])


def benchmarks() -> str:
    """The sums of `python -m benchmarks.groups`, and other pages of results, one level of headings further down."""
    stems = ("closed_loop", "prompted_loop", "beside_stock", "large", "tiny")
    pages = [ROOT / "benchmarks" / "results" / f"{stem}.md" for stem in stems]
    groups = (pages[0].parent / "groups.md").read_text("utf-8").partition("# Each group, model by model")[0]
    texts = [groups, *(page.read_text("utf-8") for page in pages)]
    return "\n\n".join(re.sub(r"^#", "##", text.strip(), flags=re.M) for text in texts)


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
    "versions": versions_table.versions,
    "wrong": versions_table.wrong,
}


def refresh(text: str) -> str:
    """`text` with every generated part replaced by what the code says today."""
    for name in re.findall(r"<!-- generated: (\w+) -->", text):
        pattern = rf"(<!-- generated: {name} -->\n).*?(<!-- end: {name} -->)"
        body = PARTS[name]()
        text = re.sub(pattern, lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text, flags=re.S)
    return text


def fresh() -> dict[Path, str]:
    """Path -> text of every page that is made from the code, as a whole or in parts."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    made = {page: refresh(page.read_text(encoding="utf-8")) for page in pages}
    return made | {ROOT / "docs" / name: text for name, text in reference_pages.pages().items()}


def main() -> int:
    stale = {
        page: text for page, text in fresh().items() if not page.is_file() or page.read_text(encoding="utf-8") != text
    }
    for page, text in stale.items():
        print(page.relative_to(ROOT))
        if "--check" not in sys.argv:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
    return int("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
