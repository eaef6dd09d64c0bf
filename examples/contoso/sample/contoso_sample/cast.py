"""Who there is: vendors, customers, workers, and those among them who sign in from outside."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from contoso_sample.world import (
    CATEGORIES,
    COMMON,
    COMPANIES,
    DEMF,
    NAMED,
    RECID,
    TURN,
    USMF,
    Company,
    Place,
    pick,
    slug_of,
    stream,
)


@dataclass(frozen=True)
class Account:
    """A vendor or customer; `user` and what follows belong to the person outside who works for it ('' if nobody)."""

    index: int
    company: Company
    number: str
    name: str
    category: int
    place: Place
    street: str
    email: str
    phone: str
    user: str
    first: str
    last: str
    mail: str

    @property
    def contact(self) -> str:
        return f"CP-{self.number}" if self.user else ""


@dataclass(frozen=True)
class Worker:
    index: int
    company: Company
    number: str
    first: str
    last: str
    gender: int  # HcmPersonGender: 1 Male, 2 Female
    mail: str
    user: str


def phone_of(company: Company, n: int) -> str:
    """A number from the range that each country keeps for fiction."""
    if company is USMF:
        return f"+1 {206 + n // 100 % 700}-555-01{n % 100:02d}"
    return f"+49 30 23125 {n % 1000:03d}" if company is DEMF else f"+33 1 99 00 {n // 100 % 100:02d} {n % 100:02d}"


@lru_cache(maxsize=4)
def accounts_of(kind: str, count: int) -> tuple[Account, ...]:
    """The first `count` vendors or customers; a longer list begins with the shorter one."""
    vendor = kind == "vendor"
    draw, people = stream(f"{kind}/accounts"), stream(f"{kind}/people")
    external = min(count, 400 if vendor else 200)
    chosen = {int(position): data for position, data in NAMED[f"{kind}s"].items()}
    numbers = dict.fromkeys(COMPANIES, 100 if vendor else 0)
    taken = {slug_of(data["name"].rsplit(" ", 1)[0]) for data in chosen.values()}
    result = []
    for index in range(count):
        company = TURN[index % 20]
        if index in COMMON:
            number = f"{'V' if vendor else 'C'}-COMMON-{COMMON[index]}"
            user = f"{number}-{company.area}".lower()
        else:
            numbers[company] += 1
            n = numbers[company]
            number = f"{company.prefix}-{n}" if vendor else f"{company.prefix}-C{n:05d}"
            user = f"{'v' if vendor else 'c'}-{company.prefix.lower()}-{n if vendor else f'{n:05d}'}"
        category = int(draw.random() * len(CATEGORIES)) if vendor else 0
        words = CATEGORIES[category].trades[company.area] if vendor else company.customer_words
        place, word, form = pick(draw, company.places), pick(draw, words), pick(draw, company.forms)
        pattern, stem = draw.random(), f"{pick(draw, company.stems)} {word}"
        if pattern > 0.45:
            stem = f"{pick(draw, company.last)} {word}"
        if pattern > 0.75:
            stem = f"{place.city} {word}"
        tries = 0
        while (slug := slug_of(stem)) in taken:
            tries += 1
            stem = f"{pick(draw, company.last)} & {pick(draw, company.last)} {word}"
            if tries > 4:
                stem += f" {pick(draw, company.places).city}"
        name = f"{stem} {form}"
        first, last = pick(people, company.first), pick(people, company.last)
        if index in chosen:
            name, category, (first, last) = (chosen[index][key] for key in ("name", "category", "person"))
            slug = slug_of(name.rsplit(" ", 1)[0])
        taken.add(slug)
        house, street = 1 + int(draw.random() * 180), pick(draw, company.streets)
        has_user = index < external
        result.append(
            Account(
                index,
                company,
                number,
                name,
                category,
                place,
                f"{street} {house}" if company is DEMF else f"{house} {street}",
                f"{'orders' if vendor else 'purchasing'}@{slug}.example",
                phone_of(company, index * 7 + (0 if vendor else 3)),
                user if has_user else "",
                first,
                last,
                f"{slug_of(first)}.{slug_of(last)}@{slug}.example",
            )
        )
    return tuple(result)


@lru_cache(maxsize=4)
def workers_of(count: int) -> tuple[Worker, ...]:
    draw, seen, result = stream("worker/people"), dict[str, int](), []
    for index in range(count):
        company = TURN[index % 20]
        first, last = pick(draw, company.first), pick(draw, company.last)
        gender = 2 - company.first.index(first) % 2
        if named := NAMED["workers"].get(str(index)):
            (first, last), gender = named["person"], named["gender"]
        box = f"{slug_of(first)}.{slug_of(last)}"
        seen[box] = seen.get(box, 0) + 1
        number = f"{index + 1:06d}"
        result.append(
            Worker(
                index,
                company,
                number,
                first,
                last,
                gender,
                f"{box}{seen[box] if seen[box] > 1 else ''}@contoso.example",
                f"w-{number}" if index < 200 else "",
            )
        )
    return tuple(result)


_OFFICE = {company: [i for i in range(200) if TURN[i % 20] is company][:12] for company in COMPANIES}


def clerk_of(account: Account, shift: int = 0) -> int:
    """The record id of the worker who looks after an account."""
    return RECID + _OFFICE[account.company][(account.index + shift) % 12]


def terms_of(account: Account) -> str:
    return ("Net30\tCHECK", "Net30\tELECTRONIC", "Net45\tELECTRONIC", "Net10\tELECTRONIC")[account.index % 4]


def delivery_of(account: Account) -> str:
    return ("TRUCK\tDAP", "TRUCK\tFCA", "PARCEL\tDAP", "RAIL\tFCA", "TRUCK\tDDP")[account.index % 5]


def tax_group(company: Company) -> str:
    return f"{company.prefix}-DOM"


@dataclass(frozen=True)
class Colleague:
    """A further person of a customer's: an administrator, or somebody who has a part of the orders only."""

    account: Account
    administrator: bool
    first: str
    last: str
    mail: str

    @property
    def user(self) -> str:
        return f"{self.account.user}-{'admin' if self.administrator else 'buyer'}"

    @property
    def contact(self) -> str:
        return f"CP-{self.account.number}-{2 if self.administrator else 3}"


#: Customers with further people: the first ones, some of each legal entity.
WITH_COLLEAGUES = 20


@lru_cache(maxsize=1)
def colleagues() -> tuple[Colleague, ...]:
    """An administrator and an authorised user for each of the first customers."""
    draw, result = stream("customer/colleagues"), []
    for account in accounts_of("customer", WITH_COLLEAGUES):
        host = account.mail.partition("@")[2]
        for administrator in (True, False):
            first, last = account.first, account.last
            while (first, last) == (account.first, account.last):
                first, last = pick(draw, account.company.first), pick(draw, account.company.last)
            box = f"{slug_of(first)}.{slug_of(last)}"
            result.append(Colleague(account, administrator, first, last, f"{box}@{host}"))
    return tuple(result)


@dataclass(frozen=True)
class Cast:
    """Everybody, and the record ids of their parties: legal entities, vendors, customers, then persons: those who work
    for the former, workers, and the customers' further people."""

    vendors: tuple[Account, ...]
    customers: tuple[Account, ...]
    workers: tuple[Worker, ...]

    def outside(self) -> Iterator[tuple[str, Account, int, int]]:
        """Kind, account, its party and its person's party, of every account with a user."""
        person = RECID + 3 + len(self.vendors) + len(self.customers)
        for kind, accounts, first in (("vendor", self.vendors, 3), ("customer", self.customers, 3 + len(self.vendors))):
            for account in accounts:
                if account.user:
                    yield kind, account, RECID + first + account.index, person
                    person += 1

    def persons(self) -> int:
        """The party of the first worker."""
        return max(person for *_, person in self.outside()) + 1

    def beside(self) -> Iterator[tuple[Colleague, int, int]]:
        """Each colleague, the party of the account and of the person."""
        first = self.persons() + len(self.workers)
        for place, colleague in enumerate(colleagues()):
            yield colleague, RECID + 3 + len(self.vendors) + colleague.account.index, first + place
