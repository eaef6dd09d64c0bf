"""Requests for quotation: published and open ones, and those that nobody outside may see."""

from collections.abc import Iterator

from contoso_sample.load import Load, Row, few
from contoso_sample.orders import products_of
from contoso_sample.world import CATEGORIES, COMPANIES, RECID, Company

#: How far ahead open requests run, so that the sample has some whenever it is installed.
OPEN_UNTIL = "2035-12-17"

#: statuslow, published, expirydate; in turn. Sent and published and not over: the first four of seven.
_TURNS = (
    (1, 1, OPEN_UNTIL),
    (1, 1, OPEN_UNTIL),
    (1, 1, OPEN_UNTIL),
    (1, 1, OPEN_UNTIL),
    (1, 0, OPEN_UNTIL),  # for those who are invited
    (1, 1, "2026-08-14"),  # over
    (0, 1, OPEN_UNTIL),  # not sent yet
)
_COUNT = {"usmf": 14, "demf": 7, "frrt": 7}


def quotation_loads() -> Iterator[Load]:
    cases: list[Row] = []
    lines: list[Row] = []
    for company in COMPANIES:
        for n in range(_COUNT[company.area]):
            case, items = _case(company, n, len(cases), len(lines))
            cases.append(case)
            lines += items
    yield few(
        "erp.purchrfqcasetable",
        "recid dataareaid rfqcaseid title statuslow published bidtype solicitationtype currencycode deliverydate "
        "publisheddate expirydate deliveryname requester budget",
        cases,
    )
    yield few(
        "erp.purchrfqcaseline",
        "recid dataareaid rfqcaseid linenumber itemid name purchqty purchunit deliverydate",
        lines,
    )


def _case(company: Company, n: int, case: int, line: int) -> tuple[Row, list[Row]]:
    number, (status, published, expiry) = f"RFQ-{n + 1:06d}", _TURNS[n % 7]
    category = CATEGORIES[n * 3 % len(CATEGORIES)]
    products = [p for p in products_of(company) if p.category is category][: 2 + n % 3]
    year = int(expiry[:4]) + 1
    delivery = f"{year}-{1 + n % 12:02d}-15"
    site = company.sites[n % len(company.sites)]
    quantities = [(20 + 30 * (n + at)) * (10 if p.price < 500 else 1) for at, p in enumerate(products)]
    budget = sum(q * p.price for q, p in zip(quantities, products, strict=True)) // 100
    rows: list[Row] = [
        (RECID + line + at, company.area, number, at + 1, p.item, p.name, f"{q}.00", category.unit, delivery)
        for at, (p, q) in enumerate(zip(products, quantities, strict=True))
    ]
    header = (
        RECID + case,
        company.area,
        number,
        f"{category.name} for {site.name}",
        status,
        published,
        n % 2,
        ("Open tender", "Framework agreement", "Spot purchase")[n % 3],
        company.currency,
        delivery,
        "2026-07-01" if expiry < "2027" else "2026-09-15",
        expiry,
        site.name,
        ("Sofia Reyes", "Daniel Okafor", "Purchasing")[n % 3],
        f"{budget}.00",
    )
    return header, rows
