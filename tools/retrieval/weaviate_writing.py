"""Changing a tenant's passages on a Weaviate server, which has no transactions.

A mark goes into the ledger, then the passages, then the new version in the mark's place. A writer
whose mark was replaced meanwhile goes over its work again, so that of two one wins whole.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from antiphon.tools.errors import KnowledgeError, KnowledgeUnavailable
from antiphon.tools.retrieval.ledger import CHANGING, Ledger, version_of
from antiphon.tools.retrieval.passages import Change, Embedder, Passage
from antiphon.tools.retrieval.records import digest
from antiphon.tools.retrieval.weaviate_rebuild import Rebuild
from antiphon.tools.retrieval.weaviate_tenants import Tenants

Wanted = Mapping[str, Mapping[str, Passage]]
"""Passages by source and id."""
TOGETHER = 256
"""Sources written as one."""
TRIES = 20


@dataclass(slots=True, kw_only=True, eq=False)
class Wish:
    """One source as a caller wants it, and what became of that."""

    source: str
    passages: Mapping[str, Passage]
    outcome: Change | KnowledgeError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done so that sources hold what is wanted."""

    fresh: Mapping[str, Passage]
    """What to store, by digest."""
    gone: tuple[str, ...]
    """The ids of what to delete."""
    left: tuple[str, ...]
    """The digests of what is deleted or written over."""
    changes: Mapping[str, Change]


class Writing:
    """Writes sources; those of one tenant that wait for their turn are written as one."""

    def __init__(self, tenants: Tenants, embedder: Embedder, turns: Turns) -> None:
        """Write nothing yet; `turns` are shared with whatever else changes a tenant."""
        self._tenants = tenants
        self._embedder = embedder
        self._turns = turns
        self._waiting: defaultdict[str, list[Wish]] = defaultdict(list)

    async def upsert(self, source: str, passages: Sequence[Passage], tenant: str) -> Change:
        """Make a source consist of exactly these passages."""
        wish = Wish(source=source, passages={one.id: one for one in passages})
        waiting = self._waiting[tenant]
        waiting.append(wish)
        try:
            async with self._turns[tenant]:
                while wish.outcome is None:
                    await self._grant(_first(waiting), tenant)
        finally:
            waiting.remove(wish)
        if isinstance(wish.outcome, KnowledgeError):
            raise wish.outcome
        return wish.outcome

    async def remove(self, sources: Sequence[str], tenant: str) -> int:
        """Forget whole sources; return how many passages went."""
        gone = 0
        for start in range(0, len(sources), TOGETHER):
            async with self._turns[tenant]:
                changes = await self._write(
                    {source: {} for source in sources[start : start + TOGETHER]}, tenant
                )
            gone += sum(change.removed for change in changes.values())
        return gone

    async def _grant(self, wishes: Sequence[Wish], tenant: str) -> None:
        """Write them as one, or each by itself where that is refused."""
        try:
            changes = await self._write({one.source: one.passages for one in wishes}, tenant)
        except KnowledgeUnavailable:
            raise
        except KnowledgeError as error:
            if len(wishes) == 1:
                wishes[0].outcome = error
                return
            for one in wishes:
                await self._grant([one], tenant)
        else:
            for one in wishes:
                one.outcome = changes[one.source]

    async def _write(self, wanted: Wanted, tenant: str) -> Mapping[str, Change]:
        """Make sources hold what is wanted; return what that changed."""
        vectors: dict[str, Sequence[float]] = {}
        changes: Mapping[str, Change] = {}
        for _ in range(TRIES):
            ledger = await self._opened(tenant)
            stored = await self._tenants.digests(ledger, list(wanted))
            plan = _planned(wanted, stored)
            count = ledger.changing or bool(changes)
            if not (plan.fresh or plan.gone or count):
                return plan.changes
            await self._embed(ledger, plan, vectors)
            mark = self._mark(ledger, plan)
            if not ledger.version or mark.collection != ledger.collection:
                await self._tenants.make(mark)
            if not await self._tenants.move(ledger, mark):
                continue
            changes = changes or plan.changes
            await self._store(mark, plan, vectors)
            if mark.collection != ledger.collection:
                await self._tenants.drop_others(mark)
            if await self._concluded(ledger, mark, plan, count=count):
                return changes
        raise KnowledgeUnavailable(
            f"the knowledge of {tenant!r} is written by other processes without a pause",
            hint="try again shortly",
        )

    async def _opened(self, tenant: str) -> Ledger:
        """Return the tenant's ledger, its passages brought up to this release's schema."""
        found = await self._tenants.settled(tenant)
        if found is not None and not found.collection:
            await Rebuild(self._tenants, self._embedder, tenant).run(anew=False)
            found = await self._tenants.settled(tenant)
        ledger = found or self._tenants.new(tenant)
        self._tenants.check_embedder(ledger)
        return ledger

    def _mark(self, ledger: Ledger, plan: Plan) -> Ledger:
        """Return the ledger as it stands while the plan is carried out."""
        if ledger.embedder != self._embedder.name:
            # An emptied tenant: its old vectors' dimensions must not bind the new ones.
            ledger = self._tenants.next(ledger)
        return replace(
            ledger,
            version=f"{CHANGING}{self._tenants.writer}{uuid.uuid4().hex}",
            languages=tuple(
                sorted({*ledger.languages, *(p.language for p in plan.fresh.values())})
            ),
        )

    async def _embed(self, ledger: Ledger, plan: Plan, vectors: dict[str, Sequence[float]]) -> None:
        """Add the vectors that are not there yet, by digest; what only moved keeps its own."""
        texts = {key: one.searchable for key, one in plan.fresh.items() if key not in vectors}
        if not texts:
            return
        same = ledger.embedder == self._embedder.name
        known = await self._tenants.vectors(ledger, plan.gone) if same and plan.gone else {}
        fresh = [text for text in dict.fromkeys(texts.values()) if text not in known]
        made = await self._embedder.embed(fresh) if fresh else []
        known.update(zip(fresh, made, strict=True))
        vectors.update((key, known[text]) for key, text in texts.items())

    async def _store(
        self, mark: Ledger, plan: Plan, vectors: Mapping[str, Sequence[float]]
    ) -> None:
        passages = list(plan.fresh.values())
        await self._tenants.store(mark, passages, [vectors[key] for key in plan.fresh])
        await self._tenants.forget(mark, plan.gone)

    async def _concluded(self, base: Ledger, mark: Ledger, plan: Plan, *, count: bool) -> bool:
        """Note the new version: added up, or counted anew after a change that was disturbed."""
        if count:
            version = version_of(await self._tenants.all_digests(mark))
        else:
            version = version_of(plan.fresh, base=base.version, gone=plan.left)
        return await self._tenants.move(mark, replace(mark, version=version))


Turns = defaultdict[str, asyncio.Lock]
"""Per tenant, held by whoever in this process changes it."""


def _first(waiting: Sequence[Wish]) -> list[Wish]:
    """Return the wishes that have waited longest, no source twice: the later must come after."""
    chosen: dict[str, Wish] = {}
    for wish in waiting:
        if wish.outcome is None:
            if wish.source in chosen or len(chosen) == TOGETHER:
                break
            chosen[wish.source] = wish
    return list(chosen.values())


def _planned(wanted: Wanted, stored: Mapping[str, Mapping[str, str]]) -> Plan:
    fresh: dict[str, Passage] = {}
    gone: list[str] = []
    left: list[str] = []
    changes: dict[str, Change] = {}
    for source, passages in wanted.items():
        there = stored[source]
        new = {digest(p): p for key, p in passages.items() if there.get(key) != digest(p)}
        vanished = [key for key in there if key not in passages]
        left += [there[p.id] for p in new.values() if p.id in there]
        left += [there[key] for key in vanished]
        gone += vanished
        fresh |= new
        changes[source] = Change(
            added=len(new), unchanged=len(passages) - len(new), removed=len(vanished)
        )
    return Plan(fresh=fresh, gone=tuple(gone), left=tuple(left), changes=changes)
