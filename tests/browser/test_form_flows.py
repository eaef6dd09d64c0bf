"""Forms in Chromium, wide and narrow, by keyboard: made, changed by two people, gone through in steps, interrupted;
files, and a network that is slow and breaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Error, FilePayload, Page, expect
from portal_pages import end_session, overflow, rows_of, sign_in, violations

from forecourt.security.rules import Scope
from forecourt.settings import Settings
from forecourt.store.embedded import EmbeddedServer
from support.gridded import PART, form, subgrid
from support.server import Installation, serving
from support.small_portal import Permission, id_of, small_portal
from support.stepped import HEAD, SITE

pytestmark = pytest.mark.browser

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
NOTES = "cts_thing_Annotations"
THING = id_of("form", "thing")
NOTED = {
    "adx_entityformmetadataid": id_of("metadata", "notes"),
    "adx_entityform": THING,
    "adx_type": 100000005,
    "adx_notes_settings": '{"CreateEnabled": true, "EditEnabled": true, "DeleteEnabled": true}',
}

#: The forms of several steps, one that takes files, and a page whose subgrid and notes are written to.
WHOLE = replace(
    SITE,
    permissions=(
        *SITE.permissions,
        Permission("own notes", "annotation", Scope.PARENT, "rwcda", link=NOTES, parent="own things"),
    ),
    new_form={
        **SITE.new_form,
        "adx_attachfile": True,
        "adx_attachfilelabel": "Drawing",
        "adx_attachfileaccept": "image/png",
        "adx_attachfilerestrictaccept": True,
        "adx_attachfiletypeerrormessage": "A drawing is a PNG.",
    },
    more={
        **SITE.more,
        "basic-forms/changed/Changed.basicform.yml": form("changed part", 100000001),
        "basic-forms/seen/Seen.basicform.yml": form("seen part", 100000002),
        "basic-forms/thing/Thing.basicformmetadata.yml": [
            {
                "adx_entityformmetadataid": id_of("metadata", "parts"),
                **subgrid("cts_thing_parts", adx_entityform=THING),
            },
            NOTED,
        ],
    },
)


@dataclass
class Served:
    """``database``: the address of the Dataverse plane. ``passwords``: by name."""

    url: str
    database: str
    passwords: dict[str, str]

    async def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return await rows_of(self.database, statement, *values)


@pytest.fixture(scope="module")
def served(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served("", "", {})
    folder: Path = tmp_path_factory.mktemp("flows")

    @asynccontextmanager
    async def start(settings: Settings) -> AsyncIterator[Installation]:
        async with small_portal(
            postgres, folder, WHOLE, settings, more={"cts_thing": HEAD, "cts_part": PART}
        ) as portal:
            for name in ("ann", "bob"):
                found.passwords[name] = (await portal.person(name, "Members", "Managers")).password
            found.database = portal.site.dataverse_url
            yield portal.site

    with serving(start) as url:
        found.url = url
        yield found


@pytest.fixture(params=[360, 1440])
async def pages(chromium: Browser, served: Served, request: pytest.FixtureRequest) -> AsyncIterator[tuple[Page, Page]]:
    """Ann's and Bob's."""
    view = {"width": request.param, "height": 900}
    contexts = [await chromium.new_context(base_url=served.url, viewport=view, locale="en-US") for _ in range(2)]
    opened = [await context.new_page() for context in contexts]
    for page, (name, password) in zip(opened, served.passwords.items(), strict=True):
        await sign_in(page, name, password, "/")
    yield opened[0], opened[1]
    for context in contexts:
        await context.close()


async def sound(page: Page) -> None:
    assert await overflow(page) <= 0
    assert await violations(page) == []


async def send(page: Page) -> None:
    """Sends the form by the keyboard: Enter in a field, or on the button where nothing has the focus."""
    button = page.locator(".fc-form-actions .btn-primary")
    await button.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_load_state()


async def title(page: Page, text: str) -> None:
    await expect(page.locator("h1")).to_have_text(text)


async def test_a_form_of_several_steps_is_gone_through_back_and_on_and_interrupted(
    pages: tuple[Page, Page], served: Served
) -> None:
    page, _ = pages
    await page.goto("/apply/")
    await title(page, "Header")
    await expect(page.locator(".fc-way")).to_have_text("Step 1 of 4")
    await send(page)  # nothing is filled in
    await expect(page.locator('a[href="#f-cts_name"]')).to_be_visible()
    await sound(page)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")  # from the mistake to its field
    await page.keyboard.type("Order")
    await page.fill("#f-cts_whole", "500")
    await page.locator("#f-cts_name").press("Enter")
    await title(page, "Why so many")
    await sound(page)
    await page.fill("#f-cts_memo", "because of the fair")
    await page.get_by_role("button", name="Previous").click()  # what was typed stays
    await title(page, "Header")
    await expect(page.locator("#f-cts_name")).to_have_value("Order")
    await send(page)
    await expect(page.locator("#f-cts_memo")).to_have_value("because of the fair")
    await send(page)
    await title(page, "Line")
    await page.go_back()  # the browser's own way back
    await title(page, "Why so many")
    await expect(page.locator("#f-cts_memo")).to_have_value("because of the fair")
    await page.go_forward()
    await title(page, "Line")
    await page.fill("#f-cts_name", "Line one")
    await end_session(page)
    await send(page)
    await expect(page.get_by_role("heading", name="Please sign in again")).to_be_visible()
    await page.fill("#username", "ann")
    await page.fill("#password", served.passwords["ann"])
    await page.locator("#password").press("Enter")
    await expect(page.locator("#f-cts_name")).to_have_value("Line one")
    await expect(page.locator("main")).to_contain_text("nothing is saved yet")
    await send(page)
    await title(page, "Review")
    await expect(page.locator("main")).to_contain_text("because of the fair")
    await expect(page.locator("main")).to_contain_text("Line one")
    await sound(page)
    await send(page)
    await expect(page.locator("main")).to_contain_text("Your application is with us.")
    await sound(page)


async def test_a_row_is_made_and_two_people_change_it(pages: tuple[Page, Page]) -> None:
    ann, bob = pages
    await ann.goto("/new/")
    await expect(ann.locator("#f-cts_name")).to_have_value("ann")  # filled in from the person
    await ann.fill("#f-cts_name", "Bolt")
    await ann.fill("#f-cts_code", "low")
    await send(ann)
    await expect(ann.locator("#f-cts_code-error")).to_contain_text("Write capitals.")
    await sound(ann)
    await ann.fill("#f-cts_code", f"W{'X' * (await ann.evaluate('innerWidth') // 200)}")  # no two things have one code
    await send(ann)
    await ann.wait_for_url("**/thing/?id=*")
    url = ann.url
    await bob.goto(url)
    await bob.fill("#f-cts_name", "Bolt of Bob")
    await send(bob)
    await ann.fill("#f-cts_name", "Bolt of Ann")
    await ann.fill("#f-cts_memo", "Ann's words")
    await send(ann)
    await expect(ann.get_by_role("heading", name="Somebody else has changed this")).to_be_visible()
    await expect(ann.locator(".fc-decide")).to_contain_text("Bolt of Bob")
    await expect(ann.locator("#f-cts_memo")).to_have_value("Ann's words")
    await sound(ann)
    await ann.get_by_label("Theirs: Bolt of Bob").check()
    await send(ann)
    await ann.wait_for_url("**/thing/?id=*")
    await expect(ann.locator("#f-cts_name")).to_have_value("Bolt of Bob")
    await expect(ann.locator("#f-cts_memo")).to_have_value("Ann's words")


async def slowly(page: Page) -> None:
    """A telephone at the edge of its network: 400 ms until anything comes, 50 KB a second."""
    session = await page.context.new_cdp_session(page)
    rates = {"downloadThroughput": 50 * 1024, "uploadThroughput": 50 * 1024}
    await session.send("Network.enable")
    await session.send("Network.emulateNetworkConditions", {"offline": False, "latency": 400, **rates})


async def test_a_file_goes_with_its_form_and_a_wrong_one_loses_nothing(
    pages: tuple[Page, Page], served: Served
) -> None:
    page, _ = pages
    name = f"Drawn at {await page.evaluate('innerWidth')}"
    await page.goto("/new/")
    await page.fill("#f-cts_name", name)
    await page.fill("#f-cts_code", f"D{'X' * (await page.evaluate('innerWidth') // 200)}")
    await page.set_input_files("input[type=file]", {"name": "plan.png", "mimeType": "image/png", "buffer": b"<svg/>"})
    await send(page)
    await expect(page.locator(".fc-form")).to_contain_text("A drawing is a PNG.")
    await expect(page.locator("#f-cts_name")).to_have_value(name)
    await sound(page)
    await page.set_input_files("input[type=file]", {"name": "plan.png", "mimeType": "image/png", "buffer": PNG})
    await send(page)
    await page.wait_for_url("**/thing/?id=*")
    rows = "select filename, mimetype, filesize, encode(sha256(decode(documentbody, 'base64')), 'hex') "
    rows += "from dataverse.annotation a join dataverse.cts_thing t on a.objectid = t.cts_thingid where t.cts_name = $1"
    assert await served.sql(rows, name) == [("plan.png", "image/png", len(PNG), sha256(PNG).hexdigest())]


async def test_on_a_slow_network_a_form_sent_twice_makes_one_row_and_what_is_typed_stays(
    pages: tuple[Page, Page], served: Served
) -> None:
    page, _ = pages
    width = await page.evaluate("innerWidth")
    name, code = f"Slow at {width}", f"S{'X' * (width // 200)}"
    await slowly(page)
    await page.goto("/new/")
    await page.fill("#f-cts_name", name)
    await page.fill("#f-cts_code", code)
    # Past the page's own guard: the same form leaves the browser again while the first is on its way.
    await page.evaluate("() => { const form = document.querySelector('.fc-form'); form.submit(); form.submit(); }")
    await page.wait_for_url("**/thing/?id=*")
    assert await served.sql("select count(*) from dataverse.cts_thing where cts_name = $1", name) == [(1,)]

    # The network goes while a change is sent; when it is back, the browser still has what was typed.
    await page.fill("#f-cts_memo", "typed in a tunnel")
    await page.route("**/thing/**", lambda route: route.abort("internetdisconnected"))
    with pytest.raises(Error, match="INTERNET_DISCONNECTED"):
        async with page.expect_navigation():
            await page.locator(".fc-form-actions .btn-primary").click()
    await page.unroute("**/thing/**")
    await page.reload()  # the browser asks, and sends what was typed once more
    await expect(page.locator("main")).to_contain_text(name)
    await expect(page.locator("#f-cts_memo")).to_have_value("typed in a tunnel")
    assert await served.sql("select cts_memo from dataverse.cts_thing where cts_name = $1", name) == [
        ("typed in a tunnel",)
    ]
    await page.goto("/things/")
    await expect(page.locator("main")).to_contain_text(name)
    await sound(page)


async def press(page: Page, name: str) -> None:
    """Follows a link by the keyboard."""
    await page.get_by_role("link", name=name, exact=True).focus()
    await page.keyboard.press("Enter")


async def test_rows_and_notes_beneath_a_row_are_added_changed_and_deleted_by_keyboard(
    pages: tuple[Page, Page],
) -> None:
    page, _ = pages
    await page.goto("/members/")
    await page.fill("#f-cts_name", "Grid")
    await send(page)
    await expect(page.locator("main")).to_contain_text("It is sent.")
    await page.goto("/things/?search=Grid")
    await page.locator(".fc-row-link").first.click()
    await title(page, "Thing")
    await sound(page)
    await press(page, "Add a part Parts")
    await title(page, "New Part")
    await sound(page)
    await page.fill("#f-cts_name", "second")
    await page.locator("#f-cts_name").press("Enter")
    await expect(page.locator("main")).to_contain_text("It is added.")
    await press(page, "Edit second")
    await title(page, "Part second")
    await page.fill("#f-cts_name", "changed")
    await send(page)
    await expect(page.locator("main")).to_contain_text("The change is saved.")
    await press(page, "Delete changed")
    await expect(page.locator("main")).to_contain_text("Really?")
    await send(page)
    await expect(page.locator("main")).to_contain_text("No parts yet.")
    await press(page, "Add existing Parts")
    await title(page, "Add existing")
    await sound(page)
    await page.get_by_role("link", name="Cancel").click()
    await title(page, "Thing")
    await press(page, "Add a note")
    await title(page, "New note")
    await send(page)  # nothing is written yet
    await expect(page.locator('a[href="#f-notetext"]')).to_be_visible()
    await sound(page)
    await page.fill("#f-notetext", "See the drawing")
    drawing = FilePayload(name="drawing.txt", mimeType="text/plain", buffer=b"a line")
    await page.locator('input[type="file"]').set_input_files(drawing)
    await send(page)
    await expect(page.locator(".fc-notes")).to_contain_text("See the drawing")
    await expect(page.get_by_role("link", name="drawing.txt", exact=True)).to_be_visible()
    await sound(page)
    await press(page, "Edit See the drawing")
    await title(page, "Change the note")
    await page.fill("#f-notetext", "Look at the drawing")
    await send(page)
    await press(page, "Delete Look at the drawing")
    await title(page, "Delete the note")
    await send(page)
    await expect(page.locator("main")).to_contain_text("It is deleted.")
    await expect(page.locator("main")).not_to_contain_text("Look at the drawing")
