"""One site as downloads of both data models have it: a catalogue of parts with orders, in English and German.

Both are written out by hand, file by file, so that a test can say that they are the same site. ``<name>`` in a text
stands for the id of what is called so.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from forecourt.kernel.model import Where

NAMESPACE = UUID("00000000-0000-0000-0000-00000000517e")

#: A picture that is no text: bytes that UTF-8 does not have.
PICTURE = b"\x89PNG\r\n\x1a\n\x00\xff\xfe\x80"

GLOBAL, CONTACT, ACCOUNT, PARENT, SELF = range(756150000, 756150005)


def guid(name: str) -> str:
    """The id of what is called ``name``."""
    return str(uuid5(NAMESPACE, name))


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Writes the files below ``root`` and returns it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            text = filled(content) if name.endswith(".yml") else content
            path.write_text(text, encoding="utf-8", newline="")
    return root


def filled(text: str) -> str:
    """The text with ids in the place of names, which have four letters at least: tags of a text are shorter."""
    return re.sub(r"<([a-z][a-z0-9 ]{3,})>", lambda match: guid(match[1]), text).lstrip("\n")


def plain(value: Any) -> Any:
    """A site's parts without the places in files, and contents of files instead of their paths."""
    if isinstance(value, Where):
        return None
    if isinstance(value, Path):
        return value.read_bytes()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [item.name for item in dataclasses.fields(value) if item.name not in ("where", "notices", "findings")]
        return type(value).__name__, {name: plain(getattr(value, name)) for name in fields}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        found = [plain(item) for item in value]
        return sorted(found, key=repr)
    return value


#: JSON as exports fold it into YAML: every line break of the text doubled.
SETTINGS = """>-
  {{

    "ViewActions": [

      {{"Type": "CrmEntityFormView-DownloadAction", "ButtonLabel": [{{"LCID": 1033, "Value": "Take away"}}]}}

    ],

    "ItemActions": [

      {{"Type": "CrmEntityFormView-DetailsAction", "RedirectWebpageId": "{page}"}}

    ]

  }}"""

LIST_SETTINGS = SETTINGS.format(page="<details>")

STANDARD: Mapping[str, str | bytes] = {
    "website.yml": """
adx_defaultlanguage: <english>
adx_footerwebtemplateid: <footer>
adx_headerwebtemplateid: <header>
adx_name: Parts & Orders
adx_website_language: 1033
adx_websiteid: <website>
cr5af_owner: Sales
""",
    "websitelanguage.yml": """
- adx_name: English
  adx_portallanguageid: <portal english>
  adx_publishingstate: <published>
  adx_websitelanguageid: <english>
- adx_name: Deutsch
  adx_portallanguageid: <portal german>
  adx_publishingstate: <published>
  adx_websitelanguageid: <german>
""",
    ".portalconfig/portallanguage.yml": """
- adx_languagecode: en-US
  adx_lcid: 1033
  adx_name: English
  adx_portallanguageid: <portal english>
- adx_languagecode: de-DE
  adx_lcid: 1031
  adx_name: German
  adx_portallanguageid: <portal german>
""",
    ".portalconfig/org.example-manifest.yml": "adx_webpage:\n- RecordId: <home>\n  CheckSum: 1\n  IsDeleted: false\n",
    "publishingstate.yml": """
- adx_isvisible: true
  adx_name: Published
  adx_publishingstateid: <published>
- adx_isvisible: false
  adx_name: Draft
  adx_publishingstateid: <draft>
""",
    "webrole.yml": """
- adx_anonymoususersrole: true
  adx_authenticatedusersrole: false
  adx_name: Anonymous Users
  adx_webroleid: <anonymous>
- adx_anonymoususersrole: false
  adx_authenticatedusersrole: true
  adx_name: Authenticated Users
  adx_webroleid: <authenticated>
- adx_anonymoususersrole: false
  adx_authenticatedusersrole: false
  adx_name: No
  adx_webroleid: <buyers>
""",
    "sitesetting.yml": """
- adx_name: Webapi/account/enabled
  adx_sitesettingid: <account enabled>
  adx_value: true
- adx_name: Webapi/account/fields
  adx_sitesettingid: <account fields>
  adx_value: name,accountnumber
- adx_name: Authentication/ApplicationCookie/ExpireTimeSpan
  adx_sitesettingid: <time span>
  adx_value: 24:00:00
- adx_description: ''
  adx_name: Search/Enabled
  adx_sitesettingid: <search>
  adx_value: 'null'
""",
    "sitemarker.yml": """
- adx_name: Home
  adx_pageid: <home>
  adx_sitemarkerid: <marker home>
- adx_name: Page Not Found
  adx_pageid: <missing>
  adx_sitemarkerid: <marker missing>
""",
    "webpagerule.yml": """
- adx_accesscontrolrule_publishingstate:
  - <published>
  adx_name: Buyers only
  adx_right: 2
  adx_scope: 1
  adx_webpageaccesscontrolrule_webrole:
  - <buyers>
  adx_webpageaccesscontrolruleid: <rule>
  adx_webpageid: <orders>
  statecode: 0
""",
    "websiteaccess.yml": """
- adx_managecontentsnippets: true
  adx_managesitemarkers: false
  adx_manageweblinksets: false
  adx_name: Editors
  adx_previewunpublishedentities: true
  adx_websiteaccess_webrole:
  - <buyers>
  adx_websiteaccessid: <access>
""",
    "redirect.yml": """
- adx_inboundurl: old-orders
  adx_name: Old orders
  adx_redirectid: <redirect>
  adx_statuscode: 301
  adx_webpageid: <orders>
- adx_inboundurl: lost
  adx_name: Lost
  adx_redirectid: <redirect marker>
  adx_sitemarkerid: <marker missing>
""",
    "page-templates/Full-Page.pagetemplate.yml": """
adx_isdefault: true
adx_name: Full Page
adx_pagetemplateid: <full page>
adx_type: 756150001
adx_usewebsiteheaderandfooter: true
adx_webtemplateid: <layout>
""",
    "page-templates/Search.pagetemplate.yml": """
adx_name: Search
adx_pagetemplateid: <search page>
adx_rewriteurl: ~/Pages/Search.aspx
adx_type: 756150000
""",
    "web-templates/layout/Layout.webtemplate.yml": "adx_name: Layout\nadx_webtemplateid: <layout>\n",
    "web-templates/layout/Layout.webtemplate.source.html": "{% include 'header' %}\n<main>{{ page.adx_copy }}</main>\n",
    "web-templates/header/Header.webtemplate.yml": "adx_name: Header\nadx_webtemplateid: <header>\n",
    "web-templates/header/Header.webtemplate.source.html": "<header>{{ snippets['Logo'] }}</header>",
    "web-templates/footer/Footer.webtemplate.yml": """
adx_mimetype: text/html
adx_name: Footer
adx_webtemplateid: <footer>
""",
    "web-pages/home/Home.webpage.yml": """
adx_isroot: true
adx_name: Home
adx_pagetemplateid: <full page>
adx_partialurl: /
adx_publishingstateid: <published>
adx_webpageid: <home>
""",
    "web-pages/home/content-pages/Home.en-US.webpage.yml": """
adx_isroot: false
adx_name: Home
adx_pagetemplateid: <full page>
adx_partialurl: /
adx_publishingstateid: <published>
adx_rootwebpageid: <home>
adx_title: Parts and orders
adx_webpageid: <home english>
adx_webpagelanguageid: <english>
""",
    "web-pages/home/content-pages/Home.en-US.webpage.copy.html": "<h1>Welcome</h1>",
    "web-pages/home/content-pages/Home.de-DE.webpage.yml": """
adx_isroot: false
adx_name: Home
adx_partialurl: /
adx_rootwebpageid: <home>
adx_title: Teile und Aufträge
adx_webpageid: <home german>
adx_webpagelanguageid: <german>
""",
    "web-pages/home/content-pages/Home.de-DE.webpage.copy.html": "<h1>Willkommen</h1>",
    "web-pages/home/content-pages/Home.de-DE.webpage.summary.html": "<p>Für Käufer</p>",
    "web-pages/orders/Orders.webpage.yml": """
adx_displayorder: 2
adx_entitylist: <order list>
adx_isroot: true
adx_name: Orders
adx_pagetemplateid: <full page>
adx_parentpageid: <home>
adx_partialurl: orders
adx_publishingstateid: <published>
adx_webpageid: <orders>
cr5af_note: keep me
""",
    "web-pages/details/Details.webpage.yml": """
adx_entityform: <order form>
adx_hiddenfromsitemap: true
adx_isroot: true
adx_name: Details
adx_parentpageid: <orders>
adx_partialurl: details
adx_publishingstateid: <published>
adx_webpageid: <details>
""",
    "web-pages/details_0f0f0f0f/Details.webpage.yml": """
adx_isroot: true
adx_name: Details
adx_parentpageid: <details>
adx_partialurl: lines
adx_publishingstateid: <draft>
adx_webpageid: <lines>
""",
    "web-pages/page-not-found/Page-Not-Found.webpage.yml": """
adx_isroot: true
adx_name: Page Not Found
adx_parentpageid: <home>
adx_partialurl: page-not-found
adx_webpageid: <missing>
""",
    "web-files/Terms & conditions (2).pdf.webfile.yml": """
adx_contentdisposition: 756150001
adx_name: Terms & conditions (2).pdf
adx_parentpageid: <home>
adx_partialurl: terms.pdf
adx_webfileid: <terms>
annotationid: <terms>
filename: Terms & conditions (2).pdf
isdocument: true
mimetype: application/pdf
objectid: <terms>
objecttypecode: adx_webfile
""",
    "web-files/Terms & conditions (2).pdf": PICTURE,
    "web-files/webrole.yml.webfile.yml": """
adx_name: webrole.yml
adx_parentpageid: <orders>
adx_partialurl: webrole.yml
adx_webfileid: <odd file>
""",
    "web-files/webrole.yml": "- adx_name: I am what a web file serves, no role\n",
    "content-snippets/logo/Logo.en-US.contentsnippet.yml": """
adx_contentsnippetid: <logo english>
adx_contentsnippetlanguageid: <english>
adx_display_name: Logo
adx_name: Logo
adx_type: 756150001
""",
    "content-snippets/logo/Logo.en-US.contentsnippet.value.html": "<b>Parts</b>",
    "content-snippets/logo/Logo.de-DE.contentsnippet.yml": """
adx_contentsnippetid: <logo german>
adx_contentsnippetlanguageid: <german>
adx_display_name: Logo
adx_name: Logo
adx_type: 756150001
adx_value: <b>Teile</b>
""",
    "weblink-sets/default/Default.en-US.weblinkset.yml": """
adx_name: Default
adx_weblinksetid: <links>
adx_websitelanguageid: <english>
""",
    "weblink-sets/default/Default.en-US.weblinkset.weblink.yml": """
- adx_displayorder: 1
  adx_name: Orders
  adx_pageid: <orders>
  adx_weblinkid: <link orders>
  adx_weblinksetid: <links>
- adx_displayorder: 1
  adx_externalurl: https://parts.example/help
  adx_name: Help
  adx_openinnewwindow: true
  adx_parentweblinkid: <link orders>
  adx_weblinkid: <link help>
  adx_weblinksetid: <links>
""",
    "lists/Orders.list.yml": f"""
adx_entitylistid: <order list>
adx_entityname: salesorder
adx_filter_enabled: true
adx_name: Orders
adx_pagesize: 25
adx_searchenabled: true
adx_settings: {LIST_SETTINGS}
adx_view: <view>
""",
    "basic-forms/order/Order.basicform.yml": """
adx_entityformid: <order form>
adx_entityname: salesorder
adx_formname: Order
adx_mode: 100000001
adx_name: Order
""",
    "basic-forms/order/Order.basicform.basicformmetadata.yml": """
- adx_entityform: <order form>
  adx_entityformmetadataid: <metadata>
  adx_sectionname: general
  adx_type: 100000001
""",
    "advanced-forms/wizard/Wizard.advancedform.yml": """
adx_name: Wizard
adx_startstep: <first step>
adx_webformid: <wizard>
""",
    "advanced-forms/wizard/advanced-form-steps/header/Header.advancedformstep.yml": """
adx_formname: Order
adx_mode: 100000000
adx_name: Header
adx_nextstep: <second step>
adx_targetentitylogicalname: salesorder
adx_type: 100000001
adx_webform: <wizard>
adx_webformstepid: <first step>
""",
    "advanced-forms/wizard/advanced-form-steps/large/Large.advancedformstep.yml": """
adx_condition: totalamount > 1000
adx_conditiondefaultnextstep: <first step>
adx_name: Large
adx_type: 100000000
adx_webform: <wizard>
adx_webformstepid: <second step>
""",
    "table-permissions/Own-orders.tablepermission.yml": f"""
adx_accountrelationship: order_customer_accounts
adx_append: true
adx_create: true
adx_entitylogicalname: salesorder
adx_entityname: Own orders
adx_entitypermission_webrole:
- <buyers>
- <authenticated>
adx_entitypermissionid: <own orders>
adx_read: true
adx_scope: {ACCOUNT}
""",
    "table-permissions/Lines.tablepermission.yml": f"""
adx_appendto: true
adx_entitylogicalname: salesorderdetail
adx_entityname: Lines
adx_entitypermission_webrole:
- <buyers>
adx_entitypermissionid: <own lines>
adx_parententitypermission: <own orders>
adx_parentrelationship: order_details
adx_read: true
adx_scope: {PARENT}
""",
    "table-permissions/Notes.tablepermission.yml": f"""
adx_entitylogicalname: annotation
adx_entityname: Notes
adx_entitypermission_webrole:
- <buyers>
adx_entitypermissionid: <notes>
adx_parententitypermission: <own lines>
adx_parentrelationship: salesorderdetail_Annotations
adx_read: true
adx_scope: {PARENT}
""",
    "column-permission-profiles/prices/Prices.columnpermissionprofile.yml": """
adx_allcolumnpermissions:
- 746610001
adx_columnpermissionprofile_webrole:
- <buyers>
adx_columnpermissionprofileid: <prices>
adx_profilename: Prices
adx_tablename: salesorder
""",
    "column-permission-profiles/prices/Prices.columnpermissionprofile.columnpermission.yml": """
- adx_columnname: totalamount
  adx_columnpermissionid: <price column>
  adx_columnpermissionprofileid: <prices>
  adx_permissions:
  - 746610001
  - 746610002
""",
}

ENHANCED: Mapping[str, str | bytes] = {
    "website.yml": """
cr5af_owner: Sales
defaultlanguage: <english>
footerwebtemplateid: <footer>
headerwebtemplateid: <header>
id: <website>
name: Parts & Orders
website_language: 1033
""",
    "site-languages/English.websitelanguage.yml": """
id: <english>
name: English
portallanguageid: <portal english>
publishingstate: <published>
""",
    "site-languages/Deutsch.websitelanguage.yml": """
id: <german>
name: Deutsch
portallanguageid: <portal german>
publishingstate: <published>
""",
    ".portalconfig/English.portallanguage.yml": """
id: <portal english>
languagecode: en-US
lcid: 1033
name: English
""",
    ".portalconfig/German.portallanguage.yml": "id: <portal german>\nlanguagecode: de-DE\nlcid: 1031\nname: German\n",
    ".portalconfig/manifest.yml": "adx_webfile:\n- RecordId: <terms>\n  IsDeleted: true\n",
    "publishing-states/Published.publishingstate.yml": "id: <published>\nisvisible: true\nname: Published\n",
    "publishing-states/Draft.publishingstate.yml": "id: <draft>\nisvisible: false\nname: Draft\n",
    "web-roles/Anonymous-Users.webrole.yml": """
anonymoususersrole: true
authenticatedusersrole: false
id: <anonymous>
name: Anonymous Users
""",
    "web-roles/Authenticated-Users.webrole.yml": """
anonymoususersrole: false
authenticatedusersrole: true
id: <authenticated>
name: Authenticated Users
""",
    "web-roles/No.webrole.yml": "anonymoususersrole: false\nauthenticatedusersrole: false\nid: <buyers>\nname: No\n",
    "site-settings/Webapi-account-enabled.sitesetting.yml": """
id: <account enabled>
name: Webapi/account/enabled
value: true
""",
    "site-settings/Webapi-account-fields.sitesetting.yml": """
id: <account fields>
name: Webapi/account/fields
value: name,accountnumber
""",
    "site-settings/Authentication-ApplicationCookie-ExpireTimeSpan.sitesetting.yml": """
id: <time span>
name: Authentication/ApplicationCookie/ExpireTimeSpan
value: 24:00:00
""",
    "site-settings/Search-Enabled.sitesetting.yml": """
description: ''
id: <search>
name: Search/Enabled
value: 'null'
""",
    "sitemarkers/Home.sitemarker.yml": "id: <marker home>\nname: Home\npageid: <home>\n",
    "sitemarkers/Page-Not-Found.sitemarker.yml": "id: <marker missing>\nname: Page Not Found\npageid: <missing>\n",
    "webpage-rules/Buyers-only.webpagerule.yml": """
adx_accesscontrolrule_publishingstate:
- <published>
adx_webpageaccesscontrolrule_webrole:
- <buyers>
id: <rule>
name: Buyers only
right: 2
scope: 1
statecode: 0
webpageid: <orders>
""",
    "website-accesss/Editors.websiteaccess.yml": """
adx_websiteaccess_webrole:
- <buyers>
id: <access>
managecontentsnippets: true
managesitemarkers: false
manageweblinksets: false
name: Editors
previewunpublishedentities: true
""",
    "redirects/Old-orders.redirect.yml": """
id: <redirect>
inboundurl: old-orders
name: Old orders
redirectstatuscode: 301
webpageid: <orders>
""",
    "redirects/Lost.redirect.yml": """
id: <redirect marker>
inboundurl: lost
name: Lost
sitemarkerid: <marker missing>
""",
    "page-templates/Full-Page.pagetemplate.yml": """
id: <full page>
isdefault: true
name: Full Page
type: 756150001
usewebsiteheaderandfooter: true
webtemplateid: <layout>
""",
    "page-templates/Search.pagetemplate.yml": """
id: <search page>
name: Search
rewriteurl: ~/Pages/Search.aspx
type: 756150000
""",
    "web-templates/layout/Layout.webtemplate.yml": "id: <layout>\nname: Layout\n",
    "web-templates/layout/Layout.webtemplate.source.html": "{% include 'header' %}\n<main>{{ page.adx_copy }}</main>\n",
    "web-templates/header/Header.webtemplate.yml": "id: <header>\nname: Header\n",
    "web-templates/header/Header.webtemplate.source.html": "<header>{{ snippets['Logo'] }}</header>",
    "web-templates/footer/Footer.webtemplate.yml": "id: <footer>\nmimetype: text/html\nname: Footer\n",
    "web-pages/home/Home.webpage.yml": """
id: <home>
isroot: true
name: Home
pagetemplateid: <full page>
partialurl: /
publishingstateid: <published>
""",
    "web-pages/home/content-pages/en-US/Home.webpage.yml": """
id: <home english>
isroot: false
name: Home
pagetemplateid: <full page>
partialurl: /
publishingstateid: <published>
rootwebpageid: <home>
title: Parts and orders
webpagelanguageid: <english>
""",
    "web-pages/home/content-pages/en-US/Home.webpage.copy.html": "<h1>Welcome</h1>",
    "web-pages/home/content-pages/de-DE/Home.webpage.yml": """
id: <home german>
isroot: false
name: Home
partialurl: /
rootwebpageid: <home>
title: Teile und Aufträge
webpagelanguageid: <german>
""",
    "web-pages/home/content-pages/de-DE/Home.webpage.copy.html": "<h1>Willkommen</h1>",
    "web-pages/home/content-pages/de-DE/Home.webpage.summary.html": "<p>Für Käufer</p>",
    "web-pages/orders/Orders.webpage.yml": """
cr5af_note: keep me
displayorder: 2
entitylist: <order list>
id: <orders>
isroot: true
name: Orders
pagetemplateid: <full page>
parentpageid: <home>
partialurl: orders
publishingstateid: <published>
""",
    "web-pages/details/Details.webpage.yml": """
entityform: <order form>
hiddenfromsitemap: true
id: <details>
isroot: true
name: Details
parentpageid: <orders>
partialurl: details
publishingstateid: <published>
""",
    "web-pages/details_0f0f0f0f/Details.webpage.yml": """
id: <lines>
isroot: true
name: Details
parentpageid: <details>
partialurl: lines
publishingstateid: <draft>
""",
    "web-pages/page-not-found/Page-Not-Found.webpage.yml": """
id: <missing>
isroot: true
name: Page Not Found
parentpageid: <home>
partialurl: page-not-found
""",
    "web-files/terms.pdf/Terms.pdf": PICTURE,
    "web-files/terms.pdf/terms.pdf.webfile.yml": """
annotationid: <terms>
contentdisposition: 756150001
filename: Terms & conditions (2).pdf
id: <terms>
isdocument: true
mimetype: application/pdf
name: Terms & conditions (2).pdf
objectid: <terms>
objecttypecode: adx_webfile
parentpageid: <home>
partialurl: terms.pdf
""",
    "web-files/webrole.yml/webrole.yml": "- adx_name: I am what a web file serves, no role\n",
    "web-files/webrole.yml/webrole.yml.webfile.yml": """
id: <odd file>
name: webrole.yml
parentpageid: <orders>
partialurl: webrole.yml
""",
    "content-snippets/logo/en-US/Logo.contentsnippet.yml": """
contentsnippetlanguageid: <english>
display_name: Logo
id: <logo english>
name: Logo
type: 756150001
""",
    "content-snippets/logo/en-US/Logo.contentsnippet.value.html": "<b>Parts</b>",
    "content-snippets/logo/de-DE/Logo.contentsnippet.yml": """
contentsnippetlanguageid: <german>
display_name: Logo
id: <logo german>
name: Logo
type: 756150001
value: <b>Teile</b>
""",
    "weblink-sets/default/en-US/Default.weblinkset.yml": "id: <links>\nname: Default\nwebsitelanguageid: <english>\n",
    "weblink-sets/default/en-US/Orders.weblink.yml": """
displayorder: 1
id: <link orders>
name: Orders
pageid: <orders>
weblinksetid: <links>
""",
    "weblink-sets/default/en-US/Help.weblink.yml": """
displayorder: 1
externalurl: https://parts.example/help
id: <link help>
name: Help
openinnewwindow: true
parentweblinkid: <link orders>
weblinksetid: <links>
""",
    "lists/Orders.list.yml": f"""
entityname: salesorder
filter_enabled: true
id: <order list>
name: Orders
pagesize: 25
searchenabled: true
settings: {LIST_SETTINGS}
view: <view>
""",
    "basic-forms/order/Order.basicform.yml": """
entityname: salesorder
formname: Order
id: <order form>
mode: 100000001
name: Order
""",
    "basic-forms/order/name.basicformmetadata.yml": """
entityform: <order form>
id: <metadata>
sectionname: general
type: 100000001
""",
    "advanced-forms/wizard/Wizard.advancedform.yml": "id: <wizard>\nname: Wizard\nstartstep: <first step>\n",
    "advanced-forms/wizard/advanced-form-steps/header/Header.advancedformstep.yml": """
formname: Order
id: <first step>
mode: 100000000
name: Header
nextstep: <second step>
targetentitylogicalname: salesorder
type: 100000001
webform: <wizard>
""",
    "advanced-forms/wizard/advanced-form-steps/large/Large.advancedformstep.yml": """
condition: totalamount > 1000
conditiondefaultnextstep: <first step>
id: <second step>
name: Large
type: 100000000
webform: <wizard>
""",
    "table-permissions/Own-orders.tablepermission.yml": f"""
accountrelationship: order_customer_accounts
adx_entitypermission_webrole:
- <buyers>
- <authenticated>
append: true
create: true
entitylogicalname: salesorder
entityname: Own orders
id: <own orders>
read: true
scope: {ACCOUNT}
""",
    "table-permissions/Lines.tablepermission.yml": f"""
adx_entitypermission_webrole:
- <buyers>
appendto: true
entitylogicalname: salesorderdetail
entityname: Lines
id: <own lines>
parententitypermission: <own orders>
parentrelationship: order_details
read: true
scope: {PARENT}
""",
    "table-permissions/Notes.tablepermission.yml": f"""
adx_entitypermission_webrole:
- <buyers>
entitylogicalname: annotation
entityname: Notes
id: <notes>
parententitypermission: <own lines>
parentrelationship: salesorderdetail_Annotations
read: true
scope: {PARENT}
""",
    "column-permission-profiles/prices/Prices.columnpermissionprofile.yml": """
adx_columnpermissionprofile_webrole:
- <buyers>
allcolumnpermissions:
- 746610001
id: <prices>
profilename: Prices
tablename: salesorder
""",
    "column-permission-profiles/prices/totalamount.columnpermission.yml": """
columnname: totalamount
columnpermissionprofileid: <prices>
id: <price column>
permissions:
- 746610001
- 746610002
""",
}
