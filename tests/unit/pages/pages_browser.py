"""A client of the portal that keeps cookies and signs in."""

from __future__ import annotations

import re

import httpx

TOKEN = re.compile(r'name="__RequestVerificationToken" value="([^"]+)"')


class Browser(httpx.AsyncClient):
    """Keeps cookies and follows no redirect by itself."""

    async def sign_in(self, username: str = "vendor") -> httpx.Response:
        token = token_of(await self.get("/SignIn"))
        data = {"__RequestVerificationToken": token, "username": username, "password": "demo", "returnUrl": "/"}
        return await self.post("/SignIn", data=data)


def token_of(response: httpx.Response) -> str:
    """The anti-forgery token of the page's main form (the last on it)."""
    return TOKEN.findall(response.text)[-1]
