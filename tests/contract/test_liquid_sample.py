"""Page texts of the sample company read virtual tables: each vendor's own orders and lines, and nobody else's."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from forecourt.store.embedded import EmbeddedServer
from support.contoso import LINES, ORDERS, OWN_ORDERS, ROOT, case, contoso_site
from support.server import Case, Installation, Person

TEXT = (
    f'{{% fetchxml q %}}<fetch returntotalrecordcount="true" count="5000"><entity name="{ORDERS}">'
    '<attribute name="mserp_purchaseordernumber"/><attribute name="mserp_dataareaid"/>'
    '<order attribute="mserp_dataareaid"/><order attribute="mserp_purchaseordernumber"/>'
    "</entity></fetch>{% endfetchxml %}"
    "[[{% for o in q.results.entities %}"
    "{{ o.mserp_dataareaid }}/{{ o.mserp_purchaseordernumber }}={{ o.id }} {% endfor %}]]"
    "[[{{ q.results.total_record_count }}]]"
    f"{{% assign o = entities.{ORDERS}[params.id] %}}[[{{{{ o.mserp_purchaseordernumber }}}}"
    "{% for l in o.mserp_purchaseorderlinesv2 %} {{ l.mserp_linenumber | integer }}{% endfor %}]]"
    f'{{% fetchxml lines %}}<fetch aggregate="true"><entity name="{LINES}"><attribute name="mserp_linenumber" '
    'alias="n" aggregate="count"/></entity></fetch>{% endfetchxml %}[[{{ lines.results.entities.first.n }}]]'
    '{% fetchxml hidden %}<fetch top="1"><entity name="mserp_vendvendorv2entity">'
    '<attribute name="mserp_creditrating"/></entity></fetch>{% endfetchxml %}[[{{ hidden.results.entities.size }}]]'
)


@pytest.fixture
async def site(postgres: EmbeddedServer, tmp_path: Path) -> AsyncIterator[Installation]:
    root = tmp_path / "contoso"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".forecourt"))
    for copy in (root / "site" / "web-pages" / "home").rglob("*.webpage.copy.html"):
        copy.write_text(TEXT, "utf-8")
    async with contoso_site(postgres, root) as opened:
        yield opened


async def parts(person: Person, row_id: str = "") -> list[str]:
    answer = await person.get(f"/?id={quote(row_id)}")
    assert answer.status == 200
    return re.findall(r"\[\[(.*?)\]\]", answer.text, re.DOTALL)


async def test_each_vendors_text_shows_the_orders_that_plain_sql_says(site: Installation) -> None:
    found: Case = case(site)
    seen: dict[str, dict[str, str]] = {}
    for username in found.usernames[:2]:
        person = site.signed_up(username)
        rows = await site.sql(OWN_ORDERS, found.subject(person))
        listed, total, _, lines, hidden = await parts(person)
        pairs = dict(item.split("=") for item in listed.split())
        assert sorted(pairs) == sorted(f"{row['dataareaid']}/{row['purchid']}" for row in rows) and pairs
        assert total == str(len(rows)) and hidden == "0"
        numbers = {(row["dataareaid"], row["purchid"]) for row in rows}
        own = await site.sql("select dataareaid, purchid from erp.purchline")
        assert lines == str(sum((row["dataareaid"], row["purchid"]) in numbers for row in own))
        seen[username] = pairs
    one, other = (site.signed_up(username) for username in found.usernames[:2])
    (label, row_id), *_ = seen[one.username].items()
    company, number = label.split("/")
    lines = await site.sql(
        "select linenumber::int n from erp.purchline where dataareaid = $1 and purchid = $2 order by 1", company, number
    )
    assert (await parts(one, row_id))[2].split() == [number, *(str(row["n"]) for row in lines)]
    assert (await parts(other, row_id))[2] == ""
