"""The ways into a portal, put together: the post, the letters, and what the site's settings open."""

from __future__ import annotations

from dataclasses import dataclass, replace

from forecourt.identity.accounts import Accounts
from forecourt.identity.clock import utc_now
from forecourt.identity.entry import EntryRules
from forecourt.identity.invitations import Invitations
from forecourt.identity.letters import Letters
from forecourt.identity.links import Links
from forecourt.identity.mail import Smtp, server_of
from forecourt.identity.pending import Pending
from forecourt.identity.recovery import Recovery
from forecourt.identity.registration import MailLimits, Registration
from forecourt.identity.second_factor import SecondFactors
from forecourt.kernel.observe import Observer
from forecourt.pages.ports import Entry
from forecourt.pages.site.site import Site
from forecourt.settings import Settings
from forecourt.store.database import Database


def post_of(settings: Settings, observer: Observer) -> Smtp | None:
    """The post to the mail server that the settings name. Raises MailError."""
    given = settings
    if not given.smtp_host:
        return None
    credentials = (given.smtp_user, given.smtp_password, given.smtp_from, given.smtp_authority)
    server = server_of(given.smtp_host, given.smtp_port, given.smtp_security, *credentials)
    return Smtp(server, observer)


@dataclass(frozen=True)
class Doors:
    """What the ways in work with. ``post`` None: no mail."""

    store: Database
    accounts: Accounts
    links: Links
    invitations: Invitations
    factors: SecondFactors
    pending: Pending
    post: Smtp | None
    observer: Observer


def entry_of(rules: EntryRules, site: Site, title: str, settings: Settings, doors: Doors) -> Entry:
    """The ways into a portal; those that need mail are closed without a mail server."""
    entry = Entry(
        rules.local,
        rules.remember,
        invitations=doors.invitations if rules.invited else None,
        two_factor=rules.two_factor,
        trust=rules.trust,
        factors=doors.factors,
        pending=doors.pending,
    )
    if doors.post is None:
        return entry
    store, accounts, links, post, observer = doors.store, doors.accounts, doors.links, doors.post, doors.observer
    letters = Letters(title, settings.origin, site.setting("Support/Contact") or f"your contact at {title}")
    limits = MailLimits(store, utc_now)
    registration = Registration(store, utc_now, observer, accounts, links, limits, letters, post, doors.invitations)
    recovery = Recovery(store, observer, accounts, links, limits, letters, post)
    return replace(
        entry,
        open=rules.open,
        registration=registration if rules.open or rules.invited else None,
        recovery=recovery if rules.reset else None,
    )
