"""What a person chose in a filter panel, in the list's address.

::

    ?mf=<group>=<value>&<group>=<value>      percent-encoded as one parameter, as the original has it
    ?mf.<group>=<value>&mf.<group>=<value>   as a form without script sends it

Both mean the same and may stand together; addresses that pages make use the first. Nothing here knows which groups and
values there are: the panel does, and passes over all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlencode

PARAMETER = "mf"
_PREFIX = f"{PARAMETER}."

#: Values of one address, and characters of a value, at most; what is beyond is passed over.
MAX_VALUES = 200
MAX_LENGTH = 200

Chosen = Mapping[str, tuple[str, ...]]


def gathered(pairs: Iterable[tuple[str, str]]) -> str:
    """What the parameters of an address choose, as the value of ``mf``.

    >>> gathered([("mf", "0=1"), ("sort", "name"), ("mf.0", "2"), ("mf.1", "")])
    '0=1&0=2'
    """
    found: list[tuple[str, str]] = []
    for name, value in pairs:
        if name == PARAMETER:
            found.extend(_read(value))
        elif name.startswith(_PREFIX):
            found.append((name.removeprefix(_PREFIX), value))
    chosen: dict[str, list[str]] = {}
    for key, value in found[:MAX_VALUES]:
        chosen.setdefault(key[:MAX_LENGTH], []).append(" ".join(_printable(value).split())[:MAX_LENGTH])
    return written({key: tuple(values) for key, values in chosen.items()})


def chosen(text: str) -> Chosen:
    """Values by group."""
    found: dict[str, tuple[str, ...]] = {}
    for key, value in _read(text):
        found[key] = (*found.get(key, ()), value)
    return found


def written(found: Chosen) -> str:
    """The value of ``mf`` that chooses these; groups of which nothing is chosen are left out.

    >>> written({"0": ("", "9"), "1": ("",)})
    '0=&0=9'
    """
    return urlencode([(key, value) for key, values in found.items() if any(values) for value in values])


def _read(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_VALUES)
    except ValueError:
        return []


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable() or sign.isspace())
