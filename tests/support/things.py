"""The small portal with everything that a list can have: filters, actions, and people who see different things."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from forecourt.security.rules import Scope
from forecourt.settings import Settings
from forecourt.store.embedded import EmbeddedServer
from support.server import SETTINGS as SERVED
from support.server import Answer, Person, table_rows
from support.small_portal import Content, Permission, Profile, Rule, SmallPortal, SmallSite, small_portal

FILTERS = {
    "entity": {
        "name": "cts_thing",
        "filters": [
            {
                "type": "or",
                "adx.id": "0",
                "adx.uiorder": 2,
                "adx.uiname": "Kind",
                "adx.uiselectionmode": "Multiple",
                "adx.attribute": "cts_choice",
                "conditions": [{"attribute": "cts_choice", "operator": "eq", "adx.uiinputtype": "dynamic"}],
            },
            {
                "type": "or",
                "adx.id": "1",
                "adx.uiorder": "1",
                "adx.uiselectionmode": "Single",
                "adx.attribute": "cts_whole",
                "filters": [
                    {
                        "type": "and",
                        "adx.id": "small",
                        "adx.uiname": "Up to 10",
                        "conditions": [{"attribute": "cts_whole", "operator": "le", "value": 10}],
                    },
                    {
                        "type": "and",
                        "adx.id": "large",
                        "adx.uiname": "More",
                        "conditions": [
                            {"attribute": "cts_whole", "operator": "gt", "value": "10"},
                            {"attribute": "cts_whole", "operator": "le", "value": "5000"},
                        ],
                    },
                ],
            },
            {
                "adx.id": "2",
                "adx.uiorder": 3,
                "adx.uiname": "Note",
                "adx.attribute": "cts_memo",
                "conditions": [{"attribute": "cts_memo", "operator": "like", "adx.uiinputtype": "text"}],
            },
            {
                "adx.id": "3",
                "adx.uiorder": 4,
                "adx.uiname": "Day",
                "conditions": [
                    {"attribute": "cts_date", "operator": "ge", "adx.uiinputtype": "text"},
                    {"attribute": "cts_date", "operator": "le", "adx.uiinputtype": "text"},
                ],
            },
            {
                "adx.id": "6",
                "adx.uiname": "Amount",
                "conditions": [{"attribute": "cts_decimal", "operator": "ge", "adx.uiinputtype": "text"}],
            },
            {
                "type": "or",
                "adx.id": "7",
                "adx.uiname": "Colour",
                "adx.uiselectionmode": "Multiple",
                "adx.attribute": "cts_choices",
                "conditions": [{"attribute": "cts_choices", "operator": "eq", "adx.uiinputtype": "dynamic"}],
            },
        ],
        "links": [
            {
                "name": "contact",
                "from": "contactid",
                "to": "cts_buyer",
                "adx.id": "4",
                "adx.uiname": "Buyer",
                "adx.uiselectionmode": "Dropdown",
                "filters": [
                    {"conditions": [{"attribute": "contactid", "operator": "eq", "adx.uiinputtype": "dynamic"}]}
                ],
            },
            {
                "name": "cts_part",
                "from": "cts_thing",
                "to": "cts_thingid",
                "adx.id": "5",
                "adx.uiname": "Part",
                "filters": [
                    {
                        "conditions": [
                            {"attribute": "cts_name", "operator": "eq", "value": "bolt", "uiname": "A bolt"},
                            {"attribute": "cts_name", "operator": "begins-with", "value": "nut", "uiname": "A nut"},
                        ]
                    }
                ],
            },
        ],
    }
}

ACTIONS = [
    {"Type": "CrmEntityFormView-DetailsAction", "ActionIndex": 0},
    {
        "Type": "CrmEntityFormView-DeleteAction",
        "ActionIndex": 4,
        "Confirmation": [{"LCID": 1033, "Value": "Really & truly?"}],
        "SuccessMessage": [{"LCID": 1033, "Value": "Gone for good."}],
    },
    {"Type": "CrmEntityFormView-EditAction", "ActionIndex": 1, "ButtonLabel": "Change"},
    {"Type": "CrmEntityFormView-ActivateAction", "ActionIndex": 3},
    {"Type": "CrmEntityFormView-DeactivateAction", "ActionIndex": 2, "Enabled": True},
    {"Type": "CrmEntityFormView-WorkflowAction", "ActionIndex": 5},
    {"Type": "CrmEntityFormView-DeleteAction", "Enabled": False},
]

SETTINGS = {"ViewActions": [{"Type": "CrmEntityFormView-DownloadAction"}], "ItemActions": ACTIONS}

#: Charts of things: by choice, sums by month, a pie from an exported description, by a lookup.
CHARTS = """
charts:
  - {id: c1, name: By kind & <all>, type: bar, category: cts_choice}
  - {id: c2, name: Amounts, type: line, category: cts_date, grouping: month, measure: sum, column: cts_decimal}
  - id: c3
    name: Exported
    data: >-
      <datadefinition><fetchcollection><fetch mapping="logical" aggregate="true"><entity name="cts_thing">
      <attribute name="cts_date" groupby="true" dategrouping="month" alias="a"/>
      <attribute name="cts_thingid" aggregate="count" alias="b"/></entity></fetch></fetchcollection></datadefinition>
    presentation: <Chart><Series><Series ChartType="Doughnut" /></Series></Chart>
  - {id: c4, name: By buyer, type: column, category: cts_buyer}
"""

SHOWN = "{% chart id:params.chart viewid:'00000000-0000-0000-0000-0000000000f1' %}"

FOUND = (
    "{% searchindex query:params.q, logical_names:params.names, page_size:2 %}"
    "[[{{ searchindex.approximate_total_hits }}"
    "{% for r in searchindex.results %};{{ r.number }} {{ r.entity_logical_name }} {{ r.title }} {{ r.url }} "
    "{{ r.fragment }}{% endfor %}]]{% endsearchindex %}"
)

LISTED = (
    "{% entitylist name:'Things' %}{% entityview metafilter:params.mf, search:params.s %}"
    "[[{{ entityview.total_records }} "
    "{{ entityview.records | select: 'cts_name' | join: ',' }}"
    "{% assign groups = entitylist.filter_definition | metafilters: params.mf, entityview %}"
    "{% for g in groups %};{{ g.id }} {{ g.label }}{% for o in g.options %}{% if o.checked %} {{ o.label }}{% endif %}"
    "{% endfor %}{% endfor %}]]{% endentityview %}{% endentitylist %}"
)

SITE = SmallSite(
    permissions=(
        Permission("own things", "cts_thing", Scope.CONTACT, "rwcd", ("Members", "Managers"), "cts_thing_contact"),
        Permission("all things", "cts_thing", Scope.GLOBAL, "r", roles=("Managers", "Restricted")),
        Permission("own parts", "cts_part", Scope.PARENT, "r", roles=(), link="cts_thing_parts", parent="own things"),
        Permission("oneself", "contact", Scope.SELF, "r", ("Members", "Managers")),
    ),
    profiles=(Profile("narrow", "cts_thing", {"cts_name": "r", "cts_whole": "r"}),),
    pages=(
        Content("Things", shows="list"),
        Content("Thing", parent="Things", shows="form"),
        Content("New", parent="Things", shows="new"),
        Content("Charts", copy=SHOWN),
        Content("Terms", copy="<h2>Terms of <b>delivery</b></h2><p>We deliver bearings &amp; more.</p>{{ user.id }}"),
        Content("Closed", copy="<p>Secret terms of delivery for managers</p>"),
        Content("Found", copy=FOUND),
        Content("Listed", copy=LISTED),
    ),
    rules=(Rule("closed", "Closed", 2, ("Managers",)),),
    settings={
        "Search/EnableAdditionalEntities": "true",
        "Search/IndexQueryName": "Things",
        "Search/Filters": "Rows:cts_thing;Pages:adx_webpage",
    },
    markers={"cts_thing_SearchResultPage": "Thing"},
    listing={
        "adx_filter_enabled": True,
        "adx_filter_definition": json.dumps(FILTERS),
        "adx_pagesize": 3,
        "adx_settings": json.dumps(SETTINGS),
    },
)


@dataclass
class Things:
    """``ann`` has things of her own; ``meg`` reads all and changes her own; ``ron`` reads two columns of all."""

    portal: SmallPortal
    ann: Person
    bob: Person
    meg: Person
    ron: Person
    ids: dict[str, str]

    async def page(self, person: Person, path: str = "/things/", **query: object) -> Answer:
        """A page; a list gives its parameter more than once."""
        asked = urlencode({name.replace("__", "."): value for name, value in query.items()}, doseq=True)
        return await person.get(f"{path}?{asked}" if asked else path)

    async def names(self, person: Person, **query: object) -> list[str]:
        """The first cells of a list's page."""
        answer = await self.page(person, **query)
        assert answer.status == 200, answer.text[:500]
        return [text for _, text in table_rows(answer.text)]


@asynccontextmanager
async def things(server: EmbeddedServer, folder: Path, settings: Settings = SERVED) -> AsyncIterator[Things]:
    """Ann has A1 to A5, Bob B1 and B2, Meg M1."""
    async with small_portal(server, folder, SITE, settings, {"cts_thing": CHARTS}) as portal:
        ann = await portal.person("ann", "Members")
        bob = await portal.person("bob", "Members")
        meg = await portal.person("meg", "Managers")
        ron = await portal.person("ron", "Restricted")
        ids = {}
        for place in range(1, 6):
            ids[f"A{place}"] = await portal.thing(
                f"A{place}",
                ann.contact,
                cts_whole=place * 4,
                cts_choice=1 + place % 2,
                cts_choices={1: "1,12", 3: "2,12"}.get(place),
                cts_memo=f"note {place} 100%_done",
                cts_date=dt.date(2026, 11, place),
                cts_decimal=place * 1.5,
            )
        for place in (1, 2):
            ids[f"B{place}"] = await portal.thing(f"B{place}", bob.contact, cts_whole=place, cts_choice=1)
        await portal.part("bolt", ids["A1"])
        await portal.part("nut 5", ids["A2"])
        await portal.part("bolt", ids["B1"])
        ids["M1"] = await portal.thing("M1", meg.contact)
        yield Things(portal, ann, bob, meg, ron, ids)
