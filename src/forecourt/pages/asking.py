"""Pages that ask before something is done to a row: what they say where it was refused."""

from __future__ import annotations

from forecourt.kernel.errors import Refusal
from forecourt.kernel.observe import Denied, Observer
from forecourt.kernel.principal import Door
from forecourt.pages.visit import Visit


def told(visit: Visit, observer: Observer, refusal: Refusal, changed: str) -> str:
    """What the page says, once a denial has been noted. ``changed``: the words for a row that has changed meanwhile.

    Raises the refusal where there is no row to ask about any more, and where the fault is the server's.
    """
    if refusal.code == "FC4041" or refusal.status >= 500:
        raise refusal
    if refusal.status == 403:
        observer(Denied(Door.PORTAL, visit.principal.label, refusal.code, visit.path))
    return changed if refusal.code == "FC4121" else visit.locales.said(refusal)
