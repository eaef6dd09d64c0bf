"""The kinds of rows that a site's folder holds, and how both data models name their files and keys.

One table serves reader and writer: a kind knows the ending of its files, its key column, where the standard and the
enhanced data model put it, and which long texts lie beside it (pages-and-dataverse A5.2, A5.3). Inside, every key has
the standard model's name (``adx_name``); ``canonical`` and ``written`` translate. Kinds that are not in the table are
not supported; ``UNSUPPORTED`` has words for those that exports are known to hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class DataModel(StrEnum):
    """The two data models of a site. Standard: keys with ``adx_``. Enhanced: keys without a prefix, or ``mspp_``."""

    STANDARD = "standard"
    ENHANCED = "enhanced"


#: What both models keep beside the site: its languages, and pac's own bookkeeping.
CONFIG_FOLDER: Final = ".portalconfig"


@dataclass(frozen=True)
class Kind:
    """A kind of row.

    ``name`` is the ending of its files: ``<Name>.<name>.yml`` is a row, ``<name>.yml`` a list of them. ``folder``: the
    standard model's, '' where it writes one list for all rows. ``enhanced``: the other model's folder. ``nested``: each
    row has a folder of its own. ``owner`` and ``owned_by``: kind of the row it lies beside, and the column that names
    that row. ``language``: the column that names the row's language. ``aliases``: endings of older exports.
    """

    name: str
    words: str
    id: str
    folder: str
    enhanced: str
    nested: bool = False
    owner: str = ""
    owned_by: str = ""
    language: str = ""
    aliases: tuple[str, ...] = ()
    label: str = "adx_name"

    @property
    def endings(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)


WEBSITE: Final = Kind("website", "website", "adx_websiteid", "", "")
LANGUAGE: Final = Kind("websitelanguage", "website languages", "adx_websitelanguageid", "", "site-languages")
PORTAL_LANGUAGE: Final = Kind(
    "portallanguage", "portal languages", "adx_portallanguageid", CONFIG_FOLDER, CONFIG_FOLDER
)
STATE: Final = Kind("publishingstate", "publishing states", "adx_publishingstateid", "", "publishing-states")
ROLE: Final = Kind("webrole", "web roles", "adx_webroleid", "", "web-roles")
SETTING: Final = Kind("sitesetting", "site settings", "adx_sitesettingid", "", "site-settings")
MARKER: Final = Kind("sitemarker", "site markers", "adx_sitemarkerid", "", "sitemarkers")
RULE: Final = Kind(
    *("webpagerule", "page rules", "adx_webpageaccesscontrolruleid", "", "webpage-rules"),
    aliases=("webpageaccesscontrolrule",),
)
ACCESS: Final = Kind("websiteaccess", "website access permissions", "adx_websiteaccessid", "", "website-accesss")
REDIRECT: Final = Kind("redirect", "redirects", "adx_redirectid", "", "redirects")
PAGE: Final = Kind(
    "webpage", "web pages", "adx_webpageid", "web-pages", "web-pages", nested=True, language="adx_webpagelanguageid"
)
WEB_TEMPLATE: Final = Kind(
    "webtemplate", "web templates", "adx_webtemplateid", "web-templates", "web-templates", nested=True
)
PAGE_TEMPLATE: Final = Kind("pagetemplate", "page templates", "adx_pagetemplateid", "page-templates", "page-templates")
WEB_FILE: Final = Kind("webfile", "web files", "adx_webfileid", "web-files", "web-files")
SNIPPET: Final = Kind(
    *("contentsnippet", "content snippets", "adx_contentsnippetid", "content-snippets", "content-snippets"),
    nested=True,
    language="adx_contentsnippetlanguageid",
)
LINK_SET: Final = Kind(
    *("weblinkset", "web link sets", "adx_weblinksetid", "weblink-sets", "weblink-sets"),
    nested=True,
    language="adx_websitelanguageid",
)
LINK: Final = Kind(
    *("weblink", "web links", "adx_weblinkid", "weblink-sets", "weblink-sets"),
    owner="weblinkset",
    owned_by="adx_weblinksetid",
)
LIST: Final = Kind("list", "lists", "adx_entitylistid", "lists", "lists", aliases=("entitylist",))
FORM: Final = Kind(
    *("basicform", "basic forms", "adx_entityformid", "basic-forms", "basic-forms"),
    nested=True,
    aliases=("entityform",),
)
FORM_METADATA: Final = Kind(
    *("basicformmetadata", "basic form metadata", "adx_entityformmetadataid", "basic-forms", "basic-forms"),
    owner="basicform",
    owned_by="adx_entityform",
    aliases=("entityformmetadata",),
)
MULTISTEP: Final = Kind(
    *("advancedform", "multistep forms", "adx_webformid", "advanced-forms", "advanced-forms"),
    nested=True,
    aliases=("webform",),
)
STEP: Final = Kind(
    *("advancedformstep", "steps of multistep forms", "adx_webformstepid", "advanced-forms", "advanced-forms"),
    nested=True,
    owner="advancedform",
    owned_by="adx_webform",
    aliases=("webformstep",),
)
STEP_METADATA: Final = Kind(
    *("advancedformmetadata", "metadata of steps", "adx_webformmetadataid", "advanced-forms", "advanced-forms"),
    owner="advancedformstep",
    owned_by="adx_webformstep",
    aliases=("advancedformstepmetadata", "webformmetadata"),
)
PERMISSION: Final = Kind(
    *("tablepermission", "table permissions", "adx_entitypermissionid", "table-permissions", "table-permissions"),
    aliases=("entitypermission",),
    label="adx_entityname",
)
PROFILE: Final = Kind(
    *("columnpermissionprofile", "column permission profiles", "adx_columnpermissionprofileid"),
    *("column-permission-profiles", "column-permission-profiles"),
    nested=True,
    label="adx_profilename",
)
COLUMN: Final = Kind(
    *("columnpermission", "column permissions", "adx_columnpermissionid"),
    *("column-permission-profiles", "column-permission-profiles"),
    owner="columnpermissionprofile",
    owned_by="adx_columnpermissionprofileid",
    label="adx_columnname",
)

KINDS: Final[tuple[Kind, ...]] = (
    *(WEBSITE, LANGUAGE, PORTAL_LANGUAGE, STATE, ROLE, SETTING, MARKER, RULE, ACCESS, REDIRECT, PAGE, WEB_TEMPLATE),
    *(PAGE_TEMPLATE, WEB_FILE, SNIPPET, LINK_SET, LINK, LIST, FORM, FORM_METADATA, MULTISTEP, STEP, STEP_METADATA),
    *(PERMISSION, PROFILE, COLUMN),
)

BY_ENDING: Final[Mapping[str, Kind]] = {ending: kind for kind in KINDS for ending in kind.endings}

#: What else exports hold, by the ending of the file's name or by its folder.
UNSUPPORTED: Final[Mapping[str, str]] = {
    "shortcut": "shortcuts",
    "urlhistory": "former addresses of pages",
    "tag": "tags",
    "poll": "polls",
    "polls": "polls",
    "polloption": "polls",
    "pollplacement": "polls",
    "ad": "ads",
    "ads": "ads",
    "adplacement": "ads",
    "blog": "blogs",
    "blogs": "blogs",
    "blogpost": "blogs",
    "forum": "forums",
    "forums": "forums",
    "botconsumer": "bots",
    "bot-consumers": "bots",
    "cloudflowconsumer": "cloud flows",
    "cloud-flow-consumer": "cloud flows",
    "serverlogic": "server logic",
    "server-logic": "server logic",
    "source-files": "source files of a code site",
    "websitebinding": "website bindings",
    "deployment-profiles": "deployment profiles",
}

#: Columns of every table, and those of the note that holds a file: no prefix in either model.
_PLAIN: Final = frozenset(
    {
        "statecode", "statuscode", "createdon", "createdby", "modifiedon", "modifiedby", "ownerid",
        "owningbusinessunit", "versionnumber", "importsequencenumber", "overriddencreatedon",
        "timezoneruleversionnumber", "utcconversiontimezonecode", "annotationid", "filename", "filesize",
        "mimetype", "isdocument", "objectid", "objecttypecode", "documentbody", "notetext", "subject",
    }
)  # fmt: skip

#: First words of the data model's own columns that have more than one. Others before a ``_`` are publishers' prefixes.
_WORDS: Final = frozenset(
    {
        "display", "website", "filter", "calendar", "map", "odata", "geolocation", "grid", "fromstate", "tostate",
        "notes", "subgrid", "timeline",
        "entitypermission", "webpageaccesscontrolrule", "websiteaccess", "columnpermissionprofile",
        "accesscontrolrule", "publishingstatetransitionrule", "webpage", "contentaccesslevel",
    }
)  # fmt: skip

#: Many-to-many links: the enhanced model keeps their prefix.
_LINKS: Final = frozenset(
    {
        "adx_entitypermission_webrole", "adx_webpageaccesscontrolrule_webrole", "adx_websiteaccess_webrole",
        "adx_columnpermissionprofile_webrole", "adx_accesscontrolrule_publishingstate",
    }
)  # fmt: skip

#: Columns that the enhanced model calls otherwise, by kind.
_RENAMED: Final[Mapping[str, Mapping[str, str]]] = {"redirect": {"adx_redirectstatuscode": "adx_statuscode"}}


def canonical(kind: Kind, key: str, model: DataModel) -> str:
    """The standard model's name of a key, whatever its case and prefix.

    >>> canonical(PAGE, "id", DataModel.ENHANCED), canonical(PAGE, "mspp_Title", DataModel.ENHANCED)
    ('adx_webpageid', 'adx_title')
    """
    lower = key.lower()
    if lower.startswith("mspp_"):
        lower = "adx_" + lower.removeprefix("mspp_")
    elif model is DataModel.ENHANCED and not lower.startswith("adx_"):
        first, _, rest = lower.partition("_")
        if lower == "id":
            return kind.id
        if lower not in _PLAIN and (not rest or first in _WORDS):
            lower = "adx_" + lower
    return _RENAMED.get(kind.name, {}).get(lower, lower)


def written(kind: Kind, key: str, model: DataModel) -> str:
    """A canonical key as ``model`` writes it.

    >>> written(PAGE, "adx_webpageid", DataModel.ENHANCED), written(PAGE, "adx_title", DataModel.ENHANCED)
    ('id', 'title')
    """
    if model is DataModel.STANDARD or key in _LINKS:
        return key
    if key == kind.id:
        return "id"
    for enhanced, standard in _RENAMED.get(kind.name, {}).items():
        if key == standard:
            key = enhanced
    bare = key.removeprefix("adx_")
    return bare if key.startswith("adx_") and canonical(kind, bare, DataModel.ENHANCED) == key else key
