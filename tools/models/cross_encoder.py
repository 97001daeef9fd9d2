"""A model that reads query and passage together, as a reranker, whatever runs it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from antiphon.tools.errors import ModelUnavailable
from antiphon.tools.retrieval.passages import Passage


class Scorer(Protocol):
    """A loaded cross-encoder; called in a worker thread, one call at a time."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return how well each pair's second text answers its first; higher is better."""
        ...


class CrossEncoderReranker:
    """Marks passages by a cross-encoder.

    It loads in the background of the first search, which keeps the order it had.
    """

    weight = 1.0

    def __init__(self, name: str, load: Callable[[], Scorer]) -> None:
        """Load nothing yet."""
        self.name = name
        self._load = load
        self._scorer: Scorer | None = None
        self._lock = threading.Lock()

    async def marks(self, query: str, passages: Sequence[Passage]) -> Sequence[float]:
        """Return the model's score of each passage.

        Raises:
            ModelUnavailable: an earlier call, given up by its caller, is not done yet.
            SettingsError: there is no such model.
        """
        pairs = [(query, passage.searchable) for passage in passages]
        return await asyncio.to_thread(self._marks, pairs)

    def _marks(self, pairs: list[tuple[str, str]]) -> list[float]:
        # A caller that gave up cannot stop its thread: the next must not queue behind it.
        if not self._lock.acquire(blocking=False):
            raise ModelUnavailable(f"the reranker {self.name!r} is still at work")
        try:
            if self._scorer is None:
                self._scorer = self._load()
            return self._scorer.score(pairs) if pairs else []
        finally:
            self._lock.release()
