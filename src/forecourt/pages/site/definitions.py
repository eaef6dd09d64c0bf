"""Records of a site, one per kind of row of the portal's data model (pages-and-dataverse A4, A5.2).

Numbers of choices are the data model's own. ``columns`` of a record holds the file's raw values by the standard
model's keys, those that nothing here reads included, as text: templates may show them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from uuid import UUID

from forecourt.kernel.model import NOWHERE, Where
from forecourt.pages.site.attachments import Attach
from forecourt.pages.site.field_rules import FieldRules
from forecourt.pages.site.list_actions import RowAction
from forecourt.pages.site.list_filters import FilterGroup, Orientation
from forecourt.pages.site.note_settings import NoteRule
from forecourt.pages.site.subgrid_actions import Subgrids


class PageRight(IntEnum):
    """What a page rule grants or restricts (A1.6)."""

    GRANT_CHANGE = 1
    RESTRICT_READ = 2


class RuleScope(IntEnum):
    """``EXCLUDE_FILES``: the rule does not restrict web files that lie directly under its page."""

    ALL_CONTENT = 1
    EXCLUDE_FILES = 2


class WebsiteRight(StrEnum):
    """What a website access permission grants (A1.7), by its column."""

    MANAGE_CONTENT_SNIPPETS = "adx_managecontentsnippets"
    MANAGE_SITE_MARKERS = "adx_managesitemarkers"
    MANAGE_WEB_LINK_SETS = "adx_manageweblinksets"
    PREVIEW_UNPUBLISHED = "adx_previewunpublishedentities"


class FormMode(IntEnum):
    INSERT = 100000000
    EDIT = 100000001
    READ_ONLY = 100000002


class FormSource(IntEnum):
    """Where a form's row comes from."""

    QUERY_STRING = 756150001
    CURRENT_USER = 756150002
    RELATED_TO_USER = 756150003


class Disposition(IntEnum):
    """How a web file is offered."""

    INLINE = 756150000
    ATTACHMENT = 756150001


class TemplateKind(IntEnum):
    """What a page template stands on."""

    REWRITE = 756150000
    WEB_TEMPLATE = 756150001


@dataclass(frozen=True, slots=True)
class WebsiteLanguage:
    """A language of the site. ``code``: as ``en-US``, '' where nothing says it. ``portal``: id of the portal language
    that it stands for; ``published``: whether visitors may choose it."""

    id: UUID
    code: str
    name: str = ""
    where: Where = NOWHERE
    portal: UUID | None = None
    published: bool = True


@dataclass(frozen=True, slots=True)
class WebTemplate:
    """A web template: ``source`` is Liquid, included by ``name`` without regard to case."""

    id: UUID
    name: str
    source: str
    media_type: str = "text/html"
    where: Where = NOWHERE


@dataclass(frozen=True, slots=True)
class PageTemplate:
    """How pages are laid out. ``header_and_footer``: whether the website's stand around it; without them the page has
    the web template's media type."""

    id: UUID
    name: str
    kind: TemplateKind
    web_template: UUID | None = None
    rewrite: str = ""
    header_and_footer: bool = True
    where: Where = NOWHERE


@dataclass(frozen=True, slots=True)
class Redirect:
    """A redirect of ``inbound`` to the first that is given: ``url``, ``page``, the page of the marker ``marker``."""

    name: str
    inbound: str
    url: str = ""
    page: UUID | None = None
    marker: str = ""
    status: int = 302
    where: Where = NOWHERE


@dataclass(frozen=True, slots=True)
class WebRole:
    """``authenticated``/``anonymous``: everybody who is signed in, or is not, holds the role."""

    id: UUID
    name: str
    authenticated: bool = False
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class PageContent:
    """What a page says in one language. ``copy`` and ``summary`` are Liquid over HTML; ``style`` (CSS) and ``script``
    (JavaScript) have none in them."""

    title: str
    copy: str = ""
    summary: str = ""
    style: str = ""
    script: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the tree. ``path`` is absolute and ends with '/'. ``contents``: by language code (``en-US``).

    ``visible``: its publishing state is one that is served; ``state``: that state's id. ``active``: its row is.
    ``form_in_template``: its web template says where its form stands.
    """

    id: UUID
    name: str
    path: str
    contents: Mapping[str, PageContent]
    parent: UUID | None = None
    list: UUID | None = None
    form: UUID | None = None
    order: int = 0
    active: bool = True
    visible: bool = True
    in_sitemap: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    where: Where = NOWHERE
    state: UUID | None = None
    template: UUID | None = None
    multistep: UUID | None = None
    form_in_template: bool = False


@dataclass(frozen=True, slots=True)
class PageRule:
    """``roles``: names; ids that are no role of this site are left out, which can only narrow. ``states``: publishing
    states that the rule is for; () for all."""

    name: str
    page: UUID
    right: PageRight
    scope: RuleScope
    roles: frozenset[str]
    where: Where = NOWHERE
    states: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class WebsiteAccess:
    """A website access permission: who may change what of the site, or see what is not published yet."""

    name: str
    rights: frozenset[WebsiteRight]
    roles: frozenset[str]
    where: Where = NOWHERE


@dataclass(frozen=True, slots=True)
class ListView:
    """A view that a list offers. ``view``: id or name of the table's view; ``label`` '' means the view's own name."""

    view: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class ListDefinition:
    """A list (``adx_entitylist``). ``details``: page that shows a row, where the list names one. ``download``: what
    taking its rows away as a file is called, '' where that is not offered. ``create``: page that makes a row, where the
    list names one, and what it is called. ``filters``: the groups of its panel; ``actions``: of its rows.
    ``person_column``, ``account_column``: limit it to the rows of the asking contact, or of their account."""

    id: UUID
    name: str
    table: str
    views: tuple[ListView, ...]
    page_size: int = 10
    search: bool = False
    search_placeholder: str = ""
    empty_text: str = ""
    id_parameter: str = "id"
    details: UUID | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    where: Where = NOWHERE
    download: str = ""
    create: UUID | None = None
    create_label: str = ""
    filters: tuple[FilterGroup, ...] = ()
    actions: tuple[RowAction, ...] = ()
    orientation: Orientation = Orientation.HORIZONTAL
    apply_label: str = ""
    person_column: str = ""
    account_column: str = ""


@dataclass(frozen=True, slots=True)
class FormDefinition:
    """A basic form (``adx_entityform``). ``form``: name of the table's form. ``success``: said after a change.

    A row that is made leads to ``redirect`` (a page) or ``redirect_url``, with ``append_id`` by the row's id.
    ``person_column``: lookup of a new row that is set to who makes it. ``parent_column``: one that is set to the row
    which the query names by ``parent_parameter``, or the lookup of the relationship ``parent_relation``. ``tab``: only
    the sections of this tab. ``all_required``: every field needs a value. ``delete_label``: what deleting a row is
    called, '' where the form does not offer it; ``delete_question``: what it asks. ``fields``: rules of single columns,
    by logical name. ``attach``: files that are sent with it; ``notes``: the row's notes are shown with it, None
    where they are not;
    ``subgrids``: what its subgrids offer, by their names in lower case;
    ``source_relation``: relationship to contacts by which the person's own contact names the row.
    """

    id: UUID
    name: str
    table: str
    form: str
    mode: FormMode
    source: FormSource = FormSource.QUERY_STRING
    id_parameter: str = "id"
    submit_label: str = ""
    success: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    where: Where = NOWHERE
    redirect: UUID | None = None
    redirect_url: str = ""
    append_id: bool = False
    person_column: str = ""
    parent_column: str = ""
    parent_parameter: str = ""
    all_required: bool = False
    delete_label: str = ""
    delete_question: str = ""
    tab: str = ""
    parent_relation: str = ""
    fields: FieldRules = field(default_factory=dict)
    attach: Attach | None = None
    notes: NoteRule | None = None
    subgrids: Subgrids = field(default_factory=dict)
    source_relation: str = ""


@dataclass(frozen=True, slots=True)
class LinkImage:
    """The picture of a link. ``only``: it stands in place of the name. Sizes in pixels, '' where they are not said."""

    url: str
    text: str = ""
    width: str = ""
    height: str = ""
    only: bool = False


@dataclass(frozen=True, slots=True)
class WebLink:
    """A link of a link set, to a page of the site or to an address. ``validate``: only for who may read the page.
    ``links``: those beneath it; ``child_pages``: templates are to show the pages beneath its page; ``follow``: search
    engines are to follow it."""

    name: str
    page: UUID | None = None
    url: str = ""
    order: int = 0
    new_window: bool = False
    validate: bool = True
    links: tuple[WebLink, ...] = ()
    description: str = ""
    image: LinkImage | None = None
    child_pages: bool = False
    follow: bool = True


@dataclass(frozen=True, slots=True)
class LinkSet:
    """Links of a set in their order. ``copy``: its text, by the site's maker."""

    links: tuple[WebLink, ...] = ()
    id: UUID | None = None
    title: str = ""
    copy: str = ""


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file under a page. ``file``: where its content lies; ``path``: its URL path. ``visible``: its publishing state
    is one that is served; ``release``, ``expiration``: from when, and until when, it is."""

    id: UUID
    name: str
    path: str
    parent: UUID
    file: Path
    media_type: str
    attachment: bool = False
    where: Where = NOWHERE
    visible: bool = True
    release: datetime | None = None
    expiration: datetime | None = None
    order: int = 0
