"""The token endpoint and its two public documents, as Starlette routes.

``client_credentials``: a registered application, id and secret in the body or as Basic, scope ``<resource>/.default``.
``password``: only when switched on (local development), only for the public client ``forecourt-cli``, through the
same sign-in as the page, so with the same lockouts, and never for an account with a second factor. Every other grant is
refused.

Limits: 64 KB of body, each parameter once. No answer is stored by caches, no answer tells an unknown client or
person from a wrong secret. The tenant of the path must be ours.
"""

from __future__ import annotations

import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from forecourt.identity.accounts import Accounts
from forecourt.identity.applications import COMMAND_LINE, Applications
from forecourt.identity.claims import SubjectKind
from forecourt.identity.clock import Clock
from forecourt.identity.oauth import (
    LARGEST_BODY,
    OAuthError,
    client_of,
    invalid_request,
    parse_form,
)
from forecourt.identity.tokens import Tokens
from forecourt.kernel.errors import Refusal

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_PUBLIC = {"Cache-Control": "public, max-age=300"}


class TokenEndpoint:
    """``password_grant``: whether people may exchange name and password for a token. ``lifetime``: seconds."""

    def __init__(
        self,
        tokens: Tokens,
        accounts: Accounts,
        applications: Applications,
        clock: Clock,
        *,
        password_grant: bool = False,
        lifetime: int = 3600,
    ) -> None:
        self._tokens = tokens
        self._accounts = accounts
        self._applications = applications
        self._clock = clock
        self._password_grant = password_grant
        self._lifetime = lifetime

    def routes(self) -> list[Route]:
        """The routes, to be mounted at the root."""
        return [
            Route("/{tenant}/oauth2/v2.0/token", self.token, methods=["POST"]),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self.configuration, methods=["GET"]),
            Route("/{tenant}/discovery/v2.0/keys", self.keys, methods=["GET"]),
        ]

    async def token(self, request: Request) -> Response:
        """``POST /{tenant}/oauth2/v2.0/token``."""
        try:
            access_token = await self._grant(request)
        except OAuthError as error:
            body = error.body(_correlation(request), self._clock())
            return JSONResponse(body, error.status, {**_NO_STORE, **dict(error.headers)})
        return JSONResponse(
            {
                "token_type": "Bearer",
                "expires_in": self._lifetime - 1,
                "ext_expires_in": self._lifetime - 1,
                "access_token": access_token,
            },
            headers=_NO_STORE,
        )

    async def configuration(self, request: Request) -> Response:
        """``GET /{tenant}/v2.0/.well-known/openid-configuration``."""
        document = self._tokens.configuration(password_grant=self._password_grant)
        return self._document(request, document)

    async def keys(self, request: Request) -> Response:
        """``GET /{tenant}/discovery/v2.0/keys``."""
        return self._document(request, self._tokens.jwks())

    def _document(self, request: Request, document: dict[str, object]) -> Response:
        try:
            self._require_tenant(request)
        except OAuthError as error:
            return JSONResponse(error.body(_correlation(request), self._clock()), error.status, _NO_STORE)
        return JSONResponse(document, headers=_PUBLIC)

    def _require_tenant(self, request: Request) -> None:
        if request.path_params["tenant"] != self._tokens.tenant:
            raise invalid_request("The tenant of the address is not known here.", 90002)

    async def _grant(self, request: Request) -> str:
        self._require_tenant(request)
        form = parse_form(request.headers.get("content-type"), await _body(request))
        grant = form.get("grant_type")
        if grant is None:
            raise invalid_request("The request body must contain the following parameter: 'grant_type'.")
        client_id, secret = client_of(_authorization(request), form)
        if grant == "client_credentials":
            return await self._client_credentials(form, client_id, secret, _address(request))
        if grant == "password" and self._password_grant:
            return await self._password(form, client_id, secret, _address(request))
        raise OAuthError("unsupported_grant_type", "The grant type is not supported.", 70003)

    async def _client_credentials(self, form: dict[str, str], client_id: str, secret: str | None, address: str) -> str:
        if not secret:
            raise OAuthError("invalid_client", "The request must contain 'client_secret'.", 7000218, 401, _challenge())
        try:
            application = await self._applications.check(client_id, secret, address)
        except Refusal as refusal:
            raise _translated(
                refusal, OAuthError("invalid_client", "Invalid client id or secret.", 7000215, 401, _challenge())
            ) from None
        return self._issue(application.operations_user, "operations", client_id)

    async def _password(self, form: dict[str, str], client_id: str, secret: str | None, address: str) -> str:
        if client_id != COMMAND_LINE:
            raise OAuthError("unauthorized_client", "The client may not use this grant type.", 7000218)
        if secret is not None:
            raise OAuthError("invalid_client", "The client is public and has no secret.", 700025, 401)
        if "username" not in form or "password" not in form:
            raise invalid_request("The request body must contain 'username' and 'password'.")
        try:
            credential = await self._accounts.sign_in(form["username"], form["password"], address)
        except Refusal as refusal:
            raise _translated(
                refusal, OAuthError("invalid_grant", "Invalid user name or password, or a locked account.", 50126)
            ) from None
        if credential.second_factor:
            raise OAuthError(
                "invalid_grant", "The account needs a second factor, which this grant cannot ask for.", 50076
            )
        if credential.contact_id is not None:
            return self._issue(str(credential.contact_id), "contact", client_id)
        return self._issue(credential.operations_user or "", "operations", client_id)

    def _issue(self, subject: str, kind: SubjectKind, client_id: str) -> str:
        """A token for this server, whatever name the scope gave it: behind a proxy, clients know it by another."""
        return self._tokens.issue(subject, kind, client_id=client_id, lifetime=self._lifetime)


def _translated(refusal: Refusal, refused: OAuthError) -> OAuthError:
    """A refused sign-in in the protocol's words."""
    if refusal.code == "FC2001":
        return refused
    if refusal.code == "FC2004":
        return OAuthError("temporarily_unavailable", refusal.message, 50196, 429, refusal.headers)
    raise refusal


def _challenge() -> tuple[tuple[str, str], ...]:
    return (("WWW-Authenticate", 'Basic realm="token", charset="UTF-8"'),)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise invalid_request("The body is too large.", 900561)
    return bytes(body)


def _authorization(request: Request) -> str | None:
    values = request.headers.getlist("authorization")
    if len(values) > 1:
        raise invalid_request("The Authorization header is given more than once.", 90023)
    return values[0] if values else None


def _address(request: Request) -> str:
    return request.client.host if request.client else "(none)"


def _correlation(request: Request) -> str:
    try:
        return str(uuid.UUID(request.headers.get("client-request-id", "")))
    except ValueError:
        return str(uuid.uuid4())
