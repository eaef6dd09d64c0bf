"""Purchase orders: what a vendor does when it confirms one."""

from __future__ import annotations

from datetime import date

from forecourt.operations.actions import Called
from forecourt.operations.hooks import Refused, action

HEADER, LINE = "PurchPurchaseOrderHeaderV2Entity", "PurchPurchaseOrderLineV2Entity"

#: Stored values of enums: PurchStatus and VersioningDocumentState.
BACKORDER, CONFIRMED, FINALIZED = 1, 5, 6


@action(HEADER, name="confirm")
async def confirm(order: Called, *, ConfirmedDeliveryDate: date, VendorOrderReference: str = "") -> int:
    """The vendor accepts an open order: the date goes to the order and to its open lines. Gives how many those are."""
    if order["PurchaseOrderStatus"] != BACKORDER:
        raise Refused(f"Purchase order {order['PurchaseOrderNumber']} is not open.")
    if order["DocumentApprovalStatus"] in (CONFIRMED, FINALIZED):
        raise Refused(f"Purchase order {order['PurchaseOrderNumber']} is confirmed already.")
    changes: dict[str, object] = {"DocumentApprovalStatus": CONFIRMED, "ConfirmedDeliveryDate": ConfirmedDeliveryDate}
    if VendorOrderReference:
        changes["VendorOrderReference"] = VendorOrderReference
    await order.update(**changes)
    key = {name: order[name] for name in ("dataAreaId", "PurchaseOrderNumber")}
    lines = await order.rows.select(LINE, {**key, "PurchaseOrderLineStatus": BACKORDER})
    for line in lines:
        await order.rows.update(
            LINE, {**key, "LineNumber": line["LineNumber"]}, {"ConfirmedDeliveryDate": ConfirmedDeliveryDate}
        )
    return len(lines)
