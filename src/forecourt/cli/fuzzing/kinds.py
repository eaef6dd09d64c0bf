"""What kinds of requests were made at each door, counted for the report.

A question counts under its form and under each thing that it asks beside: a condition, one on a column that is hidden
from the asker, one across a relation, an order, what is expanded, a batch. Leaves out whether the answers were right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from forecourt.cli.fuzzing.doors import Door
from forecourt.cli.fuzzing.questions import Condition, Joined, Leaf, Question
from forecourt.cli.fuzzing.readable import Reading

#: A form, as reports call it.
FORMS = {"list": "list", "count": "count", "item": "item", "groups": "aggregate"}


def kinds(door: Door, question: Question, known: Reading | None) -> Iterator[str]:
    """The kinds that a question is of. ``known``: what the asker may read at the door."""
    yield FORMS[question.form]
    leaves = list(_leaves(question.where))
    for leaf in leaves:
        across = " across a relation" if leaf.relation else ""
        hidden = " on a hidden column" if _hidden(door, question, leaf.relation, leaf.field, known) else ""
        yield f"condition{hidden}{across}"
    for name, _ in question.order:
        yield f"order{' by a hidden column' if _hidden(door, question, '', name, known) else ''}"
    if question.expand:
        yield "expand"
    if question.batched and door.name != "api":
        yield "batch"


def lines(requests: Mapping[tuple[str, int], int], asked: Mapping[str, Counter[str]]) -> Iterator[str]:
    """A line for each door: how many of its requests were answered and refused, and how many were of each kind."""
    for door in sorted({name for name, _ in requests}):
        by_status = {status: count for (name, status), count in requests.items() if name == door}
        answered = sum(count for status, count in by_status.items() if status < 400)
        of_kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(asked.get(door, Counter()).items()))
        yield f"  {door}: {answered} answered, {sum(by_status.values()) - answered} refused ({of_kinds})"


def _leaves(where: Condition | None) -> Iterator[Leaf]:
    match where:
        case Leaf():
            yield where
        case Joined():
            for item in where.items:
                yield from _leaves(item)
        case None:
            return


def _hidden(door: Door, question: Question, relation: str, name: str, known: Reading | None) -> bool:
    """Whether a column is there for others and not open to the asker."""
    entity = door.entity(question.entity)
    if entity is not None and relation:
        own = door.relation(entity, relation)
        entity = None if own is None else door.model.entities[entity.relations[own].target]
    field = None if entity is None else door.field(entity, name)
    if entity is None or field is None:
        return False
    return known is None or field.name not in known.reaches[entity.name].fields
