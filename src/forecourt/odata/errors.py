"""A Refusal in the JSON shape of the surface that it leaves by: (status, headers, body).

::

    operations   {"error":{"code":"FC1003","message":…,"innererror":{"message":…,"type":…,"stacktrace":""}}}
    dataverse    {"error":{"code":"0x80060888","message":…,"@Forecourt.code":"FC1001"}}
    portal       {"error":{"code":"9004010D","message":…,"cdscode":"0x80060888"[,"innererror":{…}]}}

Operations' own service leaves ``code`` empty, says "An error has occurred." and the truth in ``innererror.message``.
People see ``message`` first and programs written for the original read ``innererror.message``, so the truth stands in
both, in the latter with the infolog of business logic in the original's words; ``stacktrace`` is always empty. The
Dataverse surface keeps Microsoft's codes; ours stands in an annotation. The portal names Dataverse's code in
``cdscode`` and shows ``innererror`` only where the site's setting asks for it. Hints are part of the message; a
Refusal's ``detail`` is for those who may debug and isn't written.
Sources: operations-and-integration 5.6; pages-and-dataverse A2.3, B2.10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from forecourt.kernel.errors import Refusal
from forecourt.odata.dialect import Dialect

Headers = tuple[tuple[str, str], ...]
CONTENT_TYPE: Final = "application/json; odata.metadata=minimal"

#: Our code -> Dataverse's, for requests that read.
DATAVERSE_CODES: Final[Mapping[str, str]] = {
    "FC1001": "0x80060888",
    "FC1002": "0x0",
    "FC1003": "0x80060888",
    "FC1004": "0x80060888",
    "FC1005": "0x80060888",
    "FC1006": "0x80048d19",
    "FC1007": "0x80060888",
    "FC1008": "0x80060888",
    "FC1009": "0x80060888",
    "FC1010": "0x80060888",
    "FC2001": "0x80072560",
    "FC2002": "0x80072560",
    "FC2003": "0x80048d19",
    "FC2004": "0x80072322",
    "FC2005": "0x80040220",
    "FC2006": "0x80072560",
    "FC2007": "0x80072560",
    "FC2008": "0x80072560",
    "FC2009": "0x80072560",
    "FC3001": "0x80040220",
    "FC3002": "0x80072560",
    "FC3003": "0x80072560",
    "FC3004": "0x80040220",
    "FC3005": "0x80048306",
    "FC4041": "0x80040217",
    "FC4042": "0x8006088a",
    "FC4121": "0x80060882",
    "FC4091": "0x80040265",
    "FC4092": "0x80040237",
    "FC3006": "0x80048306",
    "FC4003": "0x80044182",
    "FC4005": "0x80040265",
    "FC4006": "0x80044352",
    "FC4051": "0x80040227",
    "FC4093": "0x80040265",
    "FC4801": "0x80048d19",
    "FC4802": "0x80040265",
    "FC4803": "0x80040220",
    "FC5000": "0x80040216",
    "FC5031": "0x80040216",
}

#: The same where the request's body is at fault.
_BODY_CODES: Final[Mapping[str, str]] = {"FC1002": "0x80048d19", "FC1003": "0x80048d19"}

#: Our code -> the portal's; those that aren't listed are Dataverse's error passed on.
PORTAL_CODES: Final[Mapping[str, str]] = {
    "FC1002": "90040100",
    "FC1008": "9004010A",
    "FC2001": "90040109",
    "FC2002": "90040109",
    "FC2005": "90040107",
    "FC3001": "90040120",
    "FC3002": "90040120",
    "FC3003": "90040120",
    "FC3004": "90040101",
    "FC3005": "90040102",
    "FC3006": "90040102",
    "FC4041": "9004010C",
    "FC4042": "9004010C",
    "FC5000": "9004010A",
    "FC5031": "9004010A",
}
_PORTAL_PASSED_ON: Final = "9004010D"
_PORTAL_OWN: Final = "90040"
_PORTAL_WRITE_DENIED: Final = "90040102"

#: Statuses in which Dataverse differs: a duplicate is a failed precondition there (reference B2.4, B2.10).
_DATAVERSE_STATUS: Final[Mapping[str, int]] = {"FC4092": 412}

#: Statuses in which the portal differs: a failed anti-forgery check is 401 there.
_PORTAL_STATUS: Final[Mapping[str, int]] = {"FC2005": 401}


def render(
    refusal: Refusal, dialect: Dialect, *, writing: bool = False, inner: bool = False
) -> tuple[int, Headers, bytes]:
    """The answer to a refused request. ``writing``: it had a body; ``inner``: the site shows inner errors."""
    status = _DATAVERSE_STATUS.get(refusal.code, refusal.status) if dialect.name != "operations" else refusal.status
    match dialect.name:
        case "operations":
            error = _operations(refusal)
        case "dataverse":
            error = _dataverse(refusal, writing)
        case "portal":
            status = _PORTAL_STATUS.get(refusal.code, status)
            error = _portal(refusal, writing, inner)
    headers = (("content-type", CONTENT_TYPE), ("odata-version", "4.0"), *refusal.headers)
    return status, headers, msgspec.json.encode({"error": error})


def _message(refusal: Refusal) -> str:
    """What people read. Lone surrogates, which JSON can't hold, are replaced."""
    return _text(refusal.text)


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _operations(refusal: Refusal) -> dict[str, Any]:
    message = _message(refusal)
    inner = {"message": _text(refusal.inner) or message, "type": "Forecourt.Refusal", "stacktrace": ""}
    return {"code": refusal.code, "message": message, "innererror": inner}


def _dataverse_code(refusal: Refusal, writing: bool) -> str:
    if refusal.surface:
        return refusal.surface
    if writing and refusal.code in _BODY_CODES:
        return _BODY_CODES[refusal.code]
    return DATAVERSE_CODES.get(refusal.code, "0x80040216")


def _dataverse(refusal: Refusal, writing: bool) -> dict[str, Any]:
    return {
        "code": _dataverse_code(refusal, writing),
        "message": _message(refusal),
        "@Forecourt.code": refusal.code,
    }


def _portal(refusal: Refusal, writing: bool, inner: bool) -> dict[str, Any]:
    code = PORTAL_CODES.get(refusal.code, _PORTAL_PASSED_ON)
    if refusal.surface.startswith(_PORTAL_OWN):
        code = refusal.surface
    elif writing and refusal.code == "FC3001":
        code = _PORTAL_WRITE_DENIED
    message = _message(refusal)
    error: dict[str, Any] = {"code": code, "message": message}
    if code == _PORTAL_PASSED_ON:
        error["cdscode"] = _dataverse_code(refusal, writing)
    if inner:
        error["innererror"] = {"code": refusal.code, "message": message}
    return error
