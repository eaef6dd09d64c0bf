"""How a portal is set up, beside its site."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PortalOptions:
    """``title``: name shown in the header and in titles, '' for the site's own. ``secure``: served by https.

    ``origins``: the site's own origins (``https://portal.example``); empty means the one that a request names.
    ``help``: whom to ask for access, '' for the site setting ``Support/Contact``. ``time_zone``: of moments shown.
    ``upload_limit``: bytes that a file sent with a form may have.
    """

    title: str = ""
    secure: bool = False
    origins: frozenset[str] = frozenset()
    help: str = ""
    time_zone: str = "UTC"
    upload_limit: int = 5 * 1024 * 1024
