"""What an order that is entered in Dataverse, or in the portal, takes from its account.

Orders that come from the ERP bring their company along."""

from __future__ import annotations

from forecourt.dataverse.plugins import Context, PluginError, plugin


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
async def company_of_the_order(context: Context) -> None:
    """A line belongs to the company of its order."""
    order = await context.rows.find("salesorder", {"salesorderid": context.target.get("salesorderid")})
    if order is None:
        raise PluginError("A line needs an order.")
    context.target["msdyn_company"] = order["_msdyn_company_value"]
