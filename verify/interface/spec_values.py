"""Check that each value of a spec file has the kind that the format asks for, before anything is computed from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verify.errors import SurgeonError

NUMBER = "a whole number or an expression"
TABLES = ("sizes", "symbols", "relations", "dynamic", "modules", "golden")


def check_values(data: Mapping[str, Any]) -> None:
    """Raise SurgeonError for the first value of the wrong kind; `data` holds the tables of the file.

    Names are not looked up here: whether a dim is a size or symbol of the spec is checked when it is resolved.
    """
    for table in TABLES:
        _require(isinstance(data.get(table, {}), dict), f"[{table}]", data.get(table), "a table")
    for name, size in data.get("sizes", {}).items():
        _require(_is_dim(size), f"[sizes] {name}", size, NUMBER)
    for name, span in data.get("symbols", {}).items():
        whole = isinstance(span, list) and len(span) == 3 and all(map(_is_dim, span))
        _require(whole, f"[symbols] {name}", span, "[smallest, usual, largest]")
    for table in ("relations", "dynamic"):
        for name, text in data.get(table, {}).items():
            _require(isinstance(text, str), f"[{table}] {name}", text, "a text")
    for name, module in data["modules"].items():
        _require(isinstance(module, dict), f"[modules] {name}", module, f"a table [modules.{name}]")
        for side in ("inputs", "outputs"):
            _check_ports(f"[modules.{name}] {side}", module.get(side, []))


def check_order(name: str, span: tuple[int, ...]) -> None:
    """Raise SurgeonError for a symbol whose smallest, usual and largest value do not ascend, or are negative."""
    ascends = 0 <= span[0] <= span[1] <= span[2]
    _require(ascends, f"[symbols] {name}", list(span), "the values from the smallest to the largest, none negative")


def _check_ports(where: str, ports: Any) -> None:
    form = '[{ name = "...", dims = [...] }, ...]'
    _require(isinstance(ports, list) and all(isinstance(port, dict) for port in ports), where, ports, form)
    for port in ports:
        place = f"{where}: {port.get('name', 'a port without a name')}"
        for key, value in port.items():
            if key == "dims":
                whole = isinstance(value, list) and all(map(_is_dim, value))
                _require(whole, f"{place}: dims", value, "a list of whole numbers and names")
            else:
                _require(isinstance(value, str), f"{place}: {key}", value, "a text")


def _is_dim(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _require(holds: bool, where: str, value: Any, wanted: str) -> None:
    if not holds:
        raise SurgeonError(f"spec: {where} is {value!r}; give {wanted}")
