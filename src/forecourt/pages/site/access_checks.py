"""What is well-formed in a site's page rules and cannot mean what its author meant (pages-and-dataverse A1.6, A1.7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from uuid import UUID

from forecourt.kernel.errors import DefinitionError
from forecourt.kernel.model import Where
from forecourt.pages.site.definitions import (
    Page,
    PageRight,
    PageRule,
    RuleScope,
    WebsiteAccess,
)
from forecourt.pages.site.site import HOME, WebRoles


def findings(
    pages: Mapping[UUID, Page], rules: Iterable[PageRule], access: Iterable[WebsiteAccess], roles: WebRoles
) -> Iterator[DefinitionError]:
    """Page rules and website access permissions without effect, or with another one than it seems (FC6007)."""
    restricting: dict[UUID, PageRule] = {}
    for rule in rules:
        page = pages[rule.page]
        if not rule.roles:
            effect = "nobody may read" if rule.right is PageRight.RESTRICT_READ else "nobody may change"
            what = f"the page rule '{rule.name}' has no active web role: {effect} {page.path} by it."
            yield _finding(rule.where, what, "Name the web roles that it is for.")
        elif visitors := rule.roles & (roles.anonymous - roles.authenticated):
            what = f"the page rule '{rule.name}' names {', '.join(sorted(visitors))}, the web role of visitors."
            yield _finding(
                rule.where, what, "A page that visitors read needs no rule; people who sign in lose it here."
            )
        if rule.right is not PageRight.RESTRICT_READ:
            continue
        if page.path == HOME and rule.scope is not RuleScope.EXCLUDE_FILES:
            what = f"the page rule '{rule.name}' restricts the home page with its files: sign-in has no styles then."
            yield _finding(rule.where, what, "Write adx_scope: 2, which leaves the files out.")
        first = restricting.setdefault(rule.page, rule)
        if first is not rule:
            what = f"the page rule '{rule.name}' is the second that restricts {page.path}: holders of either may read."
            yield _finding(rule.where, what, f"Add its web roles to '{first.name}'.")
    for item in access:
        if not item.roles:
            what = f"the website access permission '{item.name}' has no active web role: it has no effect."
            yield _finding(item.where, what, "Name the web roles that it is for.")


def _finding(where: Where, what: str, hint: str) -> DefinitionError:
    return DefinitionError(where.file, where.line, what, hint, "FC6007")
