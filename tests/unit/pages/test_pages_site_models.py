"""Both data models, and older exports of them, are one site; what leads out of the folder or is unknown is refused."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import pytest

from forecourt.kernel.errors import DefinitionErrors
from forecourt.pages.site import Site, load_site
from forecourt.pages.site.definitions import (
    TemplateKind,
)
from forecourt.pages.site.step_definitions import (
    StepKind,
)
from forecourt.pages.site.tree import MAX_ROWS
from forecourt.security.rules import Scope
from support.sites import ENHANCED, PICTURE, STANDARD, guid, plain, write


def faults(root: Path) -> str:
    with pytest.raises(DefinitionErrors) as caught:
        load_site(root)
    return str(caught.value)


@pytest.fixture
def standard(tmp_path: Path) -> Path:
    return write(tmp_path / "site", STANDARD)


@pytest.fixture
def enhanced(tmp_path: Path) -> Path:
    write(tmp_path / "code" / ".powerpages-site", ENHANCED)
    return tmp_path / "code"


def test_a_site_is_the_same_in_both_data_models(standard: Path, enhanced: Path) -> None:
    one, other = plain(load_site(standard))[1], plain(load_site(enhanced))[1]
    for part in one:
        assert one[part] == other[part], part


@pytest.mark.parametrize("model", ["standard", "enhanced"])
def test_every_kind_of_row_is_read(model: str, request: pytest.FixtureRequest) -> None:
    site: Site = load_site(request.getfixturevalue(model))
    assert (site.name, site.language, str(site.id)) == ("Parts & Orders", "en-US", guid("website"))
    assert {item.code for item in site.languages.values()} == {"en-US", "de-DE"}
    assert set(site.by_path) == {"/", "/orders/", "/orders/details/", "/orders/details/lines/", "/page-not-found/"}
    home = site.home
    assert home is not None and site.content(home, ["de"]).title == "Teile und Aufträge"
    assert site.content(home, ["de"]).copy == "<h1>Willkommen</h1>"
    assert site.snippet("Logo", ["de-DE"]) == "<b>Teile</b>" and site.snippet("Logo") == "<b>Parts</b>"
    template = site.page_templates[home.template] if home.template else None
    assert template is not None and template.kind is TemplateKind.WEB_TEMPLATE
    layout = site.web_template("LAYOUT")
    assert layout is not None and template.web_template == layout.id and "include 'header'" in layout.source
    assert site.web_templates[site.header or UUID(int=0)].source.startswith("<header>")
    assert not site.pages[UUID(guid("lines"))].visible
    links = site.link_set("Default").links
    assert [(link.name, [item.name for item in link.links]) for link in links] == [("Orders", ["Help"])]
    assert [(item.inbound, item.status, item.marker) for item in site.redirects if item.marker] == [
        ("lost", 302, "Page Not Found")
    ]
    wizard = site.multistep_forms[UUID(guid("wizard"))]
    assert wizard.start is not None and wizard.steps[wizard.start].kind is StepKind.LOAD_FORM
    listing = site.lists[UUID(guid("order list"))]
    assert (listing.page_size, listing.download, str(listing.details)) == (25, "Take away", guid("details"))
    assert {item.name: item.scope for item in site.permissions} == {
        "Own orders": Scope.ACCOUNT, "Lines": Scope.PARENT, "Notes": Scope.PARENT,
    }  # fmt: skip
    assert site.setting("Search/Enabled") == "null" and site.web_api_columns == {"account": {"name", "accountnumber"}}
    assert site.pages[UUID(guid("orders"))].columns["cr5af_note"] == "keep me"
    file = site.file_at("/terms.pdf")
    assert file is not None and file.attachment and file.file.read_bytes() == PICTURE
    assert site.file_at("/orders/webrole.yml") is not None and len(site.web_roles.roles) == 3


def test_keys_with_mspp_and_in_another_case_are_the_same_columns(enhanced: Path) -> None:
    wanted = plain(load_site(enhanced))
    for path in (enhanced / ".powerpages-site").rglob("*.yml"):
        if path.name.endswith("manifest.yml") or path.name == "webrole.yml":
            continue
        lines = path.read_text("utf-8").splitlines()
        same = ("id:", "adx_", "-", " ", "cr5af", "statecode", "annotation", "filename", "isdoc", "mime", "object")
        prefixed = [line if not line or line.startswith(same) else f"MSPP_{line}" for line in lines]
        path.write_text("\n".join(prefixed), "utf-8")
    assert plain(load_site(enhanced)) == wanted


def test_older_exports_with_marks_crlf_other_cases_and_lists_of_rows_are_the_same_site(
    standard: Path, tmp_path: Path
) -> None:
    wanted = plain(load_site(standard))
    old = tmp_path / "old"
    rows = [path for path in standard.rglob("*.yml") if path.name != "webrole.yml" or path.parent.name == "site"]
    for path in sorted(standard.rglob("*")):
        if path.is_file():
            name = path.relative_to(standard)
            name = Path(*[part.upper() for part in name.parent.parts], name.name.replace("Home", "HOME"))
            name = name if not str(name).startswith(".") else path.relative_to(standard)
            target = old / name
            target.parent.mkdir(parents=True, exist_ok=True)
            data = path.read_bytes()
            target.write_bytes(b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n") if path in rows else data)
    # Permissions as one file of several documents, templates as one list.
    permissions = sorted((old / "TABLE-PERMISSIONS").iterdir())
    (old / "entitypermission.yml").write_text("\n---\n".join(p.read_text("utf-8-sig") for p in permissions), "utf-8")
    for path in permissions:
        path.unlink()
    assert plain(load_site(old)) == wanted


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("table-permissions/Lines.tablepermission.yml", "756150003", "756150042", "'adx_scope' is '756150042'"),
        ("webpagerule.yml", "adx_right: 2", "adx_right: 7", "'adx_right' is '7', which is not known"),
        ("webpagerule.yml", "- <buyers>", "- <nobody>", "names the web role <nobody>, which does not exist"),
        ("webpagerule.yml", "- <published>", "- <nothing>", "names the publishing state <nothing>"),
        ("websitelanguage.yml", "<published>", "<nothing>", "names the publishing state <nothing>"),
        ("website.yml", "<header>", "<nothing>", "names the web template <nothing>, which does not exist"),
        ("website.yml", "<english>", "<nothing>", "names the language <nothing>, which does not exist"),
        ("redirect.yml", "301", "418", "'adx_statuscode' is 418"),
        ("redirect.yml", "<marker missing>", "<nothing>", "names the site marker <nothing>"),
        ("web-pages/orders/Orders.webpage.yml", "<full page>", "<nothing>", "names the page template <nothing>"),
        ("web-pages/orders/Orders.webpage.yml", "<published>", "<nothing>", "names the publishing state <nothing>"),
        ("web-pages/orders/Orders.webpage.yml", "url: orders", "url: ../up", "leads out of its place"),
        ("page-templates/Full-Page.pagetemplate.yml", "<layout>", "<nothing>", "names the web template <nothing>"),
        ("page-templates/Full-Page.pagetemplate.yml", "756150001", "1", "'adx_type' is '1', which is not known"),
        (
            "weblink-sets/default/Default.en-US.weblinkset.weblink.yml", "<orders>", "<nothing>",
            "names the page <nothing>",
        ),
        (
            "advanced-forms/wizard/advanced-form-steps/header/Header.advancedformstep.yml",
            "<second step>", "<nothing>", "names the step <nothing>",
        ),
        (
            "column-permission-profiles/prices/Prices.columnpermissionprofile.columnpermission.yml", "746610002", "9",
            "'adx_permissions' holds '9', which is not known",
        ),
        ("content-snippets/logo/Logo.de-DE.contentsnippet.yml", "<german>", "<klingon>", "the language <klingon>"),
        ("web-files/webrole.yml.webfile.yml", "<orders>", "<nothing>", "names the page <nothing>"),
        ("web-files/webrole.yml.webfile.yml", "url: webrole.yml", "url: ..\\up", "leads out of its place"),
    ],
)  # fmt: skip
def test_an_unknown_value_or_a_row_that_does_not_exist_is_named_with_its_line(
    tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    text = STANDARD[file]
    assert isinstance(text, str) and old in text
    root = write(tmp_path / "site", {**STANDARD, file: text.replace(old, new, 1)})
    found = faults(root)
    for name in ("nobody", "nothing", "klingon"):
        message = message.replace(f"<{name}>", guid(name))
    assert message in found
    assert f"site/{file}:" in found


def test_faults_speak_of_the_keys_that_the_file_has(enhanced: Path) -> None:
    path = enhanced / ".powerpages-site/table-permissions/Lines.tablepermission.yml"
    path.write_text(path.read_text("utf-8").replace(f"scope: {756150003}", "scope: 5"), "utf-8")
    found = faults(enhanced)
    assert ".powerpages-site/table-permissions/Lines.tablepermission.yml:" in found and "'scope' is '5'" in found


def test_a_symbolic_link_is_refused_wherever_it_leads(standard: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.html").write_text("secret", "utf-8")
    side = standard / "web-pages/home/content-pages/Home.en-US.webpage.copy.html"
    side.unlink()
    side.symlink_to(tmp_path / "secret.html")
    (standard / "web-templates/more").symlink_to(tmp_path)
    found = faults(standard)
    assert "Home.en-US.webpage.copy.html:1: it is a symbolic link" in found
    assert "web-templates/more:1: it is a symbolic link" in found


def test_a_pipe_is_refused_and_not_waited_for(standard: Path) -> None:
    os.mkfifo(standard / "web-templates/layout/More.webtemplate.yml")
    assert "it is no plain file" in faults(standard)


def test_a_huge_file_is_refused_before_it_is_read(standard: Path) -> None:
    with (standard / "sitesetting.yml").open("ab") as file:
        file.truncate(MAX_ROWS + 1)
    assert f"sitesetting.yml:1: the file has {MAX_ROWS + 1} bytes; at most {MAX_ROWS} are read." in faults(standard)


def test_a_file_name_that_cannot_be_written_back_is_refused(standard: Path) -> None:
    (standard / "web-files" / "a\nb.css").write_text("x", "utf-8")
    assert "characters that no file may be written with" in faults(standard)


def test_one_key_in_two_spellings_may_not_have_two_values(standard: Path) -> None:
    with (standard / "website.yml").open("a", encoding="utf-8") as file:
        file.write("ADX_Name: Another\n")
    assert "disagree" in faults(standard)
