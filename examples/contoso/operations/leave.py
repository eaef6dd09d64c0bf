"""Workers: who may change what of addresses and leave, how leave is counted, and what a decision needs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from forecourt.operations.hooks import Refused, Row, default, finish, initial, validate

WORKER, EMPLOYMENT = "HcmWorkerEntity", "HcmEmploymentEntity"
ADDRESS, LEAVE = "HcmWorkerAddressEntity", "LeaveRequestEntity"

#: Stored values of enums: NoYes and LeaveRequestStatus.
NO, YES = 0, 1
IN_REVIEW, APPROVED, DENIED, CANCELED = 1, 2, 3, 4

#: No leave lasts longer, in days.
LONGEST = 366


async def own_number(row: Row) -> str | None:
    """The personnel number of who asks; None for the company's own people, who act for any worker."""
    user = row.principal.operations_user
    if user is None or not user.external:
        return None
    found = await row.asker.select(WORKER, {})
    if len(found) != 1:
        raise Refused("You have no worker record. Please ask the human resources department.")
    return str(found[0]["PersonnelNumber"])


@default(ADDRESS)
async def of_the_worker(row: Row) -> None:
    """A new address belongs to who enters it; the first one is where letters go."""
    if row.operation != "create":
        return
    own = await own_number(row)
    if own is not None:
        if row["PersonnelNumber"] not in (None, "", own):
            raise Refused("The address of somebody else is not yours to enter.", field="PersonnelNumber")
        row["PersonnelNumber"] = own
    elif not row["PersonnelNumber"]:
        raise Refused("Whose address is it?", field="PersonnelNumber")
    if not await row.rows.select(ADDRESS, {"PersonnelNumber": row["PersonnelNumber"]}):
        row["IsPrimary"] = YES


@finish(ADDRESS)
async def one_for_letters(row: Row) -> None:
    """Letters go to one address: the one that was chosen last, and never to none while there is one."""
    before = row.before
    gone = row.operation == "delete"
    number = before["PersonnelNumber"] if gone and before is not None else row["PersonnelNumber"]
    others = await row.rows.select(ADDRESS, {"PersonnelNumber": number})
    if not gone and row["IsPrimary"] == YES:
        for other in others:
            if other["IsPrimary"] == YES and other["LocationId"] != row["LocationId"]:
                await _mark(row, other, NO)
    elif others and not any(other["IsPrimary"] == YES for other in others):
        await _mark(row, min(others, key=lambda other: str(other["LocationId"])), YES)


async def _mark(row: Row, address: dict[str, object], value: int) -> None:
    key = {name: address[name] for name in ("PersonnelNumber", "LocationId")}
    await row.rows.update(ADDRESS, key, {"IsPrimary": value})


@initial(LEAVE)
def new_request(row: Row) -> None:
    row["Status"] = IN_REVIEW


@default(LEAVE)
async def asked_for(row: Row) -> None:
    """A request is the worker's own, for a legal entity that employs it, and does not overlap another one."""
    first, last = row["StartDate"], row["EndDate"]
    if row.operation == "create":
        own = await own_number(row)
        if own is not None:
            row["PersonnelNumber"] = own
        worker = await row.rows.find(WORKER, {"PersonnelNumber": row["PersonnelNumber"] or ""})
        if worker is None:
            raise Refused("Whose leave is it?", field="PersonnelNumber")
        row["WorkerName"] = worker["Name"]
        row["RequestedDateTime"] = datetime.now(UTC)
    elif row.before is not None and row.before["PersonnelNumber"] != row["PersonnelNumber"]:
        raise Refused("A request stays with who asked.", field="PersonnelNumber")
    if row.operation == "update" and not any(map(row.supplied, ("StartDate", "EndDate"))):
        return
    if not isinstance(first, date) or not isinstance(last, date):
        return
    if last < first:
        raise Refused("The last day is before the first.", field="EndDate")
    if (last - first).days >= LONGEST:
        raise Refused("Ask for one year at most.", field="EndDate")
    await _employed(row, first, last)
    row["Days"] = working_days(first, last)
    if not row["Days"]:
        raise Refused("These days are a weekend: there is nothing to ask for.", field="StartDate")
    for other in await row.rows.select(LEAVE, {"PersonnelNumber": row["PersonnelNumber"]}):
        if other["RequestId"] == row["RequestId"] and other["dataAreaId"] == row["dataAreaId"]:
            continue
        if other["Status"] in (IN_REVIEW, APPROVED) and other["StartDate"] <= last and first <= other["EndDate"]:
            raise Refused(f"Request {other['RequestId']} has some of these days already.", field="StartDate")


async def _employed(row: Row, first: date, last: date) -> None:
    found = await row.rows.select(EMPLOYMENT, {"PersonnelNumber": row["PersonnelNumber"]})
    current = [
        item for item in found if item["EmploymentStartDate"].date() <= first <= item["EmploymentEndDate"].date()
    ]
    if not any(
        item["LegalEntityId"] == row["dataAreaId"] and last <= item["EmploymentEndDate"].date() for item in current
    ):
        names = ", ".join(sorted(str(item["LegalEntityId"]) for item in current)) or "none"
        raise Refused(
            f"{row['dataAreaId']} does not employ you on these days. Your companies then: {names}.", field="dataAreaId"
        )


@validate(LEAVE, operation="update")
async def decided(row: Row) -> None:
    """What is decided stays. The worker changes or withdraws what waits; the manager decides, and nothing else."""
    before = row.before
    assert before is not None
    own = await own_number(row)
    changed = {name for name in ("LeaveType", "StartDate", "EndDate", "Comment") if row[name] != before[name]}
    wanted = row["Status"]
    if before["Status"] != IN_REVIEW and (changed or wanted != before["Status"]):
        raise Refused("This request is decided or withdrawn. Ask anew.", field="Status")
    if own is None:
        return
    mine = before["PersonnelNumber"] == own
    if changed and not mine:
        raise Refused("Only who asks changes the request itself.", field=sorted(changed)[0])
    if wanted not in (before["Status"], *((CANCELED,) if mine else (APPROVED, DENIED))):
        allowed = "withdraw it" if mine else "approve or deny it"
        raise Refused(f"You can {allowed}; more is not yours to decide.", field="Status")
    if mine and row["DecisionComment"] != before["DecisionComment"]:
        raise Refused("The answer is your manager's.", field="DecisionComment")
    if wanted == DENIED and not str(row["DecisionComment"] or "").strip():
        raise Refused("Say why.", field="DecisionComment")


@default(LEAVE)
async def signed(row: Row) -> None:
    """Who decided, and when."""
    before = row.before
    if before is not None and row["Status"] in (APPROVED, DENIED) and before["Status"] == IN_REVIEW:
        own = await own_number(row)
        row["DecidedBy"] = own if own is not None else row.principal.operations_user.id  # type: ignore[union-attr]
        row["DecidedDateTime"] = datetime.now(UTC)


def working_days(first: date, last: date) -> Decimal:
    """From Monday to Friday, both ends included."""
    days: Sequence[date] = [first + timedelta(n) for n in range((last - first).days + 1)]
    return Decimal(sum(day.weekday() < 5 for day in days))
