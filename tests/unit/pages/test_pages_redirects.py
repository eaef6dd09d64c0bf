"""Redirects lead where their rows say, and nowhere else."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from forecourt.pages.redirects import Redirects
from forecourt.pages.site import Page, Site
from forecourt.pages.site.definitions import (
    Redirect,
)

HOME, ORDERS, GONE = (uuid4() for _ in range(3))


def page(page_id: UUID, path: str, active: bool = True) -> Page:
    return Page(page_id, path, path, {}, active=active)


def lead(redirect: Redirect, path: str, query: str = "") -> tuple[int, str] | None:
    pages = {HOME: page(HOME, "/"), ORDERS: page(ORDERS, "/orders/"), GONE: page(GONE, "/gone/", active=False)}
    site = Site(uuid4(), "S", "en-US", pages, markers={"Orders": ORDERS}, redirects=(redirect,))
    found = Redirects(site).answer(path, query)
    return (found.status_code, found.headers["location"]) if found else None


@pytest.mark.parametrize(
    ("redirect", "path", "query", "expected"),
    [
        (Redirect("a", "old", page=ORDERS, status=301), "/Old/", "", (301, "/orders/")),
        (Redirect("a", "/old", marker="orders"), "/old", "", (302, "/orders/")),
        (Redirect("a", "old?X=1", url="https://parts.example/new"), "/old", "x=1", (302, "https://parts.example/new")),
        (Redirect("a", "old", url="~/orders?a=b", page=HOME), "/old", "", (302, "/orders?a=b")),
        (Redirect("a", "https://other.example/old", page=HOME), "/old", "", (302, "/")),
        (Redirect("a", "old", page=ORDERS), "/old", "x=1", None),
        (Redirect("a", "old", page=ORDERS), "/older", "", None),
        (Redirect("a", "orders", page=ORDERS), "/orders/", "", None),
        (Redirect("a", "old", page=GONE), "/old", "", None),
        (Redirect("a", "old", marker="nowhere"), "/old", "", None),
    ],
)
def test_an_address_leads_to_the_first_that_its_row_has(
    redirect: Redirect, path: str, query: str, expected: tuple[int, str] | None
) -> None:
    assert lead(redirect, path, query) == expected


def test_a_visitor_cannot_choose_where_a_redirect_leads() -> None:
    assert lead(Redirect("a", "old", url="/new"), "//evil.example/old") is None
    assert lead(Redirect("a", "old", url="/new"), "/old", "//evil.example") is None
