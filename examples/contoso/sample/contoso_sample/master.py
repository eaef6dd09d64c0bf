"""Master data and identities: every table but the orders."""

from collections.abc import Iterator
from uuid import UUID, uuid5

from contoso_sample.cast import Account, Cast, clerk_of, delivery_of, phone_of, tax_group, terms_of
from contoso_sample.leave import companies_of
from contoso_sample.load import Load, Row, few
from contoso_sample.orders import products_of
from contoso_sample.world import CATEGORIES, COMPANIES, FOREVER, RECID, USMF, Place

NAMESPACE = UUID("6f1d3b52-8c0e-5a47-9b21-3d7e5f0c9a64")
VENDORS = str(uuid5(NAMESPACE, "webrole/Vendors"))  # b0a26570-fc08-57f6-b1ee-9ee5d6449b58
REPRESENTATIVES = str(uuid5(NAMESPACE, "webrole/Customers"))  # 0d86f182-8a4a-54ae-922b-3b9bdf5c9918
ADMINISTRATORS = str(uuid5(NAMESPACE, "webrole/Customer administrators"))
AUTHORISED = str(uuid5(NAMESPACE, "webrole/Authorised users"))
WORKERS = str(uuid5(NAMESPACE, "webrole/Workers"))  # 5f87c527-8236-571e-aeb2-f777d67323ae
FOR_CUSTOMER, FOR_VENDOR = 192350000, 192350001  # contact.msdyn_contactfor
STRANGER = ("Nora", "Falk", "nora.falk@baltic-tooling.example")  # has a web role, is nobody to the ERP


def uuid_of(kind: str, *key: str) -> str:
    """The Dataverse row id of a thing, from its natural key."""
    return str(uuid5(NAMESPACE, "/".join((kind, *key))))


def parties(cast: Cast) -> list[Row]:
    def organisation(name: str, language: str, mail: str, phone: str, street: str, place: Place) -> Row:
        return (
            name,
            name.upper()[:20].strip(),
            name,
            "Organization",
            "",
            "",
            language,
            mail,
            phone,
            street,
            place.city,
            place.zipcode,
            place.state,
            place.country,
        )

    def person(first: str, last: str, language: str, mail: str, phone: str, street: str, place: Place) -> Row:
        return (
            f"{first} {last}",
            f"{last} {first}".upper()[:20].strip(),
            first,
            "Person",
            first,
            last,
            language,
            mail,
            phone,
            street,
            place.city,
            place.zipcode,
            place.state,
            place.country,
        )

    rows = [
        organisation(
            c.name, c.language, f"info.{c.area}@contoso.example", phone_of(c, 1), c.sites[0].street, c.sites[0].place
        )
        for c in COMPANIES
    ]
    for a in (*cast.vendors, *cast.customers):
        rows.append(organisation(a.name, a.company.language, a.email, a.phone, a.street, a.place))
    for _, a, _, _ in cast.outside():
        rows.append(
            person(
                a.first, a.last, a.company.language, a.mail, phone_of(a.company, a.index * 11 + 5), a.street, a.place
            )
        )
    for w in cast.workers:
        c, i = w.company, w.index
        rows.append(
            person(
                w.first,
                w.last,
                c.language,
                w.mail,
                phone_of(c, i * 13 + 7),
                f"{1 + i * 37 % 140} {c.streets[i % len(c.streets)]}",
                c.places[i % 5],
            )
        )
    for colleague, _, _ in cast.beside():
        a = colleague.account
        phone = phone_of(a.company, a.index * 17 + (9 if colleague.administrator else 10))
        rows.append(
            person(colleague.first, colleague.last, a.company.language, colleague.mail, phone, a.street, a.place)
        )
    return [(RECID + i, f"{i + 1:09d}", *row) for i, row in enumerate(rows)]


def vendor_row(a: Account) -> Row:
    company, i = a.company, a.index
    tax = "" if company is USMF else f"{company.prefix}{100000000 + i * 7919 % 900000000}"
    blocked = (1, 2, 3, 4, 5)[i // 23 % 5] if i > 20 and i % 23 == 0 else 0
    payment, mode = terms_of(a).split("\t")
    delivery, term = delivery_of(a).split("\t")
    return (
        RECID + i,
        company.area,
        a.number,
        RECID + 3 + i,
        CATEGORIES[a.category].code,
        a.number,
        company.currency,
        company.language,
        blocked,
        payment,
        mode,
        delivery,
        term,
        company.sites[0].site,
        (1 + (i % 3 == 2)) if a.user else 0,
        f"{(i % 9 + 1) * 25000}.00",
        "ABC"[i % 3],
        f"{company.prefix}-BANK-{i + 1:05d}",
        tax,
        tax_group(company),
        f"{10000000 + i * 104729 % 89999999}",
        f"{company.prefix}{4000 + i}",
        CATEGORIES[a.category].code,
        a.contact,
        clerk_of(a),
        int(i % 4 == 0),
        int(i % 10 != 9),
        "Contract ends in December: ask for two more offers." if i % 8 == 1 else "",
    )


def customer_row(a: Account, party: int) -> Row:
    company, i = a.company, a.index
    tax = "" if company is USMF else f"{company.prefix}{500000000 + i * 7919 % 400000000}"
    payment, mode = terms_of(a).split("\t")
    delivery, term = delivery_of(a).split("\t")
    return (
        RECID + i,
        company.area,
        a.number,
        party,
        ("RETAIL", "WHOLESALE", "PROJECT")[i % 3],
        a.number,
        company.currency,
        company.language,
        2 if i > 20 and i % 41 == 0 else 0,
        payment,
        mode,
        delivery,
        term,
        company.sites[0].site,
        company.sites[0].warehouse,
        f"{(i % 12 + 1) * 10000}.00",
        int(i % 5 == 0),
        "ABC"[i % 3],
        tax_group(company),
        tax,
        a.contact,
        clerk_of(a),
        a.place.state,
        f"SEG-{i % 4 + 1}",
    )


def item_rows(cast: Cast) -> list[Row]:
    rows: list[Row] = []
    for company in COMPANIES:
        by_trade = [
            [a.number for a in cast.vendors[:200] if a.company is company and a.category == c]
            for c in range(len(CATEGORIES))
        ]
        for n, p in enumerate(products_of(company)):
            trade, unit, service = by_trade[CATEGORIES.index(p.category)], p.category.unit, p.category.code == "SRV"
            sale, cost = p.price * 27 // 20, p.price * 26 // 25
            rows.append(
                (
                    RECID + len(rows),
                    company.area,
                    p.item,
                    p.item,
                    p.name,
                    p.item.replace("-", ""),
                    2 if service else 1,
                    p.category.code,
                    "STD" if not service else "SVC",
                    "SiteWH",
                    "None",
                    unit,
                    unit,
                    unit,
                    unit,
                    f"{p.price // 100}.{p.price % 100:02d}",
                    f"{sale // 100}.{sale % 100:02d}",
                    f"{cost // 100}.{cost % 100:02d}",
                    "2026-01-01",
                    "2026-01-01",
                    "2026-01-01",
                    trade[n % len(trade)] if trade else "",
                    p.category.code,
                    "Operational",
                    "0" if service else f"{1 + n * 37 % 90}.{n % 10}",
                    "FULL",
                    "FULL",
                    company.places[0].country,
                )
            )
    return rows


def worker_rows(cast: Cast) -> tuple[list[Row], list[Row]]:
    titles = ("Buyer", "Planner", "Technician", "Accountant", "Warehouse operator", "Engineer", "Sales representative")
    workers: list[Row] = []
    employments: list[Row] = []
    first = cast.persons()
    for w in cast.workers:
        i = w.index
        year = 2008 + i * 7 % 17
        hired = f"{year}-{1 + i * 5 % 12:02d}-{1 + i * 11 % 28:02d}"
        left = i >= 200 and i % 10 == 7
        workers.append(
            (
                RECID + i,
                w.number,
                first + i,
                2 if i % 9 == 8 else 1,
                2 if left else 1,
                titles[i % 7],
                w.company.sites[i % len(w.company.sites)].name,
                w.company.language,
                0 if i % 31 == 30 else w.gender,
                (1, 2, 2, 4, 0)[i % 5],
                f"{year - 19 - i * 13 % 30}-{1 + i * 7 % 12:02d}-{1 + i * 3 % 28:02d}",
                f"{hired} 08:00:00+00",
                hired,
                f"{hired} 08:00:00+00",
                i % 4,
                int(i % 3 == 0),
            )
        )
        for company in companies_of(w):
            until = "2026-03-31 23:59:59+00" if left else FOREVER
            employments.append((RECID + len(employments), RECID + i, company.area, f"{hired} 00:00:00+00", until))
    return workers, employments


def user_rows(cast: Cast) -> tuple[list[Row], list[Row], list[Row]]:
    """Users, their roles, and the legal entities of these (none: all)."""
    users: list[Row] = [
        ("admin", "Administrator", "admin@contoso.example", 1, "usmf", "en-us", 0),
        ("purch.clerk", "Purchasing clerk", "purch.clerk@contoso.example", 1, "usmf", "en-us", 0),
        ("sales.clerk", "Sales clerk", "sales.clerk@contoso.example", 1, "usmf", "en-us", 0),
        ("integration", "Integration", "integration@contoso.example", 1, "usmf", "en-us", 0),
        ("portal.anonymous", "Anonymous visitors", "", 1, "usmf", "en-us", 1),
    ]
    roles: list[Row] = [
        ("admin", "-SYSADMIN-"),
        ("purch.clerk", "PurchPurchasingAgent"),
        ("sales.clerk", "TradeSalesClerk"),
        ("integration", "DataManagementOperationsUser"),
        ("portal.anonymous", "SystemExternalUser"),
        ("portal.anonymous", "CDSVirtualEntityAnonymousPortalUser"),
        ("portal.anonymous", "PurchPublicExternal"),
    ]
    areas: list[Row] = [
        ("purch.clerk", "PurchPurchasingAgent", "usmf"),
        ("purch.clerk", "PurchPurchasingAgent", "demf"),
        ("sales.clerk", "TradeSalesClerk", "usmf"),
    ]
    outside = ("SystemExternalUser", "CDSVirtualEntityAuthenticatedPortalUser")
    for kind, a, _, _ in cast.outside():
        own = ("VendVendorExternal" if kind == "vendor" else "CustCustomerExternal", *outside)
        users.append((a.user, f"{a.first} {a.last}", a.mail, 1, a.company.area, a.company.language, 1))
        roles += [(a.user, role) for role in own]
        areas += [(a.user, role, a.company.area) for role in own]
        if kind == "vendor":
            roles.append((a.user, "PurchPublicExternal"))  # in every legal entity: what is public is so everywhere
    for c, _, _ in cast.beside():
        company = c.account.company
        users.append((c.user, f"{c.first} {c.last}", c.mail, 1, company.area, company.language, 1))
        own = ("CustCustomerExternal" if c.administrator else "CustContactExternal", *outside)
        roles += [(c.user, role) for role in own]
        areas += [(c.user, role, company.area) for role in own]
    for w in cast.workers:
        if w.user:
            users.append((w.user, f"{w.first} {w.last}", w.mail, 1, w.company.area, w.company.language, 1))
            roles += [(w.user, role) for role in ("HcmWorkerExternal", *outside)]
    return users, roles, areas


def dataverse_loads(cast: Cast) -> Iterator[Load]:
    accounts: list[Row] = []
    nobody = (uuid_of("contact", STRANGER[2]), STRANGER[0], STRANGER[1], f"{STRANGER[0]} {STRANGER[1]}", STRANGER[2])
    contacts: list[Row] = [(*nobody, None, None, None, None, None)]
    roles: list[Row] = [(contacts[0][0], VENDORS)]
    mappings: list[Row] = []
    for kind, a, _, _ in cast.outside():
        account, contact, area = (
            uuid_of("account", a.company.area, kind, a.number),
            uuid_of("contact", a.user),
            a.company.area,
        )
        accounts.append(
            (account, a.name, a.number, uuid_of("company", area), area, 11 if kind == "vendor" else 3, a.email)
        )
        person = (contact, a.first, a.last, f"{a.first} {a.last}", a.mail, account)
        works_for = FOR_VENDOR if kind == "vendor" else FOR_CUSTOMER
        contacts.append((*person, a.contact, uuid_of("company", area), area, works_for))
        roles.append((contact, VENDORS if kind == "vendor" else REPRESENTATIVES))
        mappings.append((uuid_of("mapping", a.user), contact, a.user))
    for c, _, _ in cast.beside():
        contact, area = uuid_of("contact", c.user), c.account.company.area
        account = uuid_of("account", area, "customer", c.account.number)
        person = (contact, c.first, c.last, f"{c.first} {c.last}", c.mail, account)
        contacts.append((*person, c.contact, uuid_of("company", area), area, FOR_CUSTOMER))
        roles.append((contact, ADMINISTRATORS if c.administrator else AUTHORISED))
        mappings.append((uuid_of("mapping", c.user), contact, c.user))
    for w in cast.workers:
        if w.user:
            contact = uuid_of("contact", w.user)
            contacts.append((contact, w.first, w.last, f"{w.first} {w.last}", w.mail, None, None, None, None, None))
            roles.append((contact, WORKERS))
            mappings.append((uuid_of("mapping", w.user), contact, w.user))
    yield few(
        "dataverse.transactioncurrency",
        "transactioncurrencyid isocurrencycode currencyname currencysymbol currencyprecision exchangerate",
        [(uuid_of("currency", "EUR"), "EUR", "Euro", "€", 2, "0.92")],  # US dollars are the base currency
    )
    yield few(
        "dataverse.cdm_company",
        "cdm_companyid cdm_companycode cdm_name",
        [(uuid_of("company", c.area), c.area, c.name) for c in COMPANIES],
    )
    yield few(
        "dataverse.account",
        "accountid name accountnumber msdyn_company msdyn_companycode customertypecode emailaddress1",
        accounts,
    )
    yield few(
        "dataverse.contact",
        "contactid firstname lastname fullname emailaddress1 parentcustomerid msdyn_contactpersonid msdyn_company "
        "msdyn_companycode msdyn_contactfor",
        contacts,
    )
    yield few(
        "dataverse.msdyn_externalportalusermapping",
        "msdyn_externalportalusermappingid msdyn_contactid msdyn_userid",
        mappings,
    )
    yield few("dataverse.adx_webrole_contact", "contactid adx_webroleid", roles)
