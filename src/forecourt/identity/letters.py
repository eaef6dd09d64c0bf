"""What is written to people: confirmations, new passwords, news about their account.

Each letter is plain text and the same as small HTML; both say who writes, why, and what to do when the person did not
ask. A link begins with the site's configured origin, never with what a request calls the host.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from urllib.parse import urlencode

from forecourt.identity.mail import Message


@dataclass(frozen=True, slots=True)
class Letters:
    """``site``: its name; ``origin``: where it is (``https://portal.example``); ``help``: whom to ask."""

    site: str
    origin: str
    help: str

    def registration(self, to: str, code: str, hours: int) -> Message:
        """To an address that nobody has registered yet."""
        return self._letter(
            to,
            f"Finish your registration at {self.site}",
            f"You asked to register at {self.site}. Follow the link to choose your password. "
            f"It works once, for {hours} hours.",
            "If you did not ask, do nothing: no account is made.",
            self.url("/Account/Login/ConfirmEmail", code=code),
            "Finish registration",
        )

    def has_account(self, to: str) -> Message:
        """To an address that asked to register and has an account."""
        return self._letter(
            to,
            f"You have an account at {self.site}",
            f"Somebody, probably you, asked to register at {self.site} with this address. It has an account already: "
            "sign in, or ask for a new password there.",
            "If you did not ask, do nothing.",
            self.url("/SignIn"),
            "Sign in",
        )

    def known(self, to: str) -> Message:
        """To an address of a contact without an account: who it is has to be confirmed by an invitation."""
        return self._letter(
            to,
            f"Your registration at {self.site}",
            f"Somebody, probably you, asked to register at {self.site}. This address is on file there already, so an "
            f"account for it needs an invitation. Ask {self.help} for one.",
            "If you did not ask, do nothing.",
        )

    def recovery(self, to: str, username: str, code: str, minutes: int) -> Message:
        """To the address of an account whose password is to be set again."""
        return self._letter(
            to,
            f"A new password for {self.site}",
            f"You asked for a new password for your account {username} at {self.site}. Follow the link to choose it. "
            f"It works once, for {minutes} minutes.",
            "If you did not ask, do nothing: your password stays as it is.",
            self.url("/Account/Login/ResetPassword", code=code),
            "Choose a new password",
        )

    def password_changed(self, to: str, username: str) -> Message:
        """News that cannot be undone by whoever made it happen."""
        return self._letter(
            to,
            f"Your password at {self.site} was changed",
            f"The password of your account {username} at {self.site} has just been changed, and you were signed out "
            "on all other devices.",
            f"If it was not you, ask for a new password at once and tell {self.help}.",
            self.url("/Account/Login/ForgotPassword"),
            "Ask for a new password",
        )

    def url(self, path: str, **query: str) -> str:
        """An address at the site."""
        return f"{self.origin}{path}" + (f"?{urlencode(query)}" if query else "")

    def _letter(self, to: str, subject: str, text: str, otherwise: str, url: str = "", label: str = "") -> Message:
        plain = "\n\n".join(part for part in (text, url, otherwise, self.site) if part) + "\n"
        button = (
            f'<p><a href="{html.escape(url)}" style="display:inline-block;padding:12px 20px;background:#1d5286;'
            f'color:#ffffff;text-decoration:none;border-radius:6px">{html.escape(label)}</a></p>'
            f'<p style="color:#59636e;font-size:13px">{html.escape(url)}</p>'
            if url
            else ""
        )
        body = (
            f'<!doctype html><html lang="en"><body style="font-family:sans-serif;font-size:15px;line-height:1.6;'
            f'color:#171c22"><p>{html.escape(text)}</p>{button}<p>{html.escape(otherwise)}</p>'
            f'<p style="color:#59636e">{html.escape(self.site)}</p></body></html>'
        )
        return Message(to, subject, plain, body)
