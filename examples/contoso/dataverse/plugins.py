"""What an order that is entered in Dataverse, or in the portal, takes from its account, and what customers may enter.

Orders that come from the ERP bring everything along. Somebody in the portal has a contact; people inside have none.

An order may be a draft: a row of Dataverse alone, with lines whose amounts are estimated from the products. Sending it
takes it and its lines out of that status, and with that into the table maps: in the same unit of work the ERP numbers
it and prices it anew, or refuses, and it stays a draft.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from forecourt.dataverse.plugins import Context, PluginError, plugin

#: What a customer enters; everything else of an order is the company's to decide.
OF_AN_ORDER = frozenset(
    {
        "salesorderid",
        "name",
        "customerid",
        "msdyn_contactpersonid",
        "msdyn_customersorderreference",
        "msdyn_customerrequisitionnumber",
        "msdyn_salesorderstatus",
        "cts_reorderof",
        "requestdeliveryby",
        "msdyn_requestedshippingdate",
        "shipto_name",
        "shipto_line1",
        "shipto_city",
        "shipto_postalcode",
        "shipto_stateorprovince",
        "shipto_country",
    }
)
OF_A_LINE = frozenset(
    {
        "salesorderdetailid",
        "salesorderid",
        "productid",
        "msdyn_itemnumber",
        "quantity",
        "requestdeliveryby",
        "msdyn_requestedshippingdate",
        "msdyn_externalitemnumber",
        "msdyn_customerslinenumber",
    }
)

#: msdyn_salesorderstatus and msdyn_linestatus: of an order that may still be changed, and of one that is not sent yet.
OPEN, DRAFT = 192350001, 192350005

#: What an order that is placed again takes from the one before.
AGAIN = (
    "msdyn_customersorderreference",
    "shipto_name",
    "shipto_line1",
    "shipto_city",
    "shipto_postalcode",
    "shipto_stateorprovince",
    "shipto_country",
)
#: An address is given whole or not at all: what is left out would be taken from the customer's own.
ADDRESS = {
    "shipto_line1": "street",
    "shipto_city": "city",
    "shipto_postalcode": "postal code",
    "shipto_country": "country or region",
}


# -- who may enter what ------------------------------------------------------------------------------------------------


@plugin("Create", "salesorder", "pre-validation", integration=False)
@plugin("Update", "salesorder", "pre-validation", integration=False)
@plugin("Create", "salesorderdetail", "pre-validation", integration=False)
@plugin("Update", "salesorderdetail", "pre-validation", integration=False)
def entered_by_a_customer(context: Context) -> None:
    """A customer sets neither prices nor states, but for sending a draft."""
    entered = OF_AN_ORDER if context.table == "salesorder" else OF_A_LINE
    others = [name for name in context.target if name not in entered]
    if context.principal.contact is not None and others:
        raise PluginError(f"{others[0]} is not for you to set.")


@plugin("Create", "salesorder", "pre-validation", integration=False)
async def customer_of_the_person(context: Context) -> None:
    """Whoever orders in the portal orders for the account that they work for, and as themselves."""
    contact, target = context.principal.contact, context.target
    if contact is None:
        return
    person = await context.rows.find("contact", {"contactid": contact.id})
    if person is None or person["_parentcustomerid_value"] is None:
        raise PluginError("You do not work for a customer.")
    if target.get("customerid") is None:
        target["customerid"] = person["_parentcustomerid_value"]
    if target.get("msdyn_contactpersonid") is None:
        target["msdyn_contactpersonid"] = contact.id


# -- orders ------------------------------------------------------------------------------------------------------------


@plugin("Create", "salesorder", "pre-operation", integration=False)
async def company_of_the_account(context: Context) -> None:
    """An order belongs to the company whose customer it is for."""
    target = context.target
    if context.principal.contact is not None and target.get("msdyn_salesorderstatus") not in (None, DRAFT):
        raise PluginError("msdyn_salesorderstatus is not for you to set.")
    if target.get("cts_reorderof") is not None:
        await _as_before(context)
    if target.get("msdyn_company") is not None:
        return
    account = await context.rows.find("account", {"accountid": target.get("customerid")})
    if account is None:
        raise PluginError("An order needs a customer.")
    target["msdyn_company"] = account["_msdyn_company_value"]
    if target.get("msdyn_salesorderstatus") == DRAFT:
        target["transactioncurrencyid"] = account["_transactioncurrencyid_value"]
        if not target.get("name"):
            target["name"] = account["name"]
    await _works_for(context, target.get("msdyn_contactpersonid"), target.get("customerid"))
    _whole_address(target)


async def _as_before(context: Context) -> None:
    """A repeated order is a draft of the same customer, with what the earlier one says where it says nothing."""
    target = context.target
    before = await context.rows.find("salesorder", {"salesorderid": target["cts_reorderof"]})
    if before is None or before["_customerid_value"] != target.get("customerid"):
        raise PluginError("There is no such order.")
    target["msdyn_salesorderstatus"] = DRAFT
    for name in AGAIN:
        if not target.get(name):
            target[name] = before[name]


@plugin("Create", "salesorder", "post-operation", integration=False)
async def lines_as_before(context: Context) -> None:
    """A repeated order has the lines of the earlier one: products and quantities, at the prices of today."""
    again = context.target.get("cts_reorderof")
    if again is None:
        return
    assert context.post_image is not None
    for line in await context.rows.select("salesorderdetail", {"_salesorderid_value": again}, ("msdyn_linenumber",)):
        if line["_productid_value"] is not None:
            same = {name: line[name] for name in ("_productid_value", "quantity", "msdyn_externalitemnumber")}
            order = {"_salesorderid_value": context.post_image["salesorderid"]}
            await context.rows.create("salesorderdetail", {**same, **order})


@plugin("Update", "salesorder", "pre-operation", integration=False)
async def changed_as_it_may_be(context: Context) -> None:
    """A draft is sent once, with lines, for one of the account's people, to a whole address."""
    target, before = context.target, context.pre_image
    assert before is not None
    if target.get("msdyn_contactpersonid") is not None:
        await _works_for(context, target["msdyn_contactpersonid"], before["customerid"])
    if any(name in target for name in ADDRESS):
        _whole_address({**before, **target})
    status, was = (
        target.get("msdyn_salesorderstatus", before["msdyn_salesorderstatus"]),
        before["msdyn_salesorderstatus"],
    )
    if status == was:
        return
    if context.principal.contact is not None and (was, status) != (DRAFT, OPEN):
        raise PluginError("The order has been sent already." if status == DRAFT else "That is not for you to set.")
    if was == DRAFT:
        context.shared["sent"] = True
        if not await context.rows.select("salesorderdetail", {"_salesorderid_value": before["salesorderid"]}):
            raise PluginError("Add at least one item before you send the order.")


@plugin("Update", "salesorder", "post-operation", integration=False)
async def lines_are_sent_with_it(context: Context) -> None:
    """The lines of a draft leave that status with it; their estimates give way to the ERP's prices."""
    if not context.shared.get("sent"):
        return
    assert context.post_image is not None
    own = {"_salesorderid_value": context.post_image["salesorderid"]}
    for line in await context.rows.select("salesorderdetail", own, ("msdyn_linenumber",)):
        sent = {"msdyn_linestatus": OPEN, "priceperunit": None, "extendedamount": None}
        await context.rows.update("salesorderdetail", {"salesorderdetailid": line["salesorderdetailid"]}, sent)


@plugin("Delete", "salesorder", "pre-operation", integration=False)
def a_draft_is_thrown_away(context: Context) -> None:
    """A customer throws drafts away; what is sent is the company's to cancel."""
    assert context.pre_image is not None
    if context.principal.contact is not None and context.pre_image["msdyn_salesorderstatus"] != DRAFT:
        raise PluginError("The order has been sent. Ask us to cancel it.")


# -- lines -------------------------------------------------------------------------------------------------------------


@plugin("Create", "salesorderdetail", "pre-operation", integration=False)
async def company_and_item_of_the_line(context: Context) -> None:
    """A line belongs to the company of its order, and its item is one of that company's products."""
    target = context.target
    order = await context.rows.lock("salesorder", {"salesorderid": target.get("salesorderid")})
    if order is None:
        raise PluginError("A line needs an order.")
    target["msdyn_company"] = company = order["_msdyn_company_value"]
    product = await _product(context, company)
    if order["msdyn_salesorderstatus"] != DRAFT:
        return
    if product is None:
        raise PluginError("Choose a product.")
    lines = await context.rows.select("salesorderdetail", {"_salesorderid_value": order["salesorderid"]})
    target["msdyn_linestatus"] = DRAFT
    target["msdyn_linenumber"] = max((line["msdyn_linenumber"] or Decimal(0) for line in lines), default=Decimal(0)) + 1
    target["transactioncurrencyid"] = order["_transactioncurrencyid_value"]
    _estimated(target, target.get("quantity"), product)


@plugin("Update", "salesorderdetail", "pre-operation", integration=False)
async def estimate_of_the_line(context: Context) -> None:
    """A changed line of a draft comes to something else."""
    before, target = context.pre_image, context.target
    assert before is not None
    product = await _product(context, before["msdyn_company"])
    if before["msdyn_linestatus"] == DRAFT and target.get("msdyn_linestatus", DRAFT) == DRAFT:
        product = product or await context.rows.find("product", {"productid": before["productid"]})
        if product is not None:
            _estimated(target, target.get("quantity", before["quantity"]), product)


@plugin("Create", "salesorderdetail", "post-operation", integration=False)
@plugin("Update", "salesorderdetail", "post-operation", integration=False)
@plugin("Delete", "salesorderdetail", "post-operation", integration=False)
async def estimate_of_the_order(context: Context) -> None:
    """A draft comes to what its lines do; the total of every other order is the ERP's."""
    line = context.post_image if context.pre_image is None else context.pre_image
    assert line is not None
    if line["msdyn_linestatus"] != DRAFT:
        return
    order = {"salesorderid": line["salesorderid"]}
    lines = await context.rows.select("salesorderdetail", {"_salesorderid_value": line["salesorderid"]})
    total = sum((found["extendedamount"] or Decimal(0) for found in lines), Decimal(0))
    if await context.rows.find("salesorder", order) is not None:
        await context.rows.update("salesorder", order, {"totalamount": total})


@plugin("Update", "salesorder", "pre-operation", integration=False)
@plugin("Create", "salesorderdetail", "pre-operation", integration=False)
@plugin("Update", "salesorderdetail", "pre-operation", integration=False)
@plugin("Delete", "salesorderdetail", "pre-operation", integration=False)
async def while_the_order_is_open(context: Context) -> None:
    """A customer changes an order for as long as nothing of it has been delivered."""
    if context.principal.contact is None:
        return
    order: Mapping[str, Any] | None = context.pre_image
    if context.table == "salesorderdetail":
        line = context.target if context.pre_image is None else context.pre_image
        order = await context.rows.find("salesorder", {"salesorderid": line["salesorderid"]})
    if order is None or order["msdyn_salesorderstatus"] not in (None, OPEN, DRAFT):
        raise PluginError("The order is no longer open.")


# -- what they share ---------------------------------------------------------------------------------------------------


async def _works_for(context: Context, person: object, account: object) -> None:
    """Raises PluginError unless a contact is nobody's or one of the account's people."""
    if person is None:
        return
    contact = await context.rows.find("contact", {"contactid": person})
    if contact is None or contact["_parentcustomerid_value"] != account:
        raise PluginError("The contact person does not work for this customer.")


def _whole_address(row: Mapping[str, Any]) -> None:
    given = [name for name in ADDRESS if row.get(name)]
    if given and len(given) < len(ADDRESS):
        missing = ", ".join(label for name, label in ADDRESS.items() if name not in given)
        raise PluginError(f"Complete the delivery address, or leave it empty. Missing: {missing}.")


async def _product(context: Context, company: object) -> Mapping[str, Any] | None:
    """The product that a line names, by its row or its number; None where it names none. Sets both."""
    target, number = context.target, context.target.get("msdyn_itemnumber")
    key: dict[str, object] = {"productid": target.get("productid")}
    if target.get("productid") is None:
        if not number:
            return None
        key = {"productnumber": number, "_msdyn_company_value": company}
    product = await context.rows.find("product", key)
    if product is None or product["_msdyn_company_value"] != company:
        raise PluginError(f"There is no item {number}." if number else "There is no such product.")
    target["productid"], target["msdyn_itemnumber"] = product["productid"], product["productnumber"]
    return product


def _estimated(target: Any, quantity: Any, product: Mapping[str, Any]) -> None:
    price, number = product["price"] or Decimal(0), Decimal(str(quantity or 0))
    if number <= 0:
        raise PluginError("The quantity must be more than zero.")
    target["productdescription"], target["msdyn_salesunit"] = product["name"], product["msdyn_salesunit"]
    target["priceperunit"], target["extendedamount"] = price, (number * price).quantize(Decimal("0.01"))
