"""What a message is after: declared intents, an embedding classifier, a rejection threshold."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.tools.retrieval.passages import Embedder
from antiphon.tools.stored import Stored

Matrix = NDArray[np.float32]
Scores = NDArray[np.float64]
Need = Literal["knowledge", "tools"]
Certainty = Literal["sure", "ambiguous", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent(Stored):
    """The reading of one message."""

    name: str
    """A declared intent's name, or `unknown`."""
    confidence: float
    """0..1, calibrated enough to compare with the rejection threshold."""
    certainty: Certainty
    """`ambiguous`: two intents that need different things are about equally likely."""
    needs: tuple[Need, ...] = ()
    candidates: tuple[str, ...] = ()
    """Best names, best first: what a clarification question offers."""
    tools: tuple[str, ...] = ()
    """Tools the intent declares; empty means all."""
    replies: tuple[str, ...] = ()
    """Declared wordings for small talk, used when no language model speaks."""


class IntentClassifier(Protocol):
    """Reads messages."""

    async def classify(self, text: str, *, among: Sequence[str] = ()) -> Intent:
        """Return the intent of `text`, restricted to the names in `among` when given."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredIntent:
    """One thing people come for, as an assistant declares it."""

    name: str
    examples: tuple[str, ...]
    needs: tuple[Need, ...] = ()
    tools: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()
    label: str = ""
    """How a clarification question names it."""


_WIDTH = 2.0
"""Sharpness of the kernel exp(-width * (1 - cosine))."""
_RIDGE = 0.05
_LANDMARKS = 2500
"""Most examples the kernel machine keeps; beyond that it is a Nystroem approximation."""
_ROWS = 2048
_MIDDLE, _SPREAD = 0.28, 0.07
"""Likeness that means confidence 0.5, and how fast confidence rises around it.

Set so that on help-centre intents of a few examples each, other subjects stay under 0.35 and
paraphrases come over 0.55.
"""
_CANDIDATES = 3


class Likenesses:
    """How like each intent's examples a message is.

    Half the mark is kernel ridge regression's, which tells near intents apart; the other half is
    cosine to the intent's centroid and to its nearest example, which knows when a message is like
    none of them. Solved in closed form: milliseconds for an assistant, seconds for 15,000 examples.
    """

    def __init__(self, vectors: Matrix, counts: Sequence[int]) -> None:
        """Fit to unit `vectors`, which come grouped by intent, `counts` to each."""
        self._vectors = vectors
        self._starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
        sums = np.add.reduceat(vectors, self._starts, axis=0)
        self._centroids = sums / np.linalg.norm(sums, axis=1, keepdims=True).clip(1e-9)
        total = len(vectors)
        chosen = np.linspace(0, total - 1, min(total, _LANDMARKS)).astype(int)
        self._landmarks = vectors[chosen]
        owner = np.repeat(np.arange(len(counts)), counts)
        size = len(chosen)
        gram, targets = np.zeros((size, size)), np.zeros((size, len(counts)))
        for start in range(0, total, _ROWS):
            features = self._kernel(vectors[start : start + _ROWS])
            gram += features.T @ features
            targets += features.T @ np.eye(len(counts))[owner[start : start + _ROWS]]
        gram += _RIDGE * self._kernel(self._landmarks) + 1e-6 * np.eye(size)
        self._weights = np.linalg.solve(gram, targets)

    def of(self, queries: Matrix) -> Scores:
        """Return one row per query, one column per intent, about 0..1."""
        nearest = np.maximum.reduceat(queries @ self._vectors.T, self._starts, axis=1)
        learnt = self._kernel(queries) @ self._weights
        marks: Scores = (2 * learnt + queries @ self._centroids.T + nearest) / 4
        return marks

    def _kernel(self, rows: Matrix) -> Scores:
        kernel: Scores = np.exp(_WIDTH * (rows @ self._landmarks.T - 1.0), dtype=np.float64)
        return kernel


def confidence(likeness: float) -> float:
    """Return 0..1 for a likeness: a fixed rising curve, so that thresholds carry over."""
    return float(1 / (1 + np.exp((_MIDDLE - likeness) / _SPREAD)))


class EmbeddingClassifier:
    """Reads messages by their likeness to the declared example utterances."""

    def __init__(
        self,
        declared: Sequence[DeclaredIntent],
        embedder: Embedder,
        *,
        threshold: float,
        margin: float,
    ) -> None:
        """Embed nothing yet: examples are embedded, in one batch, at the first message.

        Args:
            declared: the intents; each needs at least one example.
            embedder: makes the vectors.
            threshold: confidence below which the intent is `unknown`.
            margin: likeness within which two intents that need different things are `ambiguous`.
        """
        self._declared = tuple(declared)
        self._embedder = embedder
        self._threshold = threshold
        self._margin = margin
        self._fitted: Likenesses | None = None
        self._lock = asyncio.Lock()

    async def classify(self, text: str, *, among: Sequence[str] = ()) -> Intent:
        """Return the intent of `text`, restricted to the names in `among` when given.

        A restricted choice answers a question we asked, so it takes half the confidence.
        """
        offered = [
            (at, one) for at, one in enumerate(self._declared) if not among or one.name in among
        ]
        if not offered:
            return Intent(name="unknown", confidence=0.0, certainty="unknown")
        marks = await self._marks(text)
        ranked = sorted(((float(marks[at]), one) for at, one in offered), key=lambda pair: -pair[0])
        best, intent = ranked[0]
        sureness = confidence(best)
        candidates = tuple(one.name for _, one in ranked[:_CANDIDATES])
        if sureness < (self._threshold / 2 if among else self._threshold):
            return Intent(
                name="unknown",
                confidence=sureness,
                certainty="unknown",
                candidates=candidates,
            )
        rival = any(
            best - mark < self._margin and (one.needs, one.tools) != (intent.needs, intent.tools)
            for mark, one in ranked[1:]
        )
        return Intent(
            name=intent.name,
            confidence=sureness,
            certainty="ambiguous" if rival and not among else "sure",
            needs=intent.needs,
            candidates=candidates,
            tools=intent.tools,
            replies=intent.replies,
        )

    async def _marks(self, text: str) -> NDArray[np.float64]:
        fitted = await self._ready()
        vector = np.asarray(await self._embedder.embed([text]), np.float32)
        row: NDArray[np.float64] = fitted.of(vector)[0]
        return row

    async def _ready(self) -> Likenesses:
        async with self._lock:
            if self._fitted is None:
                examples = [text for one in self._declared for text in one.examples]
                vectors = np.asarray(await self._embedder.embed(examples), np.float32)
                counts = [len(one.examples) for one in self._declared]
                self._fitted = await asyncio.to_thread(Likenesses, vectors, counts)
            return self._fitted
