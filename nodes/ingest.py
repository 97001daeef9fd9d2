"""Knowledge in: load, redact and chunk file by file, embed and upsert by the batch; conclude.

Only a batch is held at a time. What is wrong with one file is written into the report and the next
file follows; what is wrong with the knowledge itself ends the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypedDict

from langgraph.runtime import Runtime

from antiphon.tools.errors import AntiphonError
from antiphon.tools.retrieval.chunking import chunk
from antiphon.tools.retrieval.language import detect
from antiphon.tools.retrieval.loaders import Source, load
from antiphon.tools.retrieval.passages import Change, Document, Knowledge, Passage
from antiphon.tools.tokens import TokenCounter

BATCH_PASSAGES = 256
"""Passages that are gathered before they are embedded together."""
STRIDE = 1024
"""Passages of a long file that are stored at once: what is held in memory, and lost by a kill."""
MOST_STRIDES = 64
"""Each stride names the whole file so far again, so a very long one takes longer strides."""
WRITERS = 32
"""Files that are written side by side, so that their passages share the embedder's batches."""

Fetch = Callable[[str], AbstractAsyncContextManager[Path]]
"""Fetches a page into a file that is gone on leaving. Raises InputError."""
Redactor = Callable[[str], Awaitable[Sequence[tuple[int, int]]]]
"""Finds the spans of a text that may not be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestContext:
    """What a caller may turn, per run."""

    tenant: str = "default"
    replace: bool = False
    """Forget every source that is not among the files."""
    vanished: tuple[str, ...] = ()
    """Sources to forget: their files are gone from where they were."""
    dry_run: bool = False
    """Change nothing; `added`, `unchanged` and `removed` are then told from passage counts."""
    labels: tuple[str, ...] = ()
    """Access labels of files that name none."""
    language: str = ""
    """Language of files that name none; empty: it is detected."""
    fallback: str = "en"
    """Language where a text is too short to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A file that did not make it."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an ingestion did, in the terms of `antiphon ingest --json`."""

    files: int = 0
    """Files taken in."""
    passages: int = 0
    """Passages of those files."""
    added: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: tuple[Rejected, ...] = ()
    knowledge_version: str = ""

    @property
    def done(self) -> int:
        """Files dealt with so far."""
        return self.files + len(self.failed)

    def reject(self, source: Source, reason: str) -> Report:
        """Return the report with one more failed file."""
        return replace(self, failed=(*self.failed, Rejected(path=source.source, reason=reason)))

    def add(self, passages: int, change: Change) -> Report:
        """Return the report with one more file taken in."""
        return replace(
            self,
            files=self.files + 1,
            passages=self.passages + passages,
            added=self.added + change.added,
            unchanged=self.unchanged + change.unchanged,
            removed=self.removed + change.removed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How far a long file is stored: written to the stream, since its step goes on."""

    stored: int
    """Passages so far."""
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A file's passages, waiting to be stored."""

    source: str
    passages: tuple[Passage, ...]


class IngestInput(TypedDict):
    """The files to take in."""

    sources: tuple[Source, ...]


class IngestState(TypedDict, total=False):
    """Where an ingestion stands."""

    sources: tuple[Source, ...]
    report: Report
    document: Document | None
    """None where the file was rejected."""
    batch: tuple[Cut, ...]


def current(state: IngestState) -> Source | None:
    """Return the file that is next to be read or being worked on; None after the last."""
    at = state.get("report", Report()).done + len(state.get("batch", ()))
    return state["sources"][at] if at < len(state["sources"]) else None


def is_full(batch: Sequence[Cut]) -> bool:
    """Say whether enough passages wait for the embedder."""
    return sum(len(cut.passages) for cut in batch) >= BATCH_PASSAGES


class IngestNode(Protocol):
    """A step that depends on what the caller wants."""

    def __call__(
        self, state: IngestState, *, runtime: Runtime[IngestContext]
    ) -> Awaitable[IngestState]:
        """Return what to change."""
        ...


class FileNode(Protocol):
    """A step that treats every caller's files alike."""

    def __call__(self, state: IngestState) -> Awaitable[IngestState]:
        """Return what to change."""
        ...


def load_file(fetch: Fetch) -> IngestNode:
    """Read the next file or page; what cannot be read is reported."""

    async def load_next(state: IngestState, *, runtime: Runtime[IngestContext]) -> IngestState:
        context, report = runtime.context, state.get("report", Report())
        source = current(state)
        if source is None:
            return {"report": report, "document": None}
        try:
            if source.url:
                async with fetch(source.url) as path:
                    document = await asyncio.to_thread(load, replace(source, path=path))
            else:
                document = await asyncio.to_thread(load, source)
        except AntiphonError as error:
            return {"report": report.reject(source, error.message), "document": None}
        language, start = document.language or context.language, document.body_start
        return {
            "report": report,
            "document": replace(
                document,
                labels=document.labels or context.labels,
                language=language or detect(document.text[start:], otherwise=context.fallback),
            ),
        }

    return load_next


def redact(redactor: Redactor | None) -> FileNode:
    """Mask personal data before anything is stored; a file that cannot be checked is rejected.

    Each masked character becomes `*`, so that offsets go on pointing into the file.
    """

    async def mask(state: IngestState) -> IngestState:
        document, source = state["document"], current(state)
        if redactor is None or document is None or source is None:
            return {}
        try:
            spans = await redactor(document.text)
            title = await redactor(document.title)
        except AntiphonError as error:
            reason = f"Not checked for personal data: {error.message}"
            return {"report": state["report"].reject(source, reason), "document": None}
        masked = replace(
            document, text=_masked(document.text, spans), title=_masked(document.title, title)
        )
        return {"document": masked}

    return mask


def chunk_document(tokens: TokenCounter) -> FileNode:
    """Cut the document into passages and lay them to the batch; one without words is rejected."""

    async def cut(state: IngestState) -> IngestState:
        document, source = state["document"], current(state)
        passages = await asyncio.to_thread(chunk, document, tokens=tokens) if document else ()
        if source is None or not passages:
            report = state["report"]
            rejected = report.reject(source, "Empty: it holds no words") if source else report
            return {"report": rejected, "document": None}
        done = Cut(source=source.source, passages=passages)
        return {"batch": (*state.get("batch", ()), done), "document": None}

    return cut


def embed_and_upsert(knowledge: Knowledge) -> IngestNode:
    """Make the knowledge hold exactly these passages of each file in the batch.

    One step and not two: only the knowledge knows which passages it lacks, and those alone are
    embedded. Files that a short outage kept out stay in the batch; where it kept all out, it is
    raised, so that the node's retry policy waits.
    """

    async def store(state: IngestState, *, runtime: Runtime[IngestContext]) -> IngestState:
        context, report, batch = runtime.context, state["report"], state["batch"]
        if context.dry_run:
            stored = (await knowledge.inventory(tenant=context.tenant)).sources
            for cut in batch:
                change = _expected(stored.get(cut.source, 0), len(cut.passages))
                report = report.add(len(cut.passages), change)
            return {"report": report, "batch": ()}
        outcomes = await _upserted(knowledge, batch, context.tenant, runtime.stream_writer)
        for cut, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Change):
                report = report.add(len(cut.passages), outcome)
        failed = [error for error in outcomes if isinstance(error, AntiphonError)]
        fatal = [error for error in failed if not error.retryable]
        if fatal or len(failed) == len(batch):
            raise (fatal or failed)[0]
        late = tuple(
            cut for cut, out in zip(batch, outcomes, strict=True) if not isinstance(out, Change)
        )
        return {"report": report, "batch": late}

    return store


async def _upserted(
    knowledge: Knowledge, batch: Sequence[Cut], tenant: str, tell: Callable[[Growth], None]
) -> list[Change | AntiphonError]:
    """Store files side by side; return what became of each."""
    writers = asyncio.Semaphore(WRITERS)

    async def one(cut: Cut) -> Change | AntiphonError:
        async with writers:
            try:
                if len(cut.passages) > STRIDE:
                    return await _grown(knowledge, cut, tenant, tell)
                return await knowledge.upsert(cut.source, cut.passages, tenant=tenant)
            except AntiphonError as error:
                return error

    return await asyncio.gather(*(one(cut) for cut in batch))


async def _grown(
    knowledge: Knowledge, cut: Cut, tenant: str, tell: Callable[[Growth], None]
) -> Change:
    """Store a long file by and by, from as many passages on as are stored of it already.

    A run that was killed goes on where it stopped, and what was stored before stays searchable.
    """
    count = len(cut.passages)
    at = (await knowledge.inventory(tenant=tenant)).sources.get(cut.source, 0)
    added = removed = 0
    while True:
        at = min(at + max(STRIDE, count // MOST_STRIDES), count)
        change = await knowledge.upsert(cut.source, cut.passages[:at], tenant=tenant)
        added, removed = added + change.added, removed + change.removed
        tell(Growth(stored=at, of=count))
        if at == count:
            held = change.added + change.unchanged
            return Change(added=added, unchanged=held - added, removed=removed)


def conclude(knowledge: Knowledge) -> IngestNode:
    """Forget the sources that vanished or are to be replaced; name the version that now stands.

    A file that failed this time keeps what is stored of it, and where no file at all was taken
    in nothing is forgotten: a wrong mount must not empty the knowledge.
    """

    async def settle(state: IngestState, *, runtime: Runtime[IngestContext]) -> IngestState:
        context, report = runtime.context, state["report"]
        inventory = await knowledge.inventory(tenant=context.tenant)
        others = inventory.sources.keys() - {source.source for source in state["sources"]}
        stale = others if context.replace else others & set(context.vanished)
        if report.files and stale:
            if context.dry_run:
                gone = sum(inventory.sources[source] for source in stale)
            else:
                gone = await knowledge.remove(sorted(stale), tenant=context.tenant)
                inventory = await knowledge.inventory(tenant=context.tenant)
            report = replace(report, removed=report.removed + gone)
        return {"report": replace(report, knowledge_version=inventory.version)}

    return settle


def _masked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return the text with the spans starred out; line breaks stay, since they give structure."""
    characters = list(text)
    for start, end in spans:
        for at in range(max(start, 0), min(end, len(text))):
            if characters[at] not in "\r\n":
                characters[at] = "*"
    return "".join(characters)


def _expected(stored: int, wanted: int) -> Change:
    """Return what an upsert would change as far as numbers of passages tell."""
    return Change(
        added=max(wanted - stored, 0),
        unchanged=min(wanted, stored),
        removed=max(stored - wanted, 0),
    )
