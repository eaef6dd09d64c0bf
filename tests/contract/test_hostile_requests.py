"""Whatever is sent to a door, the answer is one of its own: rows, or a refusal in its JSON shape. Never a fault, never
words of the database, never a wait without end."""

from __future__ import annotations

import re
import time
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.server import Answer, Case, Installation, Person

ODATA = ("data", "web", "api")

#: Seconds that one request may take, on a busy machine.
PATIENCE = 10.0

SHAPES: dict[str, tuple[set[str], str]] = {
    "data": ({"code", "message", "innererror"}, r"FC\d{4}"),
    "web": ({"code", "message", "@Forecourt.code"}, r"0x[0-9a-f]{1,8}"),
    "api": ({"code", "message"}, r"9004[0-9A-F]{4}"),
}

WORDS = re.compile(
    r"erp\.|purchtable|purchasing\.|asyncpg|postgres|sqlstate|syntax error at|pg_|traceback|\.py\b|line \d+, in"
    r"|operator does not exist|column \"|relation \"",
    re.IGNORECASE,
)


def check(answer: Answer, door: str, what: object, *, refused: bool = True) -> None:
    """The answer is a refusal of the door (or, where that may be, an answer with rows)."""
    assert answer.status < 500, (what, answer.status, answer.text[:400])
    if answer.status < 400:
        assert not refused, (what, answer.status, answer.text[:400])
        return
    keys, code = SHAPES[door]
    assert answer.headers["content-type"].startswith("application/json"), (what, answer.status, answer.text[:300])
    error: dict[str, Any] = answer.json["error"]
    assert keys <= set(error), (what, error)
    assert re.fullmatch(code, error["code"]), (what, error)
    assert error["message"], what
    told = WORDS.search(answer.text)
    assert told is None or told[0].lower() in str(what).lower(), (what, answer.text[:400])
    assert len(answer.body) < 4000, (what, "a refusal repeats little of what was sent")


async def timed(person: Person, target: bytes, door: str, headers: dict[str, str] | None = None) -> Answer:
    started = time.perf_counter()
    answer = await person.get(target, headers or {})
    assert time.perf_counter() - started < PATIENCE, target[:200]
    return answer


def option(name: str, value: str | bytes) -> bytes:
    return f"{name}=".encode() + (value if isinstance(value, bytes) else quote(value, safe="").encode())


def filters(case: Case, door: str) -> dict[str, str]:
    """Filters that mean nothing, by what is wrong with them."""
    surface = case.surface(door)
    number, writable, vendor = (surface.column(n) for n in (case.key[-1], case.writable, case.to_vendor))
    lines, account = surface.column(case.to_lines), surface.column(case.account)
    text, date = f"{account} eq 'x'", f"{writable} gt 2026-01-01"
    found = {
        "empty": "",
        "blank": "   ",
        "unknown column": "NoSuchColumn eq 'x'",
        "unknown column of a relation": f"{vendor}/NoSuchColumn eq 'x'",
        "unknown relation": "NoSuch/Column eq 'x'",
        "unknown function": "frobnicate(1,2)",
        "a function of SQL": "sleep(10)",
        "a subquery": f"{account} eq (select 1)",
        "unknown operator": f"{account} like 'x'",
        "no operator": account,
        "no left side": "eq 'x'",
        "no right side": f"{account} eq",
        "two values": f"{account} eq 'x' 'y'",
        "open quote": f"{account} eq 'x",
        "open parenthesis": f"({text}",
        "closed parenthesis": f"{text})",
        "only operators": "and or not eq",
        "a trailing operator": f"{text} and",
        "a comment": f"{text} -- ",
        "a semicolon": f"{text}; drop table erp.purchtable",
        "number for text": f"{account} eq 5",
        "date for text": f"{account} eq 2026-01-01",
        "guid for text": f"{account} eq 00000a6c-0000-0000-0d00-005001000000",
        "true for text": f"{account} eq true",
        "text for date": f"{writable} gt 'yesterday'",
        "number for date": f"{writable} gt 5",
        "no such day": f"{writable} gt 2026-02-31",
        "a year beyond all": f"{writable} gt 99999-01-01",
        "relation as value": f"{vendor} eq 'x'",
        "collection as value": f"{lines} eq 'x'",
        "collection in a path": f"{lines}/{number} eq 'x'",
        "any of a column": f"{account}/any(x:x eq 'a')",
        "any without a body": f"{lines}/any(x)",
        "all without a condition": f"{lines}/all()",
        "unknown variable": f"{lines}/any(l:m/{number} eq 'x')",
        "the outer row in any": f"{lines}/any(l:{number} eq 'x')",
        "a long column name": "x" * 5000 + " eq 1",
        "a long path": "/".join([vendor] * 50) + " eq 1",
        "in": f"{account} in ('a','b')",
        "has": f"{account} has 'a'",
        "contains of a number": f"contains({account},5)",
        "contains of a date": f"contains({writable},'2026')",
        "contains of nothing": "contains()",
        "NUL in text": f"{account} eq 'a\x00b'",
        "NUL": "\x00",
        "an enum of nothing": f"{account} eq Microsoft.Dynamics.DataEntities.NoYes'Yes'",
        "brackets": f"{account} eq ['x']",
        "JSON": '{"a":1}',
        "emoji": "\U0001f600 eq 1",
        "a control character": f"{account}\x07eq 'x'",
        "ten thousand parentheses": "(" * 10_000 + text + ")" * 10_000,
        "ten thousand nots": "not " * 7_000 + text,
        "ten thousand brackets of not": "not (" * 5_000 + text + ")" * 5_000,
        "ten thousand ors": " or ".join([text] * 10_000),
        "many ors": " or ".join([f"{account} eq 'x'"] * 1_500),
        "deep any": f"{lines}/any(l:" * 60 + "true" + ")" * 60,
        "many any": " and ".join([f"{lines}/any()"] * 100),
        "deep and": "(" * 200 + date + ")" * 200,
    }
    if isinstance(case.key[-1], str) and case.site.header_name == "adventureworks":
        found |= {
            "text for number": f"{number} eq 'x'",
            "huge number": f"{number} eq {'9' * 400}",
            "beyond 64 bits": f"{number} eq 9223372036854775808" + "0" * 40,
            "infinity": f"{number} eq INF",
            "not a number": f"{number} eq NaN",
            "hexadecimal": f"{number} eq 0x10",
            "a huge exponent": f"{number} eq 1e999999999",
            "null arithmetic": f"{number} add null eq 1",
        }
    return found


@pytest.mark.parametrize("door", ODATA)
async def test_a_filter_that_means_nothing_is_refused_in_the_doors_shape(case: Case, door: str) -> None:
    person, surface = case.person(2), case.surface(door)
    for what, text in filters(case, door).items():
        for path in ("", "/$count"):
            target = f"{surface.set(case.orders)}{path}?".encode() + option("$filter", text)
            check(await timed(person, target, door), door, (what, path))
    assert not case.site.faults


@pytest.mark.parametrize("door", ODATA)
async def test_a_filter_of_a_megabyte_is_refused_at_once(case: Case, door: str) -> None:
    person, surface = case.person(2), case.surface(door)
    for text in ("x" * 1_000_000, "'" * 1_000_001, "(" * 1_000_000, "%27" * 300_000, " or ".join(["1 eq 1"] * 100_000)):
        target = f"{surface.set(case.orders)}?".encode() + b"$filter=" + quote(text, safe="%()'").encode()
        answer = await timed(person, target, door)
        check(answer, door, text[:20])
        assert answer.status in (400, 413, 414, 431)


def queries(case: Case, door: str) -> dict[str, bytes]:
    """Queries that mean nothing, as bytes, by what is wrong with them."""
    surface = case.surface(door)
    number, writable = surface.column(case.key[-1]), surface.column(case.writable)
    vendor, lines = surface.column(case.to_vendor), surface.column(case.to_lines)
    return {
        "unknown option": b"$frobnicate=1",
        "unknown option in another case": b"$FILTER=x",
        "search": b"$search=x",
        "apply": b"$apply=frobnicate($count as n)",
        "compute": b"$compute=1 as x",
        "levels": f"$expand={vendor}($levels=5)".encode(),
        "option twice": f"$select={number}&$select={writable}".encode(),
        "option twice, encoded": b"$top=1&%24top=2",
        "select nothing": b"$select=",
        "select unknown": b"$select=NoSuch",
        "select a path": f"$select={vendor}/NoSuch".encode(),
        "select SQL": b"$select=1;drop",
        "select many": b"$select=" + b",".join([b"x"] * 5000),
        "orderby unknown": b"$orderby=NoSuch",
        "orderby direction": f"$orderby={number} sideways".encode(),
        "orderby relation": f"$orderby={vendor}".encode(),
        "orderby path": f"$orderby={vendor}/NoSuch".encode(),
        "orderby collection": f"$orderby={lines}/$count".encode(),
        "orderby empty": b"$orderby=,",
        "top text": b"$top=x",
        "top negative": b"$top=-1",
        "top fraction": b"$top=1.5",
        "top huge": b"$top=" + b"9" * 100,
        "top beyond": b"$top=2147483648",
        "top quoted": b"$top='1'",
        "top unicode digit": "$top=١".encode(),
        "skiptoken text": b"$skiptoken=hello",
        "skiptoken bytes": b"$skiptoken=%ff%fe",
        "skiptoken empty": b"$skiptoken=",
        "skiptoken huge": b"$skiptoken=" + b"A" * 20_000,
        "count word": b"$count=maybe",
        "expand unknown": b"$expand=NoSuch",
        "expand column": f"$expand={number}".encode(),
        "expand everything": b"$expand=*",
        "expand open": f"$expand={vendor}(".encode(),
        "expand unknown option": f"$expand={vendor}($frobnicate=1)".encode(),
        "expand unknown column": f"$expand={vendor}($select=NoSuch)".encode(),
        "expand a lot": f"$expand={','.join([vendor] * 200)}".encode(),
        "expand deep": f"$expand={(vendor + '($expand=') * 40}{vendor}{')' * 40}".encode(),
        "not UTF-8": b"$filter=%ff%fe",
        "overlong UTF-8": b"$filter=%c0%af",
        "a lone surrogate": b"$filter=%ed%a0%80",
        "raw bytes": b"$filter=\xff\xfe",
        "raw NUL": b"$filter=\x00",
        "encoded NUL": b"$filter=%00",
        "NUL in a name": b"$fil%00ter=x",
        "no such escape": b"$filter=%zz",
        "half an escape": b"$filter=%",
        "format": b"$format=xml" if door == "data" else b"$skip=x",
        "cross-company": b"cross-company=perhaps" if door == "data" else b"$skip=1",
    }


@pytest.mark.parametrize("door", ODATA)
async def test_a_query_that_means_nothing_is_refused_in_the_doors_shape(case: Case, door: str) -> None:
    person, surface = case.person(2), case.surface(door)
    for what, query in queries(case, door).items():
        check(await timed(person, f"{surface.set(case.orders)}?".encode() + query, door), door, what)
    assert not case.site.faults


def paths(case: Case, door: str) -> dict[str, bytes]:
    surface = case.surface(door)
    root, orders = surface.root.encode(), surface.set(case.orders).encode()
    single = f"{surface.table(case.orders)}id" if door != "data" else case.key[-1]
    return {
        "unknown set": root + b"/NoSuchSet",
        "unknown set in another case": root + orders.removeprefix(root).upper(),
        "empty key": orders + b"()",
        "open key": orders + b"(",
        "open quote": orders + b"('",
        "closed key": orders + b")",
        "text key": orders + b"('x','y')",
        "number key": orders + b"(" + b"9" * 500 + b")",
        "negative key": orders + b"(-5)" if case.site.header_name == "contoso" else orders + b"(-" + b"9" * 40 + b")",
        "unknown key": orders + b"(NoSuch=1)",
        "key twice": f"{orders.decode()}({single}='a',{single}='b')".encode(),
        "half a guid": orders + b"(00000a6c-0000)",
        "guid in braces": orders + b"({00000a6c})",
        "null key": orders + b"(null)",
        "NUL key": orders + b"('%00')",
        "surrogate key": orders + b"('%ed%a0%80')",
        "encoded slash": orders + b"%2F%2F",
        "dots": orders + b"/../../etc/passwd",
        "encoded dots": orders + b"/%2e%2e/%2e%2e",
        "many slashes": orders + b"/" * 500,
        "many segments": orders + b"/x" * 500,
        "unknown member": orders + b"('x')/NoSuch/NoSuch",
        "value": orders + b"/$value",
        "ref": orders + b"/$ref",
        "count twice": orders + b"/$count/$count",
        "batch": root + b"/$batch",
        "all": root + b"/$all",
        "crossjoin": root + b"/$crossjoin(a,b)",
        "entity": root + b"/$entity",
        "action": orders + b"/Microsoft.Dynamics.DataEntities.Confirm",
        "function": root + b"/Frobnicate(x=1)",
        "blank": orders[:-3] + b" " + orders[-3:],
        "semicolon": orders + b";drop",
        "raw bytes": root + b"/\xff\xfe",
        "raw NUL": root + b"/\x00",
        "long": root + b"/" + b"x" * 40_000,
        "not a prefix": root + b"%2fPurchaseOrderHeadersV2",
    }


@pytest.mark.parametrize("door", ODATA)
async def test_a_path_that_leads_nowhere_is_refused_in_the_doors_shape(case: Case, door: str) -> None:
    person, surface = case.person(2), case.surface(door)
    for what, path in paths(case, door).items():
        answer = await timed(person, path, door)
        if what == "not a prefix":
            assert answer.status in (400, 401, 403, 404)
            continue
        check(answer, door, what, refused=what != "many slashes")
    assert surface.root
    assert not case.site.faults


@pytest.mark.parametrize("door", ODATA)
async def test_an_escaped_prefix_of_a_door_leads_to_no_row(contoso: Installation, door: str) -> None:
    """The path that chooses the door is the decoded one: what is left of it must not be mistaken."""
    person = contoso.in_role("Vendors")
    prefix = {"data": b"/%64ata", "web": b"/%61pi/data/v9.2", "api": b"/%5fapi"}[door]
    root = {"data": "/data", "web": "/api/data/v9.2", "api": "/_api"}[door]
    headers = await person.headers(root)
    for rest in (b"/PurchaseOrderHeadersV2", b"/mserp_purchpurchaseorderheaderv2entities", b"/", b"", b"//x"):
        answer = await contoso.ask("GET", prefix + rest, headers)
        assert answer.status in (200, 400, 401, 403, 404), (rest, answer.status)
        assert not WORDS.search(answer.text)
    assert not contoso.faults


@pytest.mark.parametrize("door", ODATA)
async def test_odd_headers_are_refused_or_do_not_matter(case: Case, door: str) -> None:
    person, surface = case.person(2), case.surface(door)
    orders = surface.orders(_top=1)
    base = await person.headers(orders)
    own = (await case.own(person))[0]
    odd = ("", "x", ",", ";;;", "=", "a=b=c", "\xff\xfe", '"', "*", "odata.maxpagesize=", "x" * 20_000)
    for value in (*odd, *(f"odata.maxpagesize={size}" for size in ("-1", "0", "x", "9" * 40, "1.5", "'1'"))):
        answer = await case.site.ask("GET", orders, {**base, "prefer": value})
        check(answer, door, ("prefer", value[:30]), refused=False)
    for value in (*odd, "text/html", "application/xml", "application/json;odata.metadata=x", "*/*;q=2", "a/b;q=x"):
        answer = await case.site.ask("GET", orders, {**base, "accept": value})
        check(answer, door, ("accept", value[:30]), refused=False)
    for value in (*odd, 'W/"1"', "W/1", '"1', 'W/"x"', '"1","2"'):
        for header in ("if-match", "if-none-match"):
            answer = await case.site.ask("GET", surface.row(own), {**base, header: value})
            check(answer, door, (header, value[:30]), refused=False)
    for value in ("evil.example:80", "a b", "<script>", "x" * 5000, ""):
        answer = await case.site.ask("GET", orders, {**base, "host": value})
        check(answer, door, ("host", value[:30]), refused=False)
        assert "<script>" not in answer.text
    for name in ("x-forwarded-proto", "x-forwarded-for", "odata-version", "odata-maxversion", "content-length"):
        for value in odd:
            check(await case.site.ask("GET", orders, {**base, name: value}), door, (name, value[:9]), refused=False)
    assert not case.site.faults


@pytest.mark.parametrize("door", ("data", "web"))
async def test_odd_credentials_are_no_credentials(contoso: Installation, door: str) -> None:
    root = {"data": "/data/PurchaseOrderHeadersV2", "web": "/api/data/v9.2/accounts"}[door]
    token = await contoso.in_role("Vendors").token()
    head, body, proof = token.split(".")
    for value in (
        "", "Bearer", "Bearer ", "Bearer x", "Basic eDp5", f"Bearer {head}.{body}.",
        f"Bearer {head}.{body}.{proof[:-4]}AAAA", f"Bearer eyJhbGciOiJub25lIn0.{body}.", f"Bearer {head}..{proof}",
        "Bearer " + "x" * 100_000, "Bearer \xff.\xfe.\xfd",
        f"Bearer {token}x", f"Negotiate {token}", f"Bearer {token} {token}",
    ):  # fmt: skip
        answer = await contoso.ask("GET", root, {"authorization": value})
        assert answer.status == 401, value[:40]
        check(answer, door, value[:40])
        assert "www-authenticate" in answer.headers
    assert not contoso.faults


@pytest.mark.parametrize("door", ODATA)
async def test_a_method_that_is_not_offered_is_refused_with_those_that_are(case: Case, door: str) -> None:
    person, surface = case.person(2), case.surface(door)
    own = (await case.own(person))[0]
    targets = [surface.set(case.orders), surface.row(own), surface.root + "/$metadata"]
    for target in targets:
        for method in ("TRACE", "OPTIONS"):
            answer = await case.site.ask(method, target, await person.headers(target), b"{}")
            assert answer.status == 405, (method, target)
            assert "GET" in answer.headers["allow"]
            check(answer, door, (method, target))
    for method, target in (
        ("PUT", targets[0]),
        ("DELETE", targets[0]),
        ("PATCH", targets[0]),
        ("POST", targets[1]),
        ("PUT", targets[1]),
        *((method, targets[2]) for method in ("POST", "PATCH", "PUT", "DELETE")),
    ):
        answer = await case.site.ask(method, target, await person.headers(target), b"{}")
        assert answer.status == 405 or (door == "api" and answer.status == 401), (method, target)
        check(answer, door, (method, target))
    head = await case.site.ask("HEAD", surface.orders(_top=1), await person.headers(surface.root))
    assert head.status == 200


pieces = st.one_of(
    st.sampled_from(
        ["(", ")", "'", "''", ",", "/", "$", "@", "%", "%2", "%00", "&", "=", ";", "+", " ", "\\", '"', "*", "--",
         "null", "true", "not ", " and ", " or ", " eq ", " ne ", " gt ", "any(x:x/", "all(", "contains(", "$filter",
         "$select", "$expand", "$orderby", "$top", "$skiptoken", "$count", "9999999999999999999", "-1", "1e309",
         "2026-01-01", "00000a6c-0000-0000-0d00-005001000000", "mserp_dataareaid", "dataAreaId", "PurchaseOrderNumber",
         "VendorV2/", "PurchaseOrderLinesV2/", "mserp_vendorv2/", "\ud7ff", "\U0001f600", "é"]
    ),
    st.text(max_size=12),
)  # fmt: skip


@pytest.mark.parametrize("door", ODATA)
async def test_no_query_made_of_random_pieces_is_a_fault(contoso: Installation, door: str) -> None:
    import asyncio

    from support import contoso as sample

    case = sample.case(contoso)
    person, surface = case.person(2), case.surface(door)
    await person.headers(surface.root)
    drawn: list[bytes] = []

    @settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(
        st.sampled_from(["$filter", "$select", "$expand", "$orderby", "$skiptoken", "$top", "$count", "x", ""]),
        st.lists(pieces, min_size=1, max_size=14),
        st.booleans(),
    )
    def draw(name: str, parts: list[str], escaped: bool) -> None:
        text = "".join(parts).encode("utf-8", "surrogatepass")
        value = quote(text, safe="").encode() if escaped else text
        drawn.append(f"{surface.set(case.orders)}?{name}=".encode() + value)

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(
        st.one_of(
            st.binary(max_size=60), st.lists(pieces, max_size=8).map(lambda p: "".join(p).encode("utf-8", "replace"))
        )
    )
    def draw_path(raw: bytes) -> None:
        drawn.append(surface.set(case.orders).encode() + b"(" + raw.replace(b"?", b"") + b")")
        drawn.append(surface.root.encode() + b"/" + raw.replace(b"?", b""))

    await asyncio.to_thread(draw)
    await asyncio.to_thread(draw_path)
    for target in drawn:
        answer = await timed(person, target, door)
        if answer.status >= 400 and answer.headers["content-type"] != "text/plain; charset=utf-8":
            check(answer, door, target)
        assert answer.status < 500, target
    assert not contoso.faults


@pytest.mark.parametrize("door", ODATA)
async def test_after_all_that_the_door_still_answers(case: Case, door: str) -> None:
    person, surface = case.person(2), case.surface(door)
    rows = await person.everything(surface.selecting())
    assert len(rows) == len(await case.own(person))


@pytest.mark.parametrize(
    "target", [b"/?a=\xff\xfe", b"/purchase-orders/?view=\xff", b"/SignIn?returnUrl=\xff", b"/no/such/page?\xff"]
)
async def test_a_query_that_is_no_text_does_not_break_a_page(contoso: Installation, target: bytes) -> None:
    answer = await contoso.ask("GET", target)
    assert answer.status in (200, 302, 303, 400, 403, 404), (answer.status, answer.text[:300])
