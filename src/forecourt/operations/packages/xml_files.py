"""XML: one element per row, named after the entity, with one element per field.

::

    <Document>
      <PurchaseOrderHeaderV2>
        <dataAreaId>usmf</dataAreaId>                 text, number, date, symbol
        <VendorOrderReference/>                       empty text
        <ConfirmedDeliveryDate xsi:nil="true"/>       null
        <Note encoding="base64">AQ==</Note>           text that XML cannot hold (control characters)
      </PurchaseOrderHeaderV2>
    </Document>

A field that a row leaves out is not changed by it. Document types and entities are refused, whatever they say.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as xml

from forecourt.kernel.errors import Refusal
from forecourt.kernel.model import EntityField
from forecourt.operations.packages.formats import LONGEST, WIDEST, Table, TextRow
from forecourt.operations.packages.values import text_of

NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"

#: What XML 1.0 cannot hold, even escaped.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

#: Bytes of one row at most, markup included.
ROW = 64 * 1024 * 1024


def read_xml(stream: IO[bytes], table: Table) -> Iterator[TextRow]:
    """The rows of an XML file."""
    count = 0
    known: set[str] = set()
    counted = _Counted(stream)
    path: list[Element] = []
    try:
        for event, element in xml.iterparse(counted, events=("start", "end"), forbid_dtd=True):
            if event == "start":
                path.append(element)
                if len(path) > 3:
                    raise table.at(count + 1, "A field has elements within it.")
                if len(path) == 3 and len(path[1]) > WIDEST:
                    raise table.at(count + 1, f"The row has more than {WIDEST} fields.")
                if counted.since > ROW:
                    raise table.at(count + 1, f"The row is larger than {ROW // 1024**2} MB.")
                continue
            path.pop()
            if len(path) != 1:
                continue
            count += 1
            counted.since = 0
            yield _row(element, table, count, known)
            path[0].clear()  # or all rows would stay in memory
    except DefusedXmlException:
        raise table.at(count + 1, "Document types and entities are not allowed.") from None
    except (ParseError, LookupError, ValueError):
        raise table.at(count + 1, "The XML is not well-formed, or not in an encoding that is known.") from None
    except _TooLarge:
        raise table.at(count + 1, f"The row is larger than {ROW // 1024**2} MB.") from None


class _TooLarge(Exception):
    """A row that is not taken into memory."""


class _Counted:
    """A stream that counts the bytes of the row at hand."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.since = 0

    def read(self, size: int = -1) -> bytes:
        if self.since > ROW:
            raise _TooLarge
        data = self._stream.read(size)
        self.since += len(data)
        return data


def _row(element: Element, table: Table, number: int, known: set[str]) -> TextRow:
    texts: dict[str, str | None] = {}
    for child in element:
        name = str(child.tag).rpartition("}")[2]
        if name not in known:
            try:
                table.field(name)
            except Refusal as refusal:
                raise table.at(number, refusal.message.partition(": ")[2], refusal.hint) from None
            known.add(name)
        if name in texts:
            return TextRow(number, {}, f"The field '{name}' is there twice.")
        if child.get(NIL) in ("true", "1"):
            texts[name] = None
            continue
        text = child.text or ""
        if len(text) > LONGEST:
            return TextRow(number, {}, f"The value of '{name}' is longer than {LONGEST} characters.")
        if child.get("encoding") == "base64":
            try:
                text = base64.b64decode(text, validate=True).decode()
            except (binascii.Error, ValueError):
                return TextRow(number, {}, f"The value of '{name}' is not UTF-8 text in base64.")
        texts[name] = text
    return TextRow(number, texts)


class XmlWriter:
    """Writes an XML file."""

    def __init__(self, stream: IO[bytes], table: Table, fields: Sequence[EntityField]) -> None:
        self._stream = stream
        self._table = table
        self._fields = tuple(fields)
        self._put(
            '<?xml version="1.0" encoding="utf-8"?>\n<Document xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">\n'
        )

    def write(self, rows: Iterable[Sequence[object]]) -> None:
        name, model = self._table.entity.public_name, self._table.model
        for row in rows:
            values = (
                _element(field.name, text_of(value, field, model))
                for field, value in zip(self._fields, row, strict=True)
            )
            self._put(f"<{name}>{''.join(values)}</{name}>\n")

    def close(self) -> None:
        self._put("</Document>\n")

    def discard(self) -> None:
        """There is nothing beside the stream."""

    def _put(self, text: str) -> None:
        self._stream.write(text.encode())


def _element(name: str, text: str | None) -> str:
    if text is None:
        return f'<{name} xsi:nil="true"/>'
    if not text:
        return f"<{name}/>"
    if _CONTROL.search(text):
        return f'<{name} encoding="base64">{base64.b64encode(text.encode()).decode()}</{name}>'
    return f"<{name}>{escape(text, _BREAKS)}</{name}>"


#: A parser would read it as a line feed.
_BREAKS: dict[str, Any] = {"\r": "&#13;"}
