"""A client of the ASGI application in this process: requests as bytes on the wire, without a port."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from forecourt.server import Server

#: The host that requests name; links in answers begin with it.
ORIGIN = "http://fuzz.invalid"


@dataclass(frozen=True)
class Asked:
    """A request. ``target``: path and query, percent-encoded."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __str__(self) -> str:
        shown = "".join(f" [{name}: {value}]" for name, value in self.headers)
        body = f" {self.body.decode('utf-8', 'replace')}" if self.body else ""
        return f"{self.method} {self.target}{shown}{body}"


@dataclass(frozen=True)
class Answered:
    """``headers``: lower-case names."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return dict(self.headers).get(name, "")

    def cookie(self, name: str) -> str:
        """A cookie that is set, '' where it is not."""
        for header, value in self.headers:
            key, _, rest = value.partition("=")
            if header == "set-cookie" and key == name:
                return rest.partition(";")[0]
        return ""


async def send(server: Server, asked: Asked, credentials: Mapping[str, str]) -> Answered:
    """The answer to a request. ``credentials``: headers that say who asks."""
    path, _, query = asked.target.partition("?")
    given = {"host": ORIGIN.partition("//")[2], **dict(asked.headers), **credentials}
    if asked.body:
        given["content-length"] = str(len(asked.body))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given.items()],
        "client": ("127.0.0.1", 40000),
        "server": ("fuzz.invalid", 80),
    }
    messages: list[Any] = []
    sent = False

    async def receive() -> Any:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": asked.body, "more_body": False}

    async def collect(message: Any) -> None:
        messages.append(message)

    await server(scope, receive, collect)
    start = messages[0]
    headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in start["headers"])
    return Answered(start["status"], headers, b"".join(message.get("body", b"") for message in messages[1:]))
