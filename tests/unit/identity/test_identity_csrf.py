"""Anti-forgery tokens and the origin of a request."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.identity import csrf
from forecourt.kernel.errors import Refusal

OWN = {"https://portal.example"}
SECRET = secrets.token_bytes(32)
COOKIE = csrf.new_visitor_cookie()


def request(token: str | None, method: str = "POST", **changes: Any) -> None:
    given = {"csrf_secret": SECRET, "visitor_cookie": None, "sec_fetch_site": "same-origin", "origin": None, **changes}
    csrf.require(method, token, own_origins=OWN, **given)


def refused(token: str | None, **changes: Any) -> bool:
    try:
        request(token, **changes)
    except Refusal as refusal:
        assert (refusal.code, refusal.status) == ("FC2005", 403)
        return True
    return False


def test_a_token_differs_each_time_and_holds_for_its_session() -> None:
    tokens = {csrf.session_token(SECRET) for _ in range(50)}
    assert len(tokens) == 50
    for token in tokens:
        request(token)


def test_a_token_is_worthless_in_another_session_and_for_a_visitor() -> None:
    token = csrf.session_token(SECRET)
    assert refused(token, csrf_secret=secrets.token_bytes(32))
    assert refused(token, csrf_secret=None, visitor_cookie=COOKIE)


def test_a_visitors_token_holds_for_his_cookie_only_and_not_after_sign_in() -> None:
    token = csrf.visitor_token(COOKIE)
    request(token, csrf_secret=None, visitor_cookie=COOKIE)
    assert refused(token, csrf_secret=None, visitor_cookie=csrf.new_visitor_cookie())
    assert refused(token, csrf_secret=None, visitor_cookie=None)
    assert refused(token, csrf_secret=None, visitor_cookie="")
    assert refused(token, visitor_cookie=COOKIE)


@pytest.mark.parametrize(
    "token", [None, "", COOKIE, "A" * 86, "A" * 85, "é" * 86, csrf.visitor_token(COOKIE)], ids=range(7)
)
def test_what_is_no_token_of_the_session_is_refused(token: str | None) -> None:
    assert refused(token)


@given(st.text(max_size=100), st.integers(0, 85))
def test_no_altered_token_passes(text: str, position: int) -> None:
    token = csrf.session_token(SECRET)
    other = "A" if token[position] != "A" else "B"
    if position < 85:  # the last character carries unused bits
        assert refused(token[:position] + other + token[position + 1 :])
    assert refused(text)


def test_reading_needs_no_token() -> None:
    for method in ("GET", "HEAD", "OPTIONS"):
        request(None, method, csrf_secret=None, sec_fetch_site="cross-site")


@pytest.mark.parametrize(
    ("site", "origin", "passes"),
    [
        ("same-origin", None, True),
        ("none", None, True),
        ("cross-site", None, False),
        ("same-site", None, False),
        ("", None, False),
        ("cross-site", "https://portal.example", False),
        (None, None, True),
        (None, "https://portal.example", True),
        (None, "HTTPS://Portal.Example:443", True),
        (None, "https://portal.example:8443", False),
        (None, "http://portal.example", False),
        (None, "https://evil.example", False),
        (None, "https://portal.example.evil.example", False),
        (None, "https://portal.example@evil.example", False),
        (None, "null", False),
        (None, "", False),
        (None, "https://[::1", False),
        (None, "https://portal.example:99999", False),
    ],
)
def test_a_right_token_from_another_site_is_refused(site: str | None, origin: str | None, passes: bool) -> None:
    assert refused(csrf.session_token(SECRET), sec_fetch_site=site, origin=origin) is not passes


def test_origins_have_one_spelling() -> None:
    assert csrf.normal_origin("http://LOCALHOST:80") == "http://localhost"
    assert csrf.normal_origin("http://[::1]:8000") == "http://[::1]:8000"
    assert csrf.normal_origin("ftp://portal.example") is None


def test_the_visitors_cookie_is_out_of_reach_of_scripts() -> None:
    assert csrf.is_visitor_cookie(COOKIE)
    assert not csrf.is_visitor_cookie(COOKIE + "x")
    assert csrf.set_visitor_cookie(COOKIE, secure=True).endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
