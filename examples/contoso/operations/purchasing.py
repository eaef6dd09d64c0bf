"""Purchase orders, the buyer's side: sending them to vendors, acting on what these answer, confirming. ::

    sendForConfirmation    Approved | InExternalReview -> InExternalReview; a response that is open is superseded
    processUpdate          takes changed dates, quantities and deliveries over, once; the order is Approved again
    confirm                Approved, or accepted by the vendor -> Confirmed

What vendors do, and what follows from their answers, is in vendor_collaboration.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from forecourt.kernel.change import Rows
from forecourt.operations.actions import Called
from forecourt.operations.hooks import Refused, action

ORDER, ORDER_LINE = "PurchPurchaseOrderHeaderV2Entity", "PurchPurchaseOrderLineV2Entity"
RESPONSE, RESPONSE_LINE = "PurchaseOrderResponseHeaderEntity", "PurchaseOrderResponseLineEntity"
VENDOR = "VendVendorV2Entity"

#: Stored values of enums. PurchStatus, VersioningDocumentState, VendorCollaborationActivation:
BACKORDER = 1
APPROVED, IN_EXTERNAL_REVIEW, CONFIRMED, FINALIZED = 3, 4, 5, 6
NOT_ACTIVE = 0
#: PurchaseOrderResponseState, ConsumptionState, PurchaseOrderResponseLineState:
UNANSWERED, ACCEPTED, REJECTED, EDITED, CHANGED, NO_RESPONSE = range(6)
NOT_PROCESSED, PROCESSED, MANUAL_UPDATE = range(3)
LINE_ACCEPTED, LINE_CHANGED, SPLIT, SCHEDULE = range(4)

EMPTY = date(1900, 1, 1)

#: Fields of an order line that its response line has under the same name.
SENT = (
    *("LineNumber", "ItemNumber", "ExternalItemNumber", "LineDescription", "ProcurementProductCategoryName"),
    *("OrderedPurchaseQuantity", "PurchaseUnitSymbol", "RequestedDeliveryDate"),
    *("CurrencyCode", "PurchasePrice", "LineAmount"),
)
#: Fields of a line that a further delivery of it has of its own.
OWN = ("LineNumber", "InventoryLotId")

Values = Mapping[str, Any]


def order_key(row: Values) -> dict[str, Any]:
    return {name: row[name] for name in ("dataAreaId", "PurchaseOrderNumber")}


def version_key(row: Values) -> dict[str, Any]:
    return {**order_key(row), "PurchaseOrderVersion": row["PurchaseOrderVersion"]}


async def open_lines(rows: Rows, row: Values) -> list[Values]:
    return await rows.select(ORDER_LINE, {**order_key(row), "PurchaseOrderLineStatus": BACKORDER}, ("LineNumber",))


@action(ORDER, name="sendForConfirmation")
async def send_for_confirmation(order: Called, *, Note: str = "") -> int:
    """Sends the order as it is to its vendor, for review. Gives the number of the version."""
    number, rows = order["PurchaseOrderNumber"], order.rows
    if order["PurchaseOrderStatus"] != BACKORDER:
        raise Refused(f"Purchase order {number} is not open.")
    if order["DocumentApprovalStatus"] not in (APPROVED, IN_EXTERNAL_REVIEW, CONFIRMED):
        raise Refused(f"Purchase order {number} is not approved yet.")
    account = order["OrderVendorAccountNumber"]
    vendor = await rows.find(VENDOR, {"dataAreaId": order["dataAreaId"], "VendorAccountNumber": account})
    if vendor is None or vendor["VendorPortalCollaborationMethod"] == NOT_ACTIVE:
        raise Refused(f"Vendor {account} does not take part in vendor collaboration.")
    lines = await open_lines(rows, order)
    if not lines:
        raise Refused(f"Purchase order {number} has no open line.")
    if len(Note) > 1000:
        raise Refused("A note has at most 1000 characters.", field="Note")
    earlier = await rows.select(RESPONSE, order_key(order))
    await supersede(rows, earlier)
    version = max((response["PurchaseOrderVersion"] for response in earlier), default=0) + 1
    key = {**order_key(order), "PurchaseOrderVersion": version}
    header = {
        "PurchaseOrderDocumentReference": f"{number}-{version}",
        "OrderVendorAccountNumber": account,
        "PurchaseOrderSentDateTime": datetime.now(UTC),
        "RequestedDeliveryDate": order["RequestedDeliveryDate"],
        "BuyerNote": Note.strip(),
    }
    await rows.create(RESPONSE, {**key, **header})
    for line in lines:
        answer = {
            "ResponseLineNumber": line["LineNumber"],
            "ConfirmedPurchaseQuantity": line["OrderedPurchaseQuantity"],
            "ConfirmedDeliveryDate": line["RequestedDeliveryDate"],
        }
        await rows.create(RESPONSE_LINE, {**key, **{name: line[name] for name in SENT}, **answer})
    await order.update(DocumentApprovalStatus=IN_EXTERNAL_REVIEW)
    return version


async def supersede(rows: Rows, responses: list[Values]) -> None:
    """Nobody answers these any more, and nobody acts on them."""
    for response in responses:
        if response["ResponseState"] in (UNANSWERED, EDITED):
            values = {"ResponseState": NO_RESPONSE, "ResponseProcessingState": PROCESSED}
        elif response["ResponseProcessingState"] == NOT_PROCESSED:
            values = {"ResponseProcessingState": MANUAL_UPDATE}
        else:
            continue
        await rows.update(RESPONSE, version_key(response), values)


@action(ORDER, name="confirm")
async def confirm(order: Called) -> None:
    """The buyer confirms the order: as the vendor has accepted it, or without asking."""
    number, rows = order["PurchaseOrderNumber"], order.rows
    state = order["DocumentApprovalStatus"]
    if order["PurchaseOrderStatus"] != BACKORDER:
        raise Refused(f"Purchase order {number} is not open.")
    if state in (CONFIRMED, FINALIZED):
        raise Refused(f"Purchase order {number} is confirmed already.")
    if state not in (APPROVED, IN_EXTERNAL_REVIEW):
        raise Refused(f"Purchase order {number} is not approved yet.")
    responses = await rows.select(RESPONSE, order_key(order), ("-PurchaseOrderVersion",))
    last = responses[0] if responses and state == IN_EXTERNAL_REVIEW else None
    if last is not None and last["ResponseState"] in (REJECTED, CHANGED):
        said = "rejected" if last["ResponseState"] == REJECTED else "changed"
        raise Refused(f"The vendor has {said} {number}: act on that, and send the order again.")
    if last is not None and last["ResponseState"] == ACCEPTED:
        # What was accepted becomes the order's when the response is processed.
        await rows.update(RESPONSE, version_key(last), {"ResponseProcessingState": PROCESSED})
        return
    await supersede(rows, responses)
    asked = order["RequestedDeliveryDate"]
    await order.update(DocumentApprovalStatus=CONFIRMED, ConfirmedDeliveryDate=asked)
    for line in await open_lines(rows, order):
        if line["ConfirmedDeliveryDate"] in (None, EMPTY):
            key = {**order_key(order), "LineNumber": line["LineNumber"]}
            await rows.update(ORDER_LINE, key, {"ConfirmedDeliveryDate": line["RequestedDeliveryDate"]})


@action(RESPONSE, name="processUpdate")
async def process_update(response: Called) -> int:
    """Takes the vendor's changes over into the order, once: dates, quantities and deliveries. What else was answered
    is for the buyer. The order is approved again. Gives how many lines have changed."""
    number, version = response["PurchaseOrderNumber"], response["PurchaseOrderVersion"]
    if response["ResponseState"] != CHANGED:
        raise Refused(f"Version {version} of {number} holds no changes to process.")
    if response["ResponseProcessingState"] != NOT_PROCESSED:
        raise Refused(f"The changes of version {version} of {number} are processed already.")
    key, rows = order_key(response), response.rows
    answers = await rows.select(RESPONSE_LINE, version_key(response), ("LineNumber", "ResponseLineNumber"))
    states = {
        item["LineNumber"]: item["ResponseLineState"] for item in answers if item["ResponseLineState"] != SCHEDULE
    }
    # From here the order is as it was sent, and locked with its lines.
    await response.update(ResponseProcessingState=PROCESSED)
    if any(state not in (LINE_ACCEPTED, LINE_CHANGED, SPLIT) for state in states.values()):
        await response.update(ResponseProcessingState=MANUAL_UPDATE)
    lines = await open_lines(rows, response)
    last = max(line["LineNumber"] for line in await rows.select(ORDER_LINE, key))
    changed = 0
    for line in lines:
        state = states.get(line["LineNumber"], LINE_ACCEPTED)
        if state not in (LINE_CHANGED, SPLIT):
            continue
        wanted = SCHEDULE if state == SPLIT else LINE_CHANGED
        parts = [
            item for item in answers if item["LineNumber"] == line["LineNumber"] and item["ResponseLineState"] == wanted
        ]
        changed += 1
        first, *more = (delivered(line, item) for item in parts)
        await rows.update(ORDER_LINE, {**key, "LineNumber": line["LineNumber"]}, first)
        for values in more:
            last += 1
            copy = {name: value for name, value in line.items() if name not in OWN and not name.startswith("@")}
            await rows.create(ORDER_LINE, {**copy, **values, "LineNumber": last})
    day, reference = response["ConfirmedDeliveryDate"], response["VendorOrderReference"]
    header: dict[str, Any] = {"DocumentApprovalStatus": APPROVED}
    if day not in (None, EMPTY):
        header |= {"RequestedDeliveryDate": day, "ConfirmedDeliveryDate": day}
    if reference:
        header["VendorOrderReference"] = reference
    await rows.update(ORDER, key, header)
    return changed


def delivered(line: Values, item: Values) -> dict[str, Any]:
    """An order line's values for a delivery; its amount in proportion."""
    quantity, whole = item["ConfirmedPurchaseQuantity"], line["OrderedPurchaseQuantity"]
    amount = line["LineAmount"] * quantity / whole if whole else Decimal(0)
    return {
        "OrderedPurchaseQuantity": quantity,
        "LineAmount": amount.quantize(Decimal("0.01")),
        "RequestedDeliveryDate": item["ConfirmedDeliveryDate"],
        "ConfirmedDeliveryDate": item["ConfirmedDeliveryDate"],
    }
