"""Every word of the portal's pages is a message, and every message is German and French too."""

from __future__ import annotations

import re
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po
from pages_browser import Browser

from forecourt.kernel.principal import Contact, Principal
from forecourt.pages.formatting import locales_for
from forecourt.pages.languages import Asked, chosen, of_person
from forecourt.web.translation import CATALOGUES, LANGUAGES, gettext, language_of, ngettext
from support.portal import ORDERS, Preview, contoso
from support.words import bare

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "src" / "forecourt"
TEMPLATES = sorted([*(SOURCE / "pages").rglob("*.html"), *(SOURCE / "web").rglob("*.html")])
OTHERS = LANGUAGES[1:]

_VALUES = re.compile(r"%\((\w+)\)s|(</?\w+>)")


def catalogue(language: str) -> Catalog:
    with (CATALOGUES / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


@pytest.fixture(scope="module")
def messages() -> Catalog:
    found: Catalog = runpy.run_path(str(ROOT / "scripts" / "messages.py"))["messages"]()
    return found


def forms(value: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_template_says_a_word_that_is_no_message(path: Path) -> None:
    assert bare(path.read_text()) == []


def test_bare_words_are_found_wherever_they_are_seen() -> None:
    source = '<p title="{{ title }}" class="a b">{{ "Open" if x else _("Shut") }}</p><input placeholder="Name">Hello'
    assert bare(source) == ["\x01Open\x01", "placeholder=Name", "Hello"]
    assert bare('<b class="{{ "on" if x else "off" }}">{{ ui.icon("next") }}{{ _("A b") }}{# No #}</b>') == []
    assert bare("{% trans n=1 %}One{% pluralize %}Many{% endtrans %}{{ ui.notice('Sent already') }}") != []


@pytest.mark.parametrize("language", OTHERS)
def test_every_message_is_translated_with_its_values(messages: Catalog, language: str) -> None:
    """`make messages` brings new messages into the catalogues; they are translated there, by hand."""
    known = catalogue(language)
    wanted = {item.id for item in messages if item.id}
    assert {item.id for item in known if item.id} == wanted
    for item in known:
        if item.id:
            assert not item.fuzzy, item.id
            assert _wrong(item) == [], item.id


def _wrong(item: Message) -> list[str]:
    english, own = forms(item.id), forms(item.string)
    values = sorted(_VALUES.findall(english[-1]))
    found = [text for text in own if not text.strip() or sorted(_VALUES.findall(text)) != values]
    one, many = english[0], english[-1]
    if one != many and "%(num)s" in many and "%(num)s" not in one:
        found = [text for text in own[1:] if sorted(_VALUES.findall(text)) != values]
    return found if len(own) == len(english) else ["forms"]


def test_a_message_has_its_values_and_its_plural_in_each_language() -> None:
    assert gettext("de", "Page %(number)s of %(pages)s", number=2, pages=3) == "Seite 2 von 3"
    thing, things = "One thing needs your attention", "%(num)s things need your attention"
    assert ngettext("en", thing, things, 2) == "2 things need your attention"
    assert ngettext("de", thing, things, 1) == "Etwas braucht Ihre Aufmerksamkeit"
    # In French nothing is one.
    assert ngettext("fr", "entry", "entries", 0) == "élément"
    assert gettext("de", "Not in any catalogue") == "Not in any catalogue"
    assert [language_of(code) for code in ("de-CH", "FR", "ja-JP", "")] == ["de", "fr", "en", "en"]
    assert locales_for(("fr-CA",)).gettext("Sign in") == "Se connecter"


# -- the language of a request ---------------------------------------------------------------------------------------


async def said(browser: Browser, path: str = "/", accept: str = "", **cookies: str) -> str:
    for name, value in cookies.items():
        browser.cookies.set(name, value)
    return (await browser.get(path, headers={"accept-language": accept} if accept else {})).text


def test_the_first_wish_that_the_site_has_is_met() -> None:
    site = contoso().site
    assert site is not None and site.codes == ("en-US", "de-DE", "fr-FR")
    every = Asked("fr-FR", "de-DE", "en-US", ("de-DE",), ("fr",), "de")
    wishes: list[tuple[Asked, str]] = [
        (every, "fr-FR"),
        (replace(every, path=""), "de-DE"),
        (replace(every, path="", query="xx"), "en-US"),
        (replace(every, path="", query="", cookie="it-IT"), "de-DE"),
        (Asked(accepted=("ja", "fr-CA"), mapped="de"), "fr-FR"),
        (Asked(accepted=("ja",), mapped="de"), "de-DE"),
        (Asked(accepted=("ja",)), "en-US"),
    ]
    assert [chosen(site, asked) for asked, _ in wishes] == [language for _, language in wishes]


def test_a_contacts_preferred_language_comes_before_the_browsers() -> None:
    site = contoso().site
    assert site is not None
    german = next(item for item in site.languages.values() if item.code == "de-DE")
    contact = Contact(german.id, "Anna", "a@example.com")
    by_lookup = replace(contact, columns=(("adx_preferredlanguageid", german.portal),))
    assert of_person(site, Principal(contact=by_lookup)) == ("de-DE",)
    assert of_person(site, Principal(contact=replace(contact, columns=(("adx_preferredlcid", 1036),)))) == ("fr-FR",)
    assert of_person(site, Principal(contact=contact)) == of_person(site, Principal()) == ()


async def test_a_page_speaks_the_browsers_language_where_the_site_has_it(browser: Browser) -> None:
    german = await said(browser, "/", "de-AT,de;q=0.9,en;q=0.5")
    assert '<html lang="de-AT"' in german and "Zum Inhalt springen" in german and "<h1>Willkommen</h1>" in german
    assert '<html lang="en-US"' in await said(browser, "/", "ja,es;q=0.5")
    french = await said(browser, "/SignIn", "fr")
    assert "Mot de passe" in french and "Password" not in french.replace('name="password"', "")


async def test_an_address_with_a_language_code_leads_to_the_page_and_keeps_the_choice(browser: Browser) -> None:
    answer = await browser.get("/de-de/SignIn?returnUrl=/x", headers={"accept-language": "fr"})
    assert (answer.status_code, answer.headers["location"]) == (302, "/SignIn?returnUrl=/x")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("ContextLanguageCode=de-DE;") and "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert "Benutzername" in await said(browser, "/SignIn", "fr")
    assert "Nom d’utilisateur" in await said(browser, "/SignIn?lang=fr-FR", "de")
    assert "Nom d’utilisateur" in await said(browser, "/SignIn", "de")


@pytest.mark.parametrize(
    "path",
    [
        "/de-DE//evil.example/",
        "/de-DE/\\evil.example",
        "/de-DE/%2F%2Fevil.example",
        "/de-DE/%09/evil.example",
        "/de-DE/%0D%0A/evil.example",
        "/de-DE/%5C%09/evil.example",
    ],
)
async def test_a_language_code_leads_to_no_other_site(browser: Browser, path: str) -> None:
    location = (await browser.get(path)).headers["location"]
    assert location.startswith("/") and not location.startswith(("//", "/\\"))


async def test_what_is_no_language_of_the_site_is_no_language(browser: Browser) -> None:
    assert (await browser.get("/es-ES/")).status_code == 404
    assert '<html lang="en-US"' in await said(browser, "/", "en-US", ContextLanguageCode="<script>")
    assert '<html lang="en-US"' in await said(browser, "/?lang=../../etc", "en-US")


async def test_the_menu_of_languages_leads_to_the_same_page(browser: Browser) -> None:
    text = await said(browser, "/SignIn?returnUrl=/a", "de")
    assert 'href="/fr-FR/SignIn?returnUrl=%2Fa" lang="fr-FR" hreflang="fr-FR"' in text
    assert re.search(r'lang="de-DE" hreflang="de-DE" aria-current="true">Deutsch', text)


async def test_lists_details_and_refusals_speak_the_persons_language(browser: Browser, shown: Preview) -> None:
    await browser.sign_in()
    german = await said(browser, "/purchase-orders/?search=zz-nothing", "de")
    assert "Nichts enthält „zz-nothing“" in german and "Nothing" not in german
    assert "<h1>Hier ist nichts</h1>" in await said(browser, "/no/where/", "de")
    shown.rows.refused.add(ORDERS)
    assert "<h1>Cette page ne vous est pas destinée</h1>" in await said(browser, "/purchase-orders/", "fr")
