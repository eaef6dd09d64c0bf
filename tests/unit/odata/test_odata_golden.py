"""Parses that are written down: tests/golden/odata_parses.yaml, a URL and the plan it means, in a short notation.

To take over what the parser says now: ``python tests/unit/odata/test_odata_golden.py``, then read the difference.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from odata_model import DATAVERSE_MODEL, OPERATIONS_MODEL

from forecourt.kernel import predicate as p
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import Expand, OrderBy, ReadPlan
from forecourt.odata.dialect import DATAVERSE, OPERATIONS
from forecourt.odata.query import plan
from forecourt.odata.request import analyse

GOLDEN = Path(__file__).parents[2] / "golden" / "odata_parses.yaml"


def operand(item: p.Operand | None) -> str:
    match item:
        case None:
            return "null"
        case p.Field(path):
            return "/".join(path)
        case p.Slot(index, kind):
            return f"${index}:{kind}"
        case p.Const(value):
            return str(value).lower()
        case p.Arith(op, left, right):
            return f"({op} {operand(left)} {operand(right)})"
        case _:
            raise AssertionError(item)


def predicate(item: p.Predicate) -> str:
    match item:
        case p.Bool(value):
            return str(value).lower()
        case p.Compare(op, left, right) | p.Match(op, left, right):
            return f"({op} {operand(left)} {operand(right)})"
        case p.In(left, values):
            return f"(in {operand(left)} {' '.join(map(operand, values))})"
        case p.IsNull(left):
            return f"(null {operand(left)})"
        case p.And(items):
            return f"(and {' '.join(map(predicate, items))})"
        case p.Or(items):
            return f"(or {' '.join(map(predicate, items))})"
        case p.Not(inner):
            return f"(not {predicate(inner)})"
        case p.Any(path, where):
            return f"(any {'/'.join(path)} {predicate(where)})"
        case _:
            raise AssertionError(item)


def order(items: tuple[OrderBy, ...]) -> str:
    return " ".join(("-" if item.descending else "+") + "/".join(item.path) for item in items)


def expand(item: Expand) -> dict[str, Any]:
    return {"relation": item.relation, **parts(item)}


def parts(item: ReadPlan | Expand) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if item.select is not None:
        found["select"] = " ".join(item.select)
    if item.filter is not None:
        found["filter"] = predicate(item.filter)
    if item.order:
        found["order"] = order(item.order)
    if item.top is not None:
        found["top"] = operand(item.top)
    if item.expand:
        found["expand"] = [expand(child) for child in item.expand]
    return found


def parse(url: str) -> dict[str, Any]:
    path, _, query = url.partition("?")
    operations = path.startswith(("Purchase", "Vendors"))
    dialect, model = (OPERATIONS, OPERATIONS_MODEL) if operations else (DATAVERSE, DATAVERSE_MODEL)
    try:
        request = analyse("/" + path, quote(query, safe="$&=(),;/:'"), dialect)
        parsed = plan(request, model, dialect)
        values = parsed.bind(request.literals)
    except Refusal as refusal:
        return {"refused": f"{refusal.code} {refusal.text}"}
    found: dict[str, Any] = {"result": parsed.result, "entity": parsed.plan.entity, **parts(parsed.plan)}
    if parsed.member:
        found["member"] = parsed.member
    if parsed.plan.key:
        found["key"] = " ".join(f"{name}={operand(slot)}" for name, slot in parsed.plan.key)
    if parsed.plan.skip is not None:
        found["skip"] = operand(parsed.plan.skip)
    if parsed.plan.want != "rows":
        found["want"] = parsed.plan.want
    if parsed.plan.cross_company:
        found["cross_company"] = True
    if values:
        found["values"] = [str(value) for value in values]
    return found


def cases() -> list[dict[str, Any]]:
    return list(yaml.safe_load(GOLDEN.read_text(encoding="utf-8")))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["url"][:80])
def test_a_url_means_what_is_written_down(case: dict[str, Any]) -> None:
    assert parse(case["url"]) == case["plan"]


if __name__ == "__main__":
    head = "# URLs (before percent-encoding) and what they mean. Checked by tests/unit/odata/test_odata_golden.py.\n"
    updated = [{"url": case["url"], "plan": parse(case["url"])} for case in cases()]
    GOLDEN.write_text(head + yaml.safe_dump(updated, sort_keys=False, width=120, allow_unicode=True), encoding="utf-8")
