"""FetchXML and ``$apply`` at every door that takes them: the asker's own rows, counted, grouped, linked; no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from support import contoso as sample
from support.server import Answer, Case, Installation, Surface, url

DOORS = ("web", "api")


def fetched(surface: Surface, entity: str, inner: str, attributes: str = "") -> str:
    table = surface.table(entity)
    text = f'<fetch {attributes}><entity name="{table}">{inner}</entity></fetch>'
    return f"{surface.set(entity)}?fetchXml={quote(text, safe='')}"


def attribute(name: str, **more: str) -> str:
    return f'<attribute name="{name}" {" ".join(f"{key}={value!r}" for key, value in more.items())}/>'


def plain(answer: Answer) -> list[dict[str, Any]]:
    """The rows without annotations, which the portal's door gives unasked."""
    return [{name: value for name, value in row.items() if "@" not in name} for row in answer.rows]


@pytest.mark.parametrize("door", DOORS)
async def test_a_fetch_and_an_aggregate_show_exactly_the_orders_that_plain_sql_finds(case: Case, door: str) -> None:
    for number in range(2):
        person, surface = case.person(number), case.surface(door)
        own = sorted(order.key for order in await case.own(person))
        columns = [surface.column(name) for name in case.key]
        rows = (await person.get(fetched(surface, case.orders, "".join(map(attribute, columns))))).rows
        assert sorted(surface.keys(rows)) == own
        count = attribute(columns[-1], alias="n", aggregate="count")
        counted = plain(await person.get(fetched(surface, case.orders, count, 'aggregate="true"')))
        assert counted == [{"n": len(own)}]
        applied = await person.get(surface.orders(_apply="aggregate($count as n)"))
        assert [row["n"] for row in applied.rows] == [len(own)]
        groups = await person.get(
            surface.orders(_apply=f"groupby(({surface.column(case.account)}),aggregate($count as n))")
        )
        assert sum(row["n"] for row in groups.rows) == len(own)


@pytest.mark.parametrize("door", DOORS)
async def test_linked_rows_are_those_that_the_person_reads(case: Case, door: str) -> None:
    """From an order over its vendor to all of that vendor's orders, and back: no way leads to another vendor's."""
    person, surface = case.person(0), case.surface(door)
    own = {order.key for order in await case.own(person)}
    key, account = surface.column(case.key[-1]), surface.column(case.account)
    link = (
        f'<link-entity name="{surface.table(case.orders)}" from="{account}" to="{account}" alias="o">'
        f"{attribute(key)}</link-entity>"
    )
    found = (await person.get(fetched(surface, case.orders, attribute(key) + link, 'distinct="true"'))).rows
    assert {row[f"o.{key}"] for row in found} <= {order[-1] for order in own}
    for order in await case.others(person):
        value = order.key[-1]
        where = f'<filter><condition attribute="{key}" operator="eq" value="{value}"/></filter>'
        counted = fetched(
            surface, case.orders, attribute(key, alias="n", aggregate="count") + where, 'aggregate="true"'
        )
        mine = sum(1 for each in own if each[-1] == value)
        assert plain(await person.get(counted)) == [{"n": mine}]
        if not mine:
            inner = where.replace(f'attribute="{key}"', f'entityname="o" attribute="{key}"')
            assert plain(await person.get(fetched(surface, case.orders, attribute(key) + link + inner))) == []


@pytest.mark.parametrize("door", DOORS)
async def test_a_column_outside_the_grant_is_open_to_no_part_of_a_query(case: Case, door: str) -> None:
    person, surface = case.person(0), case.surface(door)
    hidden, vendor, account = (surface.column(name) for name in (case.hidden, case.to_vendor, case.account))
    number = surface.column("VendorAccountNumber")
    value = "A" if case.site.header_name == "contoso" else "1"
    aggregate = 'aggregate="true"'
    condition = f'<filter><condition attribute="{hidden}" operator="eq" value="{value}"/></filter>'

    def linked(inner: str, **more: str) -> str:
        rest = " ".join(f'{name}="{text}"' for name, text in more.items())
        head = f'<link-entity name="{surface.table(case.vendor)}" from="{number}" to="{account}" alias="v" {rest}>'
        return f"{head}{inner}</link-entity>"

    for inner, attributes in (
        (attribute(hidden), ""),
        (attribute(number) + condition, ""),
        (attribute(number) + f'<order attribute="{hidden}"/>', ""),
        (attribute(hidden, alias="x", groupby="true"), aggregate),
        (attribute(hidden, alias="x", aggregate="countcolumn"), aggregate),
        (attribute(hidden, alias="x", aggregate="countcolumn", distinct="true"), aggregate),
    ):
        answer = await person.get(fetched(surface, case.vendor, inner, attributes))
        assert answer.status == 403, (inner, answer.text[:300])
    mine = attribute(account)
    for inner, attributes in (
        (mine + linked(attribute(hidden)), ""),
        (mine + linked(condition), ""),
        (mine + linked(condition, **{"link-type": "exists"}), ""),
        (mine + linked(f'<order attribute="{hidden}"/>'), ""),
        (mine + linked("").replace(f'from="{number}"', f'from="{hidden}"'), ""),
        (mine + linked("") + condition.replace("attribute=", 'entityname="v" attribute='), ""),
        (mine + f"<filter>{linked(condition, **{'link-type': 'not any'})}</filter>", ""),
        (linked(attribute(hidden, alias="x", groupby="true")), aggregate),
    ):
        answer = await person.get(fetched(surface, case.orders, inner, attributes))
        assert answer.status in (400, 403), (inner, answer.text[:300])
        assert answer.status == 403 or "different types" in answer.text, (inner, answer.text[:300])
    for steps in (
        f"groupby(({vendor}/{hidden}))",
        f"aggregate({vendor}/{hidden} with countdistinct as x)",
        f"filter({vendor}/{hidden} ne null)/aggregate($count as n)",
    ):
        assert (await person.get(surface.orders(_apply=steps))).status == 403, steps
    assert (await person.get(surface.orders(_orderby=f"{vendor}/{hidden}"))).status == 403


async def test_what_the_portal_does_not_open_cannot_be_linked_or_named(contoso: Installation) -> None:
    case = sample.case(contoso)
    person, surface = case.person(0), case.surface("api")
    key, closed = surface.column(case.key[-1]), "mserp_buyergroupid"
    one = attribute(key)
    for inner in (one + attribute(closed), one + f'<order attribute="{closed}"/>'):
        assert (await person.get(fetched(surface, case.orders, inner))).status == 403
    secret = '<link-entity name="systemuser" from="systemuserid" to="ownerid"/>'
    unknown = secret.replace("systemuser", "nosuchtable")
    answers = [await person.get(fetched(surface, case.orders, one + link)) for link in (secret, unknown)]
    assert [answer.status for answer in answers] == [400, 400]
    assert [said(answer) for answer in answers] == ["systemuser", "nosuchtable"]
    for door in ("/_api/systemusers", "/_api/nosuchtables"):
        answer = await person.get(url(door, fetchXml='<fetch><entity name="systemuser"/></fetch>'))
        assert answer.status == 404


def said(answer: Answer) -> str:
    """The table that was not found."""
    text: str = answer.json["error"]["message"]
    assert "was not found" in text, text
    return text.split("name = '")[1].split("'")[0]


async def test_who_may_read_nothing_counts_nothing(contoso: Installation) -> None:
    case = sample.case(contoso)
    surface = case.surface("api")
    count = attribute(surface.column(case.key[-1]), alias="n", aggregate="count")
    targets: Mapping[str, str] = {
        "fetch": fetched(surface, case.orders, count, 'aggregate="true"'),
        "apply": surface.orders(_apply="aggregate($count as n)"),
    }
    for target in targets.values():
        answer = await contoso.ask("GET", target)
        assert answer.status in (401, 403) and '"n"' not in answer.text


async def test_data_takes_neither(case: Case) -> None:
    person, surface = case.person(0), case.surface("data")
    for target in (
        surface.orders(_apply="aggregate($count as n)"),
        url(surface.set(case.orders), fetchXml="<fetch/>"),
    ):
        answer = await person.get(target)
        assert answer.status == 400 and answer.refusal == "FC1004"


@pytest.mark.parametrize("door", ("data", *DOORS))
async def test_orders_are_sorted_by_their_vendor(case: Case, door: str) -> None:
    person, surface = case.person(0), case.surface(door)
    own = sorted(order.key for order in await case.own(person))
    vendor, name = surface.column(case.to_vendor), surface.column("VendorAccountNumber")
    target = surface.selecting(_orderby=f"{vendor}/{name} desc")
    rows = await person.everything(target, {"prefer": "odata.maxpagesize=7"})
    assert sorted(surface.keys(rows)) == own
