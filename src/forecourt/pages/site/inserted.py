"""Forms that pages show because their texts insert them: ``{% entityform name: '…' %}``, ``{% webform name: '…' %}``.

A page whose row names no form has the one of the first such tag in its copy, or in the web template that it stands on;
templates that these include or extend are looked through. A tag names a form by a literal name or id; one that computes
its form inserts none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final
from uuid import UUID

from forecourt.pages.site.definitions import (
    FormDefinition,
    Page,
    PageTemplate,
    WebTemplate,
)
from forecourt.pages.site.step_definitions import MultistepForm

#: How deep templates include each other.
_DEPTH: Final = 8

_TAG = re.compile(
    r"\{%-?\s*(?P<tag>entityform|webform|include|extends)\b[^%]*?"
    r"(?:(?:name|id|key)\s*[:=]\s*)?(?P<quote>['\"])(?P<value>[^'\"]+)(?P=quote)",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"\{%-?\s*(comment|raw)\s*-?%\}.*?\{%-?\s*end\1\s*-?%\}", re.DOTALL)


def with_inserted(
    pages: Mapping[UUID, Page],
    templates: Mapping[UUID, PageTemplate],
    web_templates: Mapping[UUID, WebTemplate],
    forms: Mapping[UUID, FormDefinition],
    multisteps: Mapping[UUID, MultistepForm],
) -> Mapping[UUID, Page]:
    """The pages with the forms of their texts."""
    sources = {item.name.lower(): item.source for item in web_templates.values()}
    known: dict[str, Mapping[str, UUID]] = {
        "entityform": _names(forms),
        "webform": _names(multisteps),
    }

    def first(source: str) -> tuple[str, UUID] | None:
        for tag, value in _inserted(source, sources):
            found = known[tag].get(value.lower())
            if found is not None:
                return tag, found
        return None

    result: dict[UUID, Page] = {}
    for page in pages.values():
        layout = templates.get(page.template) if page.template else None
        template = web_templates.get(layout.web_template) if layout and layout.web_template else None
        copies = [content.copy for content in page.contents.values()]
        found = None
        by_template = False
        for source in (*([template.source] if template else ()), *copies):
            found = first(source)
            if found is not None:
                by_template = template is not None and source == template.source
                break
        if found is None:
            result[page.id] = page
            continue
        tag, form = found
        if page.form is None and page.multistep is None:
            page = replace(page, form=form) if tag == "entityform" else replace(page, multistep=form)
        result[page.id] = replace(page, form_in_template=by_template)
    return result


def _inserted(source: str, sources: Mapping[str, str], depth: int = 0) -> Iterator[tuple[str, str]]:
    """Form tags in the order of the text, as (tag, name or id)."""
    for match in _TAG.finditer(_HIDDEN.sub("", source)):
        tag, value = match["tag"].lower(), match["value"]
        if tag in ("entityform", "webform"):
            yield tag, value
        elif depth < _DEPTH and value.lower() in sources:
            yield from _inserted(sources[value.lower()], sources, depth + 1)


def _names(items: Mapping[UUID, FormDefinition] | Mapping[UUID, MultistepForm]) -> Mapping[str, UUID]:
    found: dict[str, UUID] = {}
    for key, item in items.items():
        found.setdefault(item.name.lower(), key)
        found[str(key).lower()] = key
    return found
