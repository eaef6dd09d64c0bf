"""Posted forms with files (``multipart/form-data``, RFC 7578), read as they come and within bounds.

No more than asked for is kept in memory: what of a file goes beyond its limit is dropped and said, so that the rest of
the form can be shown again. A body that announces or reaches far more is refused without being read to its end.
Leaves out what a file may be, which is the form's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from forecourt.kernel.errors import Refusal

#: Most bytes of all fields that are no files, and most parts of a form.
MAX_FORM: Final = 512 * 1024
MAX_FIELDS: Final = 500

#: Bytes beyond the limits that are read and dropped, so that a person whose file is too large keeps what was typed.
SPARE: Final = 8 * 1024 * 1024

#: Most characters of a file's name that are looked at.
MAX_NAME: Final = 1000


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a form takes: ``files`` of them, each of at most ``size`` bytes. ``dropped``: bytes of files that are read
    and kept nowhere, so that the rest of the form can be shown again."""

    files: int = 0
    size: int = 0
    dropped: int = 0

    @property
    def body(self) -> int:
        """Bytes that are read of a request at most."""
        return MAX_FORM + self.files * self.size + self.dropped + SPARE


@dataclass(frozen=True, slots=True)
class Upload:
    """A file. ``name``: as the browser says, trusted in nothing; ``too_large``: there was more than ``data``, which is
    empty then."""

    name: str
    data: bytes
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """A form: its fields, of one given twice the last, and its files by the order in which they came."""

    fields: dict[str, str] = field(default_factory=dict)
    files: tuple[Upload, ...] = ()


def put(fields: dict[str, str], name: str, text: str) -> None:
    """A field of a form: of a name given twice the last; all that are called ``name[]``, with commas between them."""
    if name.endswith("[]"):
        name = name.removesuffix("[]")
        text = ",".join(part for part in (fields.get(name, ""), text) if part)
    fields[name] = text


def is_multipart(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"


async def read_multipart(request: Request, bounds: Bounds) -> Posted:
    """A posted form. Without room for files (``bounds.files`` 0) these are dropped.

    Raises Refusal FC1005 (too large, too many files), FC1006 (not a form, not UTF-8, too many fields).
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > bounds.body:
        raise _too_large()
    _, options = parse_options_header(request.headers.get("content-type", ""))
    parts = _Parts(bounds)
    try:
        parser = MultipartParser(
            options.get(b"boundary", b""),
            {
                "on_part_begin": parts.begin,
                "on_header_field": parts.header_name,
                "on_header_value": parts.header_value,
                "on_header_end": parts.header_end,
                "on_headers_finished": parts.headers_finished,
                "on_part_data": parts.data,
                "on_part_end": parts.end,
                "on_end": parts.finish,
            },
        )
        read = 0
        async for chunk in request.stream():
            read += len(chunk)
            if read > bounds.body:
                raise _too_large()
            parser.write(chunk)
        parser.finalize()
        if not parts.finished:
            raise ValueError("the last boundary is missing")
    except (FormParserError, ValueError):
        raise Refusal("FC1006", "The form cannot be read.") from None
    return Posted(parts.fields, tuple(parts.files))


class _Parts:
    """The parts of a form, put together from a parser's calls."""

    def __init__(self, bounds: Bounds) -> None:
        self.fields: dict[str, str] = {}
        self.files: list[Upload] = []
        self.finished = False
        self._bounds = bounds
        self._parts = 0
        self._held = 0
        self._header, self._value, self._headers = b"", b"", dict[bytes, bytes]()
        self._name, self._file = "", ""
        self._is_file = self._over = False
        self._body = bytearray()

    def begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_FIELDS:
            raise ValueError("too many parts")
        self._header, self._value, self._headers = b"", b"", {}
        self._body = bytearray()
        self._over = False

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header, self._value = b"", b""

    def headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise ValueError("a part without a name")
        self._name = options[b"name"].decode("utf-8")
        self._is_file = b"filename" in options
        self._file = options.get(b"filename", b"").decode("utf-8")[:MAX_NAME]

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._over:
            return
        if self._is_file:
            if len(self._body) + end - start > self._bounds.size:
                self._body, self._over = bytearray(), True
                return
        else:
            self._held += end - start
            if self._held > MAX_FORM:
                raise _too_large()
        self._body += data[start:end]

    def end(self) -> None:
        if not self._is_file:
            text = self._body.decode("utf-8").replace("\r\n", "\n").replace("\0", "")
            put(self.fields, self._name, text)
        elif self._bounds.files and (self._file or self._body or self._over):
            # A browser sends a part without name and content where no file is chosen.
            if len(self.files) == self._bounds.files:
                raise Refusal("FC1005", "The form holds more files than it takes.")
            self.files.append(Upload(self._file, bytes(self._body), self._over))
        self._body = bytearray()

    def finish(self) -> None:
        self.finished = True


def _too_large() -> Refusal:
    return Refusal("FC1005", "The form is larger than the server takes.")
