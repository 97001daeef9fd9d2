"""The table: knowledge in, batch by batch; and what runs it over files, folders and pages."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast

from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy

from antiphon.graphs.traced import traced
from antiphon.nodes.ingest import (
    Fetch,
    Growth,
    IngestContext,
    IngestInput,
    IngestState,
    Redactor,
    Report,
    chunk_document,
    conclude,
    current,
    embed_and_upsert,
    is_full,
    load_file,
    redact,
)
from antiphon.tools.errors import transient
from antiphon.tools.privacy import Detector
from antiphon.tools.retrieval import Knowledge
from antiphon.tools.retrieval.fetching import Fetcher, page
from antiphon.tools.retrieval.loaders import discover
from antiphon.tools.retrieval.origins import Origins, files, gives
from antiphon.tools.tokens import TokenCounter

Next = Literal["load", "embed_and_upsert", "conclude"]
IngestGraph = StateGraph[IngestState, IngestContext, IngestInput, IngestState]
BOUNDED = {"bounded": "by the number of files"}
STRETCH = re.compile(r"[\s\S]{20000,40000}?\n[ \t\r]*\n|[\s\S]{40000}")
"""How long texts are cut for the detector, whose work grows faster than the text."""
STEPS_PER_FILE = 4
"""Nodes a file passes through at most: each storing step is done with a file at least."""
Progress = Callable[[float, int, int], None]
"""Told how many files are done, a long one by its share, of how many, and the passages so far."""


PATIENT = RetryPolicy(max_attempts=3, initial_interval=0.5, retry_on=transient)


def build_ingest(
    knowledge: Knowledge,
    tokens: TokenCounter,
    *,
    redactor: Redactor | None = None,
    fetch: Fetch | None = None,
) -> IngestGraph:
    """Declare the way of a file into the batch, and of a batch into the knowledge."""
    return (
        StateGraph(
            IngestState,
            context_schema=IngestContext,
            input_schema=IngestInput,
            output_schema=IngestState,
        )
        .add_node("load", load_file(fetch or Fetcher().fetched), metadata=BOUNDED)
        .add_node("redact", redact(redactor))
        .add_node("chunk", chunk_document(tokens))
        .add_node(
            "embed_and_upsert", embed_and_upsert(knowledge), retry_policy=PATIENT, metadata=BOUNDED
        )
        .add_node("conclude", conclude(knowledge), retry_policy=PATIENT)
        .add_edge(START, "load")
        .add_conditional_edges("load", after_load)
        .add_conditional_edges("redact", after_redact)
        .add_conditional_edges("chunk", after_file)
        .add_conditional_edges("embed_and_upsert", after_upsert)
        .add_edge("conclude", END)
    )


def after_load(state: IngestState) -> Literal["redact", Next]:
    """Go on with what was read."""
    return "redact" if state["document"] else after_file(state)


def after_redact(state: IngestState) -> Literal["chunk", Next]:
    """Go on with what could be checked."""
    return "chunk" if state["document"] else after_file(state)


def after_file(state: IngestState) -> Next:
    """Take the next file while there is room in the batch; store it when full, or at the end."""
    batch = state.get("batch", ())
    if current(state) and not is_full(batch):
        return "load"
    return "embed_and_upsert" if batch else "conclude"


def after_upsert(state: IngestState) -> Next:
    """Store what was kept out first, then take the next file, or conclude after the last."""
    if state["batch"]:
        return "embed_and_upsert"
    return "load" if current(state) else "conclude"


def redactor(detector: Detector) -> Redactor:
    """Return what finds the spans that may not be stored, a stretch of paragraphs at a time."""

    def find(text: str) -> list[tuple[int, int]]:
        cuts = [0, *(m.end() for m in STRETCH.finditer(text)), len(text)]
        return [
            (start + span.start, start + span.end)
            for start, end in pairwise(cuts)
            for span in detector.find(text[start:end])
        ]

    async def spans(text: str) -> list[tuple[int, int]]:
        return await asyncio.to_thread(find, text)

    return spans


async def ingest_paths(
    knowledge: Knowledge,
    tokens: TokenCounter,
    paths: Sequence[Path],
    *,
    context: IngestContext,
    urls: Sequence[str] = (),
    progress: Progress | None = None,
    redactor: Redactor | None = None,
    fetch: Fetch | None = None,
    origins: Origins | None = None,
) -> dict[str, object]:
    """Ingest files, folders and pages; return the report of `antiphon ingest --json`.

    With `origins`, what a folder gave before and no longer holds is forgotten, and a file is called
    so that it does not replace another folder's.

    Raises:
        InputError: a path does not exist, or there is no document below the paths.
        KnowledgeError: the knowledge itself cannot be written.
    """
    began = time.perf_counter()
    owners = await asyncio.to_thread(origins.owners, context.tenant) if origins else {}
    sources = await asyncio.to_thread(discover, paths, owners) if paths else ()
    given = gives(paths, sources)
    if origins is not None:
        vanished = await asyncio.to_thread(origins.vanished, context.tenant, given)
        context = replace(context, vanished=vanished)
    sources += tuple(page(url) for url in dict.fromkeys(urls))
    table = build_ingest(knowledge, tokens, redactor=redactor, fetch=fetch)
    graph = traced(table.compile(name="ingest"))
    report = Report()
    steps = graph.astream(
        {"sources": sources},
        {"recursion_limit": STEPS_PER_FILE * len(sources) + 2},
        context=context,
        stream_mode=["values", "custom"],
    )
    # Of several modes the stream yields pairs, which its type does not say.
    async for _, told in cast("AsyncIterator[tuple[str, IngestState | Growth]]", steps):
        if isinstance(told, Growth):
            if progress:
                done = report.done + told.stored / told.of
                progress(done, len(sources), report.passages + told.stored)
            continue
        known = told.get("report", report)
        if progress and known.done > report.done:
            progress(known.done, len(sources), known.passages)
        report = known
    if origins is not None and paths and report.files and not context.dry_run:
        await asyncio.to_thread(origins.note, context.tenant, given, files(paths, sources))
    return {
        **asdict(report),
        "failed": [asdict(rejected) for rejected in report.failed],
        "seconds": round(time.perf_counter() - began, 3),
    }
