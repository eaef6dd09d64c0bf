"""Page permissions: the table of cases of pages-and-dataverse A1.6."""

from __future__ import annotations

import pytest
from pages_site_folder import Folder, guid

from forecourt.pages import page_rules
from forecourt.pages.site import Page, Site, load_site

GRANT, RESTRICT = 1, 2
ALL, WITHOUT_FILES = 1, 2


@pytest.fixture
def folder(folder: Folder) -> Folder:
    folder.roles("Vendors", "Buyers", "Editors")
    folder.page("Area", "area")
    folder.page("Inner", "inner", "Area")
    return folder


def page_of(site: Site, path: str) -> Page:
    page = site.page_at(path)
    assert page is not None
    return page


def readable(site: Site, path: str, *roles: str) -> bool:
    return page_rules.may_read(site, page_of(site, path), roles)


def test_pages_are_public_and_unchangeable_where_no_rule_speaks(folder: Folder) -> None:
    site = load_site(folder.root)
    assert readable(site, "/area/inner")
    assert not page_rules.may_change(site, page_of(site, "/area/"), {"Vendors"})


def test_roles_of_one_level_are_alternatives(folder: Folder) -> None:
    folder.rules(("Area", RESTRICT, ALL, ["Vendors"]), ("Area", RESTRICT, ALL, ["Buyers"]))
    site = load_site(folder.root)
    assert readable(site, "/area", "Vendors") and readable(site, "/area", "Buyers")
    assert not readable(site, "/area", "Editors") and not readable(site, "/area")


def test_levels_have_to_be_passed_each(folder: Folder) -> None:
    folder.rules(("Area", RESTRICT, ALL, ["Vendors"]), ("Inner", RESTRICT, ALL, ["Buyers"]))
    site = load_site(folder.root)
    assert not readable(site, "/area/inner", "Buyers") and not readable(site, "/area/inner", "Vendors")
    assert readable(site, "/area/inner", "Vendors", "Buyers")


def test_a_restriction_is_inherited_and_names_its_rule(folder: Folder) -> None:
    folder.rules(("Home", RESTRICT, ALL, ["Vendors"]))
    site = load_site(folder.root)
    decision = page_rules.read(site, page_of(site, "/area/inner"), {"Buyers"})
    assert not decision.allowed and decision.rule is not None and decision.rule.name == "Rule 0"


def test_grant_change_anywhere_above_opens_everything(folder: Folder) -> None:
    folder.rules(("Home", GRANT, ALL, ["Editors"]), ("Inner", RESTRICT, ALL, ["Vendors"]))
    site = load_site(folder.root)
    assert readable(site, "/area/inner", "Editors")
    assert page_rules.may_change(site, page_of(site, "/area/inner"), {"Editors"})


def test_grant_change_below_does_not_open_what_is_above(folder: Folder) -> None:
    folder.rules(("Inner", GRANT, ALL, ["Editors"]), ("Area", RESTRICT, ALL, ["Vendors"]))
    site = load_site(folder.root)
    assert not readable(site, "/area", "Editors") and readable(site, "/area/inner", "Editors")


def test_a_restriction_without_roles_closes_the_page(folder: Folder) -> None:
    folder.rules(("Area", RESTRICT, ALL, []))
    assert not readable(load_site(folder.root), "/area", "Vendors", "Buyers", "Editors")


def test_an_inactive_rule_does_not_count_but_an_inactive_page_closes_all_beneath(folder: Folder) -> None:
    folder.write(
        "webpagerule.yml",
        [{"adx_webpageid": guid("Area"), "adx_right": 2, "statecode": 1,
          "adx_webpageaccesscontrolrule_webrole": []}],
    )  # fmt: skip
    assert readable(load_site(folder.root), "/area")
    folder.page("Area", "area", statecode=1)
    folder.rules(("Home", GRANT, ALL, ["Editors"]))
    assert not readable(load_site(folder.root), "/area/inner", "Editors")


def test_an_unpublished_page_is_not_readable(folder: Folder) -> None:
    folder.write(
        "publishingstate.yml", [{"adx_publishingstateid": guid("draft"), "adx_name": "Draft", "adx_isvisible": False}]
    )
    folder.page("Area", "area", adx_publishingstateid=guid("draft"))
    assert not readable(load_site(folder.root), "/area/inner")


def test_marked_pages_are_readable_by_everybody(folder: Folder) -> None:
    folder.page("Denied", "denied", "Area")
    folder.write("sitemarker.yml", [{"adx_name": "access denied", "adx_pageid": guid("Denied")}])
    folder.rules(("Home", RESTRICT, ALL, ["Vendors"]))
    assert readable(load_site(folder.root), "/area/denied")


@pytest.mark.parametrize(("scope", "open_to_all"), [(ALL, False), (WITHOUT_FILES, True)])
def test_files_directly_under_a_page_may_be_left_out(folder: Folder, scope: int, open_to_all: bool) -> None:
    folder.rules(("Area", RESTRICT, scope, ["Vendors"]))
    for parent in ("Area", "Inner"):
        row = {"adx_webfileid": guid(parent), "adx_partialurl": "a.txt", "adx_parentpageid": guid(parent)}
        folder.write(f"web-files/{parent}.txt.webfile.yml", row)
        folder.write(f"web-files/{parent}.txt", "text")
    site = load_site(folder.root)
    near, deep = site.file_at("/area/a.txt"), site.file_at("/area/inner/a.txt")
    assert near is not None and deep is not None
    assert page_rules.may_read_file(site, near, ()) is open_to_all
    assert not page_rules.may_read_file(site, deep, ())
    assert page_rules.may_read_file(site, deep, {"Vendors"})
