"""One tenant's passages searched on a Weaviate server, ranked as the SQLite backend ranks them.

The server's hybrid search, by relative scores and our alpha, chooses the candidates. It knows of
each only what the leg says that found it, so both legs are then asked about all of them.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from antiphon.tools.retrieval.fusion import FEEDBACK, FEEDBACK_FROM, zmuv
from antiphon.tools.retrieval.ledger import PASSAGE, passage_of
from antiphon.tools.retrieval.passages import Hit
from antiphon.tools.retrieval.postings import K1
from antiphon.tools.retrieval.weaviate_session import Look, Row, Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A candidate, with what both legs together say of it."""

    key: uuid.UUID
    score: float
    keyword: float
    explained: str


class Search:
    """Searches a partition within one call."""

    def __init__(self, session: Session, home: str, tenant: str) -> None:
        """Ask this session; `home` is the collection, `tenant` the server's name for it."""
        self._session = session
        self._home = home
        self._tenant = tenant
        self._keyword: dict[uuid.UUID, float] = {}

    async def hits(self, look: Look, *, limit: int) -> list[Hit]:
        """Return the best: the query moves towards what is found first and looks again."""
        first = (await self._judged(look, explain=False))[:FEEDBACK_FROM]
        towards = (await self._rows(first)).values()
        if not towards:
            return []
        vector = np.asarray(look.vector, dtype=np.float32)
        moved = vector + FEEDBACK * np.mean([row.vector for row in towards], axis=0)
        again = replace(look, vector=moved.tolist())
        judged = (await self._judged(again, explain=True))[:limit]
        rows = await self._rows(judged, fields=PASSAGE)
        return [_hit(one, rows[one.key], vector) for one in judged if one.key in rows]

    async def _judged(self, look: Look, *, explain: bool) -> list[Judged]:
        """Return the candidates in the order of what both legs say of each."""
        rows = await self._session.hybrid(self._home, self._tenant, look, explain=explain)
        keys = [row.key for row in rows]
        if not keys:
            return []
        unread = [key for key in keys if key not in self._keyword]
        words, near = await asyncio.gather(
            self._session.keyword(self._home, self._tenant, look.words, unread),
            self._session.cosines(self._home, self._tenant, look.vector, keys),
        )
        # The server leaves out a constant of the formula that the SQLite backend has.
        self._keyword |= {key: words.get(key, 0.0) * (K1 + 1) for key in unread}
        keyword = [self._keyword[key] for key in keys]
        scores = zmuv(keyword, [near.get(key, -1.0) for key in keys], look.alpha)
        return [
            Judged(
                key=keys[at],
                score=float(scores[at]),
                keyword=keyword[at],
                explained=rows[at].explained,
            )
            for at in np.argsort(-scores, kind="stable").tolist()
        ]

    async def _rows(
        self, chosen: Sequence[Judged], fields: Sequence[str] = ()
    ) -> dict[uuid.UUID, Row]:
        keys = [one.key for one in chosen]
        if not keys:
            return {}
        return await self._session.of_keys(self._home, self._tenant, keys, fields)


def _hit(one: Judged, row: Row, vector: NDArray[np.float32]) -> Hit:
    return Hit(
        passage=passage_of(row.fields),
        score=one.score,
        bm25=one.keyword or None,
        cosine=float(np.asarray(row.vector, np.float32) @ vector),
        explained=one.explained.strip(),
    )
