"""The composition root: opens a solution's databases, builds every part with its constructor arguments, serves.

Nothing imports it but the server and the command line. Order: connect, prepare (migrations, built-in tables), load the
files against the catalogs, build. Sample data, where a solution has some, is loaded between prepare and load by who
asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from forecourt.app.databases import PREPARING, Databases, base_currency, connect, prepare, read_table_files
from forecourt.app.definitions import Definitions, load_definitions, read_header
from forecourt.app.entry import Doors, entry_of, letters_of, sender_of
from forecourt.dataverse.cascades import Cascades
from forecourt.dataverse.organization import Enlisting
from forecourt.dataverse.pipeline import Pipeline
from forecourt.dataverse.service import TableRows
from forecourt.dataverse.stamps import Stamps
from forecourt.dataverse.web_api import PortalRequests
from forecourt.identity.accounts import Accounts
from forecourt.identity.applications import Applications
from forecourt.identity.bearer import Bearer
from forecourt.identity.clock import utc_now
from forecourt.identity.contacts import Contacts
from forecourt.identity.endpoint import TokenEndpoint
from forecourt.identity.entry import entry_rules
from forecourt.identity.fetch import fetch
from forecourt.identity.invitations import Invitations
from forecourt.identity.issuers import Issuers
from forecourt.identity.links import Links
from forecourt.identity.mail.letters import Letters
from forecourt.identity.mail.outbox import Outbox as MailOutbox
from forecourt.identity.mail.sender import Sender
from forecourt.identity.owners import Owners
from forecourt.identity.passwords import Passwords
from forecourt.identity.pending import Pending
from forecourt.identity.people import People
from forecourt.identity.principals import Principals
from forecourt.identity.second_factor import SecondFactors
from forecourt.identity.sessions import Sessions
from forecourt.identity.throttle import Throttle
from forecourt.identity.tokens import Tokens
from forecourt.identity.vault import Vault
from forecourt.integration.dual_write.alerts import Alarm
from forecourt.integration.dual_write.flow import Flow
from forecourt.integration.dual_write.flow import Plane as SyncPlane
from forecourt.integration.dual_write.jobs import Copies, MapJobs
from forecourt.integration.dual_write.life import DualWrite
from forecourt.integration.dual_write.live import Live
from forecourt.integration.dual_write.queued import Queue
from forecourt.integration.dual_write.repair import Repairer
from forecourt.integration.dual_write.verify import Verifier
from forecourt.kernel.change import SidedLogic
from forecourt.kernel.observe import Observer, fan_out, nobody
from forecourt.kernel.principal import Door
from forecourt.kernel.relation import TableName
from forecourt.kernel.solution import SolutionHeader
from forecourt.kernel.steps import Step, unwatched
from forecourt.kernel.sync import Side
from forecourt.odata.dialect import PORTAL
from forecourt.operations.logic import EntityLogic
from forecourt.operations.packages.blobs import Blobs
from forecourt.operations.packages.jobs import Jobs
from forecourt.operations.packages.register import Register
from forecourt.operations.sequences import TABLE as NUMBERS
from forecourt.operations.users import Users
from forecourt.pages.application import Portal
from forecourt.pages.options import PortalOptions
from forecourt.pages.site.site import WebRoles
from forecourt.security.explain import Explainer, Reverse
from forecourt.security.fetches import Fetches
from forecourt.security.gate import Gate, Plane
from forecourt.security.scopes import Scopes
from forecourt.security.standing import USERS, Standings
from forecourt.settings import Settings
from forecourt.store.catalog import Catalog, Table, read_catalog
from forecourt.store.form_sessions import FormSessions
from forecourt.store.moments import Moments
from forecourt.store.page_texts import PageTexts
from forecourt.store.recovery import in_doubt
from forecourt.store.seals import Seals
from forecourt.store.security_log import SecurityLog
from forecourt.store.submissions import Submissions
from forecourt.store.sync.bulk import Bulk
from forecourt.store.sync.ends import Ends
from forecourt.store.sync.journal import Journal
from forecourt.store.sync.outbox import Outbox
from forecourt.store.sync.registry import Registry as SyncRegistry
from forecourt.store.work import Coordinator
from forecourt.studio import Studio, StudioOptions

__all__ = [
    "PREPARING",
    "Databases",
    "Definitions",
    "Forecourt",
    "base_currency",
    "build",
    "connect",
    "load_definitions",
    "prepare",
    "read_header",
    "read_table_files",
]


@dataclass(frozen=True)
class Forecourt:
    """A solution with all its parts, ready to serve or to be asked."""

    settings: Settings
    definitions: Definitions
    databases: Databases
    users: Users
    scopes: Scopes
    coordinator: Coordinator
    operations_gate: Gate
    dataverse_gate: Gate
    rows: TableRows
    contacts: Contacts
    principals: Principals
    people: People
    explainer: Explainer
    reverse: Reverse
    accounts: Accounts
    applications: Applications
    sessions: Sessions
    throttle: Throttle
    links: Links
    invitations: Invitations
    factors: SecondFactors
    pending: Pending
    mail: MailOutbox
    letters: Letters
    sender: Sender | None
    tokens: Tokens
    bearer: Bearer
    token_endpoint: TokenEndpoint
    portal: Portal | None
    studio: Studio
    copies: Copies
    packages: Jobs
    observer: Observer
    security_log: SecurityLog
    seals: Seals

    @property
    def dual_write(self) -> DualWrite:
        return self.copies.life

    @property
    def verifier(self) -> Verifier:
        return self.copies.verifier

    async def doubts(self) -> list[float]:
        """The ages in seconds of prepared transactions. Raises Unavailable."""
        return [doubt.age for doubt in await in_doubt(self.coordinator)]

    @property
    def header(self) -> SolutionHeader:
        return self.definitions.header


async def build(
    root: Path, databases: Databases, settings: Settings, observer: Observer = nobody, step: Step = unwatched
) -> Forecourt:
    """Loads the solution against its databases and builds all parts. ``step``: see ``kernel/steps``.

    Raises DefinitionErrors.
    """
    security_log, seals = SecurityLog(databases.dataverse, observer), Seals(databases.dataverse, observer)
    observer = fan_out(observer, security_log.observe)
    catalog = await read_catalog(databases.operations)
    native = catalog if databases.shared else await read_catalog(databases.dataverse)
    found = load_definitions(root, catalog)
    header, rules = found.header, found.rules
    users = Users(found.operations.users, found.operations.user_tables, databases.operations, catalog)
    standings = None
    if USERS in native.tables:
        standings = Standings(rules.dataverse, databases.dataverse, native, Enlisting(databases.dataverse))
    scopes = Scopes(rules, users, databases.operations, catalog, standings=standings)
    operations_plane, dataverse_plane = Plane(databases.operations, catalog), Plane(databases.dataverse, native)
    coordinator = Coordinator({"operations": databases.operations, "dataverse": databases.dataverse}, step=step)
    logic = EntityLogic(
        found.operations.hooks,
        found.operations.sequences,
        found.operations.fields,
        databases.operations,
        tuple(found.operations.model.legal_entities),
    )
    if found.operations.sequences.definitions:
        await databases.operations.script("make the number sequences", NUMBERS.format(lock=PREPARING))
    operations_gate = Gate(
        rules, found.operations.model, scopes, operations_plane, None, observer, coordinator, logic=logic
    )
    plugins = found.dataverse.plugins
    dataverse_gate = Gate(
        rules,
        found.tables.model,
        scopes,
        operations_plane,
        dataverse_plane,
        observer,
        coordinator,
        logic=SidedLogic(Pipeline(plugins, Cascades(found.tables.model, databases.dataverse, plugins)), logic),
        behind=operations_gate,
        stamp=Stamps(found.dataverse.statuses),
    )
    rows = TableRows(found.tables, dataverse_gate, rules, Submissions(databases.dataverse))
    copies = await _dual_write(
        found, databases, coordinator, operations_gate, dataverse_gate, (catalog, native), observer, step
    )

    store = databases.dataverse
    passwords = Passwords()
    throttle = Throttle(store, utc_now)
    setting = found.site.setting if found.site is not None else (lambda name: "")
    entry = entry_rules(setting)
    accounts = Accounts(
        store, utc_now, observer, passwords, throttle, policy=entry.policy, failures=entry.failures, lock=entry.lock
    )
    applications = Applications(store, utc_now, observer, passwords, throttle)
    sessions = Sessions(store, utc_now)
    tokens = Tokens(store, utc_now, base_url=settings.origin, tenant=header.tenant)
    await tokens.start()
    book = found.site.web_roles if found.site is not None else WebRoles()
    principals = Principals(store, users, book, observer, anonymous_user=header.anonymous_user)
    packages = Jobs(
        operations_gate,
        found.operations.projects,
        Register(store),
        Blobs(store, settings.package_limit * 1024**2),
        Owners(principals),
        observer,
        step,
    )
    links = Links(store, utc_now)
    invitations = Invitations(store, utc_now, observer, accounts)
    pending = Pending(store, utc_now)
    title = header.title or (found.site.name if found.site is not None else header.name)
    factors = SecondFactors(
        store, utc_now, observer, Vault(settings.secret_key), title, failures=entry.failures, lock=entry.lock
    )
    mail = MailOutbox(store, utc_now, Vault(settings.secret_key))
    letters = letters_of(found.site, title, settings)
    sender = sender_of(settings, mail, observer)
    contact = native.tables.get(TableName("dataverse", "contact"))
    ways = (store, accounts, links, invitations, factors, pending)
    doors = Doors(*ways, mail, letters, sender is not None, observer, contact)
    portal = None
    if found.site is not None:
        portal = Portal(
            site=found.site,
            tables=found.tables,
            rows=rows,
            sessions=sessions,
            accounts=accounts,
            principals=principals,
            requests=PortalRequests(dataverse_gate),
            fetches=Fetches(dataverse_gate, PORTAL, Door.PORTAL, ""),
            form_sessions=FormSessions(store),
            texts=PageTexts(databases.dataverse),
            moments=Moments((databases.dataverse, databases.operations)),
            entry=entry_of(entry, found.site, settings, doors),
            options=PortalOptions(
                title=header.title, secure=settings.secure_cookies, upload_limit=settings.upload_limit * 1024 * 1024
            ),
            observer=observer,
        )
    people = People(store, users, book, principals, standings)
    reverse = Reverse(operations_gate, dataverse_gate, people)
    explainer = Explainer(operations_gate, dataverse_gate, reverse.mappable)
    studio = Studio(
        explainer=explainer,
        reverse=reverse,
        people=people,
        users=users,
        sessions=sessions,
        accounts=accounts,
        options=StudioOptions(
            header.title or header.name,
            found.site.setting("Theme/Accent") if found.site is not None else "",
            settings.secure_cookies,
        ),
        pending=pending if found.site is not None else None,
        mail=mail,
        observer=observer,
    )
    return Forecourt(
        settings=settings,
        definitions=found,
        databases=databases,
        users=users,
        scopes=scopes,
        coordinator=coordinator,
        operations_gate=operations_gate,
        dataverse_gate=dataverse_gate,
        rows=rows,
        contacts=Contacts(store),
        principals=principals,
        people=people,
        explainer=explainer,
        reverse=reverse,
        accounts=accounts,
        applications=applications,
        sessions=sessions,
        throttle=throttle,
        links=links,
        invitations=invitations,
        factors=factors,
        pending=pending,
        mail=mail,
        letters=letters,
        sender=sender,
        tokens=tokens,
        bearer=Bearer(tokens, Issuers(header.issuers, fetch, utc_now), principals),
        token_endpoint=TokenEndpoint(tokens, accounts, applications, utc_now, password_grant=settings.password_grant),
        portal=portal,
        studio=studio,
        copies=copies,
        packages=packages,
        observer=observer,
        security_log=security_log,
        seals=seals,
    )


async def _dual_write(
    found: Definitions,
    databases: Databases,
    coordinator: Coordinator,
    operations: Gate,
    dataverse: Gate,
    catalogs: tuple[Catalog, Catalog],
    observer: Observer,
    step: Step,
) -> Copies:
    """The solution's table maps with their engines; live dual-write takes part in every unit of work."""
    first = Outbox(Side.OPERATIONS, databases.operations, catalogs[0], step)
    second = first if databases.shared else Outbox(Side.DATAVERSE, databases.dataverse, catalogs[1], step)
    planes = {
        Side.OPERATIONS: SyncPlane(Side.OPERATIONS, operations, databases.operations, first),
        Side.DATAVERSE: SyncPlane(Side.DATAVERSE, dataverse, databases.dataverse, second),
    }

    def wake() -> None:
        first.wake()
        second.wake()

    maps = [item for step in found.maps.steps for item in step.maps]
    ends = Ends(*catalogs)
    flow = Flow(planes, ends)
    registry = SyncRegistry({Side.OPERATIONS: databases.operations, Side.DATAVERSE: databases.dataverse})
    journal = Journal(databases.operations)
    alarm = Alarm(journal, observer)
    live = Live(maps, flow, registry, databases.shared, wake, alarm, observer)
    queue = Queue(maps, flow, registry, alarm, observer, step=step)

    async def look() -> dict[Side, Mapping[TableName, Table]]:
        """The tables of both databases as they are now."""
        tables = (await read_catalog(databases.operations)).tables
        other = tables if databases.shared else (await read_catalog(databases.dataverse)).tables
        return {Side.OPERATIONS: tables, Side.DATAVERSE: other}

    dual_write = DualWrite(found.maps, flow, registry, journal, live, queue, alarm, Bulk(ends), look, step)
    if maps:
        coordinator.partner = live
        await dual_write.refresh()
    verifier, repairer = Verifier(flow, registry, queue), Repairer(flow, registry)
    return Copies(dual_write, verifier, repairer, MapJobs(dual_write, verifier, repairer, observer))
