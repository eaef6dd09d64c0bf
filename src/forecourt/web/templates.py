"""Templates of the HTML doors: escaped, strict, and one environment for each language.

A template is compiled once a language, so that its messages and labels need nothing of the request. A sentence stands
whole in ``{% trans %}``, markup within it included; what is put into it is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from forecourt.kernel.label import in_language
from forecourt.web.translation import translations

#: Parts of pages that every HTML door has: icons, badges, notices.
SHARED = Path(__file__).parent / "templates"

#: Cells of tables whose markup is kept, for each language.
REMEMBERED = 8_192


def environment(
    folder: Path,
    language: str,
    functions: Mapping[str, object],
    filters: Mapping[str, Callable[..., object]] | None = None,
    spoken: str = "",
) -> Environment:
    """The templates of ``folder`` in a language. ``functions``: what every template may call; ``spoken``: code of
    the language that labels are put out in, '' for the same."""
    found = Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    found.finalize = partial(in_language, code=spoken or language)
    found.policies["ext.i18n.trimmed"] = True
    texts = translations(language)
    found.extend(newstyle_gettext=True)
    found.install_gettext_translations(texts, newstyle=True)  # type: ignore[attr-defined]
    found.globals.update(functions)
    found.filters.update(filters or {})
    found.globals["table_cells"] = _table_cells(found, spoken or language)
    return found


class _Column(Protocol):
    label: str
    numeric: bool


def _table_cells(around: Environment, spoken: str) -> Callable[[Sequence[Hashable], Sequence[_Column]], Markup]:
    """The cells of a row by the macro ``table_cell``. It depends on nothing but its arguments, and pages repeat them
    (states, days, currencies): what it has made is kept, and a page of rows calls few macros."""

    @lru_cache(maxsize=REMEMBERED)
    def cell(value: Hashable, label: str, numeric: bool) -> str:
        macro = around.get_template("_macros.html").module.table_cell  # type: ignore[attr-defined]
        return str(macro(value, label, numeric))

    def cells(values: Sequence[Hashable], columns: Sequence[_Column]) -> Markup:
        labels = [str(in_language(at.label, spoken)) for at in columns]
        made = (cell(value, label, at.numeric) for value, label, at in zip(values, labels, columns, strict=True))
        return Markup("\n".join(made))  # noqa: S704

    return cells
