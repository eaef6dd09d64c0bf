"""Context strings: what business logic says it is doing, so that policies of context type ContextString apply.

::

    with context("VendorAudit"):
        rows = await row.asker.select("PurchPurchaseOrderHeaderEntity", {"VendorAccount": "V1"})

A string counts for the user inside of the block, in this call alone: other calls do not see it, and whatever happens
it is taken back at the end (the original keeps it for the session, and code has to reset it). Blocks nest, and their
strings add up: each may make further policies active, and policies combine by AND.
Source: operations-and-integration 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_CURRENT: ContextVar[frozenset[str]] = ContextVar("contexts", default=frozenset())


@contextmanager
def context(value: str) -> Iterator[None]:
    """Sets a context string (XDSServices.setXDSContext) inside of the block. ``value``: as a policy has it, written
    here as a text: strings that no file of the solution writes are misspelt."""
    token = _CURRENT.set(_CURRENT.get() | {value})
    try:
        yield
    finally:
        _CURRENT.reset(token)


def contexts() -> frozenset[str]:
    """The context strings that are set."""
    return _CURRENT.get()
