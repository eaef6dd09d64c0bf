"""Figures as markup: a drawing that a screen reader names, and a table with the very numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from jinja2 import Template
from markupsafe import Markup

from forecourt.pages.charts import drawing
from forecourt.pages.charts.figures import Figure
from forecourt.web.templates import environment

_TEMPLATES = Path(__file__).parent.parent / "templates"


@lru_cache(maxsize=8)
def _template(language: str) -> Template:
    return environment(_TEMPLATES, language, {}).get_template("_figures.html")


def markup(figures: Sequence[Figure], key: str, language: str = "en") -> Markup:
    """The figures, side by side where there is room; '' without one. ``key``: begins their ids on the page."""
    if not figures:
        return Markup()
    text = _template(language).render(figures=figures, key=key, drawing=drawing)
    return Markup(text)  # noqa: S704 - the template escapes
