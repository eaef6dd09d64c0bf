"""The sample company: every row of its ERP database, and the Dataverse rows of the people who sign in from outside.

`loads(scale)` yields one `Load` per table, in the order in which they are to be copied; `people()` names the sign-ins.
At scale s there are 200s vendors, 2,000s customers, 500s workers, 20,000s purchase orders and 20,000s sales orders with
60,000s lines each, shared by three legal entities as 60 : 25 : 15. Every open purchase order that its vendor was sent
has a response. Requests for quotation are few, and the same at every scale.

Deterministic: no clock, every table draws from a stream of its own, and only `Random.random`, whose sequence Python
promises to keep. The first vendors, customers and workers (those who have a sign-in) are the same at every scale.
The first customers have three people each: one who orders for everybody, an administrator, one who orders alone.

Skewed on purpose: each of the first five vendors has 5 % of all purchase orders, the others have equally many.

Ambiguous on purpose: number sequences belong to a legal entity, so 'PO-000001' exists in each of them; and the account
numbers V-COMMON-1..3 and C-COMMON-1..3 exist in two legal entities each, for parties that have nothing to do with each
other. A rule that compares a number and forgets dataAreaId shows somebody else's rows.

Left out: discounts, taxes and foreign currencies (an order is in its legal entity's currency).
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if (_here := str(Path(__file__).parent)) not in sys.path:  # so that this file can be loaded by its path alone
    sys.path.append(_here)

from contoso_sample.cast import Cast, accounts_of, colleagues, workers_of
from contoso_sample.leave import address_rows, leave_rows, manager_rows
from contoso_sample.load import Load, few, many
from contoso_sample.master import (
    REPRESENTATIVES,
    STRANGER,
    VENDORS,
    WORKERS,
    customer_row,
    dataverse_loads,
    item_rows,
    parties,
    user_rows,
    uuid_of,
    vendor_row,
    worker_rows,
)
from contoso_sample.orders import (
    PURCHLINE,
    PURCHTABLE,
    SALESLINE,
    SALESTABLE,
    purchase_lines,
    purchase_orders,
    sales_lines,
    sales_orders,
)
from contoso_sample.quotations import quotation_loads
from contoso_sample.responses import response_loads
from contoso_sample.world import COMMON, COMPANIES, RECID

__all__ = ["REPRESENTATIVES", "VENDORS", "WORKERS", "Load", "loads", "people"]


def loads(scale: int) -> Iterator[Load]:
    """Every table's rows at a scale of 1 or more, in the order in which to load them."""
    cast = Cast(accounts_of("vendor", 200 * scale), accounts_of("customer", 2000 * scale), workers_of(500 * scale))
    users, roles, areas = user_rows(cast)
    workers, employments = worker_rows(cast)
    outside = list(cast.outside())
    links = [(a.user, person) for _, a, _, person in outside]
    beside = list(cast.beside())
    links += [(w.user, cast.persons() + w.index) for w in cast.workers if w.user]
    links += [(colleague.user, person) for colleague, _, person in beside]
    contacts = [(a.company.area, a.contact, person, party) for _, a, party, person in outside]
    contacts += [(c.account.company.area, c.contact, person, party) for c, party, person in beside]
    yield few("erp.userinfo", "id name email enable company language externaluser", users)
    yield few("erp.securityuserrole", "user_ role", roles)
    yield few("erp.securityuserroleorganization", "user_ role dataareaid", areas)
    yield few(
        "erp.companyinfo",
        "dataareaid name currencycode languageid party",
        [(c.area, c.name, c.currency, c.language, RECID + i) for i, c in enumerate(COMPANIES)],
    )
    yield few(
        "erp.dirpartytable",
        "recid partynumber name namealias knownas partytype firstname lastname languageid "
        "primaryemail primaryphone addressstreet addresscity addresszipcode addressstate addresscountryregionid",
        parties(cast),
    )
    yield few(
        "erp.dirpersonuser",
        "recid user_ personparty",
        [(RECID + i, user, person) for i, (user, person) in enumerate(links)],
    )
    yield few(
        "erp.contactperson",
        "recid dataareaid contactpersonid party contactforparty",
        [(RECID + i, *contact) for i, contact in enumerate(contacts)],
    )
    yield few(
        "erp.hcmworker",
        "recid personnelnumber person workertype workerstatus titleid officelocation "
        "nativelanguageid gender maritalstatus birthdate originalhiredatetime senioritydate anniversarydatetime "
        "numberofdependents worksfromhome",
        workers,
    )
    yield few("erp.hcmemployment", "recid worker legalentity validfrom validto", employments)
    yield few(
        "erp.hcmworkeraddress",
        "recid personnelnumber locationid description street zipcode city state countryregionid isprimary",
        address_rows(cast),
    )
    yield few("erp.hcmworkermanager", "recid dataareaid personnelnumber manager", manager_rows(cast))
    yield few(
        "erp.leaverequest",
        "recid dataareaid requestid personnelnumber workername leavetype startdate enddate days comment status "
        "requestedat decidedby decidedat decisioncomment",
        leave_rows(cast),
    )
    yield few(
        "erp.inventtable",
        "recid dataareaid itemid product name namealias producttype itemgroupid modelgroupid "
        "storagedimensiongroup trackingdimensiongroup inventunitid purchunitid salesunitid bomunitid purchprice "
        "salesprice costprice purchpricedate salespricedate costpricedate primaryvendorid itembuyergroupid "
        "productlifecyclestateid netweight purchtaxitemgroupid salestaxitemgroupid origcountryregionid",
        item_rows(cast),
    )
    yield few(
        "erp.vendtable",
        "recid dataareaid accountnum party vendgroup invoiceaccount currency languageid blocked "
        "paymtermid paymmode dlvmode dlvterm inventsiteid vendorcollaborationactive creditmax creditrating "
        "bankaccountid taxexemptnum taxgroup orgnumber ouraccountnum itembuyergroupid contactpersonid "
        "maincontactworker changerequestenabled purchamountpurchaseorder memo",
        list(map(vendor_row, cast.vendors)),
    )
    yield few(
        "erp.custtable",
        "recid dataareaid accountnum party custgroup invoiceaccount currency languageid blocked "
        "paymtermid paymmode dlvmode dlvterm inventsiteid inventlocationid creditmax mandatorycreditlimit "
        "creditrating taxgroup taxexemptnum contactpersonid maincontactworker salesdistrictid segmentid",
        [customer_row(a, RECID + 3 + len(cast.vendors) + a.index) for a in cast.customers],
    )
    yield from dataverse_loads(cast)
    yield many("erp.purchtable", PURCHTABLE, 20_000 * scale, purchase_orders(scale), 2400)
    yield many("erp.purchline", PURCHLINE, 60_000 * scale, purchase_lines(scale), 6500)
    yield from response_loads(scale)
    yield from quotation_loads()
    yield many("erp.salestable", SALESTABLE, 20_000 * scale, sales_orders(scale), 2200)
    yield many("erp.salesline", SALESLINE, 60_000 * scale, sales_lines(scale), 5500)


def people() -> list[dict[str, Any]]:
    """The sign-ins that get a password at first start; the same at every scale."""

    def contact(mail: str, user: str, key: str, role: str, note: str) -> dict[str, Any]:
        return {
            "username": mail,
            "kind": "contact",
            "contactid": uuid_of("contact", key),
            "operations_user": user or None,
            "web_roles": [role],
            "note": note,
        }

    result = []
    vendors, customers = accounts_of("vendor", 20), accounts_of("customer", 20)
    for a in (*vendors[:4], vendors[6]):
        note = f"{a.name}, vendor {a.number} of {a.company.area}"
        if a.index in COMMON:
            note += "; another legal entity has another vendor of that number"
        if a.index == 0:
            note += "; answers orders at /orders-for-review/"
        result.append(contact(a.mail, a.user, a.user, "Vendors", note))
    for a in customers[:2]:
        note = f"{a.name}, customer {a.number} of {a.company.area}; orders for everybody of that customer"
        result.append(contact(a.mail, a.user, a.user, "Customer representatives", note))
    for c in colleagues()[:2]:
        note = f"{c.account.name}; " + (
            "throws away drafts of others, too" if c.administrator else "sees only the own orders"
        )
        role = "Customer administrators" if c.administrator else "Authorised users"
        result.append(contact(c.mail, c.user, c.user, role, note))
    for w in workers_of(2):
        result.append(contact(w.mail, w.user, w.user, "Workers", f"worker {w.number}, employed by {w.company.area}"))
    result.append(
        contact(
            STRANGER[2],
            "",
            STRANGER[2],
            "Vendors",
            "has the web role but no user mapping: refused wherever live ERP data is asked for",
        )
    )
    for user, note in (
        ("admin", "system administrator: no policy applies"),
        ("purch.clerk", "purchasing agent in usmf and demf, not in frrt; acts on what vendors answer, at /data"),
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
