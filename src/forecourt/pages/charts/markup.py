"""Figures as markup: a drawing that a screen reader names, and a table with the very numbers behind it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from forecourt.pages.charts import drawing
from forecourt.pages.charts.figures import Figure

_TEMPLATES = Path(__file__).parent.parent / "templates"


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("_figures.html")


def markup(figures: Sequence[Figure]) -> Markup:
    """The figures, side by side where there is room; '' without one."""
    if not figures:
        return Markup()
    key = f"chart-{secrets.token_hex(4)}"
    return Markup(_template().render(figures=figures, key=key, drawing=drawing))  # noqa: S704 - the template escapes
