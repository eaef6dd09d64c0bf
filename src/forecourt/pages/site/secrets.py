"""Which site settings hold secrets: by their name, or by what their value looks like (pages-and-dataverse A5.4, C1).

Errs on the safe side: a text that only speaks of passwords is taken for one. A value that says yes or no, a small
number, a time span and an empty one are none.
"""

from __future__ import annotations

import re

_NAME = re.compile(
    r"secret|password|passphrase|private_?key|connectionstring|/key$|smtp|storage|credential|accesstoken|bearer"
    r"|(?:api|app|account|access|consumer|shared|subscription|instrumentation|signing|encryption)[-_ ]?key",
    re.IGNORECASE,
)

_HARMLESS = re.compile(r"true|false|yes|no|\d{1,3}|(?:\d+\.)?\d{1,2}:\d{2}:\d{2}", re.IGNORECASE)

#: Says where a secret is, and is none.
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")

_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|(?:AccountKey|SharedAccessKey|SharedAccessSignature|Password|Pwd|ClientSecret)\s*="
    r"|[?&]sig=[A-Za-z0-9%+/]{20,}"
    r"|://[^/\s:@]+:[^/\s@]+@"
    r"|^eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\."
    r"|^[A-Za-z0-9_.~-]{3}8Q~[A-Za-z0-9_.~-]{30,}",
    re.IGNORECASE,
)


def speaks_of_secret(name: str) -> bool:
    """Whether a setting's name says that it is for a secret: no template may read it.

    >>> speaks_of_secret("Authentication/OpenIdConnect/Entra/ClientSecret"), speaks_of_secret("Theme/Accent")
    (True, False)
    """
    return bool(_NAME.search(name))


def holds_secret(name: str, value: str) -> bool:
    """Whether a setting holds a secret, by its name or its value.

    >>> holds_secret("Authentication/Registration/ResetPasswordEnabled", "true"), holds_secret("Mail/SmtpPassword", "x")
    (False, True)
    >>> holds_secret("Authentication/OpenIdConnect/Entra/ClientSecret", "${ENTRA_SECRET}")
    False
    """
    value = value.strip()
    if not value or _HARMLESS.fullmatch(value) or _VARIABLE.fullmatch(value):
        return False
    return speaks_of_secret(name) or bool(_VALUE.search(value))
