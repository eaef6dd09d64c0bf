"""Who may sign in: accounts, contacts and their mapping to operations users, as rows of the Dataverse plane.

Nothing here belongs to the ERP database, which is attached as it is. The people are persons of that database: vendors'
contacts, customers, stores' contacts, employees, each with the e-mail address that person.emailaddress holds, because
the policies start from it. The operations users stand in operations/roles.yaml.

Ids of rows are made of natural keys, except for accounts of customers: those have the id of the customer (individuals)
or of the store, which is what the virtual tables of customers and sales orders are compared with.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

NAMESPACE = UUID("3b0f6f0e-6a58-5c3b-9f0e-2d1c7a4e8b55")
VENDOR, CUSTOMER = 11, 3  # account.customertypecode

Row = tuple[str | int | None, ...]
_ESCAPE = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def uuid_of(kind: str, *key: str) -> str:
    """The Dataverse row id of a thing, from its natural key."""
    return str(uuid5(NAMESPACE, "/".join((kind, *key))))


VENDORS = uuid_of("webrole", "Vendors")
CUSTOMERS = uuid_of("webrole", "Customers")
EMPLOYEES = uuid_of("webrole", "Employees")


@dataclass(frozen=True)
class Load:
    """The rows of one table in the text format of PostgreSQL's COPY."""

    table: str  # qualified, e.g. 'dataverse.contact'
    columns: tuple[str, ...]
    rows: int  # exactly as many as the chunks hold
    chunks: Iterator[bytes]


@dataclass(frozen=True)
class Account:
    id: str
    name: str
    number: str
    kind: int


@dataclass(frozen=True)
class Person:
    """``user``: the operations user, '' for somebody who is mapped to none. ``number``: of the person in the ERP."""

    user: str
    number: int
    first: str
    last: str
    mail: str
    role: str
    account: Account | None
    note: str

    @property
    def contact(self) -> str:
        return uuid_of("contact", self.mail)

    @property
    def name(self) -> str:
        return f"{self.first} {self.last}"


def _vendor(number: str, name: str) -> Account:
    return Account(uuid_of("account", "vendor", number), name, number, VENDOR)


AUSTRALIA = _vendor("AUSTRALI0001", "Australia Bike Retailer")
WHEELS = _vendor("AMERICAN0001", "American Bicycles and Wheels")
BIKES = _vendor("AMERICAN0002", "American Bikes")
COMPETE = _vendor("COMPETE0001", "Compete Enterprises, Inc")
CROWLEY = _vendor("CROWLEY0001", "Crowley Sport")
JON = Account("477586b3-2977-4e54-b1a8-569ab2c7c4d4", "Jon Yang", "10-4030-011000", CUSTOMER)
TRUSTED = Account("3c3d1d16-defe-412f-b4bf-0935e366dff2", "Trusted Catalog Store", "10-4020-000017", CUSTOMER)
FRIENDLY = Account("8483baae-a01a-4497-bebf-1f193e1d5f34", "Friendly Bike Shop", "10-4020-000643", CUSTOMER)
ACCOUNTS = (AUSTRALIA, WHEELS, BIKES, COMPETE, CROWLEY, JON, TRUSTED, FRIENDLY)

PEOPLE = (
    Person("aw-vendor-1492", 2054, "Charlene", "Wojcik", "charlene0@adventure-works.com", VENDORS, AUSTRALIA,
           "Australia Bike Retailer, vendor 1492, which has three contacts"),
    Person("aw-vendor-1650", 2052, "Barbara", "Wisnewski", "barbara8@adventure-works.com", VENDORS, WHEELS,
           "American Bicycles and Wheels, vendor 1650; the next in the alphabet is American Bikes"),
    Person("aw-vendor-1654", 2062, "Michael", "Worland", "michael26@adventure-works.com", VENDORS, BIKES,
           "American Bikes, vendor 1654"),
    Person("aw-vendor-1508", 2060, "Sheela", "Word", "sheela1@adventure-works.com", VENDORS, COMPETE,
           "Compete Enterprises, Inc, vendor 1508; the purchasing manager has the same name"),
    Person("aw-vendor-1658", 1657, "Arvind", "Rao", "arvind1@adventure-works.com", VENDORS, CROWLEY,
           "Crowley Sport, vendor 1658; a buyer has the same name"),
    Person("aw-customer-11000", 13531, "Jon", "Yang", "jon24@adventure-works.com", CUSTOMERS, JON,
           "an individual, customer 11000"),
    Person("aw-store-1018-1017", 1017, "Mark", "Hanson", "mark3@adventure-works.com", CUSTOMERS, TRUSTED,
           "Trusted Catalog Store, store 1018 with the customers 17 and 29811; buys for it"),
    Person("aw-store-1018-1790", 1790, "Jeff", "Stammler", "jeff5@adventure-works.com", CUSTOMERS, TRUSTED,
           "Trusted Catalog Store, store 1018; owns it, sees what Mark Hanson sees"),
    Person("aw-store-1372-1371", 1371, "Denise", "Maccietto", "denise1@adventure-works.com", CUSTOMERS, FRIENDLY,
           "Friendly Bike Shop, store 1372; another store has the same name"),
    Person("aw-employee-1", 1, "Ken", "Sánchez", "ken0@adventure-works.com", EMPLOYEES, None,
           "employee 1"),
    Person("aw-employee-5", 5, "Gail", "Erickson", "gail0@adventure-works.com", EMPLOYEES, None,
           "employee 5"),
    Person("aw-employee-252", 252, "Arvind", "Rao", "arvind0@adventure-works.com", EMPLOYEES, None,
           "employee 252; a vendor's contact has the same name"),
    Person("", 2080, "Jo", "Zimmerman", "jo3@adventure-works.com", VENDORS, AUSTRALIA,
           "has the web role but no user mapping: refused wherever live ERP data is asked for"),
)  # fmt: skip


def loads(scale: int) -> Iterator[Load]:
    """Every table's rows, in the order in which to load them. There are as many people at every ``scale``."""
    mapped = [person for person in PEOPLE if person.user]
    yield _load(
        "dataverse.account",
        "accountid name accountnumber msdyn_company msdyn_companycode customertypecode emailaddress1",
        [(a.id, a.name, a.number, None, None, a.kind, None) for a in ACCOUNTS],
    )
    yield _load(
        "dataverse.contact",
        "contactid firstname lastname fullname emailaddress1 parentcustomerid aw_personid",
        [(p.contact, p.first, p.last, p.name, p.mail, p.account.id if p.account else None, p.number) for p in PEOPLE],
    )
    yield _load(
        "dataverse.msdyn_externalportalusermapping",
        "msdyn_externalportalusermappingid msdyn_contactid msdyn_userid",
        [(uuid_of("mapping", p.user), p.contact, p.user) for p in mapped],
    )
    yield _load("dataverse.adx_webrole_contact", "contactid adx_webroleid", [(p.contact, p.role) for p in PEOPLE])


def people() -> list[dict[str, Any]]:
    """The sign-ins that get a password at first start."""
    names = {VENDORS: "Vendors", CUSTOMERS: "Customers", EMPLOYEES: "Employees"}
    result: list[dict[str, Any]] = [
        {
            "username": person.mail,
            "kind": "contact",
            "contactid": person.contact,
            "operations_user": person.user or None,
            "web_roles": [names[person.role]],
            "note": person.note,
        }
        for person in PEOPLE
    ]
    for user, note in (
        ("admin", "system administrator: no policy applies"),
        ("buyer", "buyer: every vendor and purchase order, no sales order"),
    ):
        result.append(
            {
                "username": user,
                "kind": "operations",
                "contactid": None,
                "operations_user": user,
                "web_roles": [],
                "note": note,
            }
        )
    return result


def _load(table: str, columns: str, rows: list[Row]) -> Load:
    return Load(table, tuple(columns.split()), len(rows), iter([b"".join(map(_line, rows))]))


def _line(row: Row) -> bytes:
    text = "\t".join("\\N" if cell is None else str(cell).translate(_ESCAPE) for cell in row)
    return f"{text}\n".encode()
