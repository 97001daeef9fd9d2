"""Knowledge in, one file per pass: load, redact, chunk, embed and upsert; then conclude.

What is wrong with one file is written into the report and the next file follows; what is wrong
with the knowledge itself ends the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypedDict

from langgraph.runtime import Runtime

from antiphon.tools.errors import AntiphonError
from antiphon.tools.retrieval.chunking import chunk
from antiphon.tools.retrieval.loaders import Source, load
from antiphon.tools.retrieval.passages import Change, Document, Knowledge, Passage
from antiphon.tools.tokens import TokenCounter

Redactor = Callable[[str], Awaitable[Sequence[tuple[int, int]]]]
"""Finds the spans of a text that may not be stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestContext:
    """What a caller may turn, per run."""

    tenant: str = "default"
    replace: bool = False
    """Forget every source that is not among the files."""
    dry_run: bool = False
    """Change nothing; `added`, `unchanged` and `removed` are then told from passage counts."""


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
        """Files looked at so far."""
        return self.files + len(self.failed)

    def reject(self, source: Source, reason: str) -> Report:
        """Return the report with one more failed file."""
        return replace(self, failed=(*self.failed, Rejected(path=source.source, reason=reason)))


class IngestInput(TypedDict):
    """The files to take in."""

    sources: tuple[Source, ...]


class IngestState(TypedDict, total=False):
    """Where an ingestion stands; only one document is held at a time."""

    sources: tuple[Source, ...]
    report: Report
    document: Document | None
    """None where the file was rejected."""
    passages: tuple[Passage, ...]


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


def load_file() -> FileNode:
    """Read the next file; what cannot be read is reported."""

    async def load_next(state: IngestState) -> IngestState:
        report = state.get("report", Report())
        source = state["sources"][report.done]
        try:
            document = await asyncio.to_thread(load, source)
        except AntiphonError as error:
            return {"report": report.reject(source, error.message), "document": None}
        return {"report": report, "document": document}

    return load_next


def redact(redactor: Redactor | None) -> FileNode:
    """Mask personal data before anything is stored; a file that cannot be checked is rejected.

    Each masked character becomes `*`, so that offsets go on pointing into the file.
    """

    async def mask(state: IngestState) -> IngestState:
        document, report = state["document"], state["report"]
        if redactor is None or document is None:
            return {}
        try:
            spans = await redactor(document.text)
            title = await redactor(document.title)
        except AntiphonError as error:
            source = state["sources"][report.done]
            reason = f"Not checked for personal data: {error.message}"
            return {"report": report.reject(source, reason), "document": None}
        masked = replace(
            document, text=_masked(document.text, spans), title=_masked(document.title, title)
        )
        return {"document": masked}

    return mask


def chunk_document(tokens: TokenCounter) -> FileNode:
    """Cut the document into passages; one without words is rejected."""

    async def cut(state: IngestState) -> IngestState:
        document, report = state["document"], state["report"]
        passages = await asyncio.to_thread(chunk, document, tokens=tokens) if document else ()
        if not passages:
            rejected = report.reject(state["sources"][report.done], "Empty: it holds no words")
            return {"report": rejected, "document": None, "passages": ()}
        return {"passages": passages}

    return cut


def embed_and_upsert(knowledge: Knowledge) -> IngestNode:
    """Make the knowledge hold exactly these passages of the file.

    One step and not two: only the knowledge knows which passages it lacks, and those alone are
    embedded.
    """

    async def store(state: IngestState, *, runtime: Runtime[IngestContext]) -> IngestState:
        context, report, passages = runtime.context, state["report"], state["passages"]
        source = state["sources"][report.done].source
        if context.dry_run:
            stored = (await knowledge.inventory(tenant=context.tenant)).sources.get(source, 0)
            change = _expected(stored, len(passages))
        else:
            change = await knowledge.upsert(source, passages, tenant=context.tenant)
        report = replace(
            report,
            files=report.files + 1,
            passages=report.passages + len(passages),
            added=report.added + change.added,
            unchanged=report.unchanged + change.unchanged,
            removed=report.removed + change.removed,
        )
        return {"report": report, "document": None, "passages": ()}

    return store


def conclude(knowledge: Knowledge) -> IngestNode:
    """Forget the sources that are to be replaced, and name the version that now stands.

    A file that failed this time keeps what is stored of it, and where no file at all was taken
    in nothing is forgotten: a wrong mount must not empty the knowledge.
    """

    async def settle(state: IngestState, *, runtime: Runtime[IngestContext]) -> IngestState:
        context, report = runtime.context, state["report"]
        inventory = await knowledge.inventory(tenant=context.tenant)
        stale = inventory.sources.keys() - {source.source for source in state["sources"]}
        if context.replace and report.files and stale:
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
