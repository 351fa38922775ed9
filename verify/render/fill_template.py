"""Fills in the HTML templates of this folder; every value is escaped."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup


def fill(template: str, **values: Any) -> Markup:
    """`templates/TEMPLATE` with `values` filled in, as HTML that is not escaped again."""
    from markupsafe import Markup

    return Markup(_environment().get_template(template).render(values))


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    from verify.render.graph_svg import graph_list, graph_svg
    from verify.render.histogram_svg import histogram_svg

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("verify.render"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["px"] = "{:.1f}".format
    environment.globals.update(graph_list=graph_list, graph_svg=graph_svg, histogram_svg=histogram_svg)
    return environment
