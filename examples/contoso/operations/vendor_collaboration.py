"""Vendor collaboration: what a vendor answers to the version of an order that was sent to it, and what follows. ::

    the vendor changes lines, splits them into deliveries, and answers once:
    Accept               nothing is changed; the order is Confirmed at once where the vendor's account says so
    AcceptWithChanges    the order stays in external review until the buyer acts (purchasing.py)
    Reject               likewise

The response is a document of its own; the order changes by acceptance or by the buyer alone. An answer counts for what
was sent: where the order is no longer what the document says, it is refused. The document, the order and its lines are
locked meanwhile, so that of an answer and a change one comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from forecourt.kernel.change import Rows
from forecourt.kernel.principal import Principal
from forecourt.operations.actions import Called
from forecourt.operations.hooks import Refused, Row, action, default, finish

ORDER, ORDER_LINE = "PurchPurchaseOrderHeaderV2Entity", "PurchPurchaseOrderLineV2Entity"
RESPONSE, RESPONSE_LINE = "PurchaseOrderResponseHeaderEntity", "PurchaseOrderResponseLineEntity"
VENDOR = "VendVendorV2Entity"

#: Stored values of enums. PurchStatus, VersioningDocumentState, VendorCollaborationActivation:
BACKORDER = 1
IN_EXTERNAL_REVIEW, CONFIRMED = 4, 5
AUTO_CONFIRM = 1
#: PurchaseOrderResponseState, ConsumptionState, PurchaseOrderResponseLineState:
UNANSWERED, ACCEPTED, REJECTED, EDITED, CHANGED, NO_RESPONSE = range(6)
NOT_PROCESSED, PROCESSED, MANUAL_UPDATE = range(3)
LINE_ACCEPTED, LINE_CHANGED, SPLIT, SCHEDULE, _, _, LINE_REJECTED = range(7)
#: VendorAnswer and VendorLineAnswer:
NONE, ACCEPT, ACCEPT_WITH_CHANGES, REJECT = range(4)
ACCEPT_LINE, REJECT_LINE = range(2)

EMPTY = date(1900, 1, 1)
SAID = {ACCEPTED: "accepted", REJECTED: "rejected", CHANGED: "accepted with changes"}
STATE = {ACCEPT: ACCEPTED, ACCEPT_WITH_CHANGES: CHANGED, REJECT: REJECTED}

#: What a version says of a line: the order line has to be the same when an answer counts.
TERMS = (
    *("ItemNumber", "OrderedPurchaseQuantity", "PurchaseUnitSymbol", "RequestedDeliveryDate"),
    *("PurchasePrice", "LineAmount"),
)
#: What a delivery of a line has from the line.
COPIED = (
    *("LineNumber", *TERMS, "ExternalItemNumber", "LineDescription", "ProcurementProductCategoryName"),
    "CurrencyCode",
)
#: What a vendor writes into a response, and into one of its lines.
ANSWERS = ("Answer", "VendorOrderReference", "ConfirmedDeliveryDate", "ResponseNote")
LINE_ANSWERS = (
    *("LineAnswer", "ConfirmedPurchaseQuantity", "ConfirmedDeliveryDate", "RemainderDeliveryDate", "ResponseNote"),
)

Values = Mapping[str, Any]


def order_key(row: Values) -> dict[str, Any]:
    return {name: row[name] for name in ("dataAreaId", "PurchaseOrderNumber")}


def version_key(row: Values) -> dict[str, Any]:
    return {**order_key(row), "PurchaseOrderVersion": row["PurchaseOrderVersion"]}


def line_key(row: Values) -> dict[str, Any]:
    return {**version_key(row), "ResponseLineNumber": row["ResponseLineNumber"]}


# -- the vendor answers ----------------------------------------------------------------------------------------------


@action(RESPONSE, name="accept")
async def accept(response: Called, *, VendorOrderReference: str = "", Note: str = "") -> str:
    """Accepts the version as it was sent. Gives the state of the response."""
    return await answered(response, ACCEPT, VendorOrderReference, Note)


@action(RESPONSE, name="acceptWithChanges")
async def accept_with_changes(response: Called, *, VendorOrderReference: str = "", Note: str = "") -> str:
    """Accepts the version with what the lines and the confirmed date say. Gives the state of the response."""
    return await answered(response, ACCEPT_WITH_CHANGES, VendorOrderReference, Note)


@action(RESPONSE, name="reject")
async def reject(response: Called, *, Note: str) -> str:
    """Rejects the version, with the reason. Gives the state of the response."""
    return await answered(response, REJECT, "", Note)


async def answered(response: Called, answer: int, reference: str, note: str) -> str:
    values: dict[str, object] = {"Answer": answer, "RespondingPersonName": person_of(response.principal)}
    if reference:
        values["VendorOrderReference"] = reference
    if note:
        values["ResponseNote"] = note
    await response.update(**values)
    return SAID[response["ResponseState"]]


def person_of(principal: Principal) -> str:
    """Who answers, by name."""
    user = principal.operations_user
    return "" if user is None else user.name or user.id


@default(RESPONSE)
async def answer(row: Row) -> None:
    """An answer is taken once, for the version that is in review and as it was sent; the state follows from it. A
    response that is acted on is that of an order which is as it was sent."""
    if row.operation != "update" or row.before is None:
        return
    if row["ResponseProcessingState"] != row.before["ResponseProcessingState"]:
        if row["ResponseProcessingState"] == PROCESSED and row["ResponseState"] in (ACCEPTED, CHANGED):
            await require_as_sent(row.rows, row)
        return
    given = any(map(row.supplied, ANSWERS)) or row["Answer"] != row.before["Answer"]
    if not given:
        return
    await require_open(row.rows, row)
    if row["Answer"] == NONE:
        if row.supplied("Answer"):
            raise Refused("Choose your answer.", field="Answer")
        return
    order = await require_as_sent(row.rows, row)
    require_sense(row, await row.rows.select(RESPONSE_LINE, version_key(row)))
    row["ResponseState"] = STATE[row["Answer"]]
    row["RespondingDateTime"] = datetime.now(UTC)
    row["RespondingPersonName"] = row["RespondingPersonName"] or person_of(row.principal)
    if row["Answer"] != REJECT and row["ConfirmedDeliveryDate"] in (None, EMPTY):
        row["ConfirmedDeliveryDate"] = row["RequestedDeliveryDate"]
    key = {"dataAreaId": order["dataAreaId"], "VendorAccountNumber": order["OrderVendorAccountNumber"]}
    vendor = await row.rows.find(VENDOR, key)
    automatic = vendor is not None and vendor["VendorPortalCollaborationMethod"] == AUTO_CONFIRM
    if row["Answer"] == ACCEPT and automatic:
        row["ResponseProcessingState"] = PROCESSED


def require_sense(row: Row, lines: list[Values]) -> None:
    """Refuses an answer that says something else than the lines do."""
    asked, given = row["RequestedDeliveryDate"], row["ConfirmedDeliveryDate"]
    moved = given not in (None, EMPTY, asked)
    changed = moved or any(line["ResponseLineState"] != LINE_ACCEPTED for line in lines)
    if row["Answer"] == ACCEPT and changed:
        what = "the delivery date" if moved else "lines"
        hint = "Choose 'Accept with changes', or take the changes back."
        raise Refused(f"You have changed {what}. {hint}", field="Answer")
    if row["Answer"] == ACCEPT_WITH_CHANGES and not changed:
        raise Refused("Nothing is changed. Choose 'Accept', or change a line or the date first.", field="Answer")
    if row["Answer"] == REJECT and not (row["ResponseNote"] or "").strip():
        raise Refused("Say why you reject the order.", field="ResponseNote")


@finish(RESPONSE, operation="update")
async def accepted(row: Row) -> None:
    """What the vendor has accepted is the order's when the response is processed: at once, or by the buyer."""
    before = row.before or {}
    processed = row["ResponseProcessingState"] == PROCESSED != before.get("ResponseProcessingState")
    if processed and row["ResponseState"] == ACCEPTED:
        await confirm_order(row.rows, row)


async def require_open(rows: Rows, response: Values) -> None:
    """Refuses an answer to a document that is answered or superseded. ``response``: locked."""
    found = await rows.lock(RESPONSE, version_key(response))
    if found is None:
        raise Refused("This version of the order is gone.")
    state, number = found["ResponseState"], response["PurchaseOrderNumber"]
    if state in (UNANSWERED, EDITED):
        return
    if state == NO_RESPONSE:
        raise Refused(f"The buyer has sent a new version of {number}. Answer that one.")
    version = found["PurchaseOrderVersion"]
    raise Refused(f"{found['RespondingPersonName'] or 'Somebody'} has {SAID[state]} version {version} of {number}.")


async def require_as_sent(rows: Rows, response: Values) -> Values:
    """The order, locked with its lines. Refuses an answer where it is no longer what was sent."""
    number = response["PurchaseOrderNumber"]
    order = await rows.lock(ORDER, order_key(response))
    if order is None or order["PurchaseOrderStatus"] != BACKORDER:
        raise Refused(f"Purchase order {number} is not open any more.")
    again = "You will get a new version."
    if order["DocumentApprovalStatus"] != IN_EXTERNAL_REVIEW:
        raise Refused(f"The buyer is changing purchase order {number}. {again}")
    if order["RequestedDeliveryDate"] != response["RequestedDeliveryDate"]:
        raise Refused(f"The buyer has changed the delivery date of {number} since it was sent. {again}")
    sent = {
        line["LineNumber"]: line
        for line in await rows.select(RESPONSE_LINE, version_key(response))
        if line["ResponseLineState"] != SCHEDULE
    }
    open_lines = await rows.select(ORDER_LINE, {**order_key(response), "PurchaseOrderLineStatus": BACKORDER})
    for line in sorted(open_lines, key=lambda item: item["LineNumber"]):
        now = await rows.lock(ORDER_LINE, {**order_key(response), "LineNumber": line["LineNumber"]})
        then = sent.pop(line["LineNumber"], None)
        if now is None or then is None or any(now[name] != then[name] for name in TERMS):
            raise Refused(f"The buyer has changed line {line['LineNumber']} of {number} since it was sent. {again}")
    if sent:
        raise Refused(f"The buyer has taken line {min(sent)} out of {number} since it was sent. {again}")
    return order


# -- the vendor changes lines ----------------------------------------------------------------------------------------


@default(RESPONSE_LINE)
async def changed_line(row: Row) -> None:
    """What the vendor would deliver is looked at, and the line's state follows from it."""
    if row.operation != "update" or row.before is None:
        return
    if not any(map(row.supplied, LINE_ANSWERS)):
        return
    await require_open(row.rows, row)
    state, quantity = row.before["ResponseLineState"], row["ConfirmedPurchaseQuantity"]
    day, rest = row["ConfirmedDeliveryDate"], row["RemainderDeliveryDate"]
    if state == SPLIT:
        raise Refused("The line is split into deliveries: change those, or take the split back.")
    before = row.before["ConfirmedPurchaseQuantity"]
    ordered = before if state == SCHEDULE else row["OrderedPurchaseQuantity"]
    if row["LineAnswer"] == REJECT_LINE:
        if state == SCHEDULE:
            raise Refused("A delivery is not rejected alone: take the split back first.", field="LineAnswer")
        row["ResponseLineState"] = LINE_REJECTED
        return
    if quantity is None or quantity <= 0:
        what = "The quantity must be more than zero. To deliver nothing, reject the line."
        raise Refused(what, field="ConfirmedPurchaseQuantity")
    if quantity > ordered:
        raise Refused(f"At most {number_of(ordered)} are asked for.", field="ConfirmedPurchaseQuantity")
    if day in (None, EMPTY) or day < date(2000, 1, 1):
        raise Refused("Say when you deliver.", field="ConfirmedDeliveryDate")
    if rest not in (None, EMPTY):
        if quantity == ordered:
            raise Refused("There is no rest: the quantity is all that is asked for.", field="RemainderDeliveryDate")
        if rest <= day:
            raise Refused("The rest comes after the first delivery.", field="RemainderDeliveryDate")
    if state == SCHEDULE:
        return
    same = quantity == ordered and day == row["RequestedDeliveryDate"]
    row["ResponseLineState"] = LINE_ACCEPTED if same else LINE_CHANGED


def number_of(value: Decimal) -> str:
    return f"{value.normalize():f}"


@finish(RESPONSE_LINE, operation="update")
async def edited(row: Row) -> None:
    """A rest that comes later makes deliveries of the line; the response is being answered."""
    before = row.before or {}
    rest = row["RemainderDeliveryDate"]
    if rest not in (None, EMPTY) and row["LineAnswer"] == ACCEPT_LINE:
        first = (row["ConfirmedPurchaseQuantity"], row["ConfirmedDeliveryDate"])
        schedule = before["ResponseLineState"] == SCHEDULE
        whole = before["ConfirmedPurchaseQuantity"] if schedule else row["OrderedPurchaseQuantity"]
        await deliver(row.rows, row, [first, (whole - first[0], rest)], schedule)
    if any(row[name] != before.get(name) for name in ("ResponseLineState", *LINE_ANSWERS)):
        await being_answered(row.rows, row)


async def being_answered(rows: Rows, line: Values) -> None:
    response = await rows.lock(RESPONSE, version_key(line))
    if response is not None and response["ResponseState"] == UNANSWERED:
        await rows.update(RESPONSE, version_key(line), {"ResponseState": EDITED})


async def deliver(rows: Rows, line: Values, deliveries: list[tuple[Decimal, date]], schedule: bool) -> None:
    """Splits a line into deliveries; a delivery into further ones where ``schedule``."""
    known = await rows.select(RESPONSE_LINE, version_key(line))
    number = max(item["ResponseLineNumber"] for item in known)
    copied = {name: line[name] for name in COPIED}
    (quantity, day), *more = deliveries
    if schedule:
        values = {"ConfirmedPurchaseQuantity": quantity, "ConfirmedDeliveryDate": day, "RemainderDeliveryDate": EMPTY}
    else:
        values = {
            "ResponseLineState": SPLIT,
            "ConfirmedPurchaseQuantity": sum((item for item, _ in deliveries), Decimal(0)),
            "ConfirmedDeliveryDate": deliveries[-1][1],
            "RemainderDeliveryDate": EMPTY,
        }
        more = deliveries
    await rows.update(RESPONSE_LINE, line_key(line), values)
    for at, (part, when) in enumerate(more, number + 1):
        await rows.create(
            RESPONSE_LINE,
            {
                **version_key(line),
                **copied,
                "ResponseLineNumber": at,
                "ResponseLineState": SCHEDULE,
                "ConfirmedPurchaseQuantity": part,
                "ConfirmedDeliveryDate": when,
            },
        )


@action(RESPONSE_LINE, name="split")
async def split(line: Called, *, Deliveries: list[dict]) -> int:  # type: ignore[type-arg]
    """Splits a line into deliveries, ``[{"Quantity": 10, "ConfirmedReceiptDate": "2026-12-01"}, ...]``. Gives how
    many these are."""
    await require_open(line.rows, line)
    if line["ResponseLineState"] in (SPLIT, SCHEDULE):
        raise Refused("The line is split already: take the split back first.")
    deliveries = sorted(map(_delivery, Deliveries), key=lambda item: item[1])
    if not 2 <= len(deliveries) <= 50:
        raise Refused("A line is split into 2 to 50 deliveries.")
    whole = sum((quantity for quantity, _ in deliveries), Decimal(0))
    if whole > line["OrderedPurchaseQuantity"]:
        raise Refused(f"At most {number_of(line['OrderedPurchaseQuantity'])} are asked for.")
    await deliver(line.rows, line, deliveries, schedule=False)
    await being_answered(line.rows, line)
    return len(deliveries)


def _delivery(item: Mapping[str, object]) -> tuple[Decimal, date]:
    try:
        quantity = Decimal(str(item["Quantity"]))
        day = date.fromisoformat(str(item["ConfirmedReceiptDate"])[:10])
    except (KeyError, ValueError, InvalidOperation):
        raise Refused("A delivery is a Quantity and a ConfirmedReceiptDate.") from None
    if not quantity.is_finite() or quantity <= 0 or quantity >= Decimal(10) ** 20 or day.year < 2000:
        raise Refused("A delivery is a Quantity of more than zero and a ConfirmedReceiptDate.")
    return quantity, day


@action(RESPONSE_LINE, name="revert")
async def revert(line: Called) -> None:
    """Takes back what was changed of the order line: it is accepted as it was sent."""
    await require_open(line.rows, line)
    for item in await line.rows.select(RESPONSE_LINE, {**version_key(line), "LineNumber": line["LineNumber"]}):
        if item["ResponseLineState"] == SCHEDULE:
            await line.rows.delete(RESPONSE_LINE, line_key(item))
        else:
            await line.rows.update(
                RESPONSE_LINE,
                line_key(item),
                {
                    "ResponseLineState": LINE_ACCEPTED,
                    "LineAnswer": ACCEPT_LINE,
                    "ConfirmedPurchaseQuantity": item["OrderedPurchaseQuantity"],
                    "ConfirmedDeliveryDate": item["RequestedDeliveryDate"],
                    "RemainderDeliveryDate": EMPTY,
                },
            )


# -- what follows ----------------------------------------------------------------------------------------------------


async def confirm_order(rows: Rows, response: Values) -> None:
    """Confirms an order with the dates that a response says."""
    key = order_key(response)
    values = {"DocumentApprovalStatus": CONFIRMED, "ConfirmedDeliveryDate": response["ConfirmedDeliveryDate"]}
    if response["VendorOrderReference"]:
        values["VendorOrderReference"] = response["VendorOrderReference"]
    await rows.update(ORDER, key, values)
    for line in await rows.select(RESPONSE_LINE, version_key(response), ("LineNumber",)):
        day = {"ConfirmedDeliveryDate": line["ConfirmedDeliveryDate"]}
        await rows.update(ORDER_LINE, {**key, "LineNumber": line["LineNumber"]}, day)
