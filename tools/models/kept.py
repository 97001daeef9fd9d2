"""Vectors of an assistant's own wording, kept so that a cold start embeds nothing.

Only texts that the assistant declares are kept: never what a user says.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from antiphon.tools.private import write_private
from antiphon.tools.retrieval.passages import Embedder


class KeptVectors:
    """An Embedder that remembers the vectors of declared texts between processes."""

    def __init__(self, embedder: Embedder, declared: Collection[str], path: Path) -> None:
        self.name = embedder.name
        self.dimensions = embedder.dimensions
        self._embedder = embedder
        self._declared = frozenset(declared)
        self._path = path
        self._kept: dict[str, list[float]] | None = None
        self._lock = asyncio.Lock()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one unit vector per text; those not kept yet are embedded in one call."""
        async with self._lock:
            if self._kept is None:
                self._kept = await asyncio.to_thread(self._read)
            kept = self._kept
            new = [text for text in dict.fromkeys(texts) if text not in kept]
            made = dict(zip(new, await self._embedder.embed(new), strict=True)) if new else {}
            declared = {text: made[text] for text in new if text in self._declared}
            if declared:
                kept.update(declared)
                await asyncio.to_thread(self._write, dict(kept))
        return [kept[text] if text in kept else made[text] for text in texts]

    def _read(self) -> dict[str, list[float]]:
        try:
            with self._path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                keys: NDArray[np.str_] = stored["keys"]
                vectors: NDArray[np.float32] = stored["vectors"]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            # Missing or damaged: it is only a shortcut and is made again.
            return {}
        found = dict(zip(keys.tolist(), vectors.tolist(), strict=False))
        return {text: found[key] for text in self._declared if (key := self._key(text)) in found}

    def _write(self, kept: dict[str, list[float]]) -> None:
        packed = BytesIO()
        np.savez(
            packed,
            keys=np.array([self._key(text) for text in kept]),
            vectors=np.array(list(kept.values()), dtype=np.float32),
        )
        # A full or read-only disk costs the shortcut, not the turn.
        with suppress(OSError):
            write_private(self._path, packed.getvalue())

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{self.name}\x1f{text}".encode()).hexdigest()
