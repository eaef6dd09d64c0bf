"""Sign-in providers as a site's settings describe them, ``Authentication/OpenIdConnect/<provider>/<key>``.

Keys by Power Pages' names (reference: pages-and-dataverse A3.4). A value ``${NAME}`` is taken from the environment, as
everything that is secret has to be. What a setting would weaken (no nonce, no check of the issuer) is not weakened,
and said. A provider that lacks what it needs is closed, and said, too; so are keys that nothing here understands.

and said. A provider that lacks what it needs is closed, and said, too; so are keys that nothing here understands.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from forecourt.identity.fetch import is_allowed

_KEY = re.compile(r"authentication/openidconnect/([a-z0-9_.-]{1,50})/([a-z]+)", re.IGNORECASE)
_OTHER = re.compile(r"authentication/(openauth|saml2|wsfederation)/([^/]+)/", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_COLUMN = re.compile(r"[a-z][a-z0-9_]{0,99}")
_LIST = re.compile(r"[\s,;]+")

_READ: Final = frozenset(
    [
        "authority",
        "clientid",
        "clientsecret",
        "metadataaddress",
        "redirecturi",
        "callbackpath",
        "scope",
        "caption",
        "acrvalues",
        "prompt",
        "postlogoutredirecturi",
        "externallogoutenabled",
        "rpinitiatedlogout",
        "validaudience",
        "validaudiences",
        "clockskew",
        "registrationenabled",
        "allowcontactmappingwithemail",
        "registrationclaimsmapping",
        "loginclaimsmapping",
        "useuserinfoendpointforclaims",
        "userinfoendpoint",
        "deprecated",
    ]
)
#: Understood, and without effect: what they ask for is always so, or has no meaning for this flow.
_ALWAYS: Final = frozenset(
    [
        "authenticationtype",
        "authenticationmode",
        "signinasauthenticationtype",
        "responsetype",
        "responsemode",
        "nonceenabled",
        "noncelifetime",
        "validateaudience",
        "validateissuer",
        "validatelifetime",
        "nameclaimtype",
        "roleclaimtype",
    ]
)

#: The value of an environment variable, None where it is not set.
Environment = Callable[[str], str | None]

#: Columns of a contact that no claim sets: who it is, where mail goes, what it belongs to.
FIXED: Final = frozenset({"contactid", "emailaddress1", "fullname", "parentcustomerid", "parentcustomerid_type"})


@dataclass(frozen=True, slots=True)
class ClaimMapping:
    """``column`` of the contact from ``claim``; ``from_user_info``: of the UserInfo answer alone."""

    column: str
    claim: str
    from_user_info: bool = False


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that people may sign in through.

    ``metadata``: address of its discovery document; ``issuer``: what that must say it is, '' for whatever it says;
    ``callback``: path of this site that it sends people back to; ``registration``: it may make contacts and accounts;
    ``by_email``: and find a contact by a verified address; ``on_registration``, ``on_sign_in``: claims that
    are written.
    """

    name: str
    caption: str
    metadata: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    callback: str = ""
    scopes: tuple[str, ...] = ("openid",)
    audiences: tuple[str, ...] = ()
    clock_skew: dt.timedelta = dt.timedelta(seconds=60)
    registration: bool = True
    by_email: bool = False
    on_registration: tuple[ClaimMapping, ...] = ()
    on_sign_in: tuple[ClaimMapping, ...] = ()
    user_info: bool = False
    external_logout: bool = False
    after_logout: str = ""
    prompt: str = ""
    acr_values: str = ""

    @property
    def needs_user_info(self) -> bool:
        mappings = (*self.on_registration, *self.on_sign_in)
        return self.user_info or any(mapping.from_user_info for mapping in mappings)


@dataclass(frozen=True, slots=True)
class Reading:
    """``notices``: (name of a setting, what is to be said of it); ``unset``: the same, what the environment lacks."""

    providers: tuple[Provider, ...] = ()
    notices: tuple[tuple[str, str], ...] = ()
    unset: tuple[tuple[str, str], ...] = ()


def read_providers(settings: Mapping[str, str], environment: Environment, origin: str = "") -> Reading:
    """The providers of a site's settings. ``origin``: where the site is, for addresses that settings give whole."""
    groups: dict[str, dict[str, tuple[str, str]]] = {}
    notices: list[tuple[str, str]] = []
    unset: list[tuple[str, str]] = []
    for name, value in settings.items():
        found = _KEY.fullmatch(name.strip())
        if found is not None:
            groups.setdefault(found[1].lower(), {"": (found[1], "")})[found[2].lower()] = (name, value.strip())
        elif _OTHER.match(name):
            notices.append((name, "providers other than OpenIdConnect are not supported; nobody signs in through it."))
    providers = []
    for group in groups.values():
        provider = _provider(group, environment, origin, notices, unset)
        if provider is not None:
            providers.append(provider)
    return Reading(tuple(providers), tuple(notices), tuple(unset))


def _provider(
    group: Mapping[str, tuple[str, str]],
    environment: Environment,
    origin: str,
    notices: list[tuple[str, str]],
    unset: list[tuple[str, str]],
) -> Provider | None:
    name = group[""][0]
    faults: list[tuple[str, str]] = []

    def text(key: str, default: str = "") -> str:
        setting, value = group.get(key, ("", ""))
        variable = _VARIABLE.fullmatch(value)
        if variable is None:
            return value or default
        found = environment(variable[1])
        if found is None:
            unset.append((setting, f"the environment variable {variable[1]} is not set; the provider is closed."))
        return found or ""

    def on(key: str, default: bool) -> bool:
        value = text(key).lower()
        return default if not value else value == "true"

    if on("deprecated", False):
        return None
    for key, (setting, value) in group.items():
        if key and key not in _READ | _ALWAYS:
            notices.append((setting, "the key is not supported, and has no effect."))
        if key.startswith("validate") and value.lower() == "false":
            notices.append((setting, "it is checked all the same."))
    authority, metadata = text("authority").rstrip("/"), text("metadataaddress")
    metadata = metadata or (f"{authority}/.well-known/openid-configuration" if authority else "")
    client_id, secret = text("clientid"), text("clientsecret")
    setting, literal = group.get("clientsecret", ("", ""))
    if literal and not _VARIABLE.fullmatch(literal):
        faults.append((setting, "a secret is not taken from a file: write ${NAME}; the provider is closed."))
    lacking = any(name in {own for own, _ in group.values()} for name, _ in unset)
    if not lacking and not (metadata and client_id):
        setting = next(setting for key, (setting, _) in group.items() if key)
        faults.append((setting, "the provider has no Authority or no ClientId; it is closed."))
    elif not lacking and not is_allowed(metadata):
        faults.append(
            (group.get("metadataaddress", group.get("authority", ("", "")))[0], "it must be an https address.")
        )
    callback = _path(text("redirecturi"), origin) if text("redirecturi") else text("callbackpath", f"/signin-{name}")
    if not callback.startswith("/signin-"):
        setting = group.get("redirecturi", group.get("callbackpath", ("", "")))[0]
        faults.append(
            (setting, "it must be an address of this site that begins with /signin-; the provider is closed.")
        )
    notices.extend(faults)
    if faults or lacking:
        return None
    return Provider(
        name=name,
        caption=text("caption", name),
        metadata=metadata,
        issuer=authority,
        client_id=client_id,
        client_secret=secret,
        callback=callback,
        scopes=tuple(dict.fromkeys(("openid", *filter(None, _LIST.split(text("scope")))))),
        audiences=tuple(filter(None, _LIST.split(f"{text('validaudience')} {text('validaudiences')}"))),
        clock_skew=_skew(text("clockskew")),
        registration=on("registrationenabled", True),
        by_email=on("allowcontactmappingwithemail", False),
        on_registration=_mappings(group, "registrationclaimsmapping", text, notices),
        on_sign_in=_mappings(group, "loginclaimsmapping", text, notices),
        user_info=on("useuserinfoendpointforclaims", False),
        external_logout=on("externallogoutenabled", False) or on("rpinitiatedlogout", False),
        after_logout=text("postlogoutredirecturi"),
        prompt=text("prompt"),
        acr_values=text("acrvalues"),
    )


def _path(address: str, origin: str) -> str:
    """The path of an address of this site; '' for one of another. Without ``origin`` every host is taken for ours."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    if parts.query or parts.fragment or (origin and f"{parts.scheme}://{parts.netloc}".lower() != origin.lower()):
        return ""
    return parts.path


def _skew(text: str) -> dt.timedelta:
    """``hours:minutes:seconds`` or minutes, five minutes at most; a minute where it says nothing."""
    parts = text.split(":")
    if not text or not all(part.isdecimal() and len(part) < 6 for part in parts) or len(parts) not in (1, 3):
        return dt.timedelta(seconds=60)
    numbers = [int(part) for part in parts]
    seconds = numbers[0] * 60 if len(numbers) == 1 else numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
    return dt.timedelta(seconds=min(seconds, 300))


def _mappings(
    group: Mapping[str, tuple[str, str]], key: str, text: Callable[[str], str], notices: list[tuple[str, str]]
) -> tuple[ClaimMapping, ...]:
    """``column=claim`` pairs, separated by commas."""
    found = []
    for pair in filter(None, (part.strip() for part in text(key).split(","))):
        column, sign, claim = (part.strip() for part in pair.partition("="))
        column = column.lower()
        if not sign or not claim or not _COLUMN.fullmatch(column):
            notices.append((group[key][0], f"'{pair}' is not column=claim, and has no effect."))
        elif column in FIXED or column.startswith("adx_identity_"):
            notices.append((group[key][0], f"no claim sets {column}."))
        else:
            bare = claim.removeprefix("userinfo.")
            found.append(ClaimMapping(column, bare, bare != claim))
    return tuple(found)
