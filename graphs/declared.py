"""The knowledge an assistant declares, kept in step with its files, for each tenant that asks."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast

from antiphon.tools.errors import InputError, KnowledgeLoading, SettingsError, StorageUnwritable
from antiphon.tools.notes import rewrite
from antiphon.tools.retrieval import (
    Change,
    Hit,
    Inventory,
    Knowledge,
    Migration,
    Passage,
    Reindexable,
    Reindexed,
    Where,
)
from antiphon.tools.retrieval.context import Citation
from antiphon.tools.retrieval.loaders import discover
from antiphon.tools.retrieval.origins import Gave, gives
from antiphon.tools.retrieval.passages import Progress
from antiphon.tools.retrieval.quotes import stand

Ingest = Callable[[Sequence[Path], str], Awaitable[object]]
"""Ingests paths for a tenant."""
PATIENCE_S = 4.0
"""How long a served turn's search waits for files that are being read: half of its deadline."""
SOURCES = "sources of "
"""Before a tenant: marks the note of what its declared files are called."""
HEX = 64
"""Digits of a fingerprint; the policy stands before it in a note."""
BY_HAND = "by hand"
"""Marks a tenant whose knowledge was replaced by `antiphon ingest --replace`."""


class DeclaredKnowledge:
    """A Knowledge that brings in the assistant's own files before its first use.

    What was brought in is noted per tenant; changed files are ingested again at the next start,
    and only their changed passages are embedded.
    """

    def __init__(
        self,
        stored: Knowledge,
        paths: Sequence[Path],
        *,
        notes: Path,
        policy: str = "",
        patience_s: float | None = None,
    ) -> None:
        """Keep `notes` of what was brought in; another `policy` brings everything in again.

        A search waits `patience_s` for files that are being read, or as long as it takes; where
        an earlier state of them stands, it is then served.
        """
        self.stored = stored
        self._paths = tuple(paths)
        self._notes = notes
        self._policy = policy
        self._patience_s = patience_s
        self._ingest: Ingest | None = None
        self._ready: dict[str, asyncio.Task[None]] = {}
        self._earlier: set[str] = set()
        """Tenants whose pages were complete once, under the same policy."""
        self.tell: Callable[[], None] | None = None
        """Called before files are read, for a door that wants to say why it takes a while."""

    def bind(self, ingest: Ingest) -> None:
        """Say how to ingest: the ingest graph needs this very object, so it comes after."""
        self._ingest = ingest

    async def ready(self, tenant: str) -> None:
        """Bring the declared files in if that was not done, or if they changed since."""
        task = self._ready.get(tenant)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            # An empty context: inside a run, LangGraph's own variables would make the ingestion a
            # subgraph of the user's turn, writing its checkpoints into that thread.
            task = asyncio.create_task(self._bring_in(tenant), context=contextvars.Context())
            self._ready[tenant] = task
        # A turn that runs out of time must not stop the ingestion that the next one needs.
        await asyncio.shield(task)

    def gives(self) -> Gave:
        """Return the declared sources by the folder they are in."""
        paths = [path for path in self._paths if path.exists()]
        try:
            return gives(paths, discover(paths))
        except InputError:
            return {}

    async def by_hand(self, tenant: str) -> None:
        """Note that the tenant's knowledge no longer follows the declared files.

        Raises StorageUnwritable.
        """
        try:
            await asyncio.to_thread(self._note, tenant, BY_HAND)
        except OSError as error:
            raise StorageUnwritable(
                f"{str(self._notes)!r} cannot be written: {error.strerror}",
                hint="Free some space or set ANTIPHON_DATA_DIR to a folder that can be written.",
            ) from error
        self._ready[tenant] = asyncio.create_task(_nothing())

    async def search(
        self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
    ) -> tuple[Hit, ...]:
        """Return the best hits, best first, by hybrid search. May raise KnowledgeLoading."""
        await self._soon(tenant)
        return await self.stored.search(query, tenant=tenant, limit=limit, where=where)

    async def upsert(self, source: str, passages: Sequence[Passage], *, tenant: str) -> Change:
        """Make `source` consist of exactly these passages; embed only those that are new."""
        return await self.stored.upsert(source, passages, tenant=tenant)

    async def remove(self, sources: Sequence[str], *, tenant: str) -> int:
        """Forget whole sources; return how many passages went."""
        return await self.stored.remove(sources, tenant=tenant)

    async def inventory(self, *, tenant: str) -> Inventory:
        """Say what is stored, and under which version. May raise KnowledgeLoading."""
        await self._soon(tenant)
        return await self.stored.inventory(tenant=tenant)

    async def stand(self, citations: Sequence[Citation], *, tenant: str) -> bool:
        """Say whether each quote stands at its place, where everyone of the tenant may see it."""
        return await stand(self.stored, citations, tenant=tenant)

    async def migrate(self, *, progress: Progress | None = None) -> Migration:
        """Bring what is stored up to this release. Raises SettingsError where nothing can."""
        return await rebuildable(self.stored).migrate(progress=progress)

    async def reindex(
        self, *, tenant: str | None = None, progress: Progress | None = None
    ) -> Reindexed:
        """Embed all passages anew and switch. Raises SettingsError where nothing can."""
        return await rebuildable(self.stored).reindex(tenant=tenant, progress=progress)

    async def close(self) -> None:
        """Close what is stored, where it can be."""
        close = getattr(self.stored, "close", None)
        if close is not None:
            await close()

    async def _soon(self, tenant: str) -> None:
        try:
            async with asyncio.timeout(self._patience_s) as patience:
                await self.ready(tenant)
        except TimeoutError as error:
            if not patience.expired():
                raise
            if tenant in self._earlier:
                return
            raise KnowledgeLoading(
                f"the assistant's pages are being read for tenant {tenant!r}",
                hint="Ask again in a moment; the reading goes on.",
            ) from error

    async def _bring_in(self, tenant: str) -> None:
        paths = [path for path in self._paths if path.exists()]
        seen, noted = await asyncio.to_thread(
            lambda: (self._policy + _fingerprint(paths), self._noted())
        )
        before = noted.get(tenant)
        if not paths or self._ingest is None or before == BY_HAND:
            return
        # Asked even where files changed: a server that is away is told before they are read.
        held = await self.stored.inventory(tenant=tenant)
        if before == seen and held.version:
            return
        names = await asyncio.to_thread(_names, paths)
        # A folder that is empty, perhaps since it is not mounted, says nothing about its pages.
        if not names:
            return
        if before and before[:-HEX] == self._policy and held.version:
            self._earlier.add(tenant)
        if self.tell is not None:
            self.tell()
        await self._ingest(paths, tenant)
        # Only what these files once brought in goes with them, not what was ingested by hand.
        vanished = set(noted.get(SOURCES + tenant, "").splitlines()) - set(names)
        if vanished:
            await self.stored.remove(sorted(vanished), tenant=tenant)
        # A note that cannot be written costs the next start a comparison, not this turn.
        with suppress(OSError):
            await asyncio.to_thread(self._note, tenant, seen)
            await asyncio.to_thread(self._note, SOURCES + tenant, "\n".join(names))

    def _noted(self) -> dict[str, str]:
        try:
            notes = json.loads(self._notes.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        if not isinstance(notes, dict):
            return {}
        return {str(tenant): str(note) for tenant, note in notes.items()}

    def _note(self, tenant: str, note: str) -> None:
        rewrite(self._notes, lambda: json.dumps({**self._noted(), tenant: note}, indent=1))


def rebuildable(knowledge: Knowledge) -> Reindexable:
    """Return the knowledge as one that can be rebuilt. Raises SettingsError for any other."""
    if not hasattr(knowledge, "reindex"):
        raise SettingsError("The knowledge in use cannot be rebuilt", hint="Ingest it again.")
    return cast("Reindexable", knowledge)


async def prepared(knowledge: Knowledge, tenant: str) -> None:
    """Wait until a tenant's declared files are in, however long that takes."""
    if isinstance(knowledge, DeclaredKnowledge):
        await knowledge.ready(tenant)
    else:
        await knowledge.inventory(tenant=tenant)


def _names(paths: Sequence[Path]) -> list[str]:
    """Return what the declared files are called in the knowledge."""
    try:
        return sorted(source.source for source in discover(paths))
    except InputError:
        return []


async def _nothing() -> None:
    return None


def _fingerprint(paths: Sequence[Path]) -> str:
    """Hash names, sizes and times of the declared files: cheap enough for every start."""
    seen = hashlib.sha256()
    for root in paths:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file():
                stat = path.stat()
                seen.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return seen.hexdigest()
