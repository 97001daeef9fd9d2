"""Retrieval figures of a run: did the pages that hold the answer reach it, and what came along.

Both are taken over examples that name sources. Expected sources are alternatives: a page that says
the same elsewhere is as good.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from antiphon.graphs.persistence import storage_errors
from antiphon.graphs.threads import Conversations
from antiphon.graphs.turns import Turn
from antiphon.nodes.state import Context

Reading = Callable[[Turn], Awaitable[Sequence[str]]]
"""Tells the source of each passage that a turn could read, best first."""


async def cited(turn: Turn) -> tuple[str, ...]:
    """Return the sources that a turn cites: all that is known without looking into its thread."""
    return tuple(str(each["source"]) for each in turn.citations)


async def retrieved(talk: Conversations, turn: Turn, context: Context) -> tuple[str, ...]:
    """Return the source of each passage that a thread's latest turn could read, best first."""
    entry = await talk.entry(context=context, thread=turn.thread_id)
    with storage_errors():
        snapshot = await talk.graph.aget_state(talk.runner.config(entry, entry.token))
    cards = snapshot.values.get("cards", ()) if snapshot.values.get("turn") == entry.id else ()
    return tuple(card.source for card in cards)


def figures(expected: Sequence[str], sources: Sequence[str]) -> dict[str, float]:
    """Return one example's figures; none where it names no source.

    `context_recall`: whether an expected source is among the passages; `context_precision`: the
    share of passages that are of one, which says nothing where none were retrieved.
    """
    if not expected:
        return {}
    right = sum(source in expected for source in sources)
    if not sources:
        return {"context_recall": 0.0}
    return {
        "context_recall": float(right > 0),
        "context_precision": round(right / len(sources), 4),
    }


def means(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return each figure's mean over the examples that have it, and how many name a source."""
    found = [row for row in rows if row]
    if not found:
        return {}
    mean = {
        name: round(sum(values) / len(values), 4)
        for name in ("context_recall", "context_precision")
        if (values := [row[name] for row in found if name in row])
    }
    return {"examples": len(found), **mean}


def shown(figures: Mapping[str, float]) -> str:
    """Return a run's figures as a line."""
    if not figures:
        return ""
    parts = [
        f"{name.replace('_', ' ')} {figures[name]:.3f}"
        for name in ("context_recall", "context_precision")
        if name in figures
    ]
    return f"retrieval over {figures['examples']:.0f} examples with sources: {', '.join(parts)}"
