"""Long-term memory in a LangGraph store: one namespace a person, vectors beside the text.

Any store will do, indexed or not: similarity is computed here, with the embedder that made the
vectors.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from langgraph.store.base import BaseStore, SearchItem

from antiphon.tools.memory.items import Memory
from antiphon.tools.retrieval import Embedder

_PAGE = 200
_SAME = 0.92
"""Cosine above which two facts say the same."""
_FLOOR = 0.2
"""Cosine below which a memory has nothing to do with the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to remember."""

    text: str
    kind: str
    thread: str
    slot: str = ""
    """What there is only one of: a note of the same slot is replaced."""


class LongTerm:
    """One person's memories."""

    def __init__(
        self, store: BaseStore, *, tenant: str, user: str, embedder: Embedder, limit: int
    ) -> None:
        self._store = store
        self._namespace = (_label(tenant), _label(user), "memories")
        self._embedder = embedder
        self._limit = limit

    async def write(self, notes: Sequence[Note], *, created: str) -> int:
        """Store notes, replacing what says the same; drop the oldest beyond the limit."""
        if not notes or not self._limit:
            return 0
        vectors = await self._embedder.embed([note.text for note in notes])
        known = await self._all()
        held = await self._vectors(known)
        for note, vector in zip(notes, vectors, strict=True):
            gone = [
                item
                for item, other in zip(known, held, strict=True)
                if _replaces(note, vector, item, other)
            ]
            for item in gone:
                await self._store.adelete(self._namespace, item.key)
            value = {
                "text": note.text,
                "kind": note.kind,
                "thread": note.thread,
                "slot": note.slot,
                "created": created,
                "embedder": self._embedder.name,
                "vector": list(vector),
            }
            await self._store.aput(self._namespace, _key(note), value, index=False)
        await self._prune()
        return len(notes)

    async def find(self, question: str, limit: int) -> tuple[Memory, ...]:
        """Return the memories nearest to the question, nearest first."""
        items = await self._all()
        if not items or not limit:
            return ()
        (asked,) = await self._embedder.embed([question])
        cosines = np.asarray(await self._vectors(items)) @ np.asarray(asked)
        order = [int(place) for place in np.argsort(-cosines, kind="stable")[:limit]]
        return tuple(
            _memory(items[place], float(cosines[place]))
            for place in order
            if cosines[place] >= _FLOOR
        )

    async def clear(self) -> int:
        """Delete everything; return how many items went."""
        items = await self._all()
        for item in items:
            await self._store.adelete(self._namespace, item.key)
        return len(items)

    async def _all(self) -> list[SearchItem]:
        found: list[SearchItem] = []
        while page := await self._store.asearch(self._namespace, limit=_PAGE, offset=len(found)):
            found += page
        return found

    async def _vectors(self, items: Sequence[SearchItem]) -> list[list[float]]:
        """Return the stored vectors; those of another embedder are made anew."""
        foreign = [item for item in items if item.value["embedder"] != self._embedder.name]
        made: dict[str, list[float]] = {}
        if foreign:
            again = await self._embedder.embed([str(item.value["text"]) for item in foreign])
            made = {item.key: vector for item, vector in zip(foreign, again, strict=True)}
        return [made.get(item.key) or item.value["vector"] for item in items]

    async def _prune(self) -> None:
        items = sorted(await self._all(), key=lambda item: str(item.value["created"]))
        for item in items[: max(0, len(items) - self._limit)]:
            await self._store.adelete(self._namespace, item.key)


def _replaces(note: Note, vector: list[float], item: SearchItem, other: list[float]) -> bool:
    if note.kind != item.value["kind"]:
        return False
    if note.slot and note.slot == item.value["slot"]:
        return True
    return note.kind == "fact" and float(np.dot(vector, other)) > _SAME


def _memory(item: SearchItem, relevance: float) -> Memory:
    value: dict[str, Any] = item.value
    return Memory(
        id=item.key,
        text=value["text"],
        kind=value["kind"],
        thread=value["thread"],
        created=value["created"],
        relevance=round(relevance, 4),
    )


def _key(note: Note) -> str:
    return hashlib.sha256(f"{note.kind}\n{note.slot}\n{note.text}".encode()).hexdigest()[:24]


def _label(name: str) -> str:
    # Stores forbid dots and empty labels and may match prefixes by LIKE, where `_` and `%` are
    # wildcards and case is ignored: whatever is not plain lower case is spelt out.
    return re.sub(r"[^a-z0-9-]", lambda match: f"={ord(match[0]):x}=", name) or "="
