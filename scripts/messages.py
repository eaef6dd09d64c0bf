"""Brings the catalogues of ``src/forecourt/web/locale`` up to the messages of templates and code; ``make messages``.

Messages are the texts of ``_``, ``gettext``, ``ngettext``, ``N_`` and ``{% trans %}`` in the HTML doors, and what
refusals say that people meet there. A message that is new is empty until somebody translates it, one that is gone is
left out; `tests/unit/web` asks that none is empty. Nothing is guessed (no fuzzy matches).
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.core import Locale
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "forecourt"
CATALOGUES = SOURCE / "web" / "locale"

#: Where words for visitors are.
PAGES = ("pages", "web", "identity/mail/letters.py")
#: Whose refusals visitors meet on forms of the portal.
REFUSING = (
    "pages",
    *(
        f"identity/{name}.py"
        for name in (
            "accounts",
            "csrf",
            "invitations",
            "links",
            "names",
            "passwords",
            "providers/client",
            "providers/identities",
            "recovery",
            "registration",
            "second_factor",
            "sessions",
            "throttle",
        )
    ),
)
#: Refusals for which the portal has pages with words of their own.
PAGED = ("FC3001", "FC3002", "FC3003", "FC4041", "FC4042")

#: Lines of a catalogue's header that say nothing of the messages.
DATED = (
    '"POT-Creation-Date',
    '"PO-Revision-Date',
    '"Report-Msgid',
    '"Last-Translator',
    '"Language-Team',
    '"Generated-By',
    '"Project-Id',
)

KEYWORDS = {"_": None, "gettext": None, "N_": None, "ngettext": (1, 2)}
OPTIONS = {"trimmed": "true", "newstyle_gettext": "true", "trim_blocks": "true", "lstrip_blocks": "true"}


def messages() -> Catalog:
    """All messages, with the files that they are in."""
    found = Catalog(project="Forecourt", charset="utf-8")
    for place in PAGES:
        folder = SOURCE / place
        for path in [folder] if folder.is_file() else sorted(folder.rglob("*")):
            method = {".py": "python", ".html": "jinja2"}.get(path.suffix)
            if method is None:
                continue
            options = OPTIONS if method == "jinja2" else {}
            with path.open("rb") as file:
                for _, text, _, _ in extract(method, file, KEYWORDS, options=options):
                    found.add(text, locations=[(str(path.relative_to(ROOT)), 0)])
    for folder in REFUSING:
        place = SOURCE / folder
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            for text in refusals(path.read_text()):
                found.add(text, locations=[(str(path.relative_to(ROOT)), 0)])
    return found


def refusals(source: str) -> Iterator[str]:
    """What the refusals of a module say and hint at, as far as they are plain texts."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal":
            if isinstance(node.args[0], ast.Constant) and node.args[0].value in PAGED:
                continue
            told = [*node.args[1:2], *(word.value for word in node.keywords if word.arg == "hint")]
            for value in told:
                if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
                    yield value.value


def catalogue(language: str) -> Catalog:
    """The catalogue of a language as it is."""
    with (CATALOGUES / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


def updated(language: str) -> bytes:
    """The catalogue of a language as it should be, new messages empty."""
    now, new = catalogue(language), messages()
    for message in new:
        if message.id:
            old = now.get(message.id)
            message.string = old.string if old is not None else ""
    new.locale = language
    found = io.BytesIO()
    write_po(found, new, width=120, sort_output=True, omit_header=False, no_location=True)
    lines = found.getvalue().decode().splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("msgid"))
    head = [f"# {name_of(language)} messages of Forecourt."]
    return ("\n".join([*head, *(line for line in lines[start:] if not line.startswith(DATED))]) + "\n").encode()


def name_of(language: str) -> str:
    """The English name of a language."""
    return str(Locale(language).get_display_name("en"))


def main() -> int:
    """Writes the catalogues; 1 where a message is still empty."""
    missing = 0
    for path in sorted(CATALOGUES.glob("*.po")):
        path.write_bytes(updated(path.stem))
        empty = [item.id for item in catalogue(path.stem) if item.id and not all(_strings(item.string))]
        missing += len(empty)
        for text in empty:
            print(f"{path.name}: {text!r} is not translated")
    return 1 if missing else 0


def _strings(value: object) -> tuple[str, ...]:
    return tuple(str(text) for text in value) if isinstance(value, list | tuple) else (str(value or ""),)


if __name__ == "__main__":
    sys.exit(main())
