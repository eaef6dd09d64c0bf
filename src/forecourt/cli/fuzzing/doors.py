"""The OData doors, each as a way to ask the same question: names, literals, addresses, pages, batches.

What a door cannot ask (a column or relation that it does not have) is None; what it refuses is an answer.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID

from forecourt.cli.fuzzing.client import ORIGIN, Answered, Asked
from forecourt.cli.fuzzing.questions import MATCHES, Condition, Joined, Key, Leaf, Question
from forecourt.cli.fuzzing.readable import Reach
from forecourt.cli.fuzzing.worlds import ROOTS, Doorway, Person, World
from forecourt.kernel.model import Entity, EntityField, Model
from forecourt.kernel.types import Kind
from forecourt.odata import record_id

#: Pages that are followed at most; what is beyond them is not compared.
PAGES = 8

#: Name of the number of rows in groups.
TOTAL = "fuzz_total"

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")


@dataclass(frozen=True)
class Door:
    """An OData door over a model. ``names``: by entity, the door's name of each field and relation."""

    name: Doorway
    model: Model

    @property
    def label(self) -> str:
        """The door as reports call it."""
        return self.name

    @property
    def sparse(self) -> bool:
        """Whether null values are left out of rows."""
        return False

    @property
    def of_data(self) -> bool:
        """Whether the door speaks of data entities by their own keys."""
        return self.name in ("data", "packages")

    def heard(self, question: Question) -> Question | None:
        """What of a question the door can ask, None for nothing."""
        return question

    def opens(self, reach: Reach) -> bool:
        """Whether rows that a person reads are to be had here, too."""
        return True

    def entity(self, subject: str) -> Entity | None:
        """The door's own of a data entity or native table, None where it has none."""
        found = self.model.entities.get(subject)
        if found is not None:
            return found
        return next((item for item in self.model.entities.values() if item.virtual_of == subject), None)

    def field(self, entity: Entity, name: str) -> EntityField | None:
        if entity.virtual_of is None:
            return entity.fields.get(name)
        return next((field for field in entity.fields.values() if field.base == name), None)

    def relation(self, entity: Entity, name: str) -> str | None:
        if entity.virtual_of is None:
            return name if name in entity.relations else None
        return next((item for item in entity.relations if item == f"mserp_{name.lower()}"), None)

    # -- requests ------------------------------------------------------------------------------------------------

    def asked(self, question: Question) -> Asked | None:
        """The first request of a question, None where the door cannot ask it."""
        entity = self.entity(question.entity)
        if entity is None:
            return None
        address = f"{ROOTS[self.name]}/{entity.collection}"
        options: list[tuple[str, str]] = []
        if question.form == "item":
            key = self.key(entity, question.key)
            if key is None:
                return None
            address += quote(f"({key})", safe="()',=:-@")
        if question.form == "count":
            address += "/$count"
        text = "" if question.where is None else self._condition(entity, question.where)
        if text is None:
            return None
        if question.form == "groups":
            return self._groups(entity, question, address, text)
        if text:
            options.append(("$filter", text))
        columns = [self.field(entity, name) for name in question.select]
        orders = [(self.field(entity, name), down) for name, down in question.order]
        if None in columns or any(field is None for field, _ in orders):
            return None
        if columns:
            options.append(("$select", ",".join(field.name for field in columns if field is not None)))
        if orders:
            steps = (f"{field.name} desc" if down else field.name for field, down in orders if field is not None)
            options.append(("$orderby", ",".join(steps)))
        if question.expand:
            relation = self.relation(entity, question.expand)
            if relation is None:
                return None
            target = self.model.entities[entity.relations[relation].target]
            options.append(("$expand", f"{relation}($select={','.join(target.key)})"))
        if question.top is not None:
            options.append(("$top", str(question.top)))
        if question.total:
            options.append(("$count", "true"))
        if self.name == "data":
            options.append(("cross-company", "true"))
        query = "&".join(f"{name}={quote(value, safe=chr(39) + '(),/:*$=')}" for name, value in options)
        prefer = (("prefer", f"odata.maxpagesize={question.page}"),) if question.page is not None else ()
        return Asked("GET", f"{address}?{query}" if query else address, prefer)

    def following(self, question: Question, answer: Answered, page: int) -> Asked | None:
        """The request for the page after an answer, which is page number ``page``; None after the last."""
        link = parsed(answer).get("@odata.nextLink") if question.form == "list" else None
        first = self.asked(question)
        return None if link is None or first is None else Asked("GET", str(link).removeprefix(ORIGIN), first.headers)

    def more(self, answer: Answered) -> bool:
        """Whether there are rows after those of an answer."""
        return "@odata.nextLink" in parsed(answer)

    def named(self, entity: Entity, question: Question) -> Sequence[str]:
        """The door's names of the columns that a question asks for by name; all of them have to be open."""
        fields = [self.field(entity, name) for name in question.select]
        return [field.name for field in fields if field is not None]

    def counted(self, question: Question) -> bool:
        """Whether a question is answered by a number alone."""
        return question.form == "count"

    def unopened(self, answer: Answered) -> bool:
        """Whether an answer is a refusal by another status than that of security."""
        return False

    def _groups(self, entity: Entity, question: Question, address: str, condition: str) -> Asked | None:
        """The question as ``$apply``, which Dataverse's doors have."""
        if self.name == "data":
            return None
        steps = [f"filter({condition})"] if condition else []
        counted = f"aggregate($count as {TOTAL})"
        if question.select:
            field = self.field(entity, question.select[0])
            if field is None:
                return None
            counted = f"groupby(({field.name}),{counted})"
        text = "/".join([*steps, counted])
        return Asked("GET", f"{address}?$apply={quote(text, safe=chr(39) + '(),/:*$=')}")

    def key(self, entity: Entity, key: Key | None) -> str | None:
        if key is None:
            return None
        if self.name != "data":
            field = entity.fields[entity.key[0]]
            if isinstance(key.id, UUID):
                return str(key.id)
            if key.id is not None:
                return None if field.record_of is None else str(record_id.encode(field.record_of, key.id))
            if entity.virtual_of is not None:
                return None
        if key.values is None:
            return None
        pairs = [f"{name}={self.literal(entity.fields[name], value)}" for name, value in key.values.items()]
        plain = self.name == "data" and len(pairs) == 1
        return pairs[0].partition("=")[2] if plain else ",".join(pairs)

    def _condition(self, entity: Entity, item: Condition) -> str | None:
        if isinstance(item, Joined):
            parts = [self._condition(entity, child) for child in item.items]
            if None in parts:
                return None
            shown = [f"({part})" for part in parts]
            return f"not {shown[0]}" if item.op == "not" else f" {item.op} ".join(shown)
        return self._leaf(entity, item)

    def _leaf(self, entity: Entity, leaf: Leaf) -> str | None:
        target, path = entity, ""
        if leaf.relation:
            relation = self.relation(entity, leaf.relation)
            if relation is None:
                return None
            target = self.model.entities[entity.relations[relation].target]
            path = "x/" if leaf.many else f"{relation}/"
        field = self.field(target, leaf.field)
        if field is None:
            return None
        value = "null" if leaf.value is None else self.literal(field, leaf.value)
        name = path + field.name
        text = f"{leaf.op}({name},{value})" if leaf.op in MATCHES else f"{name} {leaf.op} {value}"
        return f"{relation}/any(x:{text})" if leaf.many else text

    def literal(self, field: EntityField, value: object) -> str:
        """A value as it stands in a request."""
        match value:
            case bool():
                return "true" if value else "false"
            case _ if field.kind is Kind.ENUM and field.enum is not None:
                member = self.model.enums[field.enum].by_value.get(value)  # type: ignore[call-overload]
                if member is None:
                    return "null"
                if field.choice:
                    return str(member.choice)
                return f"{self.model.namespace}.{field.enum}'{member.symbol}'"
            case dt.datetime():
                return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            case dt.date():
                return value.isoformat()
            case int() | Decimal() | float():
                return f"{value:f}" if isinstance(value, Decimal) else str(value)
            case UUID():
                return str(value)
            case _:
                return "'" + str(value).replace("'", "''") + "'"

    # -- answers -------------------------------------------------------------------------------------------------

    def written(self, field: EntityField, value: Any) -> Any:
        """A value as the door's JSON has it; moments stay moments."""
        if value is None:
            return None
        if field.kind is Kind.ENUM and field.enum is not None:
            member = self.model.enums[field.enum].by_value.get(value)
            if field.choice:
                return None if member is None else member.choice
            return str(value) if member is None else member.symbol
        if field.kind is Kind.DATE:
            day = value.isoformat()
            return f"{day}T12:00:00Z" if self.name == "data" else day
        if isinstance(value, UUID):
            return str(value)
        return value

    async def answers(self, world: World, person: Person, question: Question) -> list[Answered] | None:
        """The answers to a question, page by page; None where the door cannot ask it."""
        first = self.asked(question)
        if first is None:
            return None
        if question.batched and self.name != "api":
            return [await batched(world, person, self, first)]
        answers = [await world.ask(person, first)]
        while answers[-1].status == 200 and len(answers) < PAGES:
            following = self.following(question, answers[-1], len(answers) + 1)
            if following is None:
                break
            answers.append(await world.ask(person, following))
        return answers


async def batched(world: World, person: Person, door: Door, asked: Asked) -> Answered:
    """The answer to a request that travels in a batch."""
    head = "".join(f"{name}: {value}\r\n" for name, value in asked.headers)
    body = (
        f"--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        f"{asked.method} {asked.target} HTTP/1.1\r\nAccept: application/json\r\n{head}\r\n\r\n--b--\r\n"
    )
    headers = (("content-type", "multipart/mixed; boundary=b"),)
    answer = await world.ask(person, Asked("POST", f"{ROOTS[door.name]}/$batch", headers, body.encode()))
    found = _STATUS.search(answer.body)
    if answer.status != 200 or found is None:
        return answer
    inner = answer.body[found.start() :]
    content = inner.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0].rstrip(b"\r\n")
    return Answered(int(found[1]), (), content)


def parsed(answer: Answered) -> Mapping[str, Any]:
    """The JSON of an answer, {} where it is none."""
    try:
        found = json.loads(answer.body, parse_float=Decimal)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def doors_of(world: World, person: Person) -> Sequence[Door]:
    """The OData doors at which a person may knock."""
    forecourt = world.forecourt
    models = {"data": forecourt.operations_gate.model, "web": forecourt.dataverse_gate.model}
    models["api"] = models["web"]
    portal = forecourt.portal is not None
    return [Door(name, models[name]) for name in person.doors if name in models and (portal or name != "api")]
