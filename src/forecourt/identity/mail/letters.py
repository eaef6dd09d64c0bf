"""What is written to people: confirmations, new passwords, news about their account.

Each letter is plain text and the same as small HTML; both say who writes, why, and what to do when the person did not
ask. A link begins with the site's configured origin, never with what a request calls the host. Words come from the
catalogues of the pages, in the language that the caller names.
"""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from forecourt.identity.mail.languages import Languages, Words
from forecourt.identity.mail.message import Kind, Letter, Message

#: How long news are of use that no link ends.
NEWS: Final = dt.timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Letters:
    """``site``: its name; ``origin``: where it is (``https://portal.example``); ``help``: whom to ask, '' for the
    person's contact there; ``language_of``: the catalogue for a language code."""

    site: str
    origin: str
    help: str
    gettext: Words
    language_of: Callable[[str], str]
    languages: Languages = field(default_factory=Languages)

    def registration(self, language: str, to: str, code: str, lifetime: dt.timedelta) -> Letter:
        """To an address that nobody has registered yet."""
        _ = self._words(language)
        return self._letter(
            _,
            Draft("registration", to, lifetime),
            _("Finish your registration at %(site)s"),
            _(
                "You asked to register at %(site)s. Follow the link to choose your password. "
                "It works once, for %(hours)s hours.",
                hours=int(lifetime.total_seconds()) // 3600,
            ),
            _("If you did not ask, do nothing: no account is made."),
            self.url("/Account/Login/ConfirmEmail", code=code),
            _("Finish registration"),
        )

    def has_account(self, language: str, to: str) -> Letter:
        """To an address that asked to register and has an account."""
        _ = self._words(language)
        return self._letter(
            _,
            Draft("has account", to, NEWS),
            _("You have an account at %(site)s"),
            _(
                "Somebody, probably you, asked to register at %(site)s with this address. It has an account already: "
                "sign in, or ask for a new password there."
            ),
            _("If you did not ask, do nothing."),
            self.url("/SignIn"),
            _("Sign in"),
        )

    def known(self, language: str, to: str) -> Letter:
        """To an address of a contact without an account: who it is has to be confirmed by an invitation."""
        _ = self._words(language)
        return self._letter(
            _,
            Draft("known", to, NEWS),
            _("Your registration at %(site)s"),
            _(
                "Somebody, probably you, asked to register at %(site)s. This address is on file there already, so an "
                "account for it needs an invitation. Ask %(help)s for one."
            ),
            _("If you did not ask, do nothing."),
        )

    def recovery(self, language: str, to: str, username: str, code: str, lifetime: dt.timedelta) -> Letter:
        """To the address of an account whose password is to be set again."""
        _ = self._words(language)
        return self._letter(
            _,
            Draft("recovery", to, lifetime),
            _("A new password for %(site)s"),
            _(
                "You asked for a new password for your account %(username)s at %(site)s. Follow the link to choose it. "
                "It works once, for %(minutes)s minutes.",
                username=username,
                minutes=int(lifetime.total_seconds()) // 60,
            ),
            _("If you did not ask, do nothing: your password stays as it is."),
            self.url("/Account/Login/ResetPassword", code=code),
            _("Choose a new password"),
        )

    def password_changed(self, language: str, to: str, username: str) -> Letter:
        """News that cannot be undone by whoever made it happen."""
        _ = self._words(language)
        return self._letter(
            _,
            Draft("password changed", to, NEWS),
            _("Your password at %(site)s was changed"),
            _(
                "The password of your account %(username)s at %(site)s has just been changed, and you were signed out "
                "on all other devices.",
                username=username,
            ),
            _("If it was not you, ask for a new password at once and tell %(help)s."),
            self.url("/Account/Login/ForgotPassword"),
            _("Ask for a new password"),
        )

    def invitation(self, language: str, to: str, code: str, lifetime: dt.timedelta) -> Letter:
        """To a contact on file who is to make an account."""
        _ = self._words(language)
        return self._letter(
            _,
            Draft("invitation", to, lifetime),
            _("Your invitation to %(site)s"),
            _(
                "You are invited to %(site)s. Follow the link to begin. It works once, for %(days)s days.",
                days=lifetime.days,
            ),
            _("If you do not know why, do nothing: no account is made."),
            self.url("/Register", invitation=code),
            _("Redeem the invitation"),
        )

    def url(self, path: str, **query: str) -> str:
        """An address at the site."""
        return f"{self.origin}{path}" + (f"?{urlencode(query)}" if query else "")

    def _words(self, code: str) -> _Said:
        language = self.language_of(code)
        asked = self.help or self.gettext(language, "your contact at %(site)s", site=self.site)
        return _Said(self.gettext, language, {"site": self.site, "help": asked})

    def _letter(
        self, said: _Said, draft: Draft, subject: str, text: str, otherwise: str, url: str = "", label: str = ""
    ) -> Letter:
        plain = "\n\n".join(part for part in (text, url, otherwise, self.site) if part) + "\n"
        button = (
            f'<p><a href="{html.escape(url)}" style="display:inline-block;padding:12px 20px;background:#1d5286;'
            f'color:#ffffff;text-decoration:none;border-radius:6px">{html.escape(label)}</a></p>'
            f'<p style="color:#59636e;font-size:13px">{html.escape(url)}</p>'
            if url
            else ""
        )
        body = (
            f'<!doctype html><html lang="{html.escape(said.language)}">'
            f'<body style="font-family:sans-serif;font-size:15px;line-height:1.6;color:#171c22">'
            f"<p>{html.escape(text)}</p>{button}<p>{html.escape(otherwise)}</p>"
            f'<p style="color:#59636e">{html.escape(self.site)}</p></body></html>'
        )
        return Letter(draft.kind, Message(draft.to, subject, plain, body), draft.lifetime)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a letter is about, whom it goes to, and how long it is of use."""

    kind: Kind
    to: str
    lifetime: dt.timedelta


@dataclass(frozen=True, slots=True)
class _Said:
    """``_("...")``: a message in a language, with the values that every letter may use."""

    gettext: Words
    language: str
    values: dict[str, object]

    def __call__(self, text: str, **values: object) -> str:
        return self.gettext(self.language, text, **self.values, **values)
