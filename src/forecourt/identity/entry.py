"""Who may get in by which way, as the site's settings say: registration, invitations, new passwords, lockout.

Settings by their own names (reference: pages-and-dataverse A3.3). What lets somebody in that nobody has invited is off
unless a setting turns it on; a value that is not understood never opens anything.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from forecourt.identity.passwords import PasswordPolicy

_REGISTRATION: Final = "Authentication/Registration/"
_LOCKOUT: Final = "Authentication/UserManager/UserLockout/"
_VALIDATOR: Final = "Authentication/UserManager/PasswordValidator/"
_SPAN = re.compile(r"(?:(\d{1,3})\.)?(\d{1,2}):(\d{2}):(\d{2})")

#: The value of a site setting, '' where there is none.
Setting = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class EntryRules:
    """``local``: sign-in with a password; ``open``: anybody with an address may register; ``invited``: who has an
    invitation may; ``reset``: a forgotten password can be set again; ``remember``: "stay signed in" is offered;
    ``two_factor``: people may protect their account by codes; ``trust``: and have a browser not asked again;
    ``external``: sign-in through providers; ``registers``: somebody new may come in, one way or another;
    ``invitation_only``: and by an invitation alone.
    ``failures`` wrong passwords lock an account for ``lock``."""

    local: bool = True
    open: bool = False
    invited: bool = False
    reset: bool = False
    remember: bool = True
    two_factor: bool = False
    trust: bool = True
    external: bool = True
    registers: bool = True
    invitation_only: bool = False
    failures: int = 5
    lock: dt.timedelta = dt.timedelta(minutes=15)
    policy: PasswordPolicy = field(default_factory=PasswordPolicy)


def entry_rules(setting: Setting) -> EntryRules:
    """The rules that a site's settings make.

    >>> entry_rules({"Authentication/Registration/OpenRegistrationEnabled": "yes"}.get)  # doctest: +ELLIPSIS
    EntryRules(local=True, open=False, ...
    """

    def on(name: str, default: bool) -> bool:
        value = (setting(_REGISTRATION + name) or "").strip().lower()
        return default if not value else value == "true"

    local, external, registers = on("LocalLoginEnabled", True), on("ExternalLoginEnabled", True), on("Enabled", True)
    required = on("RequiresInvitation", False)
    given = EntryRules()
    return EntryRules(
        local=local,
        open=registers and not required and on("OpenRegistrationEnabled", False),
        invited=registers and (required or on("InvitationEnabled", True)),
        reset=local and on("ResetPasswordEnabled", True),
        remember=on("RememberMeEnabled", True),
        two_factor=on("TwoFactorEnabled", False),
        trust=on("RememberBrowserEnabled", True),
        external=external,
        registers=registers,
        invitation_only=required,
        failures=_number(setting(_LOCKOUT + "MaxFailedAccessAttemptsBeforeLockout"), 1, given.failures, 100),
        lock=_span(setting(_LOCKOUT + "DefaultAccountLockoutTimeSpan"), given.lock),
        policy=PasswordPolicy(length=_number(setting(_VALIDATOR + "RequiredLength"), 8, 8, 128)),
    )


def _number(text: str | None, least: int, default: int, most: int) -> int:
    found = (text or "").strip()
    return min(max(int(found), least), most) if found.isdecimal() and len(found) < 6 else default


def _span(text: str | None, default: dt.timedelta) -> dt.timedelta:
    """``[days.]hours:minutes:seconds`` as .NET writes it."""
    found = _SPAN.fullmatch((text or "").strip())
    if found is None:
        return default
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return dt.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds) or default
