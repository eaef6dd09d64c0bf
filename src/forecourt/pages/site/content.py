"""Pages, links, snippets, markers and files of a site, from their files (pages-and-dataverse A4.1, A5.2)."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from forecourt.pages.site.definitions import (
    Disposition,
    FormDefinition,
    LinkImage,
    LinkSet,
    ListDefinition,
    Page,
    PageContent,
    WebFile,
    WebLink,
)
from forecourt.pages.site.kinds import LINK, LINK_SET, MARKER, PAGE, SNIPPET, WEB_FILE
from forecourt.pages.site.languages import Languages
from forecourt.pages.site.record import Folder, Record
from forecourt.pages.site.step_definitions import MultistepForm
from forecourt.pages.site.tree import MAX_CONTENT

#: What no part of an address may hold: it would lead elsewhere, or split a header.
_UNFIT = re.compile(r"[\x00-\x1f\x7f\\]|(^|/)\.\.?(/|$)")


def is_content(record: Record) -> bool:
    """Whether a web page's row is a content page: what a page says in one language."""
    return "content-pages" in record.place.parts or bool(record.text("adx_rootwebpageid"))


def _side(record: Record, name: str) -> str:
    """A long text of a page: its side file, else the column."""
    return record.beside(f".{name}.html") or record.text(f"adx_{name}")


def has_liquid(text: str) -> bool:
    """Whether a style or script has Liquid in it: such a one is not sent."""
    return "{{" in text or "{%" in text


def _plain(record: Record, ending: str, column: str) -> str:
    text = (record.beside(ending) or record.text(column)).strip()
    return "" if has_liquid(text) else text


def _style(record: Record) -> str:
    return _plain(record, ".custom_css.css", "adx_customcss")


def _script(record: Record) -> str:
    return _plain(record, ".custom_javascript.js", "adx_customjavascript")


def _partial(record: Record) -> str:
    """The row's part of an address. One that leads out of its place is a fault."""
    value = record.text("adx_partialurl")
    if _UNFIT.search(value):
        record.fault(
            f"'{record.shown('adx_partialurl')}' is {value!r}, which leads out of its place.",
            "adx_partialurl",
            "Write letters, digits, '-' and '_'.",
        )
        return ""
    return value


@dataclass(frozen=True)
class Parts:
    """What pages refer to, by id. ``states``: whether a state is served. ``templates``: inactive ones, too."""

    states: Mapping[UUID, bool]
    templates: Container[UUID | None]
    lists: Mapping[UUID, ListDefinition]
    forms: Mapping[UUID, FormDefinition]
    multistep: Mapping[UUID, MultistepForm]


def read_pages(folder: Folder, languages: Languages, parts: Parts, notices: list[str]) -> Mapping[UUID, Page]:
    """``web-pages/``: the tree of root pages, each with what its content pages say."""
    records = list(folder.records(PAGE))
    pages: dict[UUID, Page] = {}
    owner: dict[UUID, Record] = {}
    for record in records:
        if is_content(record):
            continue
        page = _page(record, languages.default, parts)
        if page.id in pages:
            record.fault(f"the id {page.id} is taken by the page '{pages[page.id].name}'.", "adx_webpageid")
        pages[page.id] = page
        owner[page.id] = record
    contents: dict[UUID, list[Record]] = {}
    for record in records:
        if is_content(record):
            root = record.uuid("adx_rootwebpageid")
            if root is None or root not in pages:
                record.fault(
                    "the content page belongs to no page.",
                    "adx_rootwebpageid",
                    "Write adx_rootwebpageid: and the id of the page.",
                )
            elif record.active or not pages[root].active:
                contents.setdefault(root, []).append(record)
    for root, own in contents.items():
        pages[root] = _with_contents(pages[root], own, languages, parts.states)
    pages = _with_paths(pages, owner)
    taken: dict[str, Page] = {}
    for page in pages.values():
        record = owner[page.id]
        if page.list is not None and page.list not in parts.lists:
            record.fault(f"the page '{page.name}' names the list {page.list}, which does not exist.", "adx_entitylist")
        if page.form is not None and page.form not in parts.forms:
            record.fault(f"the page '{page.name}' names the form {page.form}, which does not exist.", "adx_entityform")
        if page.active and page.path.lower() in taken:
            record.fault(
                f"the pages '{page.name}' and '{taken[page.path.lower()].name}' have the same address {page.path}.",
                "adx_partialurl",
            )
        if page.active:
            taken[page.path.lower()] = page
        if page.multistep is not None and page.multistep not in parts.multistep:
            record.fault(
                f"the page '{page.name}' names the multistep form {page.multistep}, which does not exist.",
                "adx_webform",
            )
    return pages


def _page(record: Record, language: str, parts: Parts) -> Page:
    state = record.refer("adx_publishingstateid", parts.states, "publishing state")
    name = record.need("adx_name")
    title = record.text("adx_title") or name
    content = PageContent(title, _side(record, "copy"), _side(record, "summary"), _style(record), _script(record))
    return Page(
        id=record.id("adx_webpageid"),
        name=name,
        path=_partial(record),
        contents={language: content},
        parent=record.uuid("adx_parentpageid"),
        list=record.uuid("adx_entitylist"),
        form=record.uuid("adx_entityform"),
        order=record.number("adx_displayorder"),
        active=record.active,
        visible=_published(record, parts.states),
        in_sitemap=not record.flag("adx_hiddenfromsitemap"),
        columns=record.columns,
        where=record.where(),
        state=state,
        template=record.refer("adx_pagetemplateid", parts.templates, "page template"),
        multistep=record.uuid("adx_webform"),
    )


def _with_contents(page: Page, records: list[Record], languages: Languages, states: Mapping[UUID, bool]) -> Page:
    """The page with what its published content pages say. One that has drafts alone is not published, in any language;
    they are what somebody sees who may preview it."""
    published = [record for record in records if _published(record, states)]
    for record in published or records:
        page = _with_content(page, record, languages)
    return page if published else replace(page, visible=False)


def _with_content(page: Page, record: Record, languages: Languages) -> Page:
    """The page with what one content page says; its list and form count where the root page names none."""
    code = languages.of(record)
    base = page.contents.get(code) or PageContent(page.name)
    content = PageContent(
        record.text("adx_title") or base.title,
        _side(record, "copy") or base.copy,
        _side(record, "summary") or base.summary,
        _style(record) or base.style,
        _script(record) or base.script,
    )
    return replace(
        page,
        contents={**page.contents, code: content},
        list=page.list or record.uuid("adx_entitylist"),
        form=page.form or record.uuid("adx_entityform"),
        multistep=page.multistep or record.uuid("adx_webform"),
    )


def _with_paths(pages: Mapping[UUID, Page], owner: Mapping[UUID, Record]) -> dict[UUID, Page]:
    """The pages with their absolute paths, the partial addresses joined along the tree."""
    paths: dict[UUID, str] = {}

    def path_of(page: Page, below: frozenset[UUID]) -> str:
        if page.id in paths:
            return paths[page.id]
        own = page.path.strip("/")
        if page.parent is None:
            found = f"/{own}/" if own else "/"
        elif page.parent in below or page.parent == page.id:
            owner[page.id].fault(f"the page '{page.name}' is its own ancestor.", "adx_parentpageid")
            return f"/{own}/"
        elif page.parent not in pages:
            owner[page.id].fault(
                f"the page '{page.name}' lies under the page {page.parent}, which does not exist.", "adx_parentpageid"
            )
            return f"/{own}/"
        else:
            if not own:
                owner[page.id].fault(
                    f"the page '{page.name}' has no address.",
                    "adx_partialurl",
                    "Write adx_partialurl: and its part of the address.",
                )
            found = f"{path_of(pages[page.parent], below | {page.id})}{own}/"
        paths[page.id] = found
        return found

    return {page.id: replace(page, path=path_of(page, frozenset({page.id}))) for page in pages.values()}


def read_markers(folder: Folder, pages: Mapping[UUID, Page]) -> Mapping[str, UUID]:
    """``sitemarker.yml``."""
    found = {}
    for record in folder.records(MARKER):
        page = record.uuid("adx_pageid")
        if page is not None and record.active:
            if page not in pages:
                record.fault(f"the site marker names the page {page}, which does not exist.", "adx_pageid")
            found[record.need("adx_name")] = page
    return found


def read_links(
    folder: Folder, languages: Languages, pages: Mapping[UUID, Page], states: Mapping[UUID, bool]
) -> Mapping[str, Mapping[str, LinkSet]]:
    """``weblink-sets/``: each set, its links with those beneath them, by language, then the set's name. Links that
    are not published are not the site's."""
    sets = {record.id(LINK_SET.id): record for record in folder.records(LINK_SET)}
    records = {record.id(LINK.id): record for record in folder.records(LINK)}
    beneath: dict[UUID, list[UUID]] = {}
    for link_id, record in records.items():
        owner = record.refer(LINK.owned_by, sets, "web link set")
        record.refer("adx_pageid", pages, "page")
        parent = record.refer("adx_parentweblinkid", records, "web link")
        above = parent or owner
        if above is not None and record.active and _published(record, states):
            beneath.setdefault(above, []).append(link_id)
    for link_id, record in records.items():
        if _in_circle(link_id, records):
            record.fault(f"the web link '{record.label}' lies beneath itself.", "adx_parentweblinkid")
            beneath.pop(link_id, None)

    def links(above: UUID) -> tuple[WebLink, ...]:
        found = [_link(records[link_id], links(link_id)) for link_id in beneath.get(above, ())]
        return tuple(sorted(found, key=lambda link: link.order))

    found: dict[str, dict[str, LinkSet]] = {}
    neutral_first = sorted(sets.items(), key=lambda item: bool(item[1].text(LINK_SET.language)))
    for set_id, record in neutral_first:
        if record.active and _published(record, states):
            texts = record.text("adx_title"), record.text("adx_copy")
            found.setdefault(languages.of(record), {})[record.need("adx_name")] = LinkSet(links(set_id), set_id, *texts)
    return found


def _published(record: Record, states: Mapping[UUID, bool]) -> bool:
    """Whether the row's publishing state is one that is served; a row without one is published."""
    state = record.refer("adx_publishingstateid", states, "publishing state")
    return states[state] if state else True


def _in_circle(link_id: UUID, records: Mapping[UUID, Record]) -> bool:
    seen: set[UUID] = set()
    at: UUID | None = link_id
    while at is not None and at in records and at not in seen:
        seen.add(at)
        at = records[at].uuid("adx_parentweblinkid")
    return at in seen


def _link(record: Record, beneath: tuple[WebLink, ...]) -> WebLink:
    return WebLink(
        record.need("adx_name"),
        record.uuid("adx_pageid"),
        record.text("adx_externalurl"),
        record.number("adx_displayorder"),
        record.flag("adx_openinnewwindow"),
        not record.flag("adx_disablepagevalidation"),
        beneath,
        record.text("adx_description"),
        _image(record),
        record.flag("adx_displaypagechildlinks"),
        record.flag("adx_robotsfollowlink", True),
    )


def _image(record: Record) -> LinkImage | None:
    url = record.text("adx_imageurl")
    if not url:
        return None
    text, width, height = (record.text(key) for key in ("adx_imagealttext", "adx_imagewidth", "adx_imageheight"))
    return LinkImage(url, text, width, height, record.flag("adx_displayimageonly"))


def read_snippets(folder: Folder, languages: Languages) -> Mapping[str, Mapping[str, str]]:
    """``content-snippets/``: texts by language, then name."""
    found: dict[str, dict[str, str]] = {}
    for record in folder.records(SNIPPET):
        if record.active:
            text = record.beside(".value.html") or record.text("adx_value")
            found.setdefault(languages.of(record), {})[record.need("adx_name")] = text
    return found


def read_files(
    folder: Folder, pages: Mapping[UUID, Page], states: Mapping[UUID, bool], notices: list[str]
) -> Mapping[str, WebFile]:
    """``web-files/``: by URL path in lower case. A file's content lies beside its row."""
    found: dict[str, WebFile] = {}
    for record in folder.records(WEB_FILE):
        parent = record.refer("adx_parentpageid", pages, "page")
        record.need("adx_partialurl")
        partial = _partial(record).strip("/")
        if not record.active or not partial:
            continue
        if parent is None:
            if not record.text("adx_parentpageid"):
                notices.append(f"{record.where()}: the file '{partial}' lies under no page; it is not served.")
            continue
        content = record.content
        if content is None:
            notices.append(f"{record.where()}: the content of the file '{partial}' is missing; it is not served.")
            continue
        if content.size > MAX_CONTENT:
            record.fault(f"the file '{partial}' has {content.size} bytes; at most {MAX_CONTENT} are served.")
            continue
        guessed = mimetypes.guess_type(partial)[0] or "application/octet-stream"
        disposition = record.choice("adx_contentdisposition", Disposition, Disposition.INLINE)
        path = f"{pages[parent].path}{partial}"
        found[path.lower()] = WebFile(
            record.id("adx_webfileid"),
            record.text("adx_name") or partial,
            path,
            parent,
            content.path,
            record.text("mimetype") or guessed,
            disposition is Disposition.ATTACHMENT,
            record.where(),
            _published(record, states),
            record.moment("adx_releasedate"),
            record.moment("adx_expirationdate"),
            record.number("adx_displayorder"),
        )
    return found
