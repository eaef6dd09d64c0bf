"""The doors that speak FetchXML: the same questions as OData's, written as FetchXML (``Set?fetchXml=…``).

A condition that is negated is written as its opposite, a condition on rows that are linked as a link of type ``any`` or
``not any``; a number of rows, or rows by group, as an aggregate. What cannot be said in FetchXML is None: one row by
its key, rows that are expanded, a link over two columns, ``%`` or ``_`` in text that is looked for.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import quoteattr

from forecourt.cli.fuzzing.client import Answered, Asked
from forecourt.cli.fuzzing.doors import TOTAL, Door, parsed
from forecourt.cli.fuzzing.questions import MATCHES, Condition, Leaf, Question
from forecourt.cli.fuzzing.worlds import ROOTS
from forecourt.kernel.model import Entity, EntityField
from forecourt.kernel.types import Kind
from forecourt.odata.fetchxml.filters import logical

MORE = "@Microsoft.Dynamics.CRM.morerecords"
COOKIE = "@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"

_OPPOSITE = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}
_MATCH = {"contains": "like", "startswith": "begins-with", "endswith": "ends-with"}
_UNMATCH = {"contains": "not-like", "startswith": "not-begin-with", "endswith": "not-end-with"}
_PREFER = (("prefer", 'odata.include-annotations="*"'),)
_COOKIE = re.compile(r'pagingcookie="([^"]*)"')


class _Unsaid(Exception):
    """FetchXML has no words for it."""


@dataclass(frozen=True)
class FetchDoor(Door):
    """A door of Dataverse's by its other language."""

    @property
    def label(self) -> str:
        return f"{self.name} fetchXml"

    @property
    def sparse(self) -> bool:
        return True

    def named(self, entity: Entity, question: Question) -> Sequence[str]:
        """A fetch without attributes names all of them."""
        if question.form == "list" and not question.select:
            return list(entity.fields)
        return super().named(entity, question)

    def unopened(self, answer: Answered) -> bool:
        """Whether a refusal says that there is no such table, which is what a table that is not open looks like."""
        return answer.status == 400 and b"The entity with a name" in answer.body

    def asked(self, question: Question) -> Asked | None:
        entity = self.entity(question.entity)
        if entity is None or question.form == "item" or question.expand:
            return None
        try:
            return self._request(entity, question, 1, "")
        except _Unsaid:
            return None

    def following(self, question: Question, answer: Answered, page: int) -> Asked | None:
        entity = self.entity(question.entity)
        if question.form != "list" or not self.more(answer) or entity is None:
            return None
        found = _COOKIE.search(str(parsed(answer).get(COOKIE, "")))
        return self._request(entity, question, page, unquote(unquote(found[1])) if found is not None else "")

    def more(self, answer: Answered) -> bool:
        return bool(parsed(answer).get(MORE))

    def counted(self, question: Question) -> bool:
        return False

    def _request(self, entity: Entity, question: Question, page: int, cookie: str) -> Asked:
        rows = "".join(self._columns(entity, question))
        if question.where is not None:
            rows += f"<filter>{self._filter(entity, question.where, False)}</filter>"
        how = ' aggregate="true"' if question.form in ("groups", "count") else self._page(question, page, cookie)
        text = f'<fetch{how}><entity name="{entity.name}">{rows}</entity></fetch>'
        total = "&$count=true" if question.total and question.form == "list" else ""
        return Asked("GET", f"{ROOTS[self.name]}/{entity.collection}?fetchXml={quote(text, safe='')}{total}", _PREFER)

    @staticmethod
    def _page(question: Question, page: int, cookie: str) -> str:
        if question.top is not None:
            return f' top="{question.top}"'
        size = "" if question.page is None else f' count="{question.page}"'
        return f'{size} page="{page}"' + (f" paging-cookie={quoteattr(cookie)}" if cookie else "")

    def _columns(self, entity: Entity, question: Question) -> list[str]:
        names = [self._name(entity, name) for name in question.select]
        if question.form in ("groups", "count"):
            key = logical(entity.fields[entity.key[0]])
            shown = [f'<attribute name="{key}" alias="{TOTAL}" aggregate="count"/>']
            if question.form == "groups" and question.select:
                field = self.field(entity, question.select[0])
                assert field is not None
                shown.append(f'<attribute name="{names[0]}" alias="{field.name}" groupby="true"/>')
            return shown
        steps = [
            f'<order attribute="{self._name(entity, name)}" descending="{str(down).lower()}"/>'
            for name, down in question.order
        ]
        return [*(f'<attribute name="{name}"/>' for name in names), *steps]

    def _name(self, entity: Entity, name: str) -> str:
        return logical(self._field(entity, name))

    def _field(self, entity: Entity, name: str) -> EntityField:
        field = self.field(entity, name)
        if field is None:
            raise _Unsaid
        return field

    # -- conditions ----------------------------------------------------------------------------------------------

    def _filter(self, entity: Entity, item: Condition, negated: bool) -> str:
        if isinstance(item, Leaf):
            return self._linked(entity, item, negated) if item.relation else self._said(entity, item, negated)
        if item.op == "not":
            return self._filter(entity, item.items[0], not negated)
        kind = "and" if (item.op == "and") != negated else "or"
        parts = "".join(self._filter(entity, child, negated) for child in item.items)
        return f'<filter type="{kind}">{parts}</filter>'

    def _linked(self, entity: Entity, leaf: Leaf, negated: bool) -> str:
        relation = entity.relations.get(self.relation(entity, leaf.relation) or "")
        if relation is None or relation.through is not None or len(relation.on) != 1:
            raise _Unsaid
        target = self.model.entities[relation.target]
        ((own, theirs),) = relation.on
        inner = replace(leaf, relation="", many=False)
        # Without a row there, the value is null: what null fulfils is that no row has the opposite.
        absent = not leaf.many and (leaf.op == "ne") == (leaf.value is not None) and leaf.op in ("eq", "ne")
        condition = self._said(target, inner, absent)
        kind = "not any" if absent != negated else "any"
        return (
            f'<link-entity name="{target.name}" from="{logical(target.fields[theirs])}" '
            f'to="{logical(entity.fields[own])}" link-type="{kind}"><filter>{condition}</filter></link-entity>'
        )

    def _said(self, entity: Entity, leaf: Leaf, negated: bool) -> str:
        field = self._field(entity, leaf.field)
        head = f'<condition attribute="{logical(field)}"'
        if leaf.value is None:
            return f'{head} operator="{"null" if (leaf.op == "eq") != negated else "not-null"}"/>'
        text = self._text(field, leaf.value)
        if leaf.op in MATCHES:
            if set(text) & set("%_["):
                raise _Unsaid
            pattern = f"%{text}%" if leaf.op == "contains" else text
            return f'{head} operator="{(_UNMATCH if negated else _MATCH)[leaf.op]}" value={quoteattr(pattern)}/>'
        op = _OPPOSITE[leaf.op] if negated else leaf.op
        said = f'{head} operator="{op}" value={quoteattr(text)}/>'
        if negated and leaf.op not in ("eq", "ne"):  # null is not less, nor is it not less
            return f'<filter type="or">{said}{head} operator="null"/></filter>'
        return said

    def _text(self, field: EntityField, value: object) -> str:
        shown: Any = self.written(field, value)
        if shown is None or shown == "":
            raise _Unsaid
        if isinstance(shown, bool):
            return str(int(shown))
        if field.kind is Kind.DATE and isinstance(value, dt.date):
            return value.isoformat()
        return self.literal(field, value) if isinstance(shown, int | float) and not field.choice else str(shown)
