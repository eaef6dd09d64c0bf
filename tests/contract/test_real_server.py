"""The same promises over a real connection: one that is kept alive, and one that sends nonsense."""

from __future__ import annotations

import http.client
import json
import socket
from urllib.parse import urlencode, urlsplit


def connect(portal_url: str) -> http.client.HTTPConnection:
    parts = urlsplit(portal_url)
    assert parts.hostname is not None
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)


def token(connection: http.client.HTTPConnection, who: tuple[str, str]) -> str:
    form = {"grant_type": "password", "client_id": "forecourt-cli", "username": who[0], "password": who[1]}
    connection.request(
        "POST",
        "/contoso/oauth2/v2.0/token",
        urlencode(form),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    answer = connection.getresponse()
    body = json.loads(answer.read())
    assert answer.status == 200, body
    return str(body["access_token"])


def test_many_requests_of_two_people_share_a_afterand_nothing_else(
    portal_url: str, portal_people: dict[str, tuple[str, str]]
) -> None:
    connection = connect(portal_url)
    tokens = [token(connection, portal_people[role]) for role in ("vendor", "other vendor")]
    used = connection.sock
    seen: list[set[str]] = [set(), set()]
    for turn in range(12):
        number = turn % 2
        connection.request(
            "GET",
            "/data/PurchaseOrderHeadersV2?cross-company=true&$top=20&$select=OrderVendorAccountNumber",
            headers={"Authorization": f"Bearer {tokens[number]}"},
        )
        answer = connection.getresponse()
        rows = json.loads(answer.read())["value"]
        assert answer.status == 200
        seen[number] |= {row["OrderVendorAccountNumber"] for row in rows}
    assert connection.sock is used, "the connection was kept"
    assert seen == [{"US-101"}, {"DE-101"}]
    connection.request("GET", "/data/PurchaseOrderHeadersV2")
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 401, "who was asked for before is forgotten"
    connection.close()


def test_a_refused_body_leaves_the_server_fit_for_the_next(
    portal_url: str, portal_people: dict[str, tuple[str, str]]
) -> None:
    connection = connect(portal_url)
    bearer = {"Authorization": f"Bearer {token(connection, portal_people['vendor'])}"}
    for headers in ({"Content-Length": str(50 * 1024 * 1024)}, {"Content-Length": "5"}):
        probe = connect(portal_url)
        probe.putrequest("PATCH", "/data/PurchaseOrderHeadersV2(dataAreaId='usmf',PurchaseOrderNumber='PO-000001')")
        for name, value in {**bearer, "Content-Type": "application/json", **headers}.items():
            probe.putheader(name, value)
        probe.endheaders(b"{")
        if headers["Content-Length"] != "5":
            assert probe.getresponse().status == 413
        probe.close()
    connection.request("GET", "/data/PurchaseOrderHeadersV2?$top=1", headers=bearer)
    answer = connection.getresponse()
    assert (answer.status, len(json.loads(answer.read())["value"])) == (200, 1)
    connection.close()


def test_bytes_that_are_no_request_are_refused_and_forgotten(portal_url: str) -> None:
    parts = urlsplit(portal_url)
    for raw in (
        b"\x00\x01\x02\r\n\r\n",
        b"GET /data/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /data HTTP/1.1\r\n\r\n",
        b"GET /data HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\n\r\n",
        b"GET " + b"/data/" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /data HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PATCH /data HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"PATCH /data HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ):
        with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=30) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        status = answer.split(b" ", 2)[1:2]
        assert not status or status[0][:1] == b"4", (raw[:60], answer[:200])
    after = connect(portal_url)
    after.request("GET", "/health")
    assert after.getresponse().status == 200
    after.close()
