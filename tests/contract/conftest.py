"""Fixtures that several contracts share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from forecourt.store.embedded import EmbeddedServer
from support.things import Things
from support.things import things as opened


@pytest.fixture(scope="session")
async def things(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Things]:
    """Lists with all that they can have, one database for all tests of a worker."""
    async with opened(postgres, tmp_path_factory.mktemp("things")) as site:
        yield site
