"""What a follow-up question is searched for: as asked, by rule, and by a model where one is set."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from antiphon.evals.bench.collection import Query, read
from antiphon.evals.bench.legs import row, searched
from antiphon.evals.bench.report import report
from antiphon.evals.bench.store import shelved
from antiphon.graphs.assembly import build_services
from antiphon.graphs.folders import chosen_assistant
from antiphon.graphs.settings import Settings, read_settings
from antiphon.tools.errors import InputError
from antiphon.tools.retrieval.rerank import WORDING
from antiphon.tools.retrieval.rewrite import Rewriter, Rewriting
from antiphon.tools.retrieval.rewrite import queries as wordings
from antiphon.tools.retrieval.search import Retriever

REMEMBERED = 6
"""Messages of the history that a turn keeps in view."""
PATIENCE_S = 120.0
"""A bench waits for a slow model, which a turn would not."""

Said = list[tuple[str, ...]]


async def run(
    data: Path, *, backend: str = "local", limit: int | None = None, cache: bool = False
) -> dict[str, object]:
    """Search for each follow-up in each wording; `ANTIPHON_MODEL` names the model that rewrites.

    Raises:
        InputError: no query has a history.
    """
    began = time.perf_counter()
    settings, collection = read_settings(), read(data)
    asked = [one for one in collection.queries if one.earlier and one.relevant][:limit]
    if not asked:
        raise InputError(
            f"{str(data)!r}: no query has earlier turns", hint="metadata.history holds them"
        )
    said, figures = await _wordings(asked, settings)
    async with shelved(data, collection, settings, backend=backend, cache=cache) as shelf:
        retriever = Retriever(shelf.knowledge, reranker=WORDING)
        await shelf.vectors.embed(sorted({t for way in said.values() for ts in way for t in ts}))
        rows = [
            row(method, (await searched(retriever, way))[0], asked) for method, way in said.items()
        ]
    figures |= {f"ndcg@10 {one['method']}": float(str(one["ndcg@10"])) for one in rows}
    return report("rewriting", str(data), figures, rows, time.perf_counter() - began)


async def _wordings(
    asked: Sequence[Query], settings: Settings
) -> tuple[dict[str, Said], dict[str, float]]:
    """Return what is searched for by each way, and what the model took."""
    said: dict[str, Said] = {
        "as asked": [(one.text,) for one in asked],
        "two turns joined": [(f"{one.earlier[-1]} {one.text}",) for one in asked],
        "by rule": [wordings(one.text, one.earlier) for one in asked],
    }
    if not settings.model or settings.model == "extractive":
        return said, {}
    services = build_services(settings, chosen_assistant(settings))
    rewriter = Rewriter(
        services.models, services.prompts, services.tokens, deadline_s=PATIENCE_S, min_quality=0.0
    )
    made: list[Rewriting] = []
    times: list[float] = []
    for one in asked:
        began = time.perf_counter()
        made.append(await rewriter.rewrite(one.text, _messages(one)))
        times.append(time.perf_counter() - began)
    said[f"by {settings.model}"] = [one.queries for one in made]
    return said, {
        "rewritten_share": statistics.fmean(one.reply is not None for one in made),
        "rewrite_p50_s": statistics.median(times),
    }


def _messages(query: Query) -> list[BaseMessage]:
    return [
        HumanMessage(text) if role == "user" else AIMessage(text)
        for role, text in query.history[-REMEMBERED:]
    ]
