"""What knowledge is made of, and the one Protocol that every backend fulfils.

A `Passage` is a verbatim slice of a source file (`text == source_text[start:end]`), so that a
quote from it can be checked against the file it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Progress = Callable[[int, int], None]
"""Told how many passages are done, of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One source file, as loaded."""

    source: str
    """Path as ingested, relative to the ingested root, with forward slashes."""
    text: str
    """The whole decoded text; passages are slices of it."""
    title: str
    language: str = "en"
    """BCP 47 primary tag."""
    updated: str = ""
    """ISO date the content was last changed, or empty when unknown."""
    body_start: int = 0
    """Where front matter ends: chunks start at or after this offset."""
    labels: tuple[str, ...] = ()
    """Access labels; empty means everyone in the tenant."""
    records: bool = False
    """Whether its paragraphs are records of a table: each is a passage of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A chunk of a document: the unit of search and of citation."""

    id: str
    """Hash of source, offsets and text: the same content has the same id."""
    source: str
    title: str
    heading: str
    """The headings above the chunk joined by ` > `, without the title."""
    text: str
    start: int
    end: int
    """Character offsets of `text` in the source's decoded text."""
    language: str = "en"
    updated: str = ""
    labels: tuple[str, ...] = ()

    @property
    def searchable(self) -> str:
        """The text that is indexed and embedded: title and headings carried into the chunk."""
        head = " > ".join(part for part in (self.title, self.heading) if part)
        return f"{head}\n{self.text}" if head else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which passages a search may see; every condition given must hold."""

    sources: tuple[str, ...] = ()
    """Sources or folders (`guides/`), any of them; empty: all."""
    languages: tuple[str, ...] = ()
    """BCP 47 primary tags, any of them; empty: all."""
    updated_from: str = ""
    """Earliest ISO date, inclusive; passages without a date are then left out."""
    updated_to: str = ""
    """Latest ISO date, inclusive; passages without a date are left out here too."""
    labels: tuple[str, ...] = ()
    """What the caller may see: a labelled passage needs one of these, an unlabelled one none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A passage found, with what each leg thought of it."""

    passage: Passage
    score: float
    """Fused score 0..1, normalised within this query: for order, never for thresholds."""
    bm25: float | None = None
    """Raw keyword score of the keyword leg, None when that leg missed it."""
    cosine: float | None = None
    """Cosine similarity -1..1 of query and passage vectors, None when unknown."""
    keyword_rank: int | None = None
    """Place in the keyword leg, from 1; None when that leg missed it or does not say."""
    dense_rank: int | None = None
    """Place in the vector leg as it was fused, from 1; None as above."""
    explained: str = ""
    """The backend's own account of the score, where it gives one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an upsert did."""

    added: int
    unchanged: int
    removed: int


class Knowledge(Protocol):
    """A tenant's passages, searchable. Every method is partitioned hard by `tenant`.

    Raises KnowledgeMissing, KnowledgeCorrupt or KnowledgeUnavailable.
    """

    async def search(
        self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
    ) -> tuple[Hit, ...]:
        """Return the best hits, best first, by hybrid search; no `where` sees unlabelled ones."""
        ...

    async def upsert(self, source: str, passages: Sequence[Passage], *, tenant: str) -> Change:
        """Make `source` consist of exactly these passages; embed only those that are new."""
        ...

    async def remove(self, sources: Sequence[str], *, tenant: str) -> int:
        """Forget whole sources; return how many passages went."""
        ...

    async def inventory(self, *, tenant: str) -> Inventory:
        """Say what is stored, and under which version."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What a tenant's knowledge holds."""

    sources: Mapping[str, int]
    """Passages per source."""
    version: str
    """Changes whenever any passage does; part of every cache key. Empty when nothing is stored."""
    backend: str
    """`sqlite` or `weaviate`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What bringing a backend's schema up to date did."""

    before: int
    """Schema version found; 0 when nothing was stored."""
    after: int
    passages: int
    """How many had to be rewritten."""
    embedded: int = 0
    """How many had to be embedded anew, the embedder being another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reindexed:
    """What embedding everything anew did."""

    tenants: tuple[str, ...]
    passages: int
    embedder: str


class Reindexable(Protocol):
    """Knowledge whose index can be rebuilt beside the one in use, which serves until the switch."""

    async def migrate(self, *, progress: Progress | None = None) -> Migration:
        """Bring what is stored up to this release's schema and to the embedder in use.

        Nothing to do is no error.
        """
        ...

    async def reindex(
        self, *, tenant: str | None = None, progress: Progress | None = None
    ) -> Reindexed:
        """Embed all passages anew, of one tenant or of all, and switch once they are complete."""
        ...


class Embedder(Protocol):
    """Texts to unit vectors."""

    name: str
    """Which model and runtime made the vectors; stored beside them."""
    dimensions: int

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one L2-normalised vector per text, in one batched call."""
        ...
