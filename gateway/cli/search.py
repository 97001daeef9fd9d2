"""`antiphon search`: what the knowledge holds on something, without a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.opening import opened, run
from antiphon.gateway.cli.options import AsJson, AssistantFolder, Tenant
from antiphon.gateway.cli.output import console, emit, visible
from antiphon.gateway.cli.turns import read_message

if TYPE_CHECKING:
    from antiphon.tools.retrieval import Hit

SHOWN = 300
"""Characters of a passage shown to a person."""


def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", hidden=True)],
    limit: Annotated[int, typer.Option(min=1, max=100, help="Most passages to show.")] = 5,
    tenant: Tenant = "default",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Find passages about TEXT, with scores."""
    query = read_message(text)
    hits = run(_search(query, tenant, limit, assistant))
    if as_json:
        emit({"query": query, "hits": [_row(rank, hit) for rank, hit in enumerate(hits, 1)]})
    else:
        _show(hits)


async def _search(query: str, tenant: str, limit: int, assistant: Path | None) -> Sequence[Hit]:
    async with opened(assistant) as runtime:
        return await runtime.services.knowledge.search(query, tenant=tenant, limit=limit)


def _row(rank: int, hit: Hit) -> dict[str, object]:
    passage = hit.passage
    return {
        "rank": rank,
        "score": hit.score,
        "bm25": hit.bm25,
        "cosine": hit.cosine,
        "id": passage.id,
        "source": passage.source,
        "title": passage.title,
        "heading": passage.heading,
        "text": passage.text,
        "start": passage.start,
        "end": passage.end,
    }


def _show(hits: Sequence[Hit]) -> None:
    out = console()
    if not hits:
        out.print("Nothing found.")
    for rank, hit in enumerate(hits, 1):
        passage = hit.passage
        where = " > ".join(part for part in (passage.title, passage.heading) if part)
        out.print(visible(f"{rank}. {where}"), style="bold")
        legs = f"score {hit.score:.3f} · bm25 {_leg(hit.bm25)} · cosine {_leg(hit.cosine)}"
        out.print(
            visible(f"   {passage.source}:{passage.start}-{passage.end} · {legs}"), style="dim"
        )
        text = " ".join(passage.text.split())
        out.print(visible(f"   {text[:SHOWN]}{'…' if len(text) > SHOWN else ''}"))


def _leg(score: float | None) -> str:
    return "none" if score is None else f"{score:.3f}"
