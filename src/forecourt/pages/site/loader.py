"""Reads a site from the folder that ``pac pages download`` writes (standard data model, pages-and-dataverse A5.2).

All faults are found before any is raised. What is missing in the folder is missing in the site: a site without pages
is refused, everything else may be absent.
"""

from __future__ import annotations

from pathlib import Path

from forecourt.kernel.errors import DefinitionError, DefinitionErrors
from forecourt.pages.site.access import (
    read_column_profiles,
    read_permissions,
    read_roles,
    read_rules,
    read_settings,
    read_website_access,
    web_api_columns,
)
from forecourt.pages.site.access_checks import findings
from forecourt.pages.site.components import read_forms, read_lists
from forecourt.pages.site.content import (
    read_files,
    read_languages,
    read_links,
    read_markers,
    read_pages,
    read_snippets,
)
from forecourt.pages.site.record import Folder
from forecourt.pages.site.site import Site

#: What the site's default language is when nothing says so (LCID of ``adx_website_language`` -> code).
LANGUAGES = {
    1025: "ar-SA",
    1029: "cs-CZ",
    1030: "da-DK",
    1031: "de-DE",
    1033: "en-US",
    1035: "fi-FI",
    1036: "fr-FR",
    1040: "it-IT",
    1041: "ja-JP",
    1043: "nl-NL",
    1044: "nb-NO",
    1045: "pl-PL",
    1046: "pt-BR",
    1053: "sv-SE",
    1055: "tr-TR",
    2052: "zh-CN",
    2057: "en-GB",
    2070: "pt-PT",
    3082: "es-ES",
}


def load_site(root: Path) -> Site:
    """The site in ``root``. Raises DefinitionErrors with every fault that was found."""
    folder = Folder(root)
    shown = str(root.name)
    if not root.is_dir():
        raise DefinitionErrors((DefinitionError(shown, 1, "the site's folder does not exist."),))
    if not (root / "website.yml").is_file():
        hint = "Put website.yml there, with adx_websiteid and adx_name."
        if (root / ".powerpages-site").is_dir():
            hint = "The folder holds the enhanced data model (.powerpages-site); download it with --modelVersion 1."
        raise DefinitionErrors((DefinitionError(f"{shown}/website.yml", 1, "the file does not exist.", hint),))
    notices: list[str] = []
    website = next(folder.rows("website.yml"), None)
    if website is None:
        raise DefinitionErrors(tuple(folder.faults) or (DefinitionError(f"{shown}/website.yml", 1, "it is empty."),))
    site_id = website.id("adx_websiteid")
    name = website.need("adx_name")
    default = website.uuid("adx_defaultlanguage")
    codes = read_languages(folder)
    language = codes.get(default, "") if default else ""
    language = language or LANGUAGES.get(website.number("adx_website_language", 1033), "en-US")

    roles = read_roles(folder, site_id)
    settings, setting_records = read_settings(folder)
    columns = web_api_columns(settings, setting_records)
    permissions = read_permissions(folder, roles, notices)
    profiles = read_column_profiles(folder, roles, notices)
    access = read_website_access(folder, roles, notices)
    lists = read_lists(folder, notices)
    forms = read_forms(folder, notices)
    pages = read_pages(folder, language, lists, forms, notices)
    rules = read_rules(folder, roles, pages, notices)
    markers = read_markers(folder, pages)
    links = read_links(folder, language, pages, notices)
    snippets = read_snippets(folder, language)
    files = read_files(folder, pages, notices)
    for definition in lists.values():
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
        raise DefinitionErrors(tuple(folder.faults))
    return Site(
        id=site_id,
        name=name,
        language=language,
        pages=pages,
        web_roles=roles,
        rules=rules,
        permissions=permissions,
        web_api_columns=columns,
        settings=settings,
        markers=markers,
        lists=lists,
        forms=forms,
        links=links,
        snippets=snippets,
        files=files,
        notices=tuple(notices),
        column_profiles=profiles,
        website_access=access,
        findings=tuple(findings(pages, rules, access, roles)),
    )
