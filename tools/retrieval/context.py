"""From hits to what a model may read: cards packed under a token budget, fenced, numbered, cited."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One numbered passage as the model sees it."""

    number: int
    """1-based; the answer cites it as [number]."""
    source: str
    title: str
    heading: str
    text: str
    """Verbatim, possibly cut at the end to fit the budget."""
    start: int
    """Offset of `text` in the source."""
    tokens: int
    score: float
    updated: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A verbatim quote that supports a sentence of the answer."""

    id: int
    source: str
    title: str
    quote: str
    start: int
    end: int
