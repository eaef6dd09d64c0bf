"""``$batch`` of Dataverse: order, change sets, Content-IDs, what fails, and bodies that are no batch."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from forecourt.store.embedded import EmbeddedServer
from support.server import Answer, Installation, Person
from support.small_erp import small_erp

A = "/api/data/v9.2"
THINGS = f"{A}/cts_things"
KIND = "multipart/mixed; boundary=batch_x"
GO_ON = {"prefer": "odata.continue-on-error"}


@pytest.fixture(scope="module")
async def opened(postgres: EmbeddedServer) -> AsyncIterator[Installation]:
    async with small_erp(postgres) as site:
        yield site


@pytest.fixture
async def site(opened: Installation) -> AsyncIterator[Installation]:
    await opened.dataverse("truncate dataverse.cts_thing cascade")
    yield opened
    assert not opened.faults


@pytest.fixture
async def admin(site: Installation) -> Person:
    return await site.operations_user("admin")


def request(method: str, target: str, body: object = None, headers: Mapping[str, str] = {}) -> str:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines += ["Content-Type: application/json"] if body is not None else []
    return "\r\n".join((*lines, "", "" if body is None else json.dumps(body)))


def part(text: str, boundary: str, number: object = None) -> str:
    content_id = "" if number is None else f"Content-ID: {number}\r\n"
    return (
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n{content_id}\r\n"
        f"{text}\r\n"
    )


def changes(parts: Sequence[str], boundary: str = "changeset_1") -> str:
    inner = "".join(part(text, boundary, number) for number, text in enumerate(parts, 1))
    return f"--batch_x\r\nContent-Type: multipart/mixed; boundary={boundary}\r\n\r\n{inner}--{boundary}--\r\n"


def body(*items: str | Sequence[str]) -> bytes:
    text = "".join(part(item, "batch_x") if isinstance(item, str) else changes(item) for item in items)
    return f"{text}--batch_x--\r\n".encode()


def only(text: str) -> bytes:
    """A batch of one request, whatever its bytes."""
    return part(text, "batch_x").encode("latin-1") + b"--batch_x--"


async def send(person: Person, content: bytes, headers: Mapping[str, str] = {}, kind: str = KIND) -> Answer:
    given = {**await person.headers(A), "content-type": kind, **headers}
    return await person.site.ask("POST", f"{A}/$batch", given, content)


def statuses(answer: Answer) -> list[int]:
    return [int(found) for found in re.findall(r"^HTTP/1\.1 (\d{3}) \S", answer.text, re.MULTILINE)]


async def names(site: Installation) -> list[str]:
    return [row[0] for row in await site.dataverse("select cts_name from dataverse.cts_thing order by 1")]


def thing(name: str, **more: object) -> dict[str, object]:
    return {"cts_name": name, **more}


async def test_requests_are_answered_in_their_order_and_form(site: Installation, admin: Person) -> None:
    answer = await send(
        admin,
        body(
            request("POST", THINGS, thing("One")),
            [
                request("POST", f"http://portal.test{THINGS}", thing("Two")),
                request("POST", "cts_things", thing("Three")),
            ],
            request("GET", f"http://portal.test{THINGS}?$select=cts_name&$orderby=cts_name asc"),
        ),
    )
    assert answer.status == 200, answer.text
    kind = answer.headers["content-type"]
    (boundary,) = re.findall(r"^multipart/mixed; boundary=(batchresponse_[0-9a-f-]{36})$", kind)
    lines = answer.text.split("\r\n")
    assert "\n" not in "".join(lines), "every line ends with CRLF"
    assert lines[0] == f"--{boundary}" and lines[-2] == f"--{boundary}--"
    assert len(set(re.findall(r"boundary=(changesetresponse_[0-9a-f-]{36})\r", answer.text))) == 1
    assert statuses(answer) == [204, 204, 204, 200]
    assert answer.text.count("OData-EntityId: http://portal.test/api/data/v9.2/cts_things(") == 3
    assert answer.text.count("Content-ID: ") == 2, "those of the change set"
    assert answer.text.count("HTTP/1.1 204 No Content") == 3
    (json_line,) = [line for line in lines if line.startswith("{")]
    assert [row["cts_name"] for row in json.loads(json_line)["value"]] == ["One", "Three", "Two"]


async def test_a_change_set_is_all_or_nothing_and_ends_the_batch(site: Installation, admin: Person) -> None:
    content = body(
        request("POST", THINGS, thing("Before")),
        [request("POST", THINGS, thing("Good")), request("POST", THINGS, thing("Bad", cts_choice=9))],
        request("POST", THINGS, thing("After")),
    )
    answer = await send(admin, content)
    assert (answer.status, statuses(answer)) == (400, [204, 400])
    assert "0x8004431A" in answer.text and "Content-ID: 2" in answer.text
    assert await names(site) == ["Before"]
    going_on = await send(admin, content, GO_ON)
    assert (going_on.status, statuses(going_on)) == (200, [204, 400, 204])
    assert going_on.headers["preference-applied"] == "odata.continue-on-error"
    assert await names(site) == ["After", "Before", "Before"]


async def test_a_content_id_stands_for_a_row_in_urls_and_bodies(site: Installation, admin: Person) -> None:
    answer = await send(
        admin,
        body(
            [
                request("POST", THINGS, thing("Parent")),
                request("POST", THINGS, thing("Child", **{"cts_parent@odata.bind": "$1"})),
                request("POST", f"{A}/cts_parts", {"cts_name": "Part", "cts_thing@odata.bind": "$2"}),
                request("PATCH", "$2", {"cts_whole": 5}),
                request("PUT", "$1/cts_memo", {"value": "noted"}),
                request("POST", "$1/cts_thing_contacts/$ref", {"@odata.id": "$7"}),
            ]
        ),
    )
    assert answer.status == 400 and "'$7' does not exist in the batch context." in answer.text, answer.text
    assert await names(site) == []
    good = await send(
        admin,
        body(
            [
                request("POST", THINGS, thing("Parent")),
                request("POST", THINGS, thing("Child", **{"cts_parent@odata.bind": "$1"})),
                request("POST", f"{A}/cts_parts", {"cts_name": "Part", "cts_thing@odata.bind": "$2"}),
                request("PATCH", "$2", {"cts_whole": 5}),
                request("PUT", "$1/cts_memo", {"value": "noted"}),
                request("POST", f"{A}/contacts", {"lastname": "Friend"}),
                request("POST", "$1/cts_thing_contacts/$ref", {"@odata.id": "$6"}),
            ]
        ),
    )
    assert (good.status, statuses(good)) == (200, [204] * 7), good.text
    (row,) = await site.dataverse(
        "select p.cts_name, p.cts_memo, c.cts_whole, a.cts_name from dataverse.cts_thing p "
        "join dataverse.cts_thing c on c.cts_parent = p.cts_thingid "
        "join dataverse.cts_part a on a.cts_thing = c.cts_thingid"
    )
    assert tuple(row) == ("Parent", "noted", 5, "Part")


async def test_a_content_id_of_a_change_set_means_nothing_outside_of_it(site: Installation, admin: Person) -> None:
    answer = await send(
        admin, body([request("POST", THINGS, thing("Known"))], request("PATCH", "$1", {"cts_whole": 1})), GO_ON
    )
    assert statuses(answer) == [204, 400], answer.text
    later = [request("PATCH", "$2", {"cts_whole": 1}), request("POST", THINGS, thing("Later"))]
    assert statuses(await send(admin, body(later))) == [400], "a row has to be made before it is named"


async def test_conditions_and_preferences_are_each_requests_own(site: Installation, admin: Person) -> None:
    key = uuid.uuid4()
    answer = await send(
        admin,
        body(
            request("PATCH", f"{THINGS}({key})", thing("No"), {"If-Match": "*"}),
            request(
                "PATCH", f"{THINGS}({key})", thing("Yes"), {"If-None-Match": "*", "Prefer": "return=representation"}
            ),
            request("PATCH", f"{THINGS}({key})", thing("Twice"), {"If-None-Match": "*"}),
            request("DELETE", f"{THINGS}({key})", None, {"If-Match": 'W/"1"'}),
            request("GET", f"{THINGS}({key})?$select=cts_name"),
        ),
        GO_ON,
    )
    assert statuses(answer) == [404, 201, 412, 412, 200], answer.text
    assert await names(site) == ["Yes"]


async def test_each_request_is_decided_as_if_it_came_alone(site: Installation, admin: Person) -> None:
    clerk = await site.operations_user("clerk")
    foreign = await send(admin, body(request("POST", THINGS, thing("Foreign"))))
    found = re.search(r"cts_things\(([0-9a-f-]{36})\)", foreign.text)
    assert found is not None
    answer = await send(
        clerk,
        body(
            request("GET", f"{THINGS}({found[1]})"),
            request("PATCH", f"{THINGS}({found[1]})", {"cts_whole": 1}, {"If-Match": "*"}),
            [request("POST", THINGS, thing("Own")), request("DELETE", f"{THINGS}({found[1]})")],
            request("GET", f"{A}/contacts"),
            request("GET", f"{A}/WhoAmI"),
        ),
        GO_ON,
    )
    assert statuses(answer) == [404, 404, 404, 403, 200], answer.text
    assert await names(site) == ["Foreign"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", KIND),
        (b"--batch_x--\r\n", "multipart/mixed"),
        (b"--batch_x--\r\n", "application/json"),
        (b"--batch_x--\r\n", 'multipart/mixed; boundary="' + "x" * 80 + '"'),
        (b"--batch_x\r\n\r\nGET x HTTP/1.1\r\n", KIND),
        (b"--batch_x--\r\n--batch_x--\r\n", KIND),
        (only("GET x"), KIND),
        (only("HEAD cts_things HTTP/1.1"), KIND),
        (only("POST $batch HTTP/1.1\r\n\r\n"), KIND),
        (only("GET /data/SmallOrders HTTP/1.1\r\n"), KIND),
        (only("GET /_api/x HTTP/1.1\r\n"), KIND),
        (only("GET cts_things\xff HTTP/1.1\r\n"), KIND),
        (body([request("GET", THINGS)]), KIND),
        (body(*[request("GET", "WhoAmI")] * 1001), KIND),
        (body([request("POST", THINGS, thing("x"))] * 1001), KIND),
        (
            changes([request("POST", THINGS, thing("x"))] * 2).replace("Content-ID: 2", "Content-ID: 1").encode()
            + b"--batch_x--",
            KIND,
        ),
        (b"--batch_x\r\nno header\r\n\r\nGET x HTTP/1.1\r\n--batch_x--", KIND),
        (b"\x00" * 5000, KIND),
    ],
)
async def test_a_body_that_is_no_batch_is_refused_as_a_whole(
    site: Installation, admin: Person, content: bytes, kind: str
) -> None:
    answer = await send(admin, content, {}, kind)
    assert answer.status in (400, 413, 415), answer.text[:300]
    assert set(answer.json["error"]) == {"code", "message", "@Forecourt.code"}
    assert await names(site) == []


async def test_a_request_that_means_nothing_fails_alone(site: Installation, admin: Person) -> None:
    answer = await send(
        admin,
        body(
            request("GET", f"{A}/nothing"),
            request("GET", f"{THINGS}?$filter=cts_nothing eq 1"),
            request("POST", THINGS, {"cts_nothing": 1}),
            request("POST", f"{THINGS}(1)/x/y/z", {}),
            request("GET", f"{THINGS}?$filter=cts_name eq 'a b %26 c'"),
            request("POST", THINGS, thing("Last")),
        ),
        GO_ON,
    )
    assert statuses(answer) == [404, 400, 400, 405, 200, 204], answer.text
    assert await names(site) == ["Last"]
