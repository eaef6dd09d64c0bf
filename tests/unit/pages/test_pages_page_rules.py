"""Page permissions: the table of cases of pages-and-dataverse A1.6."""

from __future__ import annotations

import random

import pytest
from pages_site_folder import Folder, guid

from forecourt.pages import page_rules
from forecourt.pages.site import Page, Site, WebsiteRight, load_site

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


def _draft(folder: Folder) -> None:
    states = [("draft", False), ("published", True)]
    rows = [{"adx_publishingstateid": guid(name), "adx_name": name, "adx_isvisible": shown} for name, shown in states]
    folder.write("publishingstate.yml", rows)


def test_who_may_preview_sees_what_is_not_published_and_passes_restrictions_all_the_same(folder: Folder) -> None:
    _draft(folder)
    folder.page("Area", "area", adx_publishingstateid=guid("draft"))
    folder.rules(("Inner", RESTRICT, ALL, ["Vendors"]))
    access = {"adx_websiteaccessid": guid("access"), "adx_name": "Preview", "adx_previewunpublishedentities": True}
    folder.write("websiteaccess.yml", [{**access, "adx_websiteaccess_webrole": [guid("Buyers")]}])
    site = load_site(folder.root)
    assert readable(site, "/area", "Buyers") and not readable(site, "/area", "Vendors")
    assert not readable(site, "/area/inner", "Buyers") and readable(site, "/area/inner", "Buyers", "Vendors")
    assert site.may(WebsiteRight.PREVIEW_UNPUBLISHED, {"Buyers"})
    assert not site.may(WebsiteRight.MANAGE_CONTENT_SNIPPETS, {"Buyers"})
    folder.write("websiteaccess.yml", [{**access, "statecode": 1, "adx_websiteaccess_webrole": [guid("Buyers")]}])
    assert not readable(load_site(folder.root), "/area", "Buyers")


def test_grant_change_for_the_pages_state_stands_in_for_the_others(folder: Folder) -> None:
    _draft(folder)
    folder.page("Area", "area", adx_publishingstateid=guid("published"))
    rule = {"adx_right": GRANT, "adx_scope": ALL, "adx_webpageid": guid("Area")}
    stateless = {**rule, "adx_name": "any", "adx_webpageaccesscontrolrule_webrole": [guid("Editors")]}
    own = {
        **rule,
        "adx_name": "published",
        "adx_webpageaccesscontrolrule_webrole": [guid("Buyers")],
        "adx_accesscontrolrule_publishingstate": [guid("published")],
    }
    folder.write("webpagerule.yml", [stateless, own])
    site = load_site(folder.root)
    area, inner = page_of(site, "/area"), page_of(site, "/area/inner")
    assert page_rules.may_change(site, area, {"Buyers"}) and not page_rules.may_change(site, area, {"Editors"})
    # The page beneath has no state: rules for a state are not for it.
    assert page_rules.may_change(site, inner, {"Editors"}) and not page_rules.may_change(site, inner, {"Buyers"})


def test_rules_that_cannot_be_meant_are_found_at_their_line(folder: Folder) -> None:
    folder.roles("Vendors", "Buyers", "Anonymous Users")
    folder.rules(
        ("Home", RESTRICT, ALL, ["Vendors"]),
        ("Area", RESTRICT, ALL, ["Vendors"]),
        ("Area", RESTRICT, ALL, ["Buyers"]),
        ("Inner", RESTRICT, ALL, []),
        ("Inner", GRANT, ALL, ["Anonymous Users"]),
    )
    folder.write("websiteaccess.yml", [{"adx_name": "Idle", "adx_websiteaccess_webrole": []}])
    found = [(item.code, item.message) for item in load_site(folder.root).findings]
    assert {code for code, _ in found} == {"FC6007"}
    text = " ".join(message for _, message in found)
    assert len(found) == 5
    for part in (
        "'Rule 0' restricts the home page with its files",
        "'Rule 2' is the second that restricts /area/",
        "'Rule 3' has no active web role: nobody may read /area/inner/",
        "'Rule 4' names Anonymous Users, the web role of visitors",
        "'Idle' has no active web role",
    ):
        assert part in text, (part, text)
    assert all(item.file.endswith(".yml") and item.line > 0 for item in load_site(folder.root).findings)


@pytest.mark.parametrize("seed", range(200))
def test_the_rules_mean_what_their_algorithm_says(folder: Folder, seed: int) -> None:
    """Against a second implementation, which groups rules by page and right and goes over the groups."""
    pick = random.Random(seed)
    names, pages = ("Vendors", "Buyers", "Editors"), ("Home", "Area", "Inner")
    rules = [
        (
            pick.choice(pages),
            pick.choice([GRANT, RESTRICT, RESTRICT]),
            pick.choice([ALL, WITHOUT_FILES]),
            pick.sample(names, pick.randrange(0, 3)),
        )
        for _ in range(pick.randrange(0, 6))
    ]
    folder.rules(*rules)
    closed = pick.choice([*pages[1:], "", "", ""])
    if closed:
        folder.page(closed, closed.lower(), "Home" if closed == "Area" else "Area", statecode=1)
    site = load_site(folder.root)
    held = frozenset(pick.sample(names, pick.randrange(0, 4)))
    for depth, path in enumerate(("/", "/area", "/area/inner")):
        chain = pages[: depth + 1]
        groups: dict[tuple[str, int], set[str]] = {}
        for page, right, _, roles in rules:
            if page in chain:
                groups.setdefault((page, right), set()).update(roles)
        granted = any(roles & held for (_, right), roles in groups.items() if right == GRANT)
        denied = any(not roles & held for (_, right), roles in groups.items() if right == RESTRICT)
        expected = closed not in chain and (granted or not denied)
        assert readable(site, path, *held) is expected, (rules, held, path)
        assert page_rules.may_change(site, page_of(site, path), held) is (closed not in chain and granted)


@pytest.mark.parametrize(
    ("columns", "readers"),
    [
        ({}, {"", "Editors"}),
        ({"adx_publishingstateid": guid("published")}, {"", "Editors"}),
        ({"adx_publishingstateid": guid("draft")}, {"Editors"}),
        ({"adx_releasedate": "2999-01-01T00:00:00Z"}, {"Editors"}),
        ({"adx_releasedate": "2001-01-01T00:00:00.0000000Z"}, {"", "Editors"}),
        ({"adx_expirationdate": "2001-01-01"}, {"Editors"}),
    ],
)
def test_a_web_file_that_is_not_published_is_for_those_who_may_preview(
    folder: Folder, columns: dict[str, str], readers: set[str]
) -> None:
    folder.roles("Editors")
    states = [("published", True), ("draft", False)]
    folder.write("publishingstate.yml", [{"adx_publishingstateid": guid(n), "adx_isvisible": v} for n, v in states])
    access = {"adx_name": "Preview", "adx_previewunpublishedentities": True}
    folder.write("websiteaccess.yml", [{**access, "adx_websiteaccess_webrole": [guid("Editors")]}])
    row = {"adx_webfileid": guid("f"), "adx_partialurl": "terms.txt", "adx_parentpageid": guid("Home")}
    folder.write("web-files/terms.txt.webfile.yml", {**row, **columns})
    folder.write("web-files/terms.txt", "Terms")
    site = load_site(folder.root)
    file = site.file_at("/terms.txt")
    assert file is not None
    assert {role for role in ("", "Editors") if page_rules.may_read_file(site, file, [role])} == readers
