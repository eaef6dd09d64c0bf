"""What an order that is entered in Dataverse, or in the portal, takes from its account, and what customers may enter.

Orders that come from the ERP bring everything along. Somebody in the portal has a contact; people inside have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from forecourt.dataverse.plugins import Context, PluginError, plugin

#: What a customer enters; everything else of an order is the company's to decide.
OF_AN_ORDER = frozenset(
    {
        "salesorderid",
        "name",
        "customerid",
        "msdyn_customersorderreference",
        "msdyn_customerrequisitionnumber",
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
        "msdyn_itemnumber",
        "quantity",
        "requestdeliveryby",
        "msdyn_requestedshippingdate",
        "msdyn_externalitemnumber",
        "msdyn_customerslinenumber",
    }
)

#: msdyn_salesorderstatus of an order that may still be changed.
OPEN = 192350001


@plugin("Create", "salesorder", "pre-operation", integration=False)
async def company_of_the_account(context: Context) -> None:
    """An order belongs to the company whose customer it is for."""
    if context.target.get("msdyn_company") is not None:
        return
    account = await context.rows.find("account", {"accountid": context.target.get("customerid")})
    if account is None:
        raise PluginError("An order needs a customer.")
    context.target["msdyn_company"] = account["_msdyn_company_value"]


@plugin("Create", "salesorderdetail", "pre-operation", integration=False)
async def company_and_item_of_the_line(context: Context) -> None:
    """A line belongs to the company of its order, and its item is one of that company's products."""
    target = context.target
    order = await context.rows.find("salesorder", {"salesorderid": target.get("salesorderid")})
    if order is None:
        raise PluginError("A line needs an order.")
    target["msdyn_company"] = company = order["_msdyn_company_value"]
    number = target.get("msdyn_itemnumber")
    if number and target.get("productid") is None:
        product = await context.rows.find("product", {"productnumber": number, "_msdyn_company_value": company})
        if product is None:
            raise PluginError(f"There is no item {number}.")
        target["productid"] = product["productid"]


@plugin("Create", "salesorder", "pre-validation", integration=False)
@plugin("Update", "salesorder", "pre-validation", integration=False)
@plugin("Create", "salesorderdetail", "pre-validation", integration=False)
@plugin("Update", "salesorderdetail", "pre-validation", integration=False)
def entered_by_a_customer(context: Context) -> None:
    """A customer sets neither prices nor states."""
    entered = OF_AN_ORDER if context.table == "salesorder" else OF_A_LINE
    others = [name for name in context.target if name not in entered]
    if context.principal.contact is not None and others:
        raise PluginError(f"{others[0]} is not for you to set.")


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
    if order is None or order["msdyn_salesorderstatus"] not in (None, OPEN):
        raise PluginError("The order is no longer open.")
