"""The RAG engine: passages in, hits with scores out, packed into a budget and cited."""

from antiphon.tools.retrieval.passages import (
    Change,
    Document,
    Embedder,
    Hit,
    Inventory,
    Knowledge,
    Migration,
    Passage,
    Reindexable,
    Reindexed,
    Where,
)

__all__ = [
    "Change",
    "Document",
    "Embedder",
    "Hit",
    "Inventory",
    "Knowledge",
    "Migration",
    "Passage",
    "Reindexable",
    "Reindexed",
    "Where",
]
