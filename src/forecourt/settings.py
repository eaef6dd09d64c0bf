"""Settings: one record, every option documented. Environment variables ``FORECOURT_<NAME>`` override the defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from forecourt.kernel.errors import ForecourtError


class SettingError(ForecourtError):
    """A setting has a value that it cannot have."""


@dataclass(frozen=True)
class Settings:
    """How a server runs. What it serves is in the solution."""

    host: str = field(default="127.0.0.1", metadata={"help": "Address to listen on."})
    port: int = field(default=8000, metadata={"help": "Port to listen on."})
    base_url: str = field(
        default="", metadata={"help": "Public origin of the server, in tokens' issuer; default http://<host>:<port>."}
    )
    password_grant: bool = field(
        default=False,
        metadata={
            "help": "Let contacts get tokens with user name and password (client id forecourt-cli): local use only."
        },
    )
    secure_cookies: bool = field(default=False, metadata={"help": "Send cookies over HTTPS only."})
    trusted_proxies: str = field(
        default="",
        metadata={"help": "Addresses, separated by commas, whose X-Forwarded-For and -Proto are believed; * for all."},
    )
    server_timing: bool = field(default=False, metadata={"help": "Add a Server-Timing header to OData answers."})
    lane_size: int = field(default=8, metadata={"help": "Database connections per lane (key reads, lists)."})
    statement_timeout: float = field(default=30.0, metadata={"help": "Seconds that a request's statement may run."})
    nats_url: str = field(
        default="",
        metadata={
            "help": "NATS servers with JetStream that call workers on other machines, as URLs separated by commas: "
            "nats://user:password@host:4222, tls://host. Default: the databases wake the server's own worker."
        },
    )
    nats_credentials: str = field(
        default="", metadata={"help": "File with the JWT and key that the NATS server asks for (.creds)."}
    )
    nats_authority: str = field(
        default="", metadata={"help": "File of the certificates that a NATS server's TLS is checked against."}
    )

    smtp_host: str = field(
        default="",
        metadata={"help": "Mail server for confirmations and new passwords; without one nobody registers or resets."},
    )
    smtp_port: int = field(default=587, metadata={"help": "Port of the mail server."})
    smtp_security: str = field(
        default="starttls", metadata={"help": "How mail is encrypted on its way to the server: starttls, tls, none."}
    )
    smtp_user: str = field(default="", metadata={"help": "User name at the mail server."})
    smtp_password: str = field(default="", repr=False, metadata={"help": "Password at the mail server."})
    smtp_from: str = field(default="", metadata={"help": "Address that mail is sent from."})
    smtp_authority: str = field(
        default="", metadata={"help": "File of the certificates that the mail server's TLS is checked against."}
    )

    secret_key: str = field(
        default="",
        repr=False,
        metadata={
            "help": "Text of 32 characters or more under which secrets of second factors are encrypted; kept as they "
            "are without one."
        },
    )

    upload_limit: int = field(default=5, metadata={"help": "MB that a file sent with a form of the site may have."})
    package_limit: int = field(default=256, metadata={"help": "MB that a data package may have."})

    @property
    def origin(self) -> str:
        return self.base_url.rstrip("/") or f"http://{self.host}:{self.port}"


def from_environment(environment: Mapping[str, str] = os.environ, **given: object) -> Settings:
    """Settings from ``FORECOURT_*`` variables, ``given`` winning. Raises SettingError for an unfit value."""
    values: dict[str, object] = {}
    for item in fields(Settings):
        name = f"FORECOURT_{item.name.upper()}"
        if name in environment:
            values[item.name] = _read(name, environment[name], type(item.default))
    values.update({name: value for name, value in given.items() if value is not None})
    return Settings(**values)  # type: ignore[arg-type]


def _read(name: str, text: str, kind: type) -> object:
    try:
        if kind is bool:
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError):
        wanted = {int: "a whole number", float: "a number", bool: "true or false"}.get(kind, "text")
        raise SettingError(f"{name} must be {wanted}, not '{text}'.") from None
