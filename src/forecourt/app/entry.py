"""The ways into a portal, put together: mail and its letters, and what the site's settings open."""

from __future__ import annotations

from dataclasses import dataclass, replace

from forecourt.identity.accounts import Accounts
from forecourt.identity.clock import utc_now
from forecourt.identity.entry import EntryRules
from forecourt.identity.fetch import ask
from forecourt.identity.invitations import Invitations
from forecourt.identity.links import Links
from forecourt.identity.mail.languages import Languages
from forecourt.identity.mail.letters import Letters
from forecourt.identity.mail.outbox import Outbox
from forecourt.identity.mail.sender import Sender
from forecourt.identity.mail.smtp import server_of
from forecourt.identity.pending import Pending
from forecourt.identity.providers.client import ProviderClient
from forecourt.identity.providers.definitions import read_providers
from forecourt.identity.providers.identities import ExternalIdentities
from forecourt.identity.recovery import Recovery
from forecourt.identity.registration import MailLimits, Registration
from forecourt.identity.second_factor import SecondFactors
from forecourt.identity.throttle import Throttle
from forecourt.kernel.observe import Fault, Observer
from forecourt.kernel.solution import variable
from forecourt.pages.ports import Entry, ExternalDoors
from forecourt.pages.site.site import Site
from forecourt.settings import SettingError, Settings
from forecourt.store.catalog import Table
from forecourt.store.database import Database
from forecourt.web.translation import gettext, language_of


def sender_of(settings: Settings, outbox: Outbox, observer: Observer) -> Sender | None:
    """Who sends to the mail server that the settings name. Raises MailError."""
    given = settings
    if not given.smtp_host:
        return None
    credentials = (given.smtp_user, given.smtp_password, given.smtp_from, given.smtp_authority)
    server = server_of(given.smtp_host, given.smtp_port, given.smtp_security, *credentials)
    return Sender(outbox, server, utc_now, observer)


def letters_of(site: Site | None, title: str, settings: Settings) -> Letters:
    """What is written to a site's people."""
    if site is None:
        return Letters(title, settings.origin, "", gettext, language_of)
    portal = {str(item.portal): item.code for item in site.languages.values()}
    languages = Languages(site.language, portal)
    return Letters(title, settings.origin, site.setting("Support/Contact"), gettext, language_of, languages)


@dataclass(frozen=True)
class Doors:
    """What the ways in work with. ``mails``: there is a mail server."""

    store: Database
    accounts: Accounts
    links: Links
    invitations: Invitations
    factors: SecondFactors
    pending: Pending
    outbox: Outbox
    letters: Letters
    mails: bool
    observer: Observer
    contact: Table | None


def external_of(rules: EntryRules, site: Site, settings: Settings, doors: Doors) -> ExternalDoors | None:
    """The sign-in providers of a site's settings; one whose secret the environment lacks is closed, and observed."""
    if not rules.external or doors.contact is None:
        return None
    reading = read_providers(site.settings, variable, settings.origin)
    for name, text in reading.unset:
        doors.observer(Fault("sign-in providers", SettingError(f"{name}: {text}")))
    if not reading.providers:
        return None
    identities = ExternalIdentities(
        doors.store,
        utc_now,
        doors.observer,
        doors.invitations,
        doors.contact,
        registers=rules.registers,
        matches=not rules.invitation_only,
        opens=rules.open,
    )
    clients = {item.name.lower(): ProviderClient(item, settings.origin, ask, utc_now) for item in reading.providers}
    refusal = "Too many sign-ins through a provider were begun from this address."
    return ExternalDoors(clients, identities, Throttle(doors.store, utc_now, name="provider", refusal=refusal))


def entry_of(rules: EntryRules, site: Site, settings: Settings, doors: Doors) -> Entry:
    """The ways into a portal; those that need mail are closed without a mail server."""
    external = external_of(rules, site, settings, doors)
    entry = Entry(
        rules.local,
        rules.remember,
        invitations=doors.invitations if rules.invited and (rules.local or external) else None,
        two_factor=rules.two_factor,
        trust=rules.trust,
        factors=doors.factors,
        pending=doors.pending,
        external=external,
    )
    if not doors.mails or not rules.local:
        return entry
    store, accounts, links, outbox, observer = doors.store, doors.accounts, doors.links, doors.outbox, doors.observer
    letters, limits = doors.letters, MailLimits(store, utc_now)
    registration = Registration(store, utc_now, observer, accounts, links, limits, letters, outbox, doors.invitations)
    recovery = Recovery(store, observer, accounts, links, limits, letters, outbox)
    return replace(
        entry,
        open=rules.open,
        registration=registration if rules.open or rules.invited else None,
        recovery=recovery if rules.reset else None,
    )
