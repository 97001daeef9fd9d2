"""Models that need PyTorch, through sentence-transformers: any embedder, any cross-encoder.

Importing it takes up to 20 s, so it happens when the first text is to be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from antiphon.tools.errors import SettingsError
from antiphon.tools.models.embeddings import Encoder, Remembered
from antiphon.tools.models.onnx_encoders import Vectors

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


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


class TorchScorer:
    """A cross-encoder of any kind that sentence-transformers reads."""

    def __init__(self, name_or_path: str, *, batch: int = 16) -> None:
        """Load it. Raises SettingsError."""
        from sentence_transformers import CrossEncoder

        try:
            self._model = CrossEncoder(name_or_path)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"reranker {name_or_path!r} could not be loaded: {error}",
                hint="give the folder of a downloaded cross-encoder, or unset ANTIPHON_RERANKER",
            ) from error
        self._batch = batch

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return the score of each pair."""
        found = self._model.predict(
            list(pairs), batch_size=self._batch, show_progress_bar=False, convert_to_numpy=True
        )
        return [float(mark) for mark in np.asarray(found).reshape(len(pairs), -1)[:, 0]]


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
