"""Business logic that leaves a trace of every stage it goes through, and actions."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from forecourt.operations.actions import Called
from forecourt.operations.hooks import Refused, Row, action, default, finish, initial, validate

ORDER, LOG = "SmallOrderEntity", "SmallLogEntity"
OPEN, INVOICED = 1, 3


def trace(row: Row, stage: str) -> None:
    row["Trace"] = f"{row['Trace'] or ''}{stage};"


@initial(ORDER)
def new(row: Row) -> None:
    row["Status"] = OPEN
    row["Quantity"] = 1
    trace(row, "initial")


@validate(ORDER, field="Quantity")
def counted(row: Row, value: int) -> None:
    trace(row, f"field {value}")
    if value > 1_000:
        row.warning("There are only 1,000 of them.")
    if value % 2 and value > 999:
        row.warning("They come in pairs.")


@default(ORDER)
async def totalled(row: Row) -> None:
    row["Total"] = (row["Quantity"] or 0) * (row["Price"] or 0)
    trace(row, "default")


@validate(ORDER)
async def known(row: Row) -> None:
    trace(row, "row")
    key = {"dataAreaId": row["dataAreaId"], "CustomerAccount": row["Account"]}
    if await row.rows.find("SmallCustomerEntity", key) is None:
        raise Refused(f"There is no customer {row['Account']}.", field="Account")


@validate(ORDER, operation="delete")
def still_open(row: Row) -> None:
    if row["Status"] == INVOICED:
        raise Refused("An invoiced order stays.")


@finish(ORDER)
async def logged(row: Row) -> None:
    kept = row.before if row.operation == "delete" else row
    assert kept is not None
    await row.rows.create(
        LOG, {"dataAreaId": kept["dataAreaId"], "Text": f"{row.operation} {kept['SalesOrderNumber']}"}
    )
    if row["Quantity"] == 666:
        raise Refused("Not that many.")


@action(ORDER)
async def invoice(order: Called, *, On: date, Note: str | None = None, Discount: Decimal = Decimal(0)) -> str:
    if order["Status"] == INVOICED:
        raise Refused(f"{order['SalesOrderNumber']} is invoiced already.")
    await order.update(Status=INVOICED, Price=order["Price"] - Discount)
    await order.rows.create(LOG, {"dataAreaId": order.company, "Text": f"invoiced {On} {Note} {order['Total']:.2f}"})
    return f"{order['SalesOrderNumber']}/{order['Status']}"


@action(ORDER, bound=False)
async def recount(called: Called, *, Since: datetime, Accounts: list[str], Deep: bool = False) -> dict[str, object]:
    orders = await called.rows.select(ORDER, {"dataAreaId": called.company})
    wanted = [order for order in orders if order["Account"] in Accounts]
    total = sum((order["Total"] for order in wanted), Decimal(0))
    return {"count": len(wanted), "total": total, "since": Since, "deep": Deep, "by": called.principal.label}


@action(ORDER)
def broken(order: Called) -> None:
    raise RuntimeError("secret of the house")
