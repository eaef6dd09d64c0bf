"""All texts of a site, read without being rendered: what of them is wrong or not supported, for ``check``.

What only rendering tells (a value that does not fit, a row that is not there) is left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from forecourt.pages.liquid.engine import Engine
from forecourt.pages.site import Site


def texts(site: Site) -> Iterator[tuple[str, str, str]]:
    """Every Liquid text of a site as (file:line of its row or '', what it is, text)."""
    for page in site.pages.values():
        for language, content in page.contents.items():
            for part, source in (("copy", content.copy), ("summary", content.summary)):
                yield str(page.where), f"the {part} of the page '{page.name}' ({language})", source
    for template in site.web_templates.values():
        yield str(template.where), f"the web template '{template.name}'", template.source
    for language, snippets in site.snippets.items():
        for name, source in snippets.items():
            yield "", f"the snippet '{name}' ({language})", source


def notices(site: Site) -> tuple[str, ...]:
    """What is wrong with the texts, as ``file:line: text``, the text naming line and column of the template."""
    engine = Engine({template.name: template.source for template in site.web_templates.values()})
    found = []
    for where, name, source in texts(site):
        for fault in engine.check(source, name) if source.strip() else ():
            place = f", line {fault.line}, column {fault.column}" if fault.line else ""
            found.append(f"{where or 'site'}: {name}{place}: {fault.text}")
    return tuple(found)
