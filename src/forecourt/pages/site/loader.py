"""Reads a site from the folder that ``pac pages download`` writes, in either data model (A5.2, A5.3).

All faults are found before any is raised. What is missing in the folder is missing in the site: a site without pages
is refused, everything else may be absent. Two layers: ``record`` gives rows of both models alike, the readers make
the site's definitions of them.
"""

from __future__ import annotations

from pathlib import Path

from forecourt.identity.providers.definitions import read_providers
from forecourt.kernel.errors import DefinitionError, DefinitionErrors
from forecourt.kernel.solution import variable
from forecourt.pages.site.access import (
    read_column_profiles,
    read_permissions,
    read_roles,
    read_rules,
    read_settings,
    read_website_access,
    setting_where,
    web_api_columns,
)
from forecourt.pages.site.access_checks import findings
from forecourt.pages.site.components import read_forms, read_lists
from forecourt.pages.site.content import (
    Parts,
    read_files,
    read_links,
    read_markers,
    read_pages,
    read_snippets,
)
from forecourt.pages.site.inserted import with_inserted
from forecourt.pages.site.kinds import PAGE_TEMPLATE, WEB_TEMPLATE
from forecourt.pages.site.languages import read_languages
from forecourt.pages.site.multisteps import read_multistep
from forecourt.pages.site.record import Folder
from forecourt.pages.site.site import Site
from forecourt.pages.site.templates import ids, read_page_templates, read_redirects, read_states, read_web_templates
from forecourt.web import theme


def load_site(root: Path) -> Site:
    """The site in ``root``, or in its ``.powerpages-site``. Raises DefinitionErrors with every fault that was found."""
    if not root.is_dir():
        raise DefinitionErrors((DefinitionError(root.name, 1, "the site's folder does not exist."),))
    return read_site(Folder(root))


def read_site(folder: Folder) -> Site:
    """The site of a folder. Raises DefinitionErrors with every fault that was found."""
    shown = folder.base.name
    website = folder.website
    if website is None:
        hint = "Put website.yml there, with adx_websiteid and adx_name (id and name in the enhanced data model)."
        faults = tuple(folder.faults) or (
            DefinitionError(f"{shown}/website.yml", 1, "the file does not exist, or is empty.", hint),
        )
        raise DefinitionErrors(faults)
    notices: list[str] = []
    site_id = website.id("adx_websiteid")
    name = website.need("adx_name")
    languages = read_languages(folder, website)
    templates = read_web_templates(folder, notices)
    page_templates = read_page_templates(folder, templates)
    roles = read_roles(folder, site_id)
    settings, setting_records = read_settings(folder, notices)
    for setting, text in read_providers(settings, variable).notices:
        notices.append(f"{setting_where(setting_records, setting)}: {setting}: {text}")
    columns = web_api_columns(settings, setting_records)
    permissions = read_permissions(folder, roles, notices)
    profiles = read_column_profiles(folder, roles, notices)
    access = read_website_access(folder, roles, notices)
    parts = Parts(
        read_states(folder), ids(folder, PAGE_TEMPLATE), read_lists(folder, notices), read_forms(folder, notices),
        read_multistep(folder, notices),
    )  # fmt: skip
    pages = read_pages(folder, languages, parts, notices)
    pages = with_inserted(pages, page_templates, templates, parts.forms, parts.multistep)
    rules = read_rules(folder, roles, pages, parts.states, notices)
    markers = read_markers(folder, pages)
    redirects = read_redirects(folder, pages)
    links = read_links(folder, languages, pages, parts.states)
    snippets = read_snippets(folder, languages)
    files = read_files(folder, pages, parts.states, notices)
    header = website.refer("adx_headerwebtemplateid", ids(folder, WEB_TEMPLATE), "web template")
    footer = website.refer("adx_footerwebtemplateid", ids(folder, WEB_TEMPLATE), "web template")
    for definition in parts.lists.values():
        if definition.details is not None and definition.details not in pages:
            folder.faults.append(
                DefinitionError(
                    definition.where.file,
                    definition.where.line,
                    f"the list '{definition.name}' names the details page {definition.details}, which does not exist.",
                )
            )
    if not folder.faults and "/" not in {page.path for page in pages.values()}:
        folder.faults.append(
            DefinitionError(
                f"{shown}/web-pages", 1, "the site has no home page.", "Write a page with adx_partialurl: /"
            )
        )
    if folder.faults:
        raise DefinitionErrors(tuple({str(fault): fault for fault in folder.faults}.values()))
    for fault in theme.from_settings(settings).faults:
        notices.append(f"{shown}/sitesetting.yml:1: theme, {fault}.")
    return Site(
        id=site_id,
        name=name,
        language=languages.default,
        pages=pages,
        web_roles=roles,
        rules=rules,
        permissions=permissions,
        web_api_columns=columns,
        settings=settings,
        markers=markers,
        lists=parts.lists,
        forms=parts.forms,
        links=links,
        snippets=snippets,
        files=files,
        notices=tuple(notices),
        column_profiles=profiles,
        website_access=access,
        findings=tuple(findings(pages, rules, access, roles)),
        languages=languages.known,
        web_templates=templates,
        page_templates=page_templates,
        header=header,
        footer=footer,
        redirects=redirects,
        multistep_forms=parts.multistep,
    )
