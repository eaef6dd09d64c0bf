"""``/_entity/annotation/<id>``: the file of a note, for who may read the note.

What is hidden from a person and what does not exist are answered alike. A file is given to be saved, never to be shown
in the site's own place: as an attachment, without guessing at its type, in a sandbox. Only notes that the portal shows
(their text begins with the prefix) give their files.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from urllib.parse import quote
from uuid import UUID

from starlette.responses import Response, StreamingResponse

from forecourt.dataverse.rows import Rows
from forecourt.kernel.errors import Refusal, not_found
from forecourt.pages.notes.attaching import NOTES, prefix
from forecourt.pages.notes.kinds import OTHER, SERVED, clean_name
from forecourt.pages.render import finish
from forecourt.pages.site import Site
from forecourt.pages.visit import Visit

#: Characters of base64 that are decoded at a time: four of them are three bytes.
_PIECE = 64 * 1024


def path_of(note: UUID) -> str:
    """Where the file of a note is."""
    return f"/_entity/annotation/{note}"


def disposition(name: str) -> str:
    """``Content-Disposition`` by RFC 6266: a plain name for old clients, and the whole one.

    >>> print(disposition('Ü "b".pdf'))
    attachment; filename="_ _b_.pdf"; filename*=UTF-8''%C3%9C%20_b_.pdf
    """
    cleaned = clean_name(name)
    plain = "".join(
        character if " " <= character < "\x7f" and character not in '"\\%' else "_" for character in cleaned
    )
    whole = "" if plain == cleaned else f"; filename*=UTF-8''{quote(cleaned, safe='')}"
    return f'attachment; filename="{plain}"{whole}'


class Downloading:
    """Gives files out."""

    def __init__(self, site: Site, rows: Rows) -> None:
        self._site = site
        self._rows = rows

    async def answer(self, visit: Visit) -> Response:
        """The file. Raises Refusal FC4041."""
        try:
            note = UUID(visit.request.path_params["note"])
            row = await self._rows.row(
                visit.principal, NOTES, note, ("notetext", "isdocument", "filename", "mimetype", "documentbody")
            )
        except (ValueError, Refusal) as error:
            if isinstance(error, Refusal) and error.status not in {403, 404}:
                raise
            raise not_found() from None
        values = row.values
        body = values.get("documentbody")
        shown = str(values.get("notetext") or "").lower().startswith(prefix(self._site).lower())
        if not (shown and values.get("isdocument") and isinstance(body, str) and body):
            raise not_found()
        kind = str(values.get("mimetype") or "")
        headers = {
            "content-disposition": disposition(str(values.get("filename") or "")),
            "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
            "cache-control": "private, no-store",
        }
        try:
            base64.b64decode(body, validate=True)
        except binascii.Error:
            raise not_found() from None
        response = StreamingResponse(_decoded(body), media_type=kind if kind in SERVED else OTHER, headers=headers)
        response.headers["content-length"] = str(len(body) // 4 * 3 - body[-2:].count("="))
        return finish(visit, response)


async def _decoded(text: str) -> AsyncIterator[bytes]:
    """The bytes of base64, piece by piece."""
    for at in range(0, len(text), _PIECE):
        yield base64.b64decode(text[at : at + _PIECE])
