"""Texts of a site's pages by how well they fit a search: PostgreSQL's words and rank, nothing stored.

The texts come with the question, for a site is in files and in memory: what is searched is what is served, and whoever
asks brings the texts that the person may read and no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database

_RANKED: Final = """
select t.n::int - 1 as place, ts_rank(t.words, q.best)::float8 as rank
from (
    select n, setweight(to_tsvector('simple', title), 'A') || to_tsvector('simple', body) as words
    from unnest($1::text[], $2::text[]) with ordinality as given(title, body, n)
) t, (select to_tsquery('simple', $3) as every, to_tsquery('simple', $4) as best) q
where t.words @@ q.every
order by 2 desc, 1
"""


class PageTexts:
    """Ranks texts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ranked(
        self, titles: Sequence[str], bodies: Sequence[str], words: Sequence[str]
    ) -> tuple[tuple[int, float], ...]:
        """Places of the texts that fit all of ``words`` (text search queries), with their rank, the best first."""
        if not titles or not words:
            return ()
        args = (list(titles), list(bodies), " & ".join(words), " | ".join(words))
        rows = await self._database.system(SystemPlan("search the site's pages", _RANKED, args))
        return tuple((row["place"], row["rank"]) for row in rows)
