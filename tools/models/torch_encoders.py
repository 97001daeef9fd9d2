"""Models that need PyTorch, through sentence-transformers: any embedder, any cross-encoder.

Importing it takes up to 20 s, so it happens when the first text is to be read.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from antiphon.tools.errors import ModelUnavailable, SettingsError
from antiphon.tools.models.embeddings import Encoder, Remembered
from antiphon.tools.models.onnx_encoders import Vectors
from antiphon.tools.retrieval.passages import Passage

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer


class SentenceTransformerEmbedder(Remembered):
    """Any sentence-transformers model by name or folder; imports torch on the first text."""

    def __init__(self, name_or_path: str, *, dimensions: int = 384, batch: int = 32) -> None:
        """Load nothing yet; `dimensions` is corrected when the model is loaded."""
        super().__init__(name_or_path, dimensions)
        self._batch = batch

    def _load(self) -> Encoder:
        from sentence_transformers import SentenceTransformer

        try:
            model = SentenceTransformer(self.name)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"embedding model {self.name!r} could not be loaded: {error}",
                hint="give the folder of a downloaded model, or use the embedder `minilm`",
            ) from error
        # The method has another name from release 6 on, and the old one warns.
        told = getattr(model, "get_embedding_dimension", None)
        told = told or model.get_sentence_embedding_dimension
        self.dimensions = int(told() or self.dimensions)
        return TorchEncoder(model, batch=self._batch)


class TorchEncoder:
    """A loaded sentence-transformers model."""

    def __init__(self, model: SentenceTransformer, *, batch: int) -> None:
        """Take a loaded model."""
        self._model = model
        self._batch = batch

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text."""
        found = self._model.encode(
            list(texts),
            batch_size=self._batch,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(found, dtype=np.float32)


class CrossEncoderReranker:
    """Any sentence-transformers cross-encoder by name or folder: reads query and passage together.

    It loads in the background of the first search, which keeps the order it had.
    """

    weight = 1.0

    def __init__(self, name_or_path: str, *, batch: int = 16) -> None:
        """Load nothing yet."""
        self.name = name_or_path
        self._batch = batch
        self._model: CrossEncoder | None = None
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
            if self._model is None:
                self._model = self._load()
            found = self._model.predict(
                pairs, batch_size=self._batch, show_progress_bar=False, convert_to_numpy=True
            )
            return [float(mark) for mark in np.asarray(found).reshape(len(pairs), -1)[:, 0]]
        finally:
            self._lock.release()

    def _load(self) -> CrossEncoder:
        from sentence_transformers import CrossEncoder

        try:
            return CrossEncoder(self.name)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"reranker {self.name!r} could not be loaded: {error}",
                hint="give the folder of a downloaded cross-encoder, or unset ANTIPHON_RERANKER",
            ) from error


def load_packaged(folder: Path, *, tokens: int, device: str = "") -> TorchEncoder | None:
    """Load the model of a folder onto an accelerator, None where PyTorch finds none.

    `device` names one, as `cpu`, for comparisons.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    if not device and torch.cuda.is_available():
        device = "cuda"
    if not device and torch.backends.mps.is_available():
        device = "mps"
    if not device:
        return None
    model = SentenceTransformer(str(folder), device=device)
    model.max_seq_length = tokens
    return TorchEncoder(model, batch=64)
