"""Reads drawings."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree


def numbers(element: ElementTree.Element, *names: str) -> tuple[float, ...]:
    return tuple(float(element.get(name, "nan")) for name in names)
