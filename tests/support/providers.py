"""Sign-in providers on loopback: the one of ``oidc-provider-mock``, and one of our own that lies as it is told to.

Both run in a thread. Our own checks what a client has to do (PKCE, the redirect address, the client's secret, a code
once) and answers with the ID token that ``claims`` and ``sign`` make.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "forecourt-portal", "the secret of the portal at the provider"


@contextmanager
def stock_provider() -> Iterator[str]:
    """The provider from PyPI; its address. What its libraries warn of is theirs: its requests are answered quietly."""
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("ignore")
        import oidc_provider_mock

    with oidc_provider_mock.run_server_in_thread(require_nonce=True) as server:
        inner = server.app

        def quietly(environ: Any, start: Any) -> list[bytes]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return list(inner(environ, start))

        server.app = quietly
        yield f"http://localhost:{server.server_port}"


async def approve(url: str, subject: str) -> str:
    """What a person does at the stock provider's page: says who they are; gives the address that they are sent to."""
    async with httpx.AsyncClient() as browser:
        answer = await browser.post(url, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


async def person_at(issuer: str, subject: str, **claims: object) -> None:
    """Makes a person at the stock provider."""
    async with httpx.AsyncClient() as browser:
        assert (await browser.put(f"{issuer}/users/{subject}", json=claims)).status_code == 204


def _new_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


@dataclass
class Provider:
    """Our own. ``claims``: over those of a good ID token, None leaves one out; ``key``: what signs; ``document``: over
    the discovery document; ``codes``: those that it has given, with what was asked for."""

    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    published: RSAKey = field(default_factory=_new_key)
    key: RSAKey | None = None
    user_info: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[Mapping[str, Any]], str] | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)

    def agrees(self, url: str, subject: str = "ada", **claims: Any) -> str:
        """A person agrees at ``url``; the address that they are sent back to."""
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        assert parts.path == "/authorize" and query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256" and len(query["nonce"]) > 20
        code = f"code-{len(self.codes)}-{time.time_ns()}"
        self.codes[code] = {**query, "subject": subject, "claims": json.dumps(claims)}
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, wanted: Mapping[str, str]) -> str:
        now = int(time.time())
        good = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": wanted["subject"],
            "nonce": wanted["nonce"],
            "iat": now,
            "exp": now + 300,
            **json.loads(wanted["claims"]),
            **self.claims,
        }
        claims = {name: value for name, value in good.items() if value is not None}
        if self.sign is not None:
            return self.sign(claims)
        key = self.key or self.published
        return jwt.encode({"alg": "RS256", "kid": self.published.kid}, claims, key)

    def exchange(self, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        self.asked.append(dict(form))
        wanted = self.codes.pop(form.get("code", ""), None)
        if wanted is None or form.get("grant_type") != "authorization_code":
            return 400, {"error": "invalid_grant"}
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if challenge != wanted["code_challenge"] or form.get("redirect_uri") != wanted["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        return 200, {"id_token": self.token(wanted), "access_token": "opaque", "token_type": "Bearer"}


@contextmanager
def own_provider() -> Iterator[Provider]:
    """Our own provider, on a free port."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            document = {
                "issuer": provider.issuer,
                "authorization_endpoint": f"{provider.issuer}/authorize",
                "token_endpoint": f"{provider.issuer}/token",
                "jwks_uri": f"{provider.issuer}/keys",
                "userinfo_endpoint": f"{provider.issuer}/userinfo",
                "end_session_endpoint": f"{provider.issuer}/logout",
                **provider.document,
            }
            answers = {
                "/.well-known/openid-configuration": document,
                "/keys": {"keys": [provider.published.as_dict(private=False)]},
                "/userinfo": provider.user_info,
            }
            self._answer(200 if self.path in answers else 404, answers.get(self.path, {}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self._answer(*provider.exchange({name: values[0] for name, values in parse_qs(body).items()}))

        def _answer(self, status: int, body: Mapping[str, Any]) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.issuer = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
