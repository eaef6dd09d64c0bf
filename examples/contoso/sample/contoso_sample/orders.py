"""Purchase and sales orders with their lines: most of all rows, hence text from the start, no cell handled alone."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from contoso_sample.cast import Account, accounts_of, clerk_of, colleagues, delivery_of, tax_group, terms_of
from contoso_sample.world import (
    CATEGORIES,
    CLOCK,
    COMPANIES,
    DAY,
    DEMF,
    FRRT,
    NEVER,
    ORDER_DAYS,
    RECID,
    TODAY,
    USMF,
    WORKDAY,
    Category,
    Company,
    Place,
    pick,
    shuffled,
    stream,
)


@dataclass(frozen=True)
class Product:
    item: str
    name: str
    category: Category
    price: int  # of purchase, in hundredths of the legal entity's currency
    external: str


@lru_cache(maxsize=8)
def products_of(company: Company) -> tuple[Product, ...]:
    """The products that a legal entity has released: all 300, or the first of each kind."""
    draw, result = stream("products"), []
    for category in CATEGORIES:
        for n in range(30):
            low, high = category.price
            price = low * (high / low) ** ((n % 6 + 0.16 * (n // 6) + 0.2 * draw.random()) / 6)
            external = f"{int(draw.random() * 90000) + 10000}" if draw.random() < 0.5 else ""
            if n < {"usmf": 30, "demf": 24, "frrt": 18}[company.area]:
                name = f"{category.products[n % 6]}, {category.variants[n // 6]}"
                result.append(
                    Product(
                        f"{category.code}-{1001 + n}",
                        name,
                        category,
                        max(1, round(price * company.rate * 100)),
                        external,
                    )
                )
    return tuple(result)


def _lot(draw: Random, product: Product) -> int:
    """A usual quantity, in tenths of the unit: many of what is cheap, few of what is dear."""
    if product.category.unit != "ea":
        return int(pick(draw, (25, 50, 75, 100, 125, 200, 250, 500, 1000)))
    few = (10, 10, 20, 30, 40, 60) if product.price > 20000 else (10, 20, 40, 50, 80, 100, 120)
    many = (500, 1000, 2000, 2500, 5000, 10000) if product.price < 500 else (50, 100, 200, 250, 400, 500, 1000)
    return int(pick(draw, few if product.price > 5000 else many))


@lru_cache(maxsize=64)
def pool_of(company: Company, category: int | None) -> tuple[list[str], list[int]]:
    """Order lines to take in turn, as text and as amount in hundredths: purchases of a category, or sales of all."""
    draw = stream(f"pool/{company.area}/{category}")
    products = [p for p in products_of(company) if category is None or p.category is CATEGORIES[category]]
    texts, amounts = [], []
    for _ in range(40 if category is not None else 16):
        for product in shuffled(draw, products):
            base = product.price if category is not None else product.price * 27 // 20
            price = max(1, base * pick(draw, (94, 97, 100, 100, 103)) // 100)
            tenths = _lot(draw, product)
            amount = (price * tenths + 5) // 10
            texts.append(
                f"{product.item}\t{product.name}\t{product.category.name}\t{tenths // 10}.{tenths % 10}\t"
                f"{product.category.unit}\t{price // 100}.{price % 100:02d}\t{amount // 100}.{amount % 100:02d}\t"
                f"{product.external if category is not None else ''}"
            )
            amounts.append(amount)
    return texts + texts[:5], amounts + amounts[:5]  # five more, so that a slice never has to wrap


@dataclass(frozen=True)
class Plan:
    """What the headers and the lines of a legal entity's orders agree on: one entry per order, oldest first."""

    account: list[int]  # index into the legal entity's accounts
    lines: bytes
    status: bytes  # PurchStatus, SalesStatus
    document: bytes  # VersioningDocumentState, DocumentStatus
    created: Sequence[int]  # days
    due: Sequence[int]
    confirmed: Sequence[int]  # 0: not confirmed
    site: bytes
    chance: bytes  # 0..255, for details


@lru_cache(maxsize=3)
def _plan(kind: str, company: Company, accounts: int, scale: int) -> Plan:
    purchase = kind == "purchase"
    draw, n = stream(f"{kind}/{company.area}"), 1000 * scale * company.share
    random = draw.random
    big = {USMF: (0, 1, 2), DEMF: (0,), FRRT: (0,)}[company] if purchase else ()
    spread = [b for b in big for _ in range(1000 * scale)]
    rest = [i for i in range(accounts) if i not in big]
    spread += (rest * (n // len(rest) + 1))[: n - len(spread)]
    # 5 % are canceled; of the others, roughly by age, 45 % are invoiced, 15 % received, and the newest 35 % open
    status = bytearray(4 if k * 7 % 20 == 3 else 1 for k in range(n))
    age = [k / n + 0.18 * random() for k in range(n)]
    by_age = [k for k in sorted(range(n), key=age.__getitem__) if status[k] == 1]
    for k in by_age[: n * 45 // 100]:
        status[k] = 3
    for k in by_age[n * 45 // 100 : n * 60 // 100]:
        status[k] = 2
    document, site, chance = bytearray(n), bytearray(n), bytearray(n)
    created, due, confirmed = array("h", bytes(2 * n)), array("h", bytes(2 * n)), array("h", bytes(2 * n))
    span, sites = len(ORDER_DAYS), len(company.sites)
    open_states = bytes(s for s, share in ((0, 20), (1, 15), (2, 8), (3, 51), (4, 51), (5, 111)) for _ in range(share))
    slips = (0, 0, 0, 0, 1, 2, 5, 7)
    for k in range(n):
        day, state, luck, u = ORDER_DAYS[k * span // n], status[k], int(random() * 256), random()
        if state == 1:
            document[k] = open_states[luck] if purchase else 3 if luck > 70 else 0
            due[k] = WORKDAY[max(day + 3 + luck % 7, TODAY - 18 + int(u * 100))]
        else:
            due[k] = WORKDAY[day + 5 + int(u * 35)]
            if purchase:
                document[k] = 3 if state == 4 else 6 if state == 3 and day < TODAY - 365 else 5
            else:
                document[k] = (0, 0, 5, 7, 0)[state]
        if document[k] >= (5 if purchase else 3):
            confirmed[k] = WORKDAY[due[k] + slips[int(random() * 8)]]
        created[k], site[k], chance[k] = day, int(random() * sites), luck
    lines = bytes(shuffled(draw, [1, 2, 3, 4, 5] * (n // 5)))
    return Plan(
        shuffled(draw, spread),
        lines,
        bytes(status),
        bytes(document),
        created,
        due,
        confirmed,
        bytes(site),
        bytes(chance),
    )


def orders_of(kind: str, scale: int) -> Iterator[tuple[Company, list[Account], Plan]]:
    accounts = accounts_of("vendor", 200 * scale) if kind == "purchase" else accounts_of("customer", 2000 * scale)
    for company in COMPANIES:
        own = [a for a in accounts if a.company is company]
        yield company, own, _plan(kind, company, len(own), scale)


def _moment(k: int, n: int, day: int) -> str:
    """When order k of n was entered: the day's orders follow one another through its working hours."""
    span = len(ORDER_DAYS)
    return f"{DAY[day]} {CLOCK[k * span % n * len(CLOCK) // n]}"


def _where(place: Place, street: str) -> str:
    return f"{street}\t{place.city}\t{place.zipcode}\t{place.state}\t{place.country}"


PURCHTABLE = (
    "recid purchid dataareaid orderaccount invoiceaccount purchname currencycode languageid payment paymmode dlvmode "
    "dlvterm itembuyergroupid taxgroup workerpurchplacer requester contactpersonid email inventsiteid "
    "inventlocationid deliveryname deliverystreet deliverycity deliveryzipcode deliverystate deliverycountryregionid "
    "purchstatus documentstate accountingdate deliverydate requestedshipdate confirmeddlv confirmedshipdate vendorref "
    "createddatetime modifieddatetime"
)


def purchase_orders(scale: int) -> Iterator[str]:
    recid = RECID
    for company, accounts, plan in orders_of("purchase", scale):
        heads = [
            f"{company.area}\t{a.number}\t{a.number}\t{a.name}\t{company.currency}\t{company.language}\t"
            f"{terms_of(a)}\t{delivery_of(a)}\t{CATEGORIES[a.category].code}\t{tax_group(company)}\t"
            f"{clerk_of(a)}\t{clerk_of(a, 5)}\t{a.contact}\t{a.mail if a.user else a.email}"
            for a in accounts
        ]
        sites = [f"{s.site}\t{s.warehouse}\t{s.name}\t{_where(s.place, s.street)}" for s in company.sites]
        n = len(plan.account)
        for k, (who, status, document, created, due, confirmed, site, luck) in enumerate(
            zip(
                plan.account,
                plan.status,
                plan.document,
                plan.created,
                plan.due,
                plan.confirmed,
                plan.site,
                plan.chance,
                strict=True,
            )
        ):
            changed = DAY[due + 6 if status == 3 else due if status == 2 else created + luck % 3]
            reference = f"SO-{100000 + (k * 48611 + who) % 900000}" if confirmed and luck % 4 else ""
            yield (
                f"{recid}\tPO-{k + 1:06d}\t{heads[who]}\t{sites[site]}\t{status}\t{document}\t{DAY[created]}\t"
                f"{DAY[due]}\t{DAY[due - 3]}\t{DAY[confirmed]}\t{DAY[confirmed - 3] if confirmed else NEVER}\t"
                f"{reference}\t{_moment(k, n, created)}\t{changed} 18:30:00+00\n"
            )
            recid += 1


PURCHLINE = (
    "recid dataareaid purchid linenumber itemid name procurementcategory purchqty purchunit purchprice lineamount "
    "externalitemid currencycode purchstatus deliverydate confirmeddlv inventsiteid inventlocationid taxgroup "
    "inventtransid"
)


def purchase_lines(scale: int) -> Iterator[str]:
    recid = RECID
    for company, accounts, plan in orders_of("purchase", scale):
        pools = [pool_of(company, a.category)[0] for a in accounts]
        sites = [f"{s.site}\t{s.warehouse}\t{tax_group(company)}" for s in company.sites]
        lot = 0
        for k, (who, count, status, due, confirmed, site) in enumerate(
            zip(plan.account, plan.lines, plan.status, plan.due, plan.confirmed, plan.site, strict=True)
        ):
            head = f"\t{company.area}\tPO-{k + 1:06d}\t"
            tail = f"\t{company.currency}\t{status}\t{DAY[due]}\t{DAY[confirmed]}\t{sites[site]}\tLP"
            pool = pools[who]
            start = k * 7919 % (len(pool) - 5)
            for number, text in enumerate(pool[start : start + count], 1):
                lot += 1
                yield f"{recid}{head}{number}\t{text}{tail}{lot:08d}\n"
                recid += 1


SALESTABLE = (
    "recid salesid dataareaid custaccount invoiceaccount salesname currencycode languageid payment paymmode dlvmode "
    "dlvterm workersalestaker workersalesresponsible email deliveryname deliverystreet deliverycity deliveryzipcode "
    "deliverystate deliverycountryregionid invoicestreet invoicecity invoicezipcode invoicestate "
    "invoicecountryregionid inventsiteid inventlocationid salesoriginid contactpersonid salesstatus documentstatus "
    "shippingdaterequested receiptdaterequested shippingdateconfirmed receiptdateconfirmed customerref "
    "ordertotalamount aretotalscalculated createddatetime modifieddatetime"
)


def sales_orders(scale: int) -> Iterator[str]:
    recid = RECID
    buyers = {c.account.index: c.contact for c in colleagues() if not c.administrator}
    for company, accounts, plan in orders_of("sales", scale):
        heads = [
            f"{company.area}\t{a.number}\t{a.number}\t{a.name}\t{company.currency}\t{company.language}\t"
            f"{terms_of(a)}\t{delivery_of(a)}\t{clerk_of(a)}\t{clerk_of(a, 5)}\t{a.mail if a.user else a.email}\t"
            f"{a.name}\t{_where(a.place, a.street)}\t{_where(a.place, a.street)}"
            for a in accounts
        ]
        contacts = [(a.contact, buyers.get(a.index, a.contact)) for a in accounts]
        sites = [f"{s.site}\t{s.warehouse}" for s in company.sites]
        amounts = pool_of(company, None)[1]
        n = len(plan.account)
        for k, (who, count, status, document, created, due, confirmed, site, luck) in enumerate(
            zip(
                plan.account,
                plan.lines,
                plan.status,
                plan.document,
                plan.created,
                plan.due,
                plan.confirmed,
                plan.site,
                plan.chance,
                strict=True,
            )
        ):
            changed = DAY[due + 6 if status == 3 else due if status == 2 else created + luck % 3]
            start = k * 7919 % (len(amounts) - 5)
            reference = f"REF-{10000 + (k * 48611 + who) % 90000}" if luck % 4 else ""
            total = sum(amounts[start : start + count])
            yield (
                f"{recid}\tSO-{k + 1:06d}\t{heads[who]}\t{sites[site]}\t{('WEB', 'PHONE', 'EMAIL')[luck % 3]}\t"
                f"{contacts[who][luck > 178] if luck > 100 else ''}\t{status}\t{document}\t{DAY[due - 3]}\t{DAY[due]}\t"
                f"{DAY[confirmed - 3] if confirmed else NEVER}\t{DAY[confirmed]}\t{reference}\t"
                f"{total // 100}.{total % 100:02d}\t1\t{_moment(k, n, created)}\t{changed} 18:30:00+00\n"
            )
            recid += 1


SALESLINE = (
    "recid dataareaid salesid linenum linecreationsequencenumber itemid name salescategory salesqty salesunit "
    "salesprice lineamount externalitemid currencycode salesstatus shippingdaterequested receiptdaterequested "
    "shippingdateconfirmed receiptdateconfirmed inventsiteid inventlocationid taxgroup inventtransid"
)


def sales_lines(scale: int) -> Iterator[str]:
    recid = RECID
    for company, _, plan in orders_of("sales", scale):
        pool = pool_of(company, None)[0]
        sites = [f"{s.site}\t{s.warehouse}\t{tax_group(company)}" for s in company.sites]
        lot = 0
        for k, (count, status, due, confirmed, site) in enumerate(
            zip(plan.lines, plan.status, plan.due, plan.confirmed, plan.site, strict=True)
        ):
            head = f"\t{company.area}\tSO-{k + 1:06d}\t"
            tail = (
                f"\t{company.currency}\t{status}\t{DAY[due - 3]}\t{DAY[due]}\t"
                f"{DAY[confirmed - 3] if confirmed else NEVER}\t{DAY[confirmed]}\t{sites[site]}\tLS"
            )
            start = k * 7919 % (len(pool) - 5)
            for number, text in enumerate(pool[start : start + count], 1):
                lot += 1
                yield f"{recid}{head}{number}\t{number}\t{text}{tail}{lot:08d}\n"
                recid += 1
