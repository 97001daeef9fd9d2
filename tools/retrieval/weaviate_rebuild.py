"""A tenant's passages copied into a collection beside, and the switch to it.

Searches are answered from the old one until the switch, and writers of other processes go on:
what they changed meanwhile is copied again, until nothing did.
"""

from __future__ import annotations

from dataclasses import replace

from antiphon.tools.retrieval.ledger import PASSAGE, Ledger, passage_of, version_of
from antiphon.tools.retrieval.passages import Embedder, Progress
from antiphon.tools.retrieval.weaviate_session import Row, Vanished
from antiphon.tools.retrieval.weaviate_tenants import Tenants


class Rebuild:
    """One copy of one tenant."""

    def __init__(
        self,
        tenants: Tenants,
        embedder: Embedder,
        tenant: str,
        *,
        progress: Progress | None = None,
    ) -> None:
        """Copy nothing yet."""
        self._tenants = tenants
        self._embedder = embedder
        self._tenant = tenant
        self._progress = progress
        self._copied: dict[str, str] = {}
        """Digests by id of what the collection beside holds."""

    async def run(self, *, anew: bool) -> tuple[int, bool]:
        """Copy and switch; return how many passages there are, and whether all were embedded.

        Without `anew` only what another embedder served is embedded.
        """
        old = await self._tenants.settled(self._tenant)
        if old is None:
            return 0, False
        beside = self._tenants.next(old)
        # An earlier try of this client may have left vectors of another embedder there.
        await self._tenants.drop(beside)
        await self._tenants.make(beside)
        anew = anew or old.embedder != self._embedder.name
        while not await self._switched(old, beside, anew=anew):
            now = await self._tenants.settled(self._tenant)
            if now is None or now.collection != old.collection:
                # Another client rebuilt it meanwhile: this copy was for nothing.
                await self._tenants.drop(beside)
                self._tenants.check_embedder(now or beside)
                break
            old = now
        return len(self._copied), anew

    async def _switched(self, old: Ledger, beside: Ledger, *, anew: bool) -> bool:
        """Copy, and switch unless the tenant changed meanwhile."""
        try:
            await self._copy(old, beside, anew=anew)
        except Vanished:
            if await self._tenants.settled(self._tenant) == old:
                raise
            return False
        version = version_of(self._copied.values())
        done = replace(beside, version=version, languages=old.languages)
        if not await self._tenants.move(old, done):
            return False
        await self._tenants.drop_others(done)
        return True

    async def _copy(self, old: Ledger, beside: Ledger, *, anew: bool) -> None:
        """Make `beside` hold what `old` holds now, given what it already holds."""
        total, seen = sum((await self._tenants.counts(old)).values()), set[str]()
        async for page in self._tenants.pages(old, (*PASSAGE, "digest"), vectors=not anew):
            rows = {str(row.fields["passage_id"]): row for row in page}
            seen |= set(rows)
            await self._store(beside, rows, anew=anew)
            if self._progress is not None:
                self._progress(len(self._copied), max(total, len(self._copied)))
        vanished = [key for key in self._copied if key not in seen]
        await self._tenants.forget(beside, vanished)
        for key in vanished:
            del self._copied[key]

    async def _store(self, beside: Ledger, rows: dict[str, Row], *, anew: bool) -> None:
        """Copy those of the rows that are not there yet as they are."""
        made = {key: str(row.fields["digest"]) for key, row in rows.items()}
        todo = [key for key in rows if self._copied.get(key) != made[key]]
        passages = [passage_of(rows[key].fields) for key in todo]
        texts = [one.searchable for one in passages]
        vectors = await self._embedder.embed(texts) if anew and texts else []
        await self._tenants.store(beside, passages, vectors or [rows[key].vector for key in todo])
        self._copied.update((key, made[key]) for key in todo)
