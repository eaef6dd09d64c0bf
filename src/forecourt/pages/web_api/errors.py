"""Errors of ``/_api`` in the portal's own shape (pages-and-dataverse A2.3).

::

    {"error": {"code": "90040101", "message": "...", "cdscode": "...", "innererror": {"code", "message"}}}

``cdscode`` is Dataverse's code where the refusal came from there; ``innererror`` is given only where the site setting
``Webapi/error/innererror`` is true. Rows that the person may not see are as rows that do not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from forecourt.kernel.errors import Refusal
from forecourt.odata.errors import DATAVERSE_CODES

INVALID_ATTRIBUTE = "90040100"
ATTRIBUTE_NOT_ENABLED = "90040101"
WRITE_MISSING = "90040102"
FORGERY_MISMATCH = "90040107"
FORGERY_MISSING = "90040108"
SESSION_MISSING = "90040109"
INVALID_OPERATION = "9004010A"
NOT_SUPPORTED = "9004010B"
NOT_FOUND = "9004010C"
CDS_ERROR = "9004010D"
READ_MISSING = "90040120"

#: How the portal's own codes begin.
_OWN = "90040"

#: Our codes as the portal's: number -> (code for reads, code for writes, status).
_OURS: dict[str, tuple[str, str, int]] = {
    "FC1001": (CDS_ERROR, CDS_ERROR, 400),
    "FC1002": (INVALID_ATTRIBUTE, INVALID_ATTRIBUTE, 400),
    "FC1003": (CDS_ERROR, CDS_ERROR, 400),
    "FC1004": (NOT_SUPPORTED, NOT_SUPPORTED, 400),
    "FC1008": (INVALID_OPERATION, INVALID_OPERATION, 405),
    "FC2001": (SESSION_MISSING, SESSION_MISSING, 401),
    "FC2005": (FORGERY_MISMATCH, FORGERY_MISMATCH, 401),
    "FC3001": (READ_MISSING, WRITE_MISSING, 403),
    "FC3002": (READ_MISSING, WRITE_MISSING, 403),
    "FC3003": (READ_MISSING, WRITE_MISSING, 403),
    "FC3004": (ATTRIBUTE_NOT_ENABLED, ATTRIBUTE_NOT_ENABLED, 403),
    "FC3005": (WRITE_MISSING, WRITE_MISSING, 403),
    "FC3006": (WRITE_MISSING, WRITE_MISSING, 403),
    "FC4041": (CDS_ERROR, CDS_ERROR, 404),
    "FC4042": (NOT_FOUND, NOT_FOUND, 404),
    "FC4092": (CDS_ERROR, CDS_ERROR, 412),
}

#: Dataverse's codes as the portal's, where the portal has one of its own.
_DATAVERSE: dict[str, tuple[str, str]] = {
    "0x8006088a": (NOT_FOUND, NOT_FOUND),
    "0x80040220": (READ_MISSING, WRITE_MISSING),
    "0x80048306": (READ_MISSING, WRITE_MISSING),
    "0x0": (INVALID_ATTRIBUTE, INVALID_ATTRIBUTE),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that says no."""

    status: int
    code: str
    message: str
    cdscode: str = ""
    inner: str = ""

    def body(self, *, show_inner: bool) -> bytes:
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.cdscode:
            error["cdscode"] = self.cdscode
        if show_inner and self.inner:
            error["innererror"] = {"code": self.cdscode or self.code, "message": self.inner}
        return msgspec.json.encode({"error": error})


def from_refusal(refusal: Refusal, *, write: bool) -> Failure:
    """A refusal in the portal's words."""
    read_code, write_code, status = _OURS.get(refusal.code, (CDS_ERROR, CDS_ERROR, refusal.status))
    code = write_code if write else read_code
    if refusal.surface.startswith(_OWN):
        code = refusal.surface
    behind = DATAVERSE_CODES.get(refusal.code, "") if code == CDS_ERROR else ""
    return Failure(status, code, refusal.message, behind, refusal.text)


def from_answer(status: int, body: bytes, *, write: bool) -> Failure:
    """An error answer of the Dataverse protocol in the portal's words; one in the portal's shape is kept."""
    try:
        error = msgspec.json.decode(body)["error"]
        code, message = str(error.get("code", "")), str(error.get("message", ""))
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        code, message = "", "An unexpected error occurred while processing the request."
    if code.startswith(_OWN):
        return Failure(status, code, message, str(error.get("cdscode", "")))
    known = _DATAVERSE.get(code.lower())
    if known is not None:
        return Failure(status, known[1] if write else known[0], message)
    return Failure(status, CDS_ERROR, "CDS error occurred.", code, message)
