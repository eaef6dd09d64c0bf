"""Which language a letter is written in: the contact's preferred one, else the one that the site was used in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from forecourt.kernel.label import code_of

#: Columns for a statement that has the contact as ``p``; a contact's table need not have them.
PREFERRED: Final = """
to_jsonb(p) ->> 'adx_preferredlcid' as preferred_number, to_jsonb(p) ->> 'adx_preferredlanguageid' as preferred_language
""".strip()


class Words(Protocol):
    """The messages of a language. ``web.translation.gettext``."""

    def __call__(self, language: str, text: str, /, **values: object) -> str: ...


@dataclass(frozen=True, slots=True)
class Languages:
    """``default``: code of the site's own; ``portal``: codes by the ids of portal languages."""

    default: str = "en-US"
    portal: Mapping[str, str] | None = None

    def of(self, contact: Mapping[str, object], used: str = "") -> str:
        """The code of the language for a row that has :data:`PREFERRED`; ``used``: that of the page they were at.

        >>> Languages().of({"preferred_number": "1031", "preferred_language": None}, "fr-FR")
        'de-DE'
        >>> Languages().of({}, "fr-FR")
        'fr-FR'
        """
        chosen = (self.portal or {}).get(str(contact.get("preferred_language") or "").lower())
        number = str(contact.get("preferred_number") or "")
        known = code_of(int(number)) if number.isdecimal() else ""
        return chosen or known or used or self.default
