"""Templates of the HTML doors: escaped, strict, and one environment for each language.

A template is compiled once a language, so that its messages need nothing of the request. A sentence stands whole in
``{% trans %}``, markup within it included; what is put into it is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from forecourt.web.translation import translations

#: Parts of pages that every HTML door has: icons, badges, notices.
SHARED = Path(__file__).parent / "templates"


def environment(
    folder: Path,
    language: str,
    functions: Mapping[str, object],
    filters: Mapping[str, Callable[..., object]] | None = None,
) -> Environment:
    """The templates of ``folder`` in a language. ``functions``: what every template may call."""
    found = Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    found.policies["ext.i18n.trimmed"] = True
    texts = translations(language)
    found.extend(newstyle_gettext=True)
    found.install_gettext_translations(texts, newstyle=True)  # type: ignore[attr-defined]
    found.globals.update(functions)
    found.filters.update(filters or {})
    return found
