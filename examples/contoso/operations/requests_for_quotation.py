"""Requests for quotation: interest that people register, also those whom nobody knows.

Which requests are open to them is the policy's affair (PurchPublishedRFQ). Here is looked at what they write, and how
much of it: at most so many interests in one request within an hour, whoever sends them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from forecourt.operations.hooks import Refused, Row, default, initial, validate

INTEREST, REQUEST = "PurchRequestForQuotationInterestEntity", "PurchPublishedRequestForQuotationHeaderEntity"

#: Interests in one request, within an hour.
AT_MOST = 20

#: Stored value of PurchRFQStatus.
SENT = 1

_EMAIL = re.compile(r"[^@\s<>\"',;:]+@[^@\s<>\"',;:]+\.[^@\s<>\"',;:.]{2,}")


@initial(INTEREST)
def new_interest(row: Row) -> None:
    row["InterestId"] = uuid4()
    row["RegisteredDateTime"] = datetime.now(UTC)


@validate(INTEREST, field="EmailAddress")
def an_address(row: Row, value: str | None) -> None:
    if not _EMAIL.fullmatch((value or "").strip()):
        raise Refused("Write your e-mail address in the form name@company.com.", field="EmailAddress")


@default(INTEREST)
async def in_an_open_request(row: Row) -> None:
    """Interest is taken in what is published and still open."""
    if row.operation != "create":
        return
    for name in ("OrganizationName", "ContactName", "EmailAddress", "PhoneNumber", "Comments"):
        text = str(row[name] or "")
        if any(ord(letter) < 32 and letter not in "\r\n\t" for letter in text):
            raise Refused("This holds signs that cannot be read.", field=name)
        row[name] = text.strip()
    key = {"dataAreaId": row["dataAreaId"], "RFQCaseNumber": row["RFQCaseNumber"]}
    request = await row.rows.lock(REQUEST, key)
    today = datetime.now(UTC).date()
    if (
        request is None
        or request["RFQStatus"] != SENT
        or request["IsPublished"] != 1
        or (request["RFQExpirationDate"] < today)
    ):
        raise Refused("The request is not open.", field="RFQCaseNumber")
    hour = datetime.now(UTC) - timedelta(hours=1)
    if sum(item["RegisteredDateTime"] > hour for item in await row.rows.select(INTEREST, key)) >= AT_MOST:
        raise Refused("Many people register at this moment. Please try again in an hour.")
