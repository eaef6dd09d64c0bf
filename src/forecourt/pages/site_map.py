"""Which page of the site shows, or edits, a row of a table: found by what pages hold, not by their names.

A list may name its details page. Otherwise, and for edit pages, the nearest page with a form of the wanted mode for
the table counts: beneath the page, beside it, then anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

from forecourt.dataverse.tables import Table
from forecourt.pages import page_rules
from forecourt.pages.site import FormMode, Page, Site
from forecourt.pages.visit import Visit


def _with_form(site: Site, visit: Visit, pages: Iterable[Page], table: str, mode: FormMode) -> Page | None:
    for page in pages:
        form = site.form_of(page)
        if form is None or form.table != table or form.mode is not mode:
            continue
        if page_rules.may_read(site, page, visit.principal.web_roles):
            return page
    return None


def _near(site: Site, page: Page | None) -> Iterable[Page]:
    if page is not None:
        yield from site.children(page)
        if page.parent is not None:
            yield from (item for item in site.children(site.pages[page.parent]) if item.id != page.id)
    yield from site.in_order


def details_page(site: Site, visit: Visit, page: Page | None, table: str) -> Page | None:
    """The page that shows a row of ``table``, for a person on ``page``; an edit page where there is no other."""
    definition = site.list_of(page) if page else None
    if definition is not None and definition.details is not None:
        named = site.pages[definition.details]
        if page_rules.may_read(site, named, visit.principal.web_roles):
            return named
    near = tuple(_near(site, page))
    return _with_form(site, visit, near, table, FormMode.READ_ONLY) or _with_form(
        site, visit, near, table, FormMode.EDIT
    )


def edit_page(site: Site, visit: Visit, page: Page, table: str) -> Page | None:
    """The page that edits a row of ``table``."""
    return _with_form(site, visit, _near(site, page), table, FormMode.EDIT)


def create_page(site: Site, visit: Visit, page: Page, table: str) -> Page | None:
    """The page that makes a row of ``table``: the one that the list names, else the nearest beneath or beside it."""
    definition = site.list_of(page)
    if definition is not None and definition.create is not None and definition.create in site.pages:
        named = site.pages[definition.create]
        return named if page_rules.may_read(site, named, visit.principal.web_roles) else None
    return _with_form(site, visit, _near(site, page), table, FormMode.INSERT)


def create_beneath(site: Site, visit: Visit, page: Page, child: Table, lookup: str) -> Page | None:
    """The page that makes a row of ``child`` whose ``lookup`` is set to the row that the page's query names."""
    for item in _near(site, page):
        form = site.form_of(item)
        if form is None or form.mode is not FormMode.INSERT or form.table != child.name:
            continue
        parent = child.column(form.parent_column)
        if parent is not None and parent.name == lookup and page_rules.may_read(site, item, visit.principal.web_roles):
            return item
    return None


def list_page(site: Site, visit: Visit, page: Page, table: str) -> Page | None:
    """The nearest page with a list of ``table``: above the page, then anywhere."""
    for item in (*site.chain(page)[1:], *site.in_order):
        definition = site.list_of(item)
        listed = definition is not None and definition.table == table
        if listed and page_rules.may_read(site, item, visit.principal.web_roles):
            return item
    return None


def row_url(site: Site, page: Page, row_id: object, **more: str) -> str:
    """The address of a row on a page with a form."""
    definition = site.form_of(page)
    parameter = definition.id_parameter if definition else "id"
    return f"{page.path}?{urlencode({parameter: str(row_id), **more})}"


def details_paths(site: Site, visit: Visit, page: Page) -> dict[str, str]:
    """The details page's path by table."""
    tables = {form.table for form in site.forms.values()}
    found = {table: details_page(site, visit, page, table) for table in tables}
    return {table: target.path for table, target in found.items() if target is not None and target.id != page.id}
