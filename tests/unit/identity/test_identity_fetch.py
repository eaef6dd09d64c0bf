"""Reading an issuer's documents: from where, how much, and no further."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from forecourt.identity.fetch import LARGEST, fetch, is_allowed


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
            return
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        if self.path == "/large":
            self.wfile.write(b"x" * (LARGEST + 1))
        else:
            self.wfile.write(b'{"keys":[]}')

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_reads_a_document_of_this_machine(site: str) -> None:
    assert await fetch(f"{site}/good") == b'{"keys":[]}'


@pytest.mark.parametrize("path", ["redirect", "missing"])
async def test_every_answer_but_200_is_an_error_and_redirects_lead_nowhere(site: str, path: str) -> None:
    with pytest.raises(OSError, match="answers"):
        await fetch(f"{site}/{path}")


async def test_no_more_than_a_megabyte_is_read(site: str) -> None:
    with pytest.raises(ValueError, match="1 MB"):
        await fetch(f"{site}/large")


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://idp.example/keys", True),
        ("http://127.0.0.1:9/keys", True),
        ("http://[::1]:9/keys", True),
        ("http://localhost/keys", True),
        ("http://idp.example/keys", False),
        ("http://169.254.169.254/latest", False),
        ("http://127.0.0.1.evil.example/", False),
        ("http://127.0.0.1@evil.example/", False),
        ("file:///etc/passwd", False),
        ("ftp://idp.example/keys", False),
        ("https://", False),
        ("http://[::1/keys", False),
        ("", False),
    ],
)
async def test_only_https_and_this_machine_are_read(url: str, allowed: bool) -> None:
    assert is_allowed(url) is allowed
    if not allowed:
        with pytest.raises(ValueError, match="https"):
            await fetch(url)
