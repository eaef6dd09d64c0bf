"""What a file is: by the ending of its name and by its bytes, which have to agree. What the browser says is not asked.

A file of a known kind begins with that kind's bytes; one of another kind must not. What a browser might run (HTML, SVG,
XML, scripts) is a kind that a form has to name, and no picture or text may hold it. Leaves out whether a document is
harmless to the program that opens it: that is a virus scanner's question.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_BLOCKED: Final = """
ade adp app asa ashx asmx asp aspx bas bat cdx cer chm class cmd com config cpl crt csh dll exe fxp hlp hta htr
htw ida idc idq inf ins isp its jar js jse ksh lnk mad maf mag mam maq mar mas mat mau mav maw mda mdb mde mdt mdw
mdz msc msh msh1 msh1xml msh2 msh2xml mshxml msi msp mst ops pcd pif prf prg printer ps1 pst reg rem scf scr sct shb
shs shtm shtml soap stm svc tmp url vb vbe vbs vsix ws wsc wsf wsh
"""

#: Endings that an organization blocks unless it says otherwise (organization.blockedattachments).
BLOCKED: Final = frozenset(_BLOCKED.split())

#: MIME type by ending.
TYPES: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "pdf": "application/pdf",
    "zip": "application/zip",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "msg": "application/vnd.ms-outlook",
    "txt": "text/plain",
    "csv": "text/csv",
    "json": "application/json",
    "html": "text/html",
    "htm": "text/html",
    "xhtml": "application/xhtml+xml",
    "svg": "image/svg+xml",
    "xml": "application/xml",
    "xsl": "application/xml",
    "xslt": "application/xml",
    "mjs": "text/javascript",
    "php": "application/x-httpd-php",
    "css": "text/css",
    "swf": "application/x-shockwave-flash",
}

#: Kind of any other file.
OTHER: Final = "application/octet-stream"

#: Kinds that a browser may run; no form takes them unless it names them.
ACTIVE: Final = frozenset(
    {
        "text/html",
        "application/xhtml+xml",
        "image/svg+xml",
        "application/xml",
        "text/javascript",
        "application/x-httpd-php",
        "text/css",
        "application/x-shockwave-flash",
    }
)

#: Kinds that are served under their name; all others are ``OTHER`` on the wire.
SERVED: Final = frozenset(kind for kind in TYPES.values() if kind not in ACTIVE)

_ZIP: Final = b"PK\x03\x04"
_COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

#: What files of a kind begin with.
_FIRST: Final[dict[str, tuple[bytes, ...]]] = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
    "image/bmp": (b"BM",),
    "image/tiff": (b"II*\0", b"MM\0*"),
    "application/pdf": (b"%PDF-",),
    **{TYPES[ending]: (_ZIP, b"PK\x05\x06") for ending in ("zip", "docx", "xlsx", "pptx", "odt", "ods")},
    **{TYPES[ending]: (_COMPOUND,) for ending in ("doc", "xls", "ppt", "msg")},
}

#: Beginnings that give a kind away, those of two letters left out; no file of another kind may have them.
_TELLING: Final = tuple(
    {first for firsts in _FIRST.values() for first in firsts if len(first) > 2 and first != b"RIFF"}
)

#: Beginnings of programs.
_PROGRAMS: Final = (b"\x7fELF", b"#!", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa")

#: Markup that a browser, or a server, might run.
_MARKUP: Final = re.compile(
    rb"<\s*(?:!doctype\s+html|html|head|body|script|svg|iframe|object|embed|\?php)[\s>/]|<\?php|javascript:", re.I
)

#: Bytes of a document (PDF, archive) in which no markup may be; of pictures and texts it is all of them.
_HEAD: Final = 1024


def ending_of(name: str) -> str:
    """The ending of a name, in lower case; '' without one."""
    stem, dot, ending = name.rpartition(".")
    return ending.lower() if dot and stem else ""


def kind_of(name: str) -> str:
    """The MIME type that a name stands for."""
    return TYPES.get(ending_of(name), OTHER)


def blocked(name: str) -> bool:
    """Whether any ending of a name, not only the last, is one that organizations block.

    >>> blocked("invoice.exe.pdf"), blocked("invoice.pdf")
    (True, False)
    """
    return any(part.strip().lower() in BLOCKED for part in name.split(".")[1:])


def genuine(kind: str, data: bytes) -> bool:
    """Whether the bytes are what the kind says, and hold nothing that a browser might run."""
    text = kind.startswith("text/") or kind == "application/json"
    if data.startswith(_PROGRAMS) or (data.startswith(b"MZ") and not text):
        return False
    firsts = _FIRST.get(kind, ())
    if firsts:
        if not data.startswith(firsts) or (kind == "image/webp" and data[8:12] != b"WEBP"):
            return False
    elif data.startswith(_TELLING):
        return False
    if kind in ACTIVE:
        return True
    if text:
        return b"\0" not in data and not _MARKUP.search(data)
    looked_at = data if kind.startswith("image/") else data[:_HEAD]
    return not _MARKUP.search(looked_at)


def accepted(kind: str, name: str, accept: tuple[str, ...], restrict: bool) -> bool:
    """Whether a form takes a kind: ``accept`` names types, families (``image/*``) and endings (``.pdf``).

    >>> accepted("image/svg+xml", "a.svg", ("image/*",), True), accepted("application/pdf", "a.pdf", (), False)
    (False, True)
    """
    named = kind in accept or f".{ending_of(name)}" in accept
    if kind in ACTIVE:
        return named
    return named or not restrict or f"{kind.partition('/')[0]}/*" in accept


def clean_name(name: str) -> str:
    """A name for a file: no path, no control or formatting characters (right-to-left overrides), 200 at most.

    >>> clean_name("../../etc/x\\u202efdp.txt"), clean_name("C:\\\\in\\\\a.pdf"), clean_name("..")
    ('xfdp.txt', 'a.pdf', 'file')
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    kept = "".join(
        character for character in last if unicodedata.category(character)[0] not in "CZ" or character == " "
    )
    kept = re.sub(r'[<>:"|?*]', "_", kept).strip(" .")
    if len(kept) > 200:
        ending = ending_of(kept)[:20]
        kept = f"{kept[: 199 - len(ending)]}.{ending}" if ending else kept[:200]
    return kept or "file"
