"""Conditions of multistep forms: what they say, and what they make of a row."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

import pytest

from forecourt.pages.site.conditions import MAX_LENGTH, Unreadable, columns, holds, read

ROW: dict[str, Any] = {
    "name": "Jane Doe",
    "code": "007",
    "kind": 750101,
    "amount": Decimal("100.50"),
    "rush": True,
    "day": dt.date(2026, 11, 26),
    "at": dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC),
    "owner": "3F2F7F50-5a68-4fd2-9f0e-3d0f5b7a2c10",
    "none": None,
}


@pytest.mark.parametrize(
    "text",
    [
        "kind = 750101",
        "kind == 750101.0",
        "Name = jane doe",
        "name = 'Jane Doe'",
        "name =* Jane*",
        "name ~= %doe",
        "name !=* Joe*",
        "code = 7",
        "amount > 100 & amount <= 100.5",
        "rush = true",
        "rush != false & !(rush = false)",
        "day >= 2026-11-26 & day < 2026-12-01",
        "at > 2026-11-26T11:59:00Z",
        "owner = 3f2f7f50-5a68-4fd2-9f0e-3d0f5b7a2c10",
        "none = null & missing == null & kind != null",
        "none != 3",
        "kind = 1 | kind = 2 | (rush = true & kind > 5)",
        "kind = 1 & kind = 2 | rush = true",
        "!!(rush = true)",
        "kind = 1 || rush = true && kind != 1",
    ],
)
def test_it_holds(text: str) -> None:
    assert holds(read(text), ROW)


@pytest.mark.parametrize(
    "text",
    [
        "kind = 1",
        "kind = many",
        "kind > many",
        "amount > NaN",
        "rush = maybe",
        "day = 9999-13-01",
        "none > 0",
        "none < 0",
        "none =* *",
        "name > null",
        "missing = 1",
        "rush = true & (kind = 1 | kind = 2)",
        "!(rush = true)",
    ],
)
def test_it_does_not_hold(text: str) -> None:
    assert not holds(read(text), ROW)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no comparison"),
        ("kind", "'kind' is no comparison"),
        ("kind =", "the value that 'kind' is compared with is missing"),
        ("kind = 1 &", "is no comparison"),
        ("(kind = 1", "a ')' is missing"),
        ("kind = 1) | rush = true", "left over"),
        ("kind => 1)", "left over"),
        ("import os", "is no comparison"),
        ("(" * 60 + "a = 1" + ")" * 60, "nested too deeply"),
        ("!" * 500 + "a = 1", "nested too deeply"),
        ("a = " + "1" * MAX_LENGTH, "characters"),
    ],
)
def test_what_is_no_condition_says_where(text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=re.escape(said)):
        read(text)


def test_it_names_the_columns_that_it_looks_at() -> None:
    assert list(columns(read("a = 1 & !(B = 2 | c =* x)"))) == ["a", "b", "c"]
