"""The page "Explain": from the fields of its form to what it shows.

A field that names nothing is answered with what it could have meant: people to choose from, tables of a like name, rows
of the table. Nothing is asked before person and table are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from forecourt.kernel.errors import Refusal
from forecourt.kernel.principal import Door
from forecourt.security.explain import Answer, Asked, Explainer, Explanation, Question, Reverse, Seen, Sighting, Subject
from forecourt.security.explain.subject import DOINGS, DOORS, Doing
from forecourt.studio.ports import People

if TYPE_CHECKING:
    from forecourt.identity.people import Person

FIELDS = ("as", "table", "key", "column", "operation", "door", "action")

#: People of one door and one set of rules that are named.
NAMED = 50

OPERATIONS = {
    "read": "Read",
    "create": "Create one like it",
    "update": "Update",
    "delete": "Delete",
    "append": "Append (bind a row to it)",
    "append_to": "Append To (bind it to a row)",
    "call": "Call an action",
}


@dataclass(frozen=True)
class Card:
    """Doors that answer alike, as one card."""

    addresses: tuple[str, ...]
    answer: Answer


@dataclass(frozen=True)
class Group:
    """People whom the same rules let in: pairs (identity, kind). ``more``: how many are not named."""

    people: tuple[tuple[str, str], ...]
    rules: tuple[str, ...]
    more: int


class ExplainPage:
    """Answers the form."""

    def __init__(self, explainer: Explainer, reverse: Reverse, people: People) -> None:
        self._explainer = explainer
        self._reverse = reverse
        self._people = people

    async def context(self, query: Mapping[str, str]) -> dict[str, Any]:
        """What the template shows; ``status`` is the answer's."""
        form = {name: query.get(name, "") for name in FIELDS}
        form["operation"] = form["operation"] if form["operation"] in DOINGS else "read"
        form["door"] = form["door"] if form["door"] in {door.value for door in Door} else ""
        tab = "who" if query.get("tab") == "who" else "why"
        shown: dict[str, Any] = {
            "form": form,
            "tab": tab,
            "tabs": [("why", "Why", _url(form)), ("who", "Who can", _url(form, tab="who"))],
            "operations": OPERATIONS,
            "doors": {door.value: address for door, address in DOORS.items()},
            "tables": self._explainer.subjects.names,
            "errors": dict.fromkeys(FIELDS, ""),
            "people": [],
            "rows_found": [],
            "explanation": None,
            "sighting": None,
            "cards": [],
            "groups": [],
            "status": 200,
        }
        try:
            await self._answer(form, tab, shown)
        except Refusal as refusal:
            shown["errors"]["key"] = refusal.text
            shown["status"] = 400 if refusal.status == 400 else 404
        if any(shown["errors"].values()) and shown["status"] == 200:
            shown["status"] = 404
        return shown

    async def _answer(self, form: Mapping[str, str], tab: str, shown: dict[str, Any]) -> None:
        subject = self._subject(form, shown)
        asked = await self._asked(form, shown) if tab == "why" else None
        if subject is None or (tab == "why" and asked is None):
            return
        if subject.keyed or form["key"]:
            subject = self._explainer.subject(form["table"], form["key"] or None)
        else:
            shown["rows_found"] = [
                (label, _url({**form, "key": key}, tab=tab)) for key, label in await self._explainer.examples(subject)
            ]
        question = Question(
            cast(Doing, form["operation"]),
            form["column"] or None,
            form["action"] or None,
            Door(form["door"]) if form["door"] else None,
        )
        if asked is not None:
            await self._why(form, asked, subject, question, shown)
        elif subject.keyed:
            found = await self._reverse.who(subject, question, form["table"], form["key"])
            shown["sighting"], shown["groups"] = found, _groups(found)

    def _subject(self, form: Mapping[str, str], shown: dict[str, Any]) -> Subject | None:
        if not form["table"]:
            return None
        try:
            return self._explainer.subject(form["table"], None)
        except Refusal as refusal:
            shown["errors"]["table"] = refusal.text
            return None

    async def _asked(self, form: Mapping[str, str], shown: dict[str, Any]) -> Asked | None:
        if not form["as"]:
            return None
        try:
            return await self._people.find(form["as"])
        except Refusal as refusal:
            found: list[Person] = await self._people.search(form["as"])
            shown["people"] = [(person, _url({**form, "as": person.name})) for person in found]
            shown["errors"]["as"] = "Choose one of the people below." if found else refusal.text
            return None

    async def _why(
        self, form: Mapping[str, str], asked: Asked, subject: Subject, question: Question, shown: dict[str, Any]
    ) -> None:
        try:
            found = await self._explainer.explanation(asked, subject, question, form["table"], form["key"] or None)
        except Refusal as refusal:
            shown["errors"]["column"] = refusal.text
            return
        shown["explanation"], shown["cards"] = found, _cards(found)


def _cards(found: Explanation) -> list[Card]:
    same: dict[Answer, list[str]] = {}
    for answer in found.answers:
        same.setdefault(replace(answer, door="", address=""), []).append(answer.address)
    return [Card(tuple(addresses), answer) for answer, addresses in same.items()]


def _groups(found: Sighting) -> list[tuple[tuple[str, ...], tuple[Group, ...]]]:
    """People by door and rules; doors that let the same people in by the same rules are one."""
    doors: dict[str, dict[tuple[str, ...], list[Seen]]] = {}
    for seen in found.seen:
        doors.setdefault(seen.door, {}).setdefault(seen.rules, []).append(seen)
    same: dict[tuple[Group, ...], list[str]] = {}
    for door, address in DOORS.items():
        groups = tuple(
            Group(tuple((seen.identity, seen.kind) for seen in people[:NAMED]), rules, max(0, len(people) - NAMED))
            for rules, people in doors.get(door.value, {}).items()
        )
        if groups:
            same.setdefault(groups, []).append(address)
    return [(tuple(addresses), groups) for groups, addresses in same.items()]


def _url(form: Mapping[str, str], tab: str = "why") -> str:
    """The page with these fields."""
    given = {name: value for name, value in form.items() if value and (name, value) != ("operation", "read")}
    return "/studio/explain?" + urlencode({**given, **({"tab": tab} if tab != "why" else {})})
