"""A site as one frozen value, with what other parts of the product take from it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar
from uuid import UUID

from forecourt.kernel.errors import DefinitionError
from forecourt.pages.site.definitions import (
    FormDefinition,
    LinkSet,
    ListDefinition,
    Page,
    PageContent,
    PageRule,
    PageTemplate,
    Redirect,
    WebFile,
    WebRole,
    WebsiteAccess,
    WebsiteLanguage,
    WebsiteRight,
    WebTemplate,
)
from forecourt.pages.site.secrets import holds_secret, speaks_of_secret
from forecourt.pages.site.step_definitions import MultistepForm
from forecourt.security.rules import ColumnProfile, TablePermission

HOME = "/"

T = TypeVar("T")


@dataclass(frozen=True)
class WebRoles:
    """The site's roles. ``others``: ids of roles that are inactive or another site's."""

    roles: tuple[WebRole, ...] = ()
    others: frozenset[UUID] = frozenset()

    @cached_property
    def _names(self) -> Mapping[UUID, str]:
        return {role.id: role.name for role in self.roles}

    def name_of(self, role_id: UUID) -> str | None:
        """The name of the role, None when the site has none with this id."""
        return self._names.get(role_id)

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(self._names.values())

    @cached_property
    def authenticated(self) -> frozenset[str]:
        """Roles that every signed-in person holds: all with the flag (A1.1)."""
        return frozenset(role.name for role in self.roles if role.authenticated)

    @cached_property
    def anonymous(self) -> frozenset[str]:
        """Roles that a visitor who is not signed in holds: all with the flag."""
        return frozenset(role.name for role in self.roles if role.anonymous)


@dataclass(frozen=True)
class Site:
    """``language``: code of the default language. ``snippets``, ``links``: by language code, then name.

    ``header``, ``footer``: ids of web templates. ``notices``: what is odd in the files but harmless, as
    ``file:line: text``; ``findings``: rules that cannot mean what their author meant.
    """

    id: UUID
    name: str
    language: str
    pages: Mapping[UUID, Page]
    web_roles: WebRoles = WebRoles()
    rules: tuple[PageRule, ...] = ()
    permissions: tuple[TablePermission, ...] = ()
    web_api_columns: Mapping[str, frozenset[str]] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    markers: Mapping[str, UUID] = field(default_factory=dict)
    lists: Mapping[UUID, ListDefinition] = field(default_factory=dict)
    forms: Mapping[UUID, FormDefinition] = field(default_factory=dict)
    links: Mapping[str, Mapping[str, LinkSet]] = field(default_factory=dict)
    snippets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    files: Mapping[str, WebFile] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    column_profiles: tuple[ColumnProfile, ...] = ()
    website_access: tuple[WebsiteAccess, ...] = ()
    findings: tuple[DefinitionError, ...] = ()
    languages: Mapping[UUID, WebsiteLanguage] = field(default_factory=dict)
    web_templates: Mapping[UUID, WebTemplate] = field(default_factory=dict)
    page_templates: Mapping[UUID, PageTemplate] = field(default_factory=dict)
    header: UUID | None = None
    footer: UUID | None = None
    redirects: tuple[Redirect, ...] = ()
    multistep_forms: Mapping[UUID, MultistepForm] = field(default_factory=dict)

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """Codes of the languages that visitors may choose, the site's own first; () where the site names none."""
        known = (item.code for item in self.languages.values() if item.published and item.code)
        return tuple(dict.fromkeys(sorted(known, key=lambda code: code != self.language)))

    def may(self, right: WebsiteRight, roles: Collection[str]) -> bool:
        """Whether a website access permission of one of the web roles ``roles`` gives the right (A1.7)."""
        return any(right in item.rights and not item.roles.isdisjoint(roles) for item in self.website_access)

    @cached_property
    def by_path(self) -> Mapping[str, Page]:
        """Pages by path in lower case, with the closing '/'. An inactive page gives way to an active one."""
        pages = sorted(self.pages.values(), key=lambda page: page.active)
        return {page.path.lower(): page for page in pages}

    def page_at(self, path: str) -> Page | None:
        """The page at a URL path; case and a missing closing '/' do not matter."""
        key = path.lower()
        return self.by_path.get(key if key.endswith("/") else key + "/")

    def web_template(self, name: str) -> WebTemplate | None:
        """The web template of that name, whatever its case."""
        return self._templates.get(name.lower())

    @cached_property
    def _templates(self) -> Mapping[str, WebTemplate]:
        return {template.name.lower(): template for template in [*self.web_templates.values()][::-1]}

    @cached_property
    def style_sheets(self) -> tuple[WebFile, ...]:
        """Web files that pages beneath their own are shown with. Bootstrap is the product's."""
        files = (file for file in self.files.values() if file.path.lower().endswith(".css"))
        return tuple(file for file in files if not file.path.lower().endswith(("/bootstrap.min.css", "/bootstrap.css")))

    def file_at(self, path: str) -> WebFile | None:
        return self.files.get(path.lower())

    @property
    def home(self) -> Page | None:
        return self.page_at(HOME)

    def marked(self, marker: str) -> Page | None:
        """The page behind a site marker, whatever the marker's case."""
        found = self._markers.get(marker.lower())
        return self.pages.get(found) if found else None

    @cached_property
    def _markers(self) -> Mapping[str, UUID]:
        return {name.lower(): page for name, page in self.markers.items()}

    def chain(self, page: Page) -> tuple[Page, ...]:
        """The page and its ancestors, nearest first."""
        found = [page]
        while found[-1].parent is not None and found[-1].parent in self.pages:
            found.append(self.pages[found[-1].parent])
        return tuple(found)

    def children(self, page: Page) -> tuple[Page, ...]:
        """Pages directly beneath, in their order."""
        return self._children.get(page.id, ())

    @cached_property
    def _children(self) -> Mapping[UUID, tuple[Page, ...]]:
        found: dict[UUID, list[Page]] = {}
        for page in self.in_order:
            if page.parent is not None:
                found.setdefault(page.parent, []).append(page)
        return {parent: tuple(pages) for parent, pages in found.items()}

    @cached_property
    def in_order(self) -> tuple[Page, ...]:
        """All pages: by display order, then name."""
        return tuple(sorted(self.pages.values(), key=lambda page: (page.order, page.name.lower(), page.path)))

    @cached_property
    def in_tree(self) -> tuple[Page, ...]:
        """All pages as a table of contents lists them: each before those beneath it."""
        found: list[Page] = []

        def walk(page: Page) -> None:
            found.append(page)
            for child in self.children(page):
                walk(child)

        for page in self.in_order:
            if page.parent is None:
                walk(page)
        return tuple(found)

    def list_of(self, page: Page) -> ListDefinition | None:
        return self.lists.get(page.list) if page.list else None

    def form_of(self, page: Page) -> FormDefinition | None:
        return self.forms.get(page.form) if page.form else None

    def multistep_of(self, page: Page) -> MultistepForm | None:
        return self.multistep_forms.get(page.multistep) if page.multistep else None

    def setting(self, name: str, default: str = "") -> str:
        """A site setting; names match without regard to case."""
        return self._settings.get(name.lower(), default)

    @cached_property
    def _settings(self) -> Mapping[str, str]:
        return {name.lower(): value for name, value in self.settings.items()}

    @cached_property
    def open_settings(self) -> Mapping[str, str]:
        """The settings that a template may read: all whose name does not speak of a secret and whose value is none."""
        items = self.settings.items()
        return {name: value for name, value in items if not (speaks_of_secret(name) or holds_secret(name, value))}

    def content(self, page: Page, languages: Iterable[str] = ()) -> PageContent:
        """What the page says in the first of ``languages`` that it has, else in the site's, else in any."""
        return self._best(page.contents, languages) or PageContent(page.name)

    def link_set(self, name: str, languages: Iterable[str] = ()) -> LinkSet:
        """The set of a name; one without links when the site has no such set."""
        having = {code: sets for code, sets in self.links.items() if name in sets}
        best = self._best(having, languages)
        return best[name] if best else LinkSet()

    def snippet(self, name: str, languages: Iterable[str] = ()) -> str:
        """The text of a content snippet, '' where there is none."""
        having = {code: texts for code, texts in self.snippets.items() if name in texts}
        best = self._best(having, languages)
        return best[name] if best else ""

    def _best(self, by_language: Mapping[str, T], languages: Iterable[str]) -> T | None:
        if not by_language:
            return None
        known = {code.lower(): code for code in by_language}
        for wanted in (*languages, self.language):
            exact = wanted.lower()
            if exact in known:
                return by_language[known[exact]]
            stem = exact.split("-")[0]
            near = next((known[code] for code in known if code.split("-")[0] == stem), None)
            if near is not None:
                return by_language[near]
        return next(iter(by_language.values()))
