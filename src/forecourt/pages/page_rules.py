"""Page permissions: whether a person may open a page or a file of the site (pages-and-dataverse A1.6, A1.7).

In this order::

    Access Denied, Page Not Found   readable by everybody
    an inactive page in the chain   (the page and its ancestors) nothing is allowed
    Grant Change                    a rule anywhere in the chain that names one of the person's roles: all is allowed.
                                    Rules for the page's own publishing state, where there are any, stand in for the
                                    others
    Restrict Read                   at EACH level of the chain that has such rules, the person must hold a role of one
                                    of them: levels AND together, roles within a level OR
    otherwise                       read is allowed, change is not

What is not published is seen by who may preview it. A rule is a matter of pages alone: what rows a page
shows is decided by table permissions. A web file is decided by the chain of the page that it lies under, Restrict Read
rules of that page with 'exclude files' left out. (The portal's last open release looks at that one page only, so that
a file beneath a restricted area is open to all; ours is the narrower meaning.)
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from forecourt.kernel import answers
from forecourt.pages.site import Page, PageRight, PageRule, RuleScope, Site, WebFile, WebsiteRight

#: Site markers of pages that everybody may read.
ALWAYS_READABLE = ("Access Denied", "Page Not Found")


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether, and why: the rule or page that decided, where one did."""

    allowed: bool
    reason: str
    rule: PageRule | None = None


def read(site: Site, page: Page, roles: Collection[str]) -> Decision:
    """Whether somebody with the web roles ``roles`` (names) may read ``page``."""
    if any((marked := site.marked(name)) is not None and marked.id == page.id for name in ALWAYS_READABLE):
        return Decision(True, "the page is readable by everybody")
    return _decide(site, page, frozenset(roles), leave_out_file_rules=False)


def read_file(site: Site, file: WebFile, roles: Collection[str]) -> Decision:
    """Whether somebody with the web roles ``roles`` may read the web file."""
    return _decide(site, site.pages[file.parent], frozenset(roles), leave_out_file_rules=True)


def served(site: Site, page: Page, roles: Collection[str]) -> bool:
    """Whether the page and those above it are active, and published or open to the person's preview. A page that is
    not served is as one that does not exist."""
    chain = site.chain(page)
    if not all(item.active for item in chain):
        return False
    return all(item.visible for item in chain) or site.may(WebsiteRight.PREVIEW_UNPUBLISHED, roles)


def may_read(site: Site, page: Page, roles: Collection[str]) -> bool:
    """:func:`read`, of a page that is served to the person."""
    return read(site, page, roles).allowed and served(site, page, roles)


def may_read_file(site: Site, file: WebFile, roles: Collection[str], now: datetime | None = None) -> bool:
    """:func:`read_file`, of a file that is published at ``now`` (the present), or open to the person's preview."""
    if not (read_file(site, file, roles).allowed and served(site, site.pages[file.parent], roles)):
        return False
    now = now or datetime.now(UTC)
    released = file.release is None or file.release <= now
    coming = [moment for moment in (file.release, file.expiration) if moment is not None and moment > now]
    if coming:
        answers.holds_until(min(coming))
    current = released and (file.expiration is None or now < file.expiration)
    return (file.visible and current) or site.may(WebsiteRight.PREVIEW_UNPUBLISHED, roles)


def may_change(site: Site, page: Page, roles: Collection[str]) -> bool:
    """Whether a Grant Change rule of the chain names one of ``roles``."""
    chain = site.chain(page)
    return all(item.active for item in chain) and _granting(site, chain, frozenset(roles)) is not None


def _rules(site: Site, page: Page, right: PageRight) -> tuple[PageRule, ...]:
    return tuple(rule for rule in site.rules if rule.page == page.id and rule.right is right)


def _granting(site: Site, chain: tuple[Page, ...], roles: frozenset[str]) -> PageRule | None:
    """The first rule that grants change. ``chain``: the page first; its publishing state is the one that counts."""
    found = [rule for page in chain for rule in _rules(site, page, PageRight.GRANT_CHANGE)]
    own = [rule for rule in found if chain[0].state in rule.states]
    counting = own or [rule for rule in found if not rule.states]
    return next((rule for rule in counting if rule.roles & roles), None)


def _decide(site: Site, page: Page, roles: frozenset[str], *, leave_out_file_rules: bool) -> Decision:
    chain = site.chain(page)
    for item in chain:
        if not item.active:
            return Decision(False, f"the page {item.path} is inactive")
    granting = _granting(site, chain, roles)
    if granting is not None:
        return Decision(True, f"the rule '{granting.name}' grants change", granting)
    for item in chain:
        restricting = _rules(site, item, PageRight.RESTRICT_READ)
        if leave_out_file_rules and item.id == page.id:
            restricting = tuple(rule for rule in restricting if rule.scope is not RuleScope.EXCLUDE_FILES)
        if restricting and not any(rule.roles & roles for rule in restricting):
            return Decision(False, f"the rule '{restricting[0].name}' restricts {item.path}", restricting[0])
    return Decision(True, "no rule restricts the page")
