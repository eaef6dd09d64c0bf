"""``resx``: the portal's own words in a text, by the original's resource names, in the person's language.

The names that the original's templates use most have messages; of any other the words of its name are shown, so that a
template with a default always says something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from forecourt.pages.formatting import Locales
from forecourt.web.translation import N_

NAMES: Final[Mapping[str, str]] = {
    "all": N_("All"),
    "cancel": N_("Cancel"),
    "default_search": N_("Search"),
    "delete": N_("Delete"),
    "edit": N_("Edit"),
    "home_defaulttext": N_("Home"),
    "next_page": N_("Next page"),
    "page_not_found": N_("We cannot find that"),
    "profile_defaulttext": N_("Your profile"),
    "register_defaulttext": N_("Register"),
    "required": N_("required"),
    "save": N_("Save"),
    "search": N_("Search"),
    "search_defaulttext": N_("Search"),
    "sign_in": N_("Sign in"),
    "sign_out": N_("Sign out"),
    "signin_defaulttext": N_("Sign in"),
    "signout_defaulttext": N_("Sign out"),
    "skip_to_content": N_("Skip to content"),
    "toggle_navigation": N_("Menu"),
}

_ENDINGS = ("_DefaultText", "_Label", "_Heading", "_Title", "_Text")


class Resources(Mapping[str, str]):
    """Words by resource name, in any case."""

    def __init__(self, locales: Locales) -> None:
        self._locales = locales

    def __getitem__(self, name: str) -> str:
        if message := NAMES.get(str(name).lower()):
            return self._locales.gettext(message)
        words = str(name)
        for ending in _ENDINGS:
            words = words.removesuffix(ending)
        return words.replace("_", " ")

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)
