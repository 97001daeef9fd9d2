"""How like each tool a message is: cosine to the tool's description and to its examples."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from antiphon.tools.retrieval.passages import Embedder
from antiphon.tools.toolbox.calls import ToolSpec
from antiphon.tools.toolbox.schema import spoken


class Likeness:
    """Compares messages with tools; the tools are embedded once, at the first question."""

    def __init__(self, specs: Sequence[ToolSpec], embedder: Embedder) -> None:
        entries = [(spec.name, text) for spec in specs for text in described(spec)]
        self._names = [name for name, _ in entries]
        self._texts = [text for _, text in entries]
        self._embedder = embedder
        self._vectors: NDArray[np.float32] | None = None
        self._lock = asyncio.Lock()

    async def scores(self, text: str) -> dict[str, float]:
        """Return the likeness of `text` to each tool, -1..1."""
        async with self._lock:
            if self._vectors is None:
                embedded = await self._embedder.embed([*self._texts, text])
                self._vectors = np.asarray(embedded[:-1], np.float32)
                query = np.asarray(embedded[-1], np.float32)
            else:
                query = np.asarray((await self._embedder.embed([text]))[0], np.float32)
        best: dict[str, float] = {}
        for name, cosine in zip(self._names, self._vectors @ query, strict=True):
            best[name] = max(best.get(name, -1.0), float(cosine))
        return best


def described(spec: ToolSpec) -> tuple[str, ...]:
    """Return the texts that messages are compared with: what the tool does, and its examples."""
    return f"{spoken(spec.name)}: {spec.tool.description}", *spec.examples
