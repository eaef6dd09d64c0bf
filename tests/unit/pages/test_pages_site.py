"""The reader of a site's folder: what it takes, and what it says about faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pages_site_folder import Folder, guid

from forecourt.kernel.errors import DefinitionErrors
from forecourt.pages.site import FormMode, LinkImage, PageRight, WebLink, load_site
from forecourt.security.rules import ColumnRight, Right, Scope

CONTOSO = Path(__file__).resolve().parents[3] / "examples" / "contoso" / "site"


def faults(folder: Folder) -> str:
    with pytest.raises(DefinitionErrors) as caught:
        load_site(folder.root)
    return str(caught.value)


def test_a_site_with_a_home_page_alone_is_enough(folder: Folder) -> None:
    site = load_site(folder.root)
    assert (site.name, site.language) == ("Test site", "en-US")
    assert site.home is not None and site.home.path == "/"
    assert site.permissions == () and site.web_api_columns == {}


def test_paths_are_joined_along_the_tree_and_match_without_case_or_closing_slash(folder: Folder) -> None:
    folder.page("Orders", "orders")
    folder.page("Details", "details", "Orders")
    site = load_site(folder.root)
    page = site.page_at("/ORDERS/Details")
    assert page is not None and page.path == "/orders/details/"
    assert [item.name for item in site.chain(page)] == ["Details", "Orders", "Home"]
    assert site.page_at("/orders/other") is None


def test_content_pages_give_a_page_its_texts_by_language(folder: Folder) -> None:
    folder.page("Orders", "orders", adx_title="Orders")
    for code, title in (("en-US", "Your orders"), ("de-DE", "Ihre Bestellungen")):
        data = {"adx_webpageid": guid(title), "adx_name": "Orders", "adx_isroot": False, "adx_title": title,
                "adx_rootwebpageid": guid("Orders")}  # fmt: skip
        folder.write(f"web-pages/orders/content-pages/Orders.{code}.webpage.yml", data)
        folder.write(f"web-pages/orders/content-pages/Orders.{code}.webpage.copy.html", f"<p>{code}</p>", "\ufeff")
    site = load_site(folder.root)
    page = site.page_at("/orders/")
    assert page is not None
    assert site.content(page, ["de"]).title == "Ihre Bestellungen"
    assert site.content(page, ["de"]).copy == "<p>de-DE</p>"
    assert site.content(page, ["fr-FR"]).title == "Your orders"


@pytest.mark.parametrize(
    ("english", "german", "visible", "titles"),
    [
        ("published", "draft", True, {"en-US": "en-US"}),
        ("draft", "published", True, {"en-US": "Orders", "de-DE": "de-DE"}),
        ("draft", "draft", False, {"en-US": "en-US", "de-DE": "de-DE"}),
        ("", "", True, {"en-US": "en-US", "de-DE": "de-DE"}),
    ],
)
def test_a_content_page_that_is_a_draft_says_nothing(
    folder: Folder, english: str, german: str, visible: bool, titles: dict[str, str]
) -> None:
    states = [("published", True), ("draft", False)]
    folder.write("publishingstate.yml", [{"adx_publishingstateid": guid(n), "adx_isvisible": v} for n, v in states])
    folder.page("Orders", "orders")
    for code, state in (("en-US", english), ("de-DE", german)):
        data = {"adx_webpageid": guid(code), "adx_name": "Orders", "adx_isroot": False, "adx_title": code,
                "adx_rootwebpageid": guid("Orders")}  # fmt: skip
        state_of = {"adx_publishingstateid": guid(state)} if state else {}
        folder.write(f"web-pages/orders/content-pages/Orders.{code}.webpage.yml", {**data, **state_of})
    page = load_site(folder.root).page_at("/orders/")
    assert page is not None and page.visible is visible
    assert {code: content.title for code, content in page.contents.items()} == titles


def test_links_that_are_not_published_are_not_the_sites(folder: Folder) -> None:
    states = [{"adx_publishingstateid": guid("draft"), "adx_isvisible": False}]
    folder.write("publishingstate.yml", states)
    folder.write("weblink-sets/d/D.weblinkset.yml", {"adx_weblinksetid": guid("set"), "adx_name": "D"})
    link = {"adx_weblinksetid": guid("set"), "adx_name": "Open"}
    hidden = {**link, "adx_name": "Hidden", "adx_publishingstateid": guid("draft")}
    rows = [{**link, "adx_weblinkid": guid("open")}, {**hidden, "adx_weblinkid": guid("hidden")}]
    folder.write("weblink-sets/d/D.weblinkset.weblink.yml", rows)
    assert [item.name for item in load_site(folder.root).link_set("D").links] == ["Open"]


def test_a_byte_order_mark_and_unknown_keys_do_no_harm(folder: Folder) -> None:
    row = [{"adx_webroleid": guid("R"), "adx_name": "No", "adx_new_column": {"deep": [1]}}]
    folder.write("webrole.yml", row, "\ufeff")
    site = load_site(folder.root)
    assert site.web_roles.name_of(UUID(guid("R"))) == "No"


def test_values_stay_as_they_are_written(folder: Folder) -> None:
    folder.write("sitesetting.yml", "- adx_name: A\n  adx_value: 24:00:00\n- adx_name: B\n  adx_value: no\n")
    site = load_site(folder.root)
    assert (site.setting("a"), site.setting("B")) == ("24:00:00", "no")


def test_every_role_with_the_flag_counts_for_everybody(folder: Folder) -> None:
    folder.roles("Authenticated A", "Authenticated B", "Anonymous A", "Vendors")
    roles = load_site(folder.root).web_roles
    assert roles.authenticated == {"Authenticated A", "Authenticated B"}
    assert roles.anonymous == {"Anonymous A"}


def test_an_inactive_role_grants_nothing(folder: Folder) -> None:
    folder.write(
        "webrole.yml",
        [{"adx_webroleid": guid("X"), "adx_name": "X", "adx_anonymoususersrole": True, "statecode": 1}],
    )
    folder.permission("Open", adx_entitypermission_webrole=[guid("X")])
    site = load_site(folder.root)
    assert site.web_roles.anonymous == frozenset()
    assert site.permissions[0].web_roles == frozenset()
    assert "grants nothing" in site.notices[0]


def test_permissions_carry_roles_by_name_and_all_rights(folder: Folder) -> None:
    folder.roles("Vendors")
    folder.permission(
        "Own", adx_scope=756150002, adx_accountrelationship="order_account", adx_write=True, adx_append=True,
        adx_appendto=True, adx_create=False, adx_delete=True, adx_entitypermission_webrole=[guid("Vendors")],
    )  # fmt: skip
    folder.permission(
        "Lines", adx_scope=756150003, adx_parentrelationship="header", adx_parententitypermission=guid("Own")
    )
    by_name = {item.name: item for item in load_site(folder.root).permissions}
    own, lines = by_name["Own"], by_name["Lines"]
    assert own.scope is Scope.ACCOUNT and own.relationship == "order_account"
    assert own.rights == {Right.READ, Right.WRITE, Right.DELETE, Right.APPEND, Right.APPEND_TO}
    assert own.web_roles == {"Vendors"}
    assert lines.parent == own.id and lines.relationship == "header"
    assert str(own.where).startswith("site/table-permissions/Own.tablepermission.yml:")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"adx_scope": 756150009}, "Known values are: 756150000 (Global), 756150001 (Contact)"),
        ({"adx_scope": None}, "'adx_scope' is missing."),
        ({"adx_scope": 756150001}, "has access type Contact but no relationship. Write adx_contactrelationship:"),
        ({"adx_scope": 756150003, "adx_parentrelationship": "x"}, "has access type Parent but no parent."),
        ({"adx_scope": 756150004}, "has access type Self on 'account'."),
        ({"adx_read": "perhaps"}, "'adx_read' is 'perhaps', which is neither true nor false."),
        ({"adx_entitypermission_webrole": "all"}, "'adx_entitypermission_webrole' must be a list of GUIDs."),
    ],
)
def test_a_permission_that_cannot_be_meant_is_refused_at_its_line(
    folder: Folder, columns: dict[str, Any], message: str
) -> None:
    folder.permission("P", **columns)
    text = faults(folder)
    assert message in text
    assert "site/table-permissions/P.tablepermission.yml:" in text


def test_a_parent_permission_that_does_not_exist_is_refused_and_an_inactive_one_is_not(folder: Folder) -> None:
    chain = {"adx_scope": 756150003, "adx_parentrelationship": "header"}
    folder.permission("Off", statecode=1)
    folder.permission("Beneath", **chain, adx_parententitypermission=guid("Off"))
    assert [item.name for item in load_site(folder.root).permissions] == ["Beneath"]
    folder.permission("Lost", **chain, adx_parententitypermission=guid("nowhere"))
    assert "there is no permission with the id" in faults(folder)


def test_web_api_columns_need_both_settings_and_a_list(folder: Folder) -> None:
    folder.settings(
        {
            "Webapi/account/enabled": "true",
            "Webapi/account/fields": "name, accountnumber,",
            "Webapi/contact/enabled": "true",
            "Webapi/lead/enabled": "false",
            "Webapi/lead/fields": "subject",
        }
    )
    assert load_site(folder.root).web_api_columns == {"account": {"name", "accountnumber"}}


def test_a_star_among_the_web_api_columns_is_refused(folder: Folder) -> None:
    folder.settings({"Webapi/account/enabled": "true", "Webapi/account/fields": "*"})
    text = faults(folder)
    assert "site/sitesetting.yml:4: the setting Webapi/account/fields is '*'" in text
    assert "List the columns" in text


def test_all_faults_are_told_at_once(folder: Folder) -> None:
    folder.page("Lost", "lost", "Nowhere")
    folder.page("Form", "form", adx_entityform=guid("no form"))
    folder.rules(("Home", 3, 1, []))
    folder.permission("P", adx_scope=1)
    text = faults(folder)
    for part in ("lies under the page", "names the form", "'adx_right' is '3'", "'adx_scope' is '1'"):
        assert part in text


def test_two_pages_with_one_address_and_a_circle_of_pages_are_refused(folder: Folder) -> None:
    folder.page("A", "same")
    folder.page("B", "SAME")
    assert "have the same address" in faults(folder)
    folder.page("B", "b", "C")
    folder.page("C", "c", "B")
    assert "is its own ancestor" in faults(folder)


def test_broken_yaml_is_told_with_its_line(folder: Folder) -> None:
    folder.write("sitesetting.yml", "- adx_name: A\n  adx_value: 'open\n")
    assert "site/sitesetting.yml:" in faults(folder)


def test_a_folder_without_a_website_says_what_to_put_there(tmp_path: Path) -> None:
    with pytest.raises(DefinitionErrors, match=r"website\.yml:1: the file does not exist, or is empty\. Put website"):
        load_site(tmp_path)


def test_secrets_among_the_settings_are_told_of_and_not_for_templates(folder: Folder) -> None:
    values = {
        "Authentication/OpenAuth/x/ClientSecret": "s",
        "Authentication/OpenIdConnect/y/ClientSecret": "${Y_SECRET}",
        "Authentication/OpenIdConnect/y/Deprecated": "true",
        "Theme/Accent": "#123456",
        "Storage": "",
        "Odd": "https://user:pass@files.example/",
        "Authentication/Registration/ResetPasswordEnabled": "true",
    }
    folder.settings(values)
    site = load_site(folder.root)
    assert list(site.open_settings) == ["Authentication/OpenIdConnect/y/Deprecated", "Theme/Accent"]
    assert [notice.partition(": ")[2] for notice in site.notices] == [
        "the setting Authentication/OpenAuth/x/ClientSecret holds a secret; take it out of the files.",
        "the setting Odd holds a secret; take it out of the files.",
        "Authentication/OpenAuth/x/ClientSecret: providers other than OpenIdConnect are not supported; "
        "nobody signs in through it.",
    ]


def test_of_a_setting_that_is_given_twice_the_later_row_counts_and_it_is_told(folder: Folder) -> None:
    folder.write("sitesetting.yml", "- adx_name: A/B\n  adx_value: 1\n- adx_name: a/b\n  adx_value: 2\n")
    site = load_site(folder.root)
    assert site.setting("A/B") == "2" and list(site.settings) == ["a/b"]
    assert site.notices == ("site/sitesetting.yml:3: the setting a/b is given twice; this row counts.",)


def test_a_file_lies_under_its_page(folder: Folder) -> None:
    folder.page("Docs", "docs")
    row = {"adx_webfileid": guid("f"), "adx_name": "T", "adx_partialurl": "terms.txt", "mimetype": "text/plain"}
    folder.write("web-files/terms.txt.webfile.yml", {**row, "adx_parentpageid": guid("Docs")})
    folder.write("web-files/terms.txt", "Terms")
    file = load_site(folder.root).file_at("/Docs/Terms.txt")
    assert file is not None and file.media_type == "text/plain" and not file.attachment


def test_the_sample_site_is_read_whole() -> None:
    site = load_site(CONTOSO)
    assert site.notices == ()
    page = site.page_at("/purchase-orders/confirm")
    form = site.form_of(page) if page else None
    assert form is not None and form.mode is FormMode.EDIT
    assert form.submit_label == "Confirm delivery" and form.success.startswith("Thank you")
    orders = site.page_at("/purchase-orders")
    listing = site.list_of(orders) if orders else None
    assert listing is not None and len(listing.views) == 3 and listing.details is not None
    assert {rule.right for rule in site.rules} == {PageRight.RESTRICT_READ}
    assert [link.name for link in site.link_set("Default").links][:2] == ["Home", "Purchase orders"]


def test_column_permissions_are_read_with_their_lines_and_roles(folder: Folder) -> None:
    folder.roles("Vendors")
    base = "column-permission-profiles/orders/Orders.columnpermissionprofile"
    head = {
        "adx_columnpermissionprofileid": guid("profile"),
        "adx_profilename": "Orders",
        "adx_tablename": "order",
        "adx_allcolumnpermissions": "746610001",
        "adx_columnpermissionprofile_webrole": [guid("Vendors")],
    }
    line = {"adx_columnpermissionprofileid": guid("profile"), "adx_columnname": "amount"}
    folder.write(f"{base}.yml", head)
    folder.write(f"{base}.columnpermission.yml", [{**line, "adx_permissions": [746610000, 746610002]}])
    site = load_site(folder.root)
    (profile,) = site.column_profiles
    assert (profile.name, profile.table, profile.web_roles) == ("Orders", "order", {"Vendors"})
    assert profile.others == {ColumnRight.READ}
    assert profile.columns == {"amount": {ColumnRight.CREATE, ColumnRight.UPDATE}}
    folder.write(f"{base}.yml", {**head, "adx_columnpermissionprofile_webrole": [guid("nobody")]})
    assert f"'Orders' names the web role {guid('nobody')}, which does not exist." in faults(folder)
    folder.write(f"{base}.yml", {**head, "statecode": 1})
    assert load_site(folder.root).column_profiles == ()
    folder.write(f"{base}.yml", head)
    folder.write(f"{base}.columnpermission.yml", [{**line, "adx_permissions": [7]}])
    assert "'adx_permissions' holds '7', which is not known." in faults(folder)


def test_a_web_role_of_another_website_is_none_of_this_one(folder: Folder) -> None:
    rows = [
        {"adx_webroleid": guid(name), "adx_name": name, "adx_websiteid": guid(site), "adx_authenticatedusersrole": True}
        for name, site in (("Own", "website"), ("Foreign", "elsewhere"))
    ]
    folder.write("webrole.yml", rows)
    assert load_site(folder.root).web_roles.authenticated == {"Own"}


def test_the_switch_that_turns_table_permissions_off_is_told_to_have_no_effect(folder: Folder) -> None:
    row = {"adx_entitylistid": guid("l"), "adx_name": "L", "adx_entityname": "account", "adx_view": "Accounts"}
    folder.write("lists/L.list.yml", {**row, "adx_entitypermissionsenabled": False})
    (notice,) = load_site(folder.root).notices
    assert "L.list.yml:" in notice and "table permissions hold for the list 'L' all the same" in notice


def test_custom_access_needs_a_query(folder: Folder) -> None:
    folder.permission("P", adx_scope=756150005)
    assert "has access type Custom but no filter" in faults(folder)
    folder.permission("P", adx_scope=756150009)
    assert "'adx_scope' is '756150009', which is not known." in faults(folder)


def test_link_sets_and_links_keep_what_templates_show_of_them(folder: Folder) -> None:
    texts = {"adx_name": "D", "adx_title": "Directory", "adx_copy": "<b>Where</b>"}
    folder.write("weblink-sets/d/D.weblinkset.yml", {"adx_weblinksetid": guid("set"), **texts})
    picture = {"adx_imageurl": "/house.png", "adx_imagealttext": "A house", "adx_displayimageonly": True}
    more = {"adx_description": "The start", "adx_displaypagechildlinks": True, "adx_robotsfollowlink": False}
    link = {"adx_weblinksetid": guid("set"), "adx_weblinkid": guid("home"), "adx_name": "Home", **picture, **more}
    folder.write("weblink-sets/d/D.weblinkset.weblink.yml", [link])
    found = load_site(folder.root).link_set("D")
    image = LinkImage("/house.png", "A house", only=True)
    assert (found.id, found.title, found.copy) == (UUID(guid("set")), "Directory", "<b>Where</b>")
    assert found.links == (WebLink("Home", description="The start", image=image, child_pages=True, follow=False),)
