"""The table: knowledge in, a file per pass; and what runs it over files and folders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy

from antiphon.nodes.ingest import (
    IngestContext,
    IngestInput,
    IngestState,
    Redactor,
    Report,
    chunk_document,
    conclude,
    embed_and_upsert,
    load_file,
    redact,
)
from antiphon.tools.errors import AntiphonError
from antiphon.tools.retrieval import Knowledge
from antiphon.tools.retrieval.loaders import discover
from antiphon.tools.tokens import TokenCounter

Next = Literal["load", "conclude"]
IngestGraph = StateGraph[IngestState, IngestContext, IngestInput, IngestState]
BOUNDED = {"bounded": "by the number of files"}
STEPS_PER_FILE = 4
"""Nodes a file passes through."""


def transient(error: Exception) -> bool:
    """Say whether the knowledge may answer if asked again."""
    return isinstance(error, AntiphonError) and error.retryable


PATIENT = RetryPolicy(max_attempts=3, initial_interval=0.5, retry_on=transient)


def build_ingest(
    knowledge: Knowledge, tokens: TokenCounter, *, redactor: Redactor | None = None
) -> IngestGraph:
    """Declare the way of a file into the knowledge, and on to the next."""
    return (
        StateGraph(
            IngestState,
            context_schema=IngestContext,
            input_schema=IngestInput,
            output_schema=IngestState,
        )
        .add_node("load", load_file(), metadata=BOUNDED)
        .add_node("redact", redact(redactor))
        .add_node("chunk", chunk_document(tokens))
        .add_node("embed_and_upsert", embed_and_upsert(knowledge), retry_policy=PATIENT)
        .add_node("conclude", conclude(knowledge), retry_policy=PATIENT)
        .add_edge(START, "load")
        .add_conditional_edges("load", after_load)
        .add_conditional_edges("redact", after_redact)
        .add_conditional_edges("chunk", after_chunk)
        .add_conditional_edges("embed_and_upsert", after_upsert)
        .add_edge("conclude", END)
    )


def after_load(state: IngestState) -> Literal["redact", Next]:
    """Go on with what was read."""
    return "redact" if state["document"] else after_upsert(state)


def after_redact(state: IngestState) -> Literal["chunk", Next]:
    """Go on with what could be checked."""
    return "chunk" if state["document"] else after_upsert(state)


def after_chunk(state: IngestState) -> Literal["embed_and_upsert", Next]:
    """Go on with what holds passages."""
    return "embed_and_upsert" if state["passages"] else after_upsert(state)


def after_upsert(state: IngestState) -> Next:
    """Take the next file, or conclude after the last."""
    return "load" if state["report"].done < len(state["sources"]) else "conclude"


async def ingest_paths(
    knowledge: Knowledge,
    tokens: TokenCounter,
    paths: Sequence[Path],
    *,
    tenant: str,
    replace: bool = False,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
    redactor: Redactor | None = None,
) -> dict[str, object]:
    """Ingest files and folders; return the report of `antiphon ingest --json`.

    `progress(done, total)` is called per file.

    Raises:
        InputError: a path does not exist, or there is no document below the paths.
        KnowledgeError: the knowledge itself cannot be written.
    """
    began = time.perf_counter()
    sources = await asyncio.to_thread(discover, paths)
    graph = build_ingest(knowledge, tokens, redactor=redactor).compile(name="ingest")
    report = Report()
    async for state in graph.astream(
        {"sources": sources},
        {"recursion_limit": STEPS_PER_FILE * len(sources) + 2},
        context=IngestContext(tenant=tenant, replace=replace, dry_run=dry_run),
        stream_mode="values",
    ):
        known: Report = state.get("report", report)
        if progress and known.done > report.done:
            progress(known.done, len(sources))
        report = known
    return {
        **asdict(report),
        "failed": [asdict(rejected) for rejected in report.failed],
        "seconds": round(time.perf_counter() - began, 3),
    }
