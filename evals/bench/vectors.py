"""Vectors of a bench's texts, kept by content between runs; timings still embed for real."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from antiphon.tools.retrieval.passages import Embedder

BATCH = 256


class BenchVectors:
    """An Embedder that remembers every vector, until it is told to be `live`."""

    def __init__(self, embedder: Embedder, path: Path | None = None) -> None:
        """Read what `path` holds; None keeps nothing between runs."""
        self.name = embedder.name
        self.dimensions = embedder.dimensions
        self.live = False
        """Embed every text with the model, as a turn would."""
        self.spent_s = 0.0
        """Seconds in the model so far."""
        self.made = 0
        """Texts the model embedded so far."""
        self._embedder = embedder
        self._path = path
        self._known = _read(path) if path else {}

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector per text."""
        keys = [self._key(text) for text in texts]
        fresh = {
            key: text
            for key, text in zip(keys, texts, strict=True)
            if self.live or key not in self._known
        }
        made = await self._made(list(fresh.values()))
        self._known.update(
            (key, np.asarray(vector, np.float32)) for key, vector in zip(fresh, made, strict=True)
        )
        return [self._known[key].tolist() for key in keys]

    def unread(self) -> BenchVectors:
        """Return one over the same model that has everything still to embed."""
        return BenchVectors(self._embedder)

    def save(self) -> None:
        """Write what is known, where a path was given."""
        if self._path is None or not self._known:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, keys=np.array([*self._known]), vectors=np.array([*self._known.values()]))
        part.replace(self._path)

    async def _made(self, texts: Sequence[str]) -> list[list[float]]:
        began, found = time.perf_counter(), []
        for start in range(0, len(texts), BATCH):
            found += await self._embedder.embed(texts[start : start + BATCH])
        self.spent_s += time.perf_counter() - began
        self.made += len(texts)
        return found

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{self.name}\x1f{text}".encode()).hexdigest()


def _read(path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        # Missing or damaged: it only saves time and is made again.
        return {}
