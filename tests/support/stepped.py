"""A small portal with multistep forms: an application with header, reason, line and review, and forms of one step."""

from __future__ import annotations

import uuid

from forecourt.security.rules import Scope
from support.small_portal import Content, Permission, SmallSite, id_of, step_id, steps

INSERT, EDIT, READ_ONLY = 100000000, 100000001, 100000002
FORM, CONDITION, REDIRECT = 100000001, 100000000, 100000003

HEADER = {
    "adx_name": "Header",
    "adx_type": FORM,
    "adx_mode": INSERT,
    "adx_targetentitylogicalname": "cts_thing",
    "adx_formname": "Head",
    "adx_associatecurrentportaluser": True,
    "adx_targetentityportaluserlookupattribute": "cts_buyer",
    "adx_nextstep": "Large",
}
LARGE = {
    "adx_name": "Large",
    "adx_type": CONDITION,
    "adx_condition": "cts_whole > 100 & !(cts_memo =* small*)",
    "adx_nextstep": "Reason",
    "adx_conditiondefaultnextstep": "Line",
}
REASON = {
    "adx_name": "Reason",
    "adx_title": "Why so many",
    "adx_type": FORM,
    "adx_mode": EDIT,
    "adx_targetentitylogicalname": "cts_thing",
    "adx_formname": "Why",
    "adx_entitysourcetype": 100000003,
    "adx_entitysourcestep": "Header",
    "adx_nextstep": "Line",
}
LINE = {
    "adx_name": "Line",
    "adx_type": FORM,
    "adx_mode": INSERT,
    "adx_targetentitylogicalname": "cts_part",
    "adx_formname": "New part",
    "adx_setentityreference": True,
    "adx_referenceentitysourcetype": 100000001,
    "adx_referenceentitystep": "Header",
    "adx_referencetargetlookupattributelogicalname": "cts_thing",
    "adx_nextstep": "Review",
}
REVIEW = {
    "adx_name": "Review",
    "adx_type": FORM,
    "adx_mode": READ_ONLY,
    "adx_targetentitylogicalname": "cts_thing",
    "adx_formname": "Thing",
    "adx_entitysourcetype": 100000003,
    "adx_entitysourcestep": "Header",
    "adx_submitbuttontext": "Send all",
    "adx_successmessage": "Your application is with us.",
}
SHOWN = {"adx_progressindicatorenabled": True, "adx_progressindicatortype": 756150001}
PERMISSIONS = (
    Permission("own things", "cts_thing", Scope.CONTACT, "rwcdat", link="cts_thing_contact"),
    Permission("parts", "cts_part", Scope.PARENT, "rwcdat", roles=(), link="cts_thing_parts", parent="own things"),
    Permission("oneself", "contact", Scope.SELF, "rat"),
    Permission("every thing", "cts_thing", Scope.GLOBAL, "rw", roles=("Managers",)),
    Permission("visitors", "cts_thing", Scope.GLOBAL, "c", roles=("Anonymous Users",)),
)
HEAD = """  - name: Head
    sections:
      - {columns: [cts_name, cts_whole, cts_memo, cts_code]}
  - name: Why
    sections:
      - {columns: [cts_memo]}
"""


ONCE_ONLY = {"adx_multiplerecordsperuserpermitted": False, "adx_editnotpermittedmessage": "You have sent it."}
EDITABLE = {
    **ONCE_ONLY,
    "adx_editexistingrecordpermitted": True,
    "adx_editexpiredstatecode": 1,
    "adx_editexpiredmessage": '[{"LCID": 1033, "Value": "It is closed."}]',
}
ALONE = {key: value for key, value in HEADER.items() if key != "adx_nextstep"}
LEAVING = {
    "adx_name": "Leave",
    "adx_type": REDIRECT,
    "adx_redirecturl": "https://example.com/thanks",
    "adx_redirecturlappendentityidquerystring": True,
    "adx_redirecturlquerystringattribute": "cts_name",
    "adx_redirecturlquerystringattributeparamname": "name",
    "adx_redirecturlcustomquerystring": "from=portal",
}
RULES: tuple[dict[str, object], ...] = (
    {"adx_attributelogicalname": "cts_name", "adx_label": "Subject", "adx_prepopulatetype": 100000002,
     "adx_prepopulatefromattribute": "fullname", "adx_adddescription": True, "adx_description": "<i>In short</i>",
     "adx_useattributedescriptionproperty": False, "adx_requiredfieldvalidationerrormessage": "Say what it is about."},
    {"adx_attributelogicalname": "cts_code", "adx_fieldisrequired": True,
     "adx_validationregularexpression": "^([A-Z]+)+$",
     "adx_validationregularexpressionerrormessage": '[{"LCID": 1033, "Value": "Write capitals."}]'},
    {"adx_attributelogicalname": "cts_whole", "adx_prepopulatetype": 100000000, "adx_prepopulatevalue": "7",
     "adx_rangevalidationerrormessage": "That is too many."},
    {"adx_attributelogicalname": "cts_memo", "adx_setvalueonsave": True, "adx_onsavetype": 100000000,
     "adx_onsavevalue": "from the form"},
    {"adx_attributelogicalname": "cts_date", "adx_setvalueonsave": True, "adx_onsavetype": 100000001},
)  # fmt: skip
SITE = SmallSite(
    permissions=PERMISSIONS,
    pages=(
        Content("Apply", shows="steps apply"),
        Content("Once", shows="steps once"),
        Content("Editable", shows="steps editable"),
        Content("Leave", shows="steps leave"),
        Content("Members", shows="steps members"),
        Content("Things", shows="list"),
        Content("New", shows="new"),
        Content("Inserted", copy="<h2>Before</h2>{% entityform name: 'New thing' %}<p>After {{ user.fullname }}</p>"),
        Content(
            "Wizard",
            copy="{% comment %}{% webform name: 'once' %}{% endcomment %}<h2>Before</h2>{% webform name: 'apply' %}",
        ),
        Content("Computed", copy="{% assign it = 'apply' %}{% webform name: it %}<p>Still here</p>"),
        Content("Thing", shows="form"),
        Content("Ruled", shows="steps ruled"),
    ),
    more={
        "web-templates/frame/Frame.webtemplate.yml": {
            "adx_webtemplateid": id_of("template", "Frame"),
            "adx_name": "Frame",
            "adx_source": "<section class='frame'>{% include 'Inside' %}</section>",
        },
        "web-templates/inside/Inside.webtemplate.yml": {
            "adx_webtemplateid": id_of("template", "Inside"),
            "adx_name": "Inside",
            "adx_source": "<i>in</i>{% entityform name: 'new THING' %}",
        },
        "page-templates/Framed.pagetemplate.yml": {
            "adx_pagetemplateid": id_of("layout", "Framed"),
            "adx_name": "Framed",
            "adx_type": 756150001,
            "adx_webtemplateid": id_of("template", "Frame"),
            "adx_usewebsiteheaderandfooter": True,
        },
        "web-pages/framed/Framed.webpage.yml": {
            "adx_webpageid": id_of("page", "Framed"),
            "adx_name": "Framed",
            "adx_partialurl": "framed",
            "adx_isroot": True,
            "adx_parentpageid": id_of("page", "Home"),
            "adx_publishingstateid": id_of("state", "Published"),
            "adx_pagetemplateid": id_of("layout", "Framed"),
        },
        **steps("apply", SHOWN, HEADER, LARGE, REASON, LINE, REVIEW),
        **steps("once", ONCE_ONLY, ALONE),
        **steps("editable", EDITABLE, ALONE),
        **steps("leave", {}, {**HEADER, "adx_nextstep": "Leave"}, LEAVING),
        **steps("ruled", {}, ALONE),
        "advanced-forms/ruled/advanced-form-steps/Header/Header.advancedformstep.advancedformstepmetadata.yml": [
            {
                "adx_webformmetadataid": str(uuid.uuid4()),
                "adx_webformstep": step_id("ruled", "Header"),
                "adx_type": 100000000,
                **rule,
            }
            for rule in RULES
        ],
        "basic-forms/new/New.basicform.basicformmetadata.yml": [
            {
                "adx_entityformmetadataid": str(uuid.uuid4()),
                "adx_entityform": id_of("form", "new"),
                "adx_type": 100000000,
                **rule,
            }
            for rule in RULES
        ],
        **steps("members", {"adx_authenticationrequired": True}, ALONE),
    },
)
