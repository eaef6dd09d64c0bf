"""Forms of pages as a browser without script sends them."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import urlencode

from forecourt.web.uploads import put
from support.server import Answer, Person


class _Fields(HTMLParser):
    """The fields of the form with class ``fc-form``, as they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.offered: dict[str, list[str]] = {}
        self._inside = False
        self._area = self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = "fc-form" in found.get("class", "").split()
        if not self._inside:
            return
        name = found.get("name", "")
        if tag == "input" and found.get("type") in {"radio", "checkbox"}:
            self.offered.setdefault(name, []).append(found.get("value", "on"))
            if "checked" in found:
                put(self.values, name, found.get("value", "on"))
        elif tag == "input" and name:
            put(self.values, name, found.get("value", ""))
        elif tag == "select":
            self._select = name
            self.values[name] = ""
        elif tag == "option" and self._select:
            self.offered.setdefault(self._select, []).append(found.get("value", ""))
            if "selected" in found:
                self.values[self._select] = found.get("value", "")
        elif tag == "textarea":
            self._area = name
            self.values[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "textarea":
            self.values[self._area] = self.values[self._area].removeprefix("\n")
            self._area = ""
        elif tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.values[self._area] += data


def fields_of(text: str) -> dict[str, str]:
    """What the page's main form would send, unchanged."""
    parser = _Fields()
    parser.feed(text)
    return parser.values


def offered(text: str, name: str) -> list[str]:
    """The values that a field offers to choose from."""
    parser = _Fields()
    parser.feed(text)
    return parser.offered.get(name, [])


async def opened(person: Person, path: str) -> dict[str, str]:
    """The fields of a form as it is opened."""
    answer = await person.get(path)
    assert answer.status == 200, answer.text[:500]
    return fields_of(answer.text)


async def post(person: Person, path: str, values: Mapping[str, str]) -> Answer:
    """Sends a form."""
    headers = {**await person.headers(path), "content-type": "application/x-www-form-urlencoded"}
    return await person.site.ask("POST", path, headers, urlencode(values).encode())


def multipart(fields: dict[str, str], files: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """A form as browsers send it: content type and body."""
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    for name, data in files:
        quoted = name.replace('"', "%22")
        head = f'name="@attachment"; filename="{quoted}"\r\nContent-Type: image/png\r\n\r\n'
        parts.append(head.encode() + data)
    body = b"".join(b"--edge\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--edge--\r\n"
    return "multipart/form-data; boundary=edge", body


async def attach(person: Person, files: list[tuple[str, bytes]], path: str, **changed: str) -> Answer:
    """The form at ``path``, sent with files."""
    kind, body = multipart({**await opened(person, path), **changed}, files)
    headers = {"content-type": kind, "cookie": await person.cookie()}
    return await person.site.ask("POST", path, headers, body)


async def signed_in(person: Person, ended: Answer, as_whom: Person) -> Answer:
    """Signs in by the form that answered, in the same browser."""
    cookies = "; ".join(f"{name}={value}" for name, value in ended.cookies.items() if value)
    headers = {"content-type": "application/x-www-form-urlencoded", "cookie": cookies}
    typed = {**sign_in_fields(ended.text), "username": as_whom.username, "password": as_whom.password}
    return await person.site.ask("POST", "/SignIn", headers, urlencode(typed).encode())


def sign_in_fields(text: str) -> dict[str, str]:
    """Hidden fields of the page that asks for the password."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text)
    return {name: html.unescape(value) for name, value in found}
