"""`antiphon search`: what the knowledge holds on something, and how the search came to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.opening import opened, run
from antiphon.gateway.cli.options import AsJson, AssistantFolder, Tenant
from antiphon.gateway.cli.output import console, emit, table, visible
from antiphon.gateway.cli.turns import read_message

if TYPE_CHECKING:
    from antiphon.tools.retrieval import Hit, Passage
    from antiphon.tools.retrieval.context import Card
    from antiphon.tools.retrieval.passages import Where
    from antiphon.tools.retrieval.search import Found, Stage
    from antiphon.tools.retrieval.versions import Dropped

SHOWN = 300
"""Characters of a passage shown to a person."""
WIDTH = 100
MISSED = "-"
REASONS = {
    "repeated": "says the same as",
    "older": "is an older version of",
    "beyond_limit": "ranks below the last one kept",
}
Many = list[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search of a turn with all that followed from it."""

    query: str
    where: Where
    found: Found
    cards: Sequence[Card]
    budget_tokens: int
    confidence: float
    min_confidence: float

    @property
    def answers(self) -> bool:
        """Whether a turn would answer from this instead of saying that it does not know."""
        return bool(self.cards) and self.confidence >= self.min_confidence

    def card_of(self, passage: Passage) -> Card | None:
        """Return the card that a passage became."""
        return next(
            (
                card
                for card in self.cards
                if card.source == passage.source and passage.start <= card.start < passage.end
            ),
            None,
        )


def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", hidden=True)],
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, max=100, help="Most passages; else what a turn considers.", show_default=False
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show each stage: legs, fusion, what was left out.")
    ] = False,
    source: Annotated[
        Many, typer.Option(metavar="S", help="Only this source, or folder `guides/`; repeatable.")
    ] = None,
    language: Annotated[
        Many, typer.Option(metavar="TAG", help="Only this language; repeatable.")
    ] = None,
    label: Annotated[
        Many, typer.Option(metavar="L", help="Search as one who holds this label; repeatable.")
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="DATE", help="Only what changed on or after.", show_default=False)
    ] = "",
    until: Annotated[
        str, typer.Option(metavar="DATE", help="Only what changed by then.", show_default=False)
    ] = "",
    tenant: Tenant = "default",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Find passages about TEXT, as a turn would, with scores.

    A labelled passage is found only by who holds one of its labels.
    """
    from antiphon.tools.retrieval.passages import Where

    where = Where(
        sources=tuple(source or ()),
        languages=tuple(language or ()),
        labels=tuple(label or ()),
        updated_from=since,
        updated_to=until,
    )
    result = run(_search(read_message(text), where, tenant, limit, assistant))
    if as_json:
        emit(_told(result, explain=explain))
    elif explain:
        _explain(result)
    else:
        _show(result)


async def _search(
    query: str, where: Where, tenant: str, limit: int | None, assistant: Path | None
) -> Search:
    from antiphon.tools.retrieval.confidence import retrieval_confidence
    from antiphon.tools.retrieval.context import pack
    from antiphon.tools.retrieval.search import Retriever

    async with opened(assistant) as runtime:
        services = runtime.services
        rules = services.assistant.knowledge
        # The assistant's own files come in first, so that no stage is charged for that.
        await services.knowledge.inventory(tenant=tenant)
        found = await Retriever(services.knowledge, reranker=services.reranker).search(
            query, tenant=tenant, limit=limit or rules.top_k, where=where
        )
        return Search(
            query=query,
            where=where,
            found=found,
            cards=pack(
                found.hits,
                budget_tokens=rules.budget_tokens,
                tokens=services.tokens,
                query=query,
            ),
            budget_tokens=rules.budget_tokens,
            confidence=retrieval_confidence(query, found.hits),
            min_confidence=rules.min_confidence,
        )


def _told(result: Search, *, explain: bool) -> dict[str, object]:
    """Return the result as JSON."""
    told: dict[str, object] = {
        "query": result.query,
        "confidence": result.confidence,
        "answers": result.answers,
        "hits": [_row(rank, hit, result) for rank, hit in enumerate(result.found.hits, 1)],
    }
    if not explain:
        return told
    where = result.where
    return told | {
        "where": {
            "sources": where.sources,
            "languages": where.languages,
            "labels": where.labels,
            "updated_from": where.updated_from,
            "updated_to": where.updated_to,
        },
        "min_confidence": result.min_confidence,
        "stages": [_stage(stage) for stage in result.found.stages],
        "dropped": [
            _place(one.hit.passage)
            | {"score": one.hit.score, "reason": one.reason, "kept": one.kept or None}
            for one in result.found.dropped
        ],
        "context": {
            "budget_tokens": result.budget_tokens,
            "tokens": sum(card.tokens for card in result.cards),
            "cards": [
                {
                    "number": card.number,
                    "source": card.source,
                    "start": card.start,
                    "characters": len(card.text),
                    "tokens": card.tokens,
                }
                for card in result.cards
            ],
        },
    }


def _row(rank: int, hit: Hit, result: Search) -> dict[str, object]:
    passage, card = hit.passage, result.card_of(hit.passage)
    return _place(passage) | {
        "rank": rank,
        "score": hit.score,
        "keyword_rank": hit.keyword_rank,
        "bm25": hit.bm25,
        "dense_rank": hit.dense_rank,
        "cosine": hit.cosine,
        "explained": hit.explained or None,
        "text": passage.text,
        "language": passage.language,
        "updated": passage.updated,
        "labels": passage.labels,
        "card": card.number if card else None,
        "cut": bool(card and len(card.text) < len(passage.text)),
    }


def _place(passage: Passage) -> dict[str, object]:
    return {
        "id": passage.id,
        "source": passage.source,
        "title": passage.title,
        "heading": passage.heading,
        "start": passage.start,
        "end": passage.end,
    }


def _stage(stage: Stage) -> dict[str, object]:
    return {
        "name": stage.name,
        "query": stage.query,
        "ms": stage.ms,
        "note": stage.note,
        "ranking": [{"id": key, "score": score} for key, score in stage.ranking],
    }


def _show(result: Search) -> None:
    """Print the passages with what they say."""
    import textwrap

    out = console()
    if not result.found.hits:
        out.print("Nothing found.")
    for rank, hit in enumerate(result.found.hits, 1):
        passage = hit.passage
        out.print(visible(f"{rank}. {_heads(passage)}"), style="bold")
        out.print(visible(f"   {_where(passage)} · {_marks(hit)}"), style="dim")
        text = " ".join(passage.text.split())
        said = f"{text[:SHOWN]}{'…' if len(text) > SHOWN else ''}"
        out.print(visible(textwrap.indent(textwrap.fill(said, min(out.width, WIDTH) - 3), "   ")))
    if result.found.hits:
        out.print(_verdict(result), style="dim")


def _marks(hit: Hit) -> str:
    bm25, cosine = _leg(None, hit.bm25), _leg(None, hit.cosine)
    return f"score {hit.score:.3f} · bm25 {bm25} · cosine {cosine}"


def _explain(result: Search) -> None:
    """Print how the ranking came about, stage by stage."""
    out, hits = console(), result.found.hits
    for stage in result.found.stages:
        said = f' "{stage.query}"' if stage.query else ""
        left = f"{len(stage.ranking)} passages"
        note = f" · {stage.note}" if stage.note else ""
        out.print(visible(f"{stage.name:<9}{left}, {stage.ms:.1f} ms{said}{note}"), style="dim")
    if not hits:
        out.print("Nothing found.")
        return
    order = {hit.passage.id: rank for rank, hit in enumerate(hits, 1)}
    later = [stage for stage in result.found.stages if stage.name in ("join", "rerank")]
    columns = ["#", "passage", "keyword", "vectors", "fused", *(s.name for s in later), "card"]
    table("", columns, [_explained(order[hit.passage.id], hit, result, later) for hit in hits])
    for line in _left_out(result.found.dropped, order):
        out.print(visible(line))
    spent = sum(card.tokens for card in result.cards)
    out.print(f"context  {len(result.cards)} cards, {spent} of {result.budget_tokens} tokens")
    out.print(_verdict(result))


def _explained(rank: int, hit: Hit, result: Search, later: Sequence[Stage]) -> list[object]:
    key, card = hit.passage.id, result.card_of(hit.passage)
    fused = _standing(key, result.found.stages[0])
    shown = MISSED
    if card:
        cut = ", cut" if len(card.text) < len(hit.passage.text) else ""
        shown = f"[{card.number}] {card.tokens} tokens{cut}"
    return [
        rank,
        f"{_heads(hit.passage)}\n{_where(hit.passage)}",
        _leg(hit.keyword_rank, hit.bm25),
        _leg(hit.dense_rank, hit.cosine),
        fused,
        *(_standing(key, stage) for stage in later),
        shown,
    ]


def _standing(key: str, stage: Stage) -> str:
    """Return the place and score that a passage had after a stage."""
    for rank, (other, score) in enumerate(stage.ranking, 1):
        if other == key:
            return _leg(rank, score)
    return MISSED


def _left_out(dropped: Sequence[Dropped], order: Mapping[str, int]) -> list[str]:
    """Say what was left out and why; what only came too late is counted."""
    lines = []
    for one in (one for one in dropped if one.reason != "beyond_limit"):
        kept = f"{REASONS[one.reason]} {order[one.kept]}." if one.kept in order else one.reason
        lines.append(f"left out  {_where(one.hit.passage)} {kept}")
    late = [one.hit for one in dropped if one.reason == "beyond_limit"]
    if late:
        best = f"{_where(late[0].passage)}, score {late[0].score:.3f}"
        lines.append(f"left out  {len(late)} beyond the limit, the first of them {best}")
    return lines


def _verdict(result: Search) -> str:
    does = "a turn would answer" if result.answers else "a turn would say that it does not know"
    return f"confidence {result.confidence:.2f} (at least {result.min_confidence:.2f}): {does}"


def _heads(passage: Passage) -> str:
    return " > ".join(part for part in (passage.title, passage.heading) if part) or passage.source


def _where(passage: Passage) -> str:
    return f"{passage.source}:{passage.start}-{passage.end}"


def _leg(rank: int | None, score: float | None) -> str:
    place = "" if rank is None else f"#{rank} "
    return MISSED if score is None else f"{place}{score:.3f}"
