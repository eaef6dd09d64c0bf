"""A small portal whose subgrids offer actions: on a page, and in a step of a multistep form."""

from __future__ import annotations

import json
import uuid

from forecourt.security.rules import Scope
from support.small_portal import Content, Permission, SmallSite, id_of, step_id, steps
from support.stepped import EDIT, FORM, HEAD, HEADER, REVIEW

ACTIONS = {
    "ViewActions": [
        {
            "Type": "CrmEntityFormView-CreateAction",
            "EntityForm": {"Id": id_of("form", "part")},
            "ButtonLabel": [{"LCID": 1033, "Value": "Add a part"}],
        },
        {"Type": "CrmEntityFormView-AssociateAction"},
    ],
    "ItemActions": [
        {
            "Type": "CrmEntityFormView-DetailsAction",
            "EntityForm": {"Id": id_of("form", "seen part")},
        },
        {"Type": "CrmEntityFormView-EditAction", "EntityForm": {"Id": id_of("form", "changed part")}},
        {"Type": "CrmEntityFormView-DeleteAction", "ActionIndex": 2, "Confirmation": "Really?"},
        {"Type": "CrmEntityFormView-DisassociateAction", "ActionIndex": 3},
        {"Type": "CrmEntityFormView-WorkflowAction", "ActionIndex": 4},
    ],
    "EmptyMessage": [{"LCID": 1033, "Value": "No parts yet."}],
}
FRIENDLY = {
    "ViewActions": [
        {
            "Type": "CrmEntityFormView-CreateAction",
            "EntityForm": {"Id": id_of("form", "friend")},
            "ButtonLabel": "New friend",
            "SuccessMessage": "You have a friend.",
        },
        {"Type": "CrmEntityFormView-AssociateAction"},
    ],
    "ItemActions": [{"Type": "CrmEntityFormView-DisassociateAction"}],
}
ITEMS = {
    "adx_name": "Items",
    "adx_type": FORM,
    "adx_mode": EDIT,
    "adx_targetentitylogicalname": "cts_thing",
    "adx_formname": "Thing",
    "adx_entitysourcetype": 100000003,
    "adx_entitysourcestep": "Header",
    "adx_nextstep": "Review",
}


def form(name: str, mode: int) -> dict[str, object]:
    return {
        "adx_entityformid": id_of("form", name),
        "adx_name": name,
        "adx_entityname": "cts_part",
        "adx_formname": "Part",
        "adx_mode": mode,
    }


def subgrid(name: str, actions: dict[str, object] = ACTIONS, **owner: str) -> dict[str, object]:
    return {"adx_type": 100000003, "adx_subgrid_name": name, "adx_subgrid_settings": json.dumps(actions), **owner}


#: Forms: a thing with the contacts that it is paired with, a part beside the form that makes one.
HEADED = (
    HEAD
    + """  - name: Paired
    sections:
      - {columns: [cts_name]}
    subgrids:
      - {name: Friends, relation: cts_thing_contacts, view: Friends}
"""
)
FRIENDS = """table: contact
extends: true
views:
  - id: 00000000-0000-0000-0000-0000000000f9
    name: Friends
    columns: [lastname, emailaddress1]
forms:
  - name: Friend
    sections:
      - {columns: [lastname]}
"""
PART = """  - name: Part
    sections:
      - {columns: [cts_name]}
"""

SITE = SmallSite(
    permissions=(
        Permission("own things", "cts_thing", Scope.CONTACT, "rwcdat", ("Members", "Restricted"), "cts_thing_contact"),
        Permission("parts", "cts_part", Scope.PARENT, "rwcdat", roles=(), link="cts_thing_parts", parent="own things"),
        Permission("seen things", "cts_thing", Scope.GLOBAL, "rw", roles=("Managers",)),
        Permission("seen parts", "cts_part", Scope.GLOBAL, "r", roles=("Managers",)),
        Permission("all parts", "cts_part", Scope.GLOBAL, "rwat", roles=("Restricted",)),
        Permission("every contact", "contact", Scope.GLOBAL, "rcat", roles=("Restricted",)),
        Permission("public things", "cts_thing", Scope.GLOBAL, "rwt", roles=("Anonymous Users",)),
        Permission("public parts", "cts_part", Scope.GLOBAL, "rca", roles=("Anonymous Users",)),
        Permission("oneself", "contact", Scope.SELF, "rat"),
    ),
    pages=(
        Content("Things", shows="list"),
        Content("Thing", parent="Things", shows="form"),
        Content("Apply", shows="steps apply"),
    ),
    more={
        "web-pages/paired/Paired.webpage.yml": {
            "adx_webpageid": id_of("page", "Paired"),
            "adx_name": "Paired",
            "adx_partialurl": "paired",
            "adx_isroot": True,
            "adx_parentpageid": id_of("page", "Home"),
            "adx_publishingstateid": id_of("state", "Published"),
            "adx_entityform": id_of("form", "paired"),
        },
        "basic-forms/paired/Paired.basicform.yml": {
            **form("paired", 100000001),
            "adx_entityname": "cts_thing",
            "adx_formname": "Paired",
        },
        "basic-forms/paired/Paired.basicformmetadata.yml": [
            {
                "adx_entityformmetadataid": str(uuid.uuid4()),
                **subgrid("friends", FRIENDLY, adx_entityform=id_of("form", "paired")),
            },
            {
                "adx_entityformmetadataid": str(uuid.uuid4()),
                **subgrid("freinds", adx_entityform=id_of("form", "paired")),
            },
        ],
        "basic-forms/friend/Friend.basicform.yml": {
            **form("friend", 100000000),
            "adx_entityname": "contact",
            "adx_formname": "Friend",
        },
        "basic-forms/changed/Changed.basicform.yml": form("changed part", 100000001),
        "basic-forms/seen/Seen.basicform.yml": form("seen part", 100000002),
        "basic-forms/thing/Thing.basicformmetadata.yml": [
            {
                "adx_entityformmetadataid": str(uuid.uuid4()),
                **subgrid("CTS_thing_parts", adx_entityform=id_of("form", "thing")),
            }
        ],
        **steps("apply", {}, {**HEADER, "adx_nextstep": "Items"}, ITEMS, REVIEW),
        "advanced-forms/apply/advanced-form-steps/Items/Items.advancedformstep.advancedformstepmetadata.yml": [
            {
                "adx_webformmetadataid": str(uuid.uuid4()),
                **subgrid("cts_thing_parts", adx_webformstep=step_id("apply", "Items")),
            }
        ],
    },
)
