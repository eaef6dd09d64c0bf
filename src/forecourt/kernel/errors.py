"""Refusals and faults as values: ``code, status, message, detail, hint, source``.

::

    ForecourtError
      Refusal            a request that is turned down; each door renders it in its protocol's shape
      DefinitionError    a fault in a solution's file, shown as file:line: what, and what to write instead
      Unavailable        a store that cannot be reached now (503)

Codes: the Microsoft surfaces keep Microsoft's; ours are ``FC`` + number, listed once in ``CODES`` (documentation and
tests read it) and never reused. A message never holds text from a database or a stack.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

#: Every code of our own: number -> (HTTP status, what it means).
CODES: Final[dict[str, tuple[int, str]]] = {
    "FC1001": (400, "The URL or a query option cannot be parsed."),
    "FC1002": (400, "A name in the request is not known."),
    "FC1003": (400, "A value does not fit the type of its column."),
    "FC1004": (400, "A query option is not supported here."),
    "FC1005": (413, "The request is larger than the server takes."),
    "FC1006": (400, "The body is not valid JSON of the expected shape."),
    "FC1007": (400, "A paging token is not one that the server issued for this query."),
    "FC1008": (405, "The method is not allowed on this resource."),
    "FC1009": (415, "The content type is not supported."),
    "FC1010": (406, "None of the accepted content types is available."),
    "FC2001": (401, "No valid credentials came with the request."),
    "FC2002": (401, "The token is not valid: expired, revoked, or of another issuer or audience."),
    "FC2003": (400, "The token request is not valid."),
    "FC2004": (429, "Too many failed sign-ins; the account or address is locked for a while."),
    "FC2005": (403, "The anti-forgery token is missing or does not match."),
    "FC2006": (410, "The link has expired or has been used."),
    "FC2007": (401, "The code of the second factor is missing, not right, or has been used."),
    "FC2008": (401, "The answer of a sign-in provider cannot be used, or comes for a sign-in that nobody began here."),
    "FC2009": (403, "The provider vouches for somebody who may not register here."),
    "FC3001": (403, "The identity has no right to this table or operation."),
    "FC3002": (403, "The contact is not mapped to an operations user."),
    "FC3003": (403, "The mapped operations user may not be used from a portal."),
    "FC3004": (403, "A column is not open to this identity."),
    "FC3005": (403, "The change would move the row out of the identity's reach."),
    "FC3006": (403, "The row is within the identity's reach, but not for this operation."),
    "FC4003": (400, "Business logic caused writes that cause writes, without end."),
    "FC4005": (400, "A plug-in of the solution turned the write down."),
    "FC4006": (400, "A change-tracking token has expired, or the table keeps no track: read all rows again."),
    "FC4041": (404, "The row does not exist, or not for this identity."),
    "FC4042": (404, "The resource does not exist."),
    "FC4051": (405, "The row cannot be deleted: others refer to it."),
    "FC4121": (412, "The row has been changed by somebody else since it was read."),
    "FC4091": (409, "The database refuses the change: a rule of its own is violated."),
    "FC5000": (500, "An unexpected error; the correlation id finds it in the log."),
    "FC4092": (409, "A row with the same key exists already."),
    "FC4093": (409, "A table map is not in the state that the request needs."),
    "FC5031": (503, "A database cannot be reached now."),
    "FC4801": (400, "A data package is not valid: its archive, its manifest, or a file in it."),
    "FC4802": (409, "The job, message or blob is not in a state for this."),
    "FC4803": (403, "The address of a blob is not valid, has expired, or is for another use."),
    "FC6001": (0, "A definition file is not valid."),
    "FC6002": (0, "A name in a definition file is not known."),
    "FC6003": (0, "Two definitions contradict each other."),
    "FC6004": (0, "A definition does not fit the database."),
    "FC6005": (0, "A security policy can have no effect, or not the intended one."),
    "FC6006": (0, "Native protection cannot be given to the database, or not to this role."),
    "FC6007": (0, "A permission of the site can have no effect, or opens more than it seems to."),
    "FC6008": (0, "Somebody has two duties that a rule keeps apart."),
    "FC7000": (0, "Something could not be compared: whether it is safe is not known."),
    "FC7001": (0, "Rows can be read directly that the portal hides."),
    "FC7002": (0, "The portal shows rows that the source hides from the same identity."),
    "FC7003": (0, "An external identity holds a grant on an entity that no active policy constrains."),
    "FC7004": (0, "An administrator is the target of a portal mapping."),
    "FC7005": (0, "A well-formed rule cannot mean what its author meant."),
    "FC7006": (0, "Table permissions by themselves reach rows that the source hides from the same identity."),
    "FC7007": (0, "Rows can be changed directly that the portal does not let be changed."),
    "FC7008": (0, "A column can be read at one door that another hides."),
    "FC7009": (0, "A copy shows or takes a column that its source hides from the same identity."),
    "FC7010": (0, "A dual-written copy can be read or changed more widely than its source."),
    "FC7011": (0, "Visitors, or everybody who registers, reach every row of a table."),
    "FC7012": (0, "A rule has no effect."),
    "FC7013": (0, "An external user holds a role that policies do not restrain."),
    "FC7014": (0, "People may change a value that decides what they reach."),
    "FC7015": (0, "People have a right that the baseline does not know."),
    "FC7016": (0, "The later of two solutions lets an identity reach what the earlier one did not."),
    "FC7017": (0, "The later of two solutions keeps an identity from what the earlier one let it reach."),
    "FC7018": (0, "A column can be set at one door that another does not take."),
    "FC7019": (0, "A column shows at /_api that nothing of the site shows, and no other door."),
    "FC7020": (0, "A direct door reaches rows that /data hides from the same identity."),
    "FC7021": (0, "The database does not enforce the rules as they are: plain SQL may reach more."),
    "FC7101": (0, "Proofs need a package that is not installed."),
    "FC7102": (0, "No scratch copy of a database, or scratch login, can be made."),
}


class ForecourtError(Exception):
    """Base of all errors that Forecourt raises on purpose."""


@dataclass(eq=False)
class Refusal(ForecourtError):
    """A request turned down. ``hint`` says what to write or do instead; ``source`` is the option or column at fault.

    ``headers`` are added to an HTTP answer (``WWW-Authenticate``, ``Retry-After``). ``surface``: Dataverse's code where
    it says more than the one that stands for ``code`` (pages-and-dataverse B2.10). ``inner``: what ``/data`` says
    in the inner error where that is more, the infolog of business logic (operations-and-integration 5.6).
    """

    code: str
    message: str
    status: int = 0
    detail: str = ""
    hint: str = ""
    source: str = ""
    headers: tuple[tuple[str, str], ...] = field(default=())
    surface: str = ""
    inner: str = ""

    def __post_init__(self) -> None:
        if not self.status:
            self.status = CODES[self.code][0]
        Exception.__init__(self, self.message)

    @property
    def text(self) -> str:
        """Message and hint in one line."""
        return f"{self.message} {self.hint}".strip()


@dataclass(eq=False)
class DefinitionError(ForecourtError):
    """A fault in a definition file: ``file:line: message. hint``."""

    file: str
    line: int
    message: str
    hint: str = ""
    code: str = "FC6001"

    def __post_init__(self) -> None:
        Exception.__init__(self, str(self))

    def __str__(self) -> str:
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}: {self.message}{hint}"


@dataclass(eq=False)
class DefinitionErrors(ForecourtError):
    """All faults that were found in a solution."""

    errors: tuple[DefinitionError, ...]

    def __post_init__(self) -> None:
        Exception.__init__(self, "\n".join(str(error) for error in self.errors))


class Unavailable(ForecourtError):
    """A database cannot be reached."""


#: Dataverse's code for an alternate key that finds no row (pages-and-dataverse B2.4).
NO_SUCH_KEY: Final = "0x80060891"


def not_found(what: str = "The row", alternate: bool = False) -> Refusal:
    """The one answer for rows that do not exist and rows that the asker may not see. ``alternate``: it was asked for by
    an alternate key."""
    return Refusal("FC4041", f"{what} does not exist.", surface=NO_SUCH_KEY if alternate else "")
