"""The wire shapes of a token request, and the cache of verified tokens."""

from __future__ import annotations

import base64
import datetime as dt
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecourt.identity.cache import TokenCache
from forecourt.identity.oauth import OAuthError, client_of, parse_form
from forecourt.identity.throttle import address_group

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
FORM = "application/x-www-form-urlencoded"


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


@given(TEXT.filter(bool), TEXT)
def test_basic_credentials_come_through_as_they_were_encoded(client_id: str, secret: str) -> None:
    assert client_of(basic(client_id, secret), {}) == (client_id, secret)


@pytest.mark.parametrize(
    "header", ["Basic", "Basic ", "Basic !!!", "Basic eA==", "Basic Ong=", "Bearer x", "", "Basic /////w=="]
)
def test_a_header_that_is_no_basic_header_is_refused(header: str) -> None:
    with pytest.raises(OAuthError):
        client_of(header, {})


@given(st.binary(max_size=200))
def test_any_body_is_a_form_or_refused(body: bytes) -> None:
    try:
        found = parse_form(FORM, body)
    except OAuthError as error:
        assert error.status == 400
    else:
        assert all(isinstance(value, str) for value in found.values())


def test_the_content_type_may_name_utf_8() -> None:
    assert parse_form(f'{FORM}; charset="UTF-8"', b"a=%C3%A9&b=") == {"a": "é", "b": ""}
    assert parse_form(FORM.upper(), b"a=1+2") == {"a": "1 2"}


def test_a_cache_is_bounded_and_forgets_the_oldest_first() -> None:
    now = dt.datetime(2030, 6, 1, tzinfo=dt.UTC)
    cache: TokenCache[int] = TokenCache(lambda: now, size=3)
    for n in range(5):
        cache.put(f"token-{n}", n, now + dt.timedelta(seconds=10))
    assert [cache.get(f"token-{n}") for n in range(5)] == [None, None, 2, 3, 4]
    assert cache.get("\udcff") is None
    now += dt.timedelta(seconds=10)
    assert cache.get("token-4") is None
    assert len(cache) == 3
    cache.clear()
    assert len(cache) == 0


def test_addresses_are_grouped_by_subscriber() -> None:
    assert address_group("192.0.2.1") == "192.0.2.1"
    assert address_group("fe80::1%eth0") == "fe80::/64"
    assert address_group("unix:\0" + "x" * 100) == "unix:" + "x" * 59
