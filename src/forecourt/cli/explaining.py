"""What ``forecourt explain`` prints: the chain of each door from above to below, readable at 100 columns.

A layer that admits takes one line; one that does not says why. Marks are words too, so that nothing is told by a sign
alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import replace

from forecourt.security.explain.answers import Answer, Explanation, LayerVerdict, Sighting, Verdict

WIDTH = 100

#: People of one door and one set of rules that are named; all of them with --json.
NAMED = 20

_DOING = {
    "read": "read",
    "create": "create",
    "update": "update",
    "delete": "delete",
    "append": "append to it (Append)",
    "append_to": "append it (Append To)",
    "call": "call the action on",
}


def lines_of_explanation(found: Explanation) -> Iterator[str]:
    """The text of an explanation."""
    row = f" ({found.key})" if found.key else ""
    column = f", column {found.column}" if found.column else ""
    of = f", of {found.rows} rows" if found.rows is not None else ""
    yield f"{found.identity}: {_DOING[found.operation]} {found.table}{row}{column}{of}"
    if found.found is False:
        yield "There is no such row."
    same: dict[Answer, list[str]] = {}
    for answer in found.answers:
        same.setdefault(replace(answer, door="", address=""), []).append(answer.address)
    for answer, addresses in same.items():
        yield ""
        yield from _door(replace(answer, address=", ".join(addresses)), found.key is not None)


def _door(answer: Answer, keyed: bool) -> Iterator[str]:
    verdict = _mark(answer.admits) if keyed else f"{answer.rows or 0} rows"
    yield f"{verdict}  {answer.address}"
    for layer in answer.layers:
        yield from _layer(layer, keyed)
    for place, steps in enumerate(answer.changes):
        yield "   Or:" if place else "   Smallest change:"
        for number, change in enumerate(steps, 1):
            where = f"  [{change.where}]" if change.where else ""
            yield from _wrapped(f"{number}. {change.text}{where}", 6, 9)


def _layer(layer: LayerVerdict, keyed: bool) -> Iterator[str]:
    shown = [v for v in layer.verdicts if v.admits] if layer.admits and layer.any else list(layer.verdicts)
    passed = [f"{v.rule}  [{v.where}]" if v.where else v.rule for v in shown if v.admits]
    names = ", ".join(dict.fromkeys(passed)) if layer.admits else ""
    head = f"{_mark(layer.admits)}  {layer.layer}" + (f": {names}" if names and keyed else "")
    yield from _wrapped(head, 3, 8)
    if layer.admits and keyed:
        return
    for verdict in shown:
        yield from _verdict(verdict, keyed)


def _verdict(verdict: Verdict, keyed: bool) -> Iterator[str]:
    mark = _mark(verdict.admits) if keyed or verdict.rows is None else f"{verdict.rows} rows"
    where = f"  [{verdict.where}]" if verdict.where else ""
    detail = f": {verdict.detail}" if verdict.detail else ""
    yield from _wrapped(f"{mark}  {verdict.rule}{detail}{where}", 6, 11)
    for failed in verdict.failed:
        yield from _wrapped(failed.text, 11, 13)


def lines_of_sighting(found: Sighting) -> Iterator[str]:
    """The text of the reverse."""
    yield f"Who can {_DOING[found.operation]} {found.table} ({found.key}), of {found.asked} identities"
    if not found.found:
        yield "There is no such row."
        return
    if not found.seen:
        yield "Nobody."
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for seen in found.seen:
        groups.setdefault((seen.door, seen.rules), []).append(f"{seen.identity} ({seen.kind})")
    door = None
    for (name, rules), people in groups.items():
        if name != door:
            yield ""
            yield f"{name}: {sum(1 for seen in found.seen if seen.door == name)}"
            door = name
        more = f" and {len(people) - NAMED} more" if len(people) > NAMED else ""
        yield from _wrapped(", ".join(people[:NAMED]) + more, 3, 3)
        for rule in rules:
            yield from _wrapped(f"by {rule}", 6, 9)


def _mark(admits: bool | None) -> str:
    return "– n/a" if admits is None else "✓ yes" if admits else "✗ no "


def _wrapped(text: str, first: int, rest: int) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=" " * first,
        subsequent_indent=" " * rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
