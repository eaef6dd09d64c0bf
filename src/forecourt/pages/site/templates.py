"""Web templates, page templates, redirects and publishing states of a site, from their files (A4.1, A5.2)."""

from __future__ import annotations

from collections.abc import Container, Mapping
from urllib.parse import urlsplit
from uuid import UUID

from forecourt.pages.site.definitions import (
    Page,
    PageTemplate,
    Redirect,
    TemplateKind,
    WebTemplate,
)
from forecourt.pages.site.kinds import MARKER, PAGE_TEMPLATE, REDIRECT, STATE, WEB_TEMPLATE, Kind
from forecourt.pages.site.record import Folder, Record

#: Statuses that a redirect may have: its choice's value is the status itself.
STATUSES = frozenset({301, 302, 303, 307, 308})


def read_states(folder: Folder) -> Mapping[UUID, bool]:
    """Publishing states: whether what has the state is served."""
    return {record.id(STATE.id): record.flag("adx_isvisible") for record in folder.records(STATE)}


def read_web_templates(folder: Folder, notices: list[str]) -> Mapping[UUID, WebTemplate]:
    """``web-templates/``. Of two with one name, ``include`` takes the first."""
    found: dict[UUID, WebTemplate] = {}
    names: dict[str, str] = {}
    for record in folder.records(WEB_TEMPLATE):
        if not record.active:
            continue
        name = record.need("adx_name")
        first = names.setdefault(name.lower(), str(record.where()))
        if first != str(record.where()):
            notices.append(f"{record.where()}: there are two web templates named '{name}'; the one of {first} counts.")
        template = WebTemplate(
            record.id(WEB_TEMPLATE.id),
            name,
            record.beside(".source.html") or record.text("adx_source"),
            record.text("adx_mimetype") or "text/html",
            record.where(),
        )
        _once(record, template.id, found)
        found[template.id] = template
    return found


def read_page_templates(folder: Folder, templates: Container[UUID | None]) -> Mapping[UUID, PageTemplate]:
    """``page-templates/``: each is a web template or one of the product's own pages. One whose web template is inactive
    has none."""
    found: dict[UUID, PageTemplate] = {}
    known = ids(folder, WEB_TEMPLATE)
    for record in folder.records(PAGE_TEMPLATE):
        if not record.active:
            continue
        web_template = record.refer("adx_webtemplateid", known, "web template")
        implied = TemplateKind.WEB_TEMPLATE if web_template else TemplateKind.REWRITE
        kind = record.choice("adx_type", TemplateKind, implied)
        if kind is None:
            continue
        if kind is TemplateKind.WEB_TEMPLATE and not record.text("adx_webtemplateid"):
            record.fault(f"the page template '{record.label}' names no web template.", "adx_type")
        template = PageTemplate(
            record.id(PAGE_TEMPLATE.id),
            record.need("adx_name"),
            kind,
            web_template if kind is TemplateKind.WEB_TEMPLATE and web_template in templates else None,
            record.text("adx_rewriteurl"),
            record.flag("adx_usewebsiteheaderandfooter", True),
            record.where(),
        )
        _once(record, template.id, found)
        found[template.id] = template
    return found


def read_redirects(folder: Folder, pages: Mapping[UUID, Page]) -> tuple[Redirect, ...]:
    """Active redirects: to an address, a page or a site marker's page, the first of them that is given."""
    markers = {record.uuid(MARKER.id): record.text("adx_name") for record in folder.records(MARKER)}
    found = []
    for record in folder.records(REDIRECT):
        if not record.active:
            continue
        inbound, url = record.need("adx_inboundurl"), record.text("adx_redirecturl")
        page = record.refer("adx_webpageid", pages, "page")
        marker = record.refer("adx_sitemarkerid", markers, "site marker")
        status = record.number("adx_statuscode", 302)
        if status not in STATUSES:
            known = ", ".join(map(str, sorted(STATUSES)))
            record.fault(f"'{record.shown('adx_statuscode')}' is {status}.", "adx_statuscode", f"Write one of {known}.")
        if url and not _plain_address(url):
            record.fault(f"the redirect leads to '{url}', which is no web address.", "adx_redirecturl")
        if not (url or record.text("adx_webpageid") or record.text("adx_sitemarkerid")):
            record.fault(
                f"the redirect of '{inbound}' leads nowhere.", hint="Name a page, a site marker or an address."
            )
        found.append(
            Redirect(record.text("adx_name") or inbound, inbound, url, page, markers.get(marker, "") if marker else "",
                     status, record.where())
        )  # fmt: skip
    return tuple(found)


def ids(folder: Folder, kind: Kind) -> Container[UUID | None]:
    """The ids of all rows of a kind, inactive ones too: what may be referred to."""
    return {record.uuid(kind.id) for record in folder.records(kind)}


def _plain_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("", "http", "https") and not any(ord(char) < 33 for char in url)


def _once(record: Record, row: UUID, found: Mapping[UUID, WebTemplate] | Mapping[UUID, PageTemplate]) -> None:
    if row in found:
        record.fault(f"the id {row} is taken by '{found[row].name}'.", record.kind.id)
