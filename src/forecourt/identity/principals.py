"""Principals: from a credential or a token to everything that rules look at (kernel.principal).

A contact costs one query: the contact, its account, its web roles and its mapping to an operations user. Nothing of
it outlives the request, so a revoked role or mapping counts from the next one.

Web roles (reference: pages-and-dataverse A1.1) are those of the contact, those of its account if that is active, and
the ones for everybody signed in; by name. A visitor has the anonymous ones and no others.

The operations user behind a contact (reference: operations-and-integration 3.1, trap 25):

* no mapping, or one to a user that does not exist or is disabled: none; what needs one says so (``require_mapped``);
* several mappings: refused, since nobody can say which was meant;
* a mapping to an administrator, or to a user without the portal's role: refused, since policies would not restrain
  the first and nobody meant the second for people from outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec

from forecourt.identity.accounts import Credential
from forecourt.identity.claims import ExternalClaims, TokenClaims, invalid_token
from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Denied, Observer
from forecourt.kernel.plan import SystemPlan
from forecourt.kernel.principal import Contact, OperationsUser, Principal
from forecourt.security.rules import BYPASS, NEVER_BEHIND_PORTAL, PORTAL_ANONYMOUS, PORTAL_USER
from forecourt.store.database import Database

#: $1 the contact, $2 the column of the mapping that holds the operations user's id. Two mappings tell as much as ten.
_CONTACT: Final = """
select to_jsonb(c)::text as contact, to_jsonb(a)::text as account,
    array(
        select r.adx_webroleid from dataverse.adx_webrole_contact r where r.contactid = c.contactid
        union
        select r.adx_webroleid from dataverse.adx_webrole_account r
        where r.accountid = a.accountid and a.statecode = 0
    ) as web_roles,
    array(
        select to_jsonb(m) ->> $2 from dataverse.msdyn_externalportalusermapping m
        where m.msdyn_contactid = c.contactid and (to_jsonb(m) ->> 'statecode') is distinct from '1'
        limit 2
    ) as mappings
from dataverse.contact c left join dataverse.account a
    on a.accountid = c.parentcustomerid and (to_jsonb(c) ->> 'parentcustomerid_type') is distinct from 'contact'
where c.contactid = $1 and c.statecode = 0
"""

#: Columns of a contact that rules and pages never see.
_HIDDEN_COLUMNS = "adx_identity_"

#: In one case: an ERP database may hold role names in any.
_NEVER = frozenset(role.casefold() for role in NEVER_BEHIND_PORTAL)

_DOOR = "identity"


class UserDirectory(Protocol):
    """The operations users. Ids compare as the ERP compares them; an e-mail that several users have finds none.

    ``fresh``: as the database has the user now, not as it was remembered.
    """

    async def get(self, user_id: str, fresh: bool = False) -> OperationsUser | None: ...

    async def by_email(self, email: str) -> OperationsUser | None: ...


class WebRoleBook(Protocol):
    """The active web roles of the site."""

    def name_of(self, web_role_id: UUID) -> str | None: ...

    @property
    def authenticated(self) -> frozenset[str]: ...

    @property
    def anonymous(self) -> frozenset[str]: ...


class Principals:
    """Makes principals. ``anonymous_user``: the operations user that visitors act as, or None.

    ``mapping_column``: the text column of ``msdyn_externalportalusermapping`` that holds the operations user's id.
    """

    def __init__(
        self,
        database: Database,
        users: UserDirectory,
        web_roles: WebRoleBook,
        observer: Observer,
        *,
        anonymous_user: str | None = None,
        mapping_column: str = "msdyn_userid",
    ) -> None:
        self._database = database
        self._users = users
        self._web_roles = web_roles
        self._observer = observer
        self._anonymous_user = anonymous_user
        self._mapping_column = mapping_column

    async def for_contact(self, contact_id: UUID) -> Principal:
        """The principal of an active contact.

        Raises Refusal FC2001 when there is none, FC3002 when it has several mappings, FC3003 when its operations
        user may not be used from a portal.
        """
        rows = await self._database.lookup(
            SystemPlan("resolve a contact", _CONTACT, (contact_id, self._mapping_column))
        )
        if not rows:
            raise Refusal("FC2001", "The contact is not active.", hint="Ask the company to activate it.")
        row = rows[0]
        contact = contact_of(row["contact"], row["account"])
        names = (self._web_roles.name_of(role) for role in row["web_roles"])
        return Principal(
            contact=contact,
            web_roles=frozenset(name for name in names if name is not None) | self._web_roles.authenticated,
            operations_user=await self._mapped(contact, row["mappings"]),
        )

    async def anonymous(self) -> Principal:
        """The principal of a visitor. Raises Refusal FC3003 when the configured user may not serve visitors."""
        user = None
        if self._anonymous_user is not None:
            user = await self._portal_user(self._anonymous_user, PORTAL_ANONYMOUS, "anonymous")
        return Principal(web_roles=self._web_roles.anonymous, operations_user=user)

    async def for_operations_user(self, user_id: str) -> Principal:
        """The principal of somebody who works on the operations side itself. Raises Refusal FC2002."""
        return self._direct(await self._users.get(user_id))

    async def for_credential(self, credential: Credential) -> Principal:
        """The principal behind a session. Raises Refusal as :meth:`for_contact`; FC2001 for a user that is gone."""
        if credential.contact_id is not None:
            return await self.for_contact(credential.contact_id)
        user = await self._users.get(credential.operations_user or "")
        if user is None or not user.enabled:
            raise Refusal("FC2001", "The operations user is not active.", hint="Ask an administrator to enable it.")
        return Principal(operations_user=user)

    async def from_token(self, claims: TokenClaims | ExternalClaims) -> Principal:
        """The principal that a verified token names; a contact must be mapped, since tokens serve the direct doors.

        Raises Refusal FC2002 when the contact or user is gone, FC3002 or FC3003 as the mapping rules say.
        """
        if isinstance(claims, ExternalClaims):
            lookup = self._users.by_email if claims.match == "email" else self._users.get
            principal = self._direct(await lookup(claims.value))
            return replace(principal, claims={"iss": claims.issuer, "aud": claims.audience, "sub": claims.subject})
        if claims.kind == "operations":
            user = self._direct(await self._users.get(claims.subject)).operations_user
            return Principal(operations_user=user, claims=_claims(claims))
        principal = require_mapped(await self._contact_of_token(claims.subject))
        return replace(principal, claims=_claims(claims))

    async def _contact_of_token(self, subject: str) -> Principal:
        try:
            return await self.for_contact(UUID(subject))
        except ValueError:
            raise invalid_token("of a subject that is not a contact's id") from None
        except Refusal as refusal:
            if refusal.code == "FC2001":
                raise invalid_token("of a contact that is not active") from None
            raise

    def _direct(self, user: OperationsUser | None) -> Principal:
        if user is None or not user.enabled:
            raise invalid_token("of an operations user that does not exist or is disabled")
        return Principal(operations_user=user)

    async def _mapped(self, contact: Contact, mappings: list[str | None]) -> OperationsUser | None:
        if len(mappings) > 1:
            raise self._denied(str(contact.id), ambiguous())
        if not mappings:
            return None
        return await self._portal_user(mappings[0] or "", PORTAL_USER, str(contact.id))

    async def _portal_user(self, user_id: str, needed: str, identity: str) -> OperationsUser | None:
        """The user that a portal may act as; None when there is no such user, or it is disabled."""
        user = await self._users.get(user_id)
        if user is not None and needed not in user.roles:  # it may have been given the role since
            user = await self._users.get(user_id, fresh=True)
        if user is None or not user.enabled:
            self._observer(Denied(_DOOR, identity, "FC3002", "the mapped operations user is missing or disabled"))
            return None
        refusal = unusable(user, needed)
        if refusal is not None:
            raise self._denied(identity, refusal)
        return user

    def _denied(self, identity: str, refusal: Refusal) -> Refusal:
        self._observer(Denied(_DOOR, identity, refusal.code, refusal.message))
        return refusal


def ambiguous() -> Refusal:
    """The refusal for a contact with several mappings."""
    return Refusal(
        "FC3002",
        "The contact is mapped to more than one operations user.",
        hint="Leave one row for it in msdyn_externalportalusermapping.",
    )


def unusable(user: OperationsUser, needed: str) -> Refusal | None:
    """Why a portal may not act as an enabled user: FC3003, or None where it may. ``needed``: the portal's role."""
    never = {role for role in user.roles if role.casefold() in _NEVER}
    if never:
        bypasses = {role.casefold() for role in never} == {BYPASS.casefold()}
        return Refusal(
            "FC3003",
            f"The mapped operations user {'bypasses the policies' if bypasses else 'is an administrator'}.",
            hint=f"Policies do not restrain such a user: map one without {', '.join(sorted(never))}.",
        )
    if needed not in user.roles:
        return Refusal(
            "FC3003",
            "The mapped operations user may not be used from a portal.",
            hint=f"Give the user the role {needed}.",
        )
    return None


def require_mapped(principal: Principal) -> Principal:
    """The same principal. Raises Refusal FC3002 when it has no operations user, which virtual tables need."""
    if principal.operations_user is None:
        raise Refusal(
            "FC3002",
            "The contact is not mapped to an operations user.",
            hint="Add a row for it to msdyn_externalportalusermapping.",
        )
    return principal


def contact_of(contact: str, account: str | None) -> Contact:
    """The record of a contact from the JSON objects of its row and its account's row."""
    columns: dict[str, Any] = msgspec.json.decode(contact)
    account_columns: dict[str, Any] = msgspec.json.decode(account) if account is not None else {}
    email = _text(columns.get("emailaddress1"))
    full = _text(columns.get("fullname")) or " ".join(
        part for part in (_text(columns.get("firstname")), _text(columns.get("lastname"))) if part
    )
    account_id = account_columns.get("accountid")
    return Contact(
        id=UUID(columns["contactid"]),
        name=full or email,
        email=email,
        account=UUID(account_id) if account_id is not None else None,
        columns=_pairs(columns),
        account_columns=_pairs(account_columns),
    )


def _pairs(columns: Mapping[str, Any]) -> tuple[tuple[str, object], ...]:
    """Texts, whole numbers and truth values; ids are texts. What rules compare with is never anything else."""
    return tuple(
        (name, value)
        for name, value in columns.items()
        if isinstance(value, str | int) and not name.startswith(_HIDDEN_COLUMNS)
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _claims(claims: TokenClaims) -> dict[str, str]:
    return {
        "iss": claims.issuer,
        "aud": claims.audience,
        "sub": claims.subject,
        "tid": claims.tenant,
        "appid": claims.client_id,
        "kind": claims.kind,
        "jti": claims.token_id,
    }
