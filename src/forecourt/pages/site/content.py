"""Pages, links, snippets, markers and files of a site, from their files (pages-and-dataverse A4.1, A5.2)."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from forecourt.pages.site.definitions import (
    Disposition,
    FormDefinition,
    ListDefinition,
    Page,
    PageContent,
    WebFile,
    WebLink,
)
from forecourt.pages.site.record import Folder, Record

#: ``<Name>.<language>.webpage.yml``: the language code in a file's name.
_CODE = re.compile(r"\.([A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)\.(?:webpage|weblinkset|contentsnippet)\b")


def _language(record: Record, default: str) -> str:
    """The language of a file: from its name, or from the folder it lies in."""
    found = _CODE.search(record.file.name)
    return found.group(1) if found else default


def read_languages(folder: Folder) -> Mapping[UUID, str]:
    """``websitelanguage.yml``: language codes by id, where the name of the row is one."""
    found = {}
    for record in folder.rows("websitelanguage.yml"):
        language_id = record.uuid("adx_websitelanguageid")
        code = record.text("adx_languagecode")
        if language_id and re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", code):
            found[language_id] = code
    return found


def _visible_states(folder: Folder) -> Mapping[UUID, bool]:
    return {
        record.id("adx_publishingstateid"): record.flag("adx_isvisible")
        for record in folder.rows("publishingstate.yml")
    }


def _is_content(record: Record) -> bool:
    return record.file.parent.name == "content-pages" or bool(record.text("adx_rootwebpageid"))


def _side(record: Record, name: str) -> str:
    """A long text of a page: its side file, else the column."""
    return record.beside(f".{name}.html") or record.text(f"adx_{name}")


def read_pages(
    folder: Folder,
    language: str,
    lists: Mapping[UUID, ListDefinition],
    forms: Mapping[UUID, FormDefinition],
    notices: list[str],
) -> Mapping[UUID, Page]:
    """``web-pages/``: the tree of root pages, each with what its content pages say."""
    states = _visible_states(folder)
    records = list(folder.each("web-pages/**/*", [".webpage.yml"]))
    pages: dict[UUID, Page] = {}
    owner: dict[UUID, Record] = {}
    for record in records:
        if _is_content(record):
            continue
        page = _page(record, language, states)
        if page.id in pages:
            record.fault(f"the id {page.id} is taken by the page '{pages[page.id].name}'.", "adx_webpageid")
        pages[page.id] = page
        owner[page.id] = record
    for record in records:
        if _is_content(record):
            root = record.uuid("adx_rootwebpageid")
            if root is None or root not in pages:
                record.fault(
                    "the content page belongs to no page.",
                    "adx_rootwebpageid",
                    "Write adx_rootwebpageid: and the id of the page.",
                )
                continue
            pages[root] = _with_content(pages[root], record, language)
    pages = _with_paths(pages, owner)
    taken: dict[str, Page] = {}
    for page in pages.values():
        record = owner[page.id]
        if page.list is not None and page.list not in lists:
            record.fault(f"the page '{page.name}' names the list {page.list}, which does not exist.", "adx_entitylist")
        if page.form is not None and page.form not in forms:
            record.fault(f"the page '{page.name}' names the form {page.form}, which does not exist.", "adx_entityform")
        if page.path.lower() in taken:
            record.fault(
                f"the pages '{page.name}' and '{taken[page.path.lower()].name}' have the same address {page.path}.",
                "adx_partialurl",
            )
        taken[page.path.lower()] = page
        for key in ("adx_webform",):
            if record.text(key):
                notices.append(
                    f"{record.where(key)}: the page '{page.name}' holds a multistep form, which is not shown."
                )
    return pages


def _page(record: Record, language: str, states: Mapping[UUID, bool]) -> Page:
    state = record.uuid("adx_publishingstateid")
    name = record.need("adx_name")
    content = PageContent(record.text("adx_title") or name, _side(record, "copy"), _side(record, "summary"))
    return Page(
        id=record.id("adx_webpageid"),
        name=name,
        path=record.text("adx_partialurl"),
        contents={language: content},
        parent=record.uuid("adx_parentpageid"),
        list=record.uuid("adx_entitylist"),
        form=record.uuid("adx_entityform"),
        order=record.number("adx_displayorder"),
        active=record.active,
        visible=states.get(state, True) if state else True,
        in_sitemap=not record.flag("adx_hiddenfromsitemap"),
        columns=record.columns,
        where=record.where(),
        state=state,
    )


def _with_content(page: Page, record: Record, language: str) -> Page:
    """The page with what one content page says; its list and form count where the root page names none."""
    code = _language(record, language)
    base = page.contents.get(code) or PageContent(page.name)
    content = PageContent(
        record.text("adx_title") or base.title,
        _side(record, "copy") or base.copy,
        _side(record, "summary") or base.summary,
    )
    return replace(
        page,
        contents={**page.contents, code: content},
        list=page.list or record.uuid("adx_entitylist"),
        form=page.form or record.uuid("adx_entityform"),
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
    for record in folder.rows("sitemarker.yml"):
        page = record.uuid("adx_pageid")
        if page is not None and record.active:
            if page not in pages:
                record.fault(f"the site marker names the page {page}, which does not exist.", "adx_pageid")
            found[record.need("adx_name")] = page
    return found


def read_links(
    folder: Folder, language: str, pages: Mapping[UUID, Page], notices: list[str]
) -> Mapping[str, Mapping[str, tuple[WebLink, ...]]]:
    """``weblink-sets/``: top-level links of each set, by language, then the set's name."""
    sets: dict[UUID, tuple[str, str]] = {}
    for record in folder.each("weblink-sets/**/*", [".weblinkset.yml"]):
        if record.active:
            sets[record.id("adx_weblinksetid")] = (_language(record, language), record.need("adx_name"))
    links: dict[UUID, list[WebLink]] = {}
    for record in folder.each("weblink-sets/**/*", [".weblinkset.weblink.yml"]):
        owner = record.uuid("adx_weblinksetid")
        page = record.uuid("adx_pageid")
        if owner is None or not record.active or record.text("adx_parentweblinkid"):
            continue
        if page is not None and page not in pages:
            notices.append(f"{record.where('adx_pageid')}: the link names a page that does not exist; it is left out.")
            continue
        links.setdefault(owner, []).append(
            WebLink(
                record.need("adx_name"),
                page,
                record.text("adx_externalurl"),
                record.number("adx_displayorder"),
                record.flag("adx_openinnewwindow"),
                not record.flag("adx_disablepagevalidation"),
            )
        )
    found: dict[str, dict[str, tuple[WebLink, ...]]] = {}
    for set_id, (code, name) in sets.items():
        found.setdefault(code, {})[name] = tuple(sorted(links.get(set_id, ()), key=lambda link: link.order))
    return found


def read_snippets(folder: Folder, language: str) -> Mapping[str, Mapping[str, str]]:
    """``content-snippets/``: texts by language, then name."""
    found: dict[str, dict[str, str]] = {}
    for record in folder.each("content-snippets/**/*", [".contentsnippet.yml"]):
        if record.active:
            text = record.beside(".value.html") or record.text("adx_value")
            found.setdefault(_language(record, language), {})[record.need("adx_name")] = text
    return found


def read_files(folder: Folder, pages: Mapping[UUID, Page], notices: list[str]) -> Mapping[str, WebFile]:
    """``web-files/``: by URL path in lower case. A file's content lies beside its row."""
    found: dict[str, WebFile] = {}
    for record in folder.each("web-files/**/*", [".webfile.yml"]):
        parent = record.uuid("adx_parentpageid")
        partial = record.need("adx_partialurl").strip("/")
        if not record.active or not partial:
            continue
        if parent is None or parent not in pages:
            notices.append(
                f"{record.where('adx_parentpageid')}: the file '{partial}' lies under no page; it is not served."
            )
            continue
        content = record.file.parent / record.file.name.removesuffix(".webfile.yml")
        if not content.is_file():
            notices.append(f"{record.where()}: the content of the file '{partial}' is missing; it is not served.")
            continue
        guessed = mimetypes.guess_type(partial)[0] or "application/octet-stream"
        disposition = record.choice("adx_contentdisposition", Disposition, Disposition.INLINE)
        path = f"{pages[parent].path}{partial}"
        found[path.lower()] = WebFile(
            record.id("adx_webfileid"),
            record.text("adx_name") or partial,
            path,
            parent,
            content,
            record.text("mimetype") or guessed,
            disposition is Disposition.ATTACHMENT,
            record.where(),
        )
    return found
