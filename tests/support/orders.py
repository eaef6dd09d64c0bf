"""Sales orders of the sample company, copied: entered through the portal's Web API, and known by plain SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from forecourt.identity import csrf
from support.server import Answer, Installation, Person, url

#: A person's sales orders, by the links that the ERP keeps: user, person, contact person, customer.
OWN = """
select o.salesid, o.dataareaid, o.custaccount from erp.salestable o
join erp.custtable c on c.accountnum = o.custaccount and c.dataareaid = o.dataareaid
join erp.contactperson p on p.contactforparty = c.party and p.dataareaid = c.dataareaid and p.inactive = 0
join erp.dirpersonuser u on u.personparty = p.party
where u.user_ = $1 order by 1
"""


@dataclass(frozen=True)
class Customer:
    """Somebody who works for a customer. ``account``: the row of the company; ``number``, ``company``: in the ERP."""

    person: Person
    account: str
    number: str
    company: str

    @property
    def site(self) -> Installation:
        return self.person.site

    def order(self, *lines: Mapping[str, Any], **values: Any) -> dict[str, Any]:
        """The body of a new order."""
        body = {"customerid_account@odata.bind": f"/accounts({self.account})", **values}
        return {**body, "order_details": list(lines)} if lines else body

    async def ask(self, method: str, path: str, body: object = None, **options: object) -> Answer:
        """A request to ``/_api``."""
        return await api(self.person, method, path, body, **options)

    async def enter(self, *lines: Mapping[str, Any], **values: Any) -> dict[str, Any]:
        """A new order, as the portal answers it."""
        answer = await self.ask("POST", "salesorders", self.order(*lines, **values))
        assert answer.status == 201, answer.text
        return dict(answer.json)

    async def own(self) -> list[str]:
        """The numbers of the account's orders, by plain SQL over the ERP."""
        return [row[0] for row in await self.site.sql(OWN, self.person.operations_user)]

    async def item(self) -> tuple[str, Any]:
        """A product of the customer's company, and its price."""
        sql = "select itemid, salesprice from erp.inventtable where dataareaid = $1 and salesprice > 0 order by itemid"
        return tuple((await self.site.sql(sql, self.company))[0])  # type: ignore[return-value]


async def api(person: Person, method: str, path: str, body: object = None, **options: object) -> Answer:
    """A request of a person to ``/_api``, with its session and, for a write, its anti-forgery token."""
    target = url(f"/_api/{path}", **options)
    if method == "GET":
        return await person.get(target)
    headers = {
        **await person.headers(target),
        csrf.HEADER: await person.proof(),
        "content-type": "application/json",
        "prefer": "return=representation",
    }
    return await person.site.ask(method, target, headers, b"" if body is None else json.dumps(body).encode())


async def customer(site: Installation, number: int = 0) -> Customer:
    """The n-th customer of the sample's sign-ins."""
    return await customer_of(site.in_role("Customer representatives", number))


async def customer_of(person: Person) -> Customer:
    """A person with the account that its contact works for."""
    (account,) = await person.site.dataverse(
        "select a.accountid, a.accountnumber, c.cdm_companycode from dataverse.account a "
        "join dataverse.contact p on p.parentcustomerid = a.accountid "
        "join dataverse.cdm_company c on c.cdm_companyid = a.msdyn_company where p.contactid = $1",
        person.contact,
    )
    return Customer(person, str(account[0]), account[1], account[2])
