"""Models in ONNX, run on the processor without PyTorch: an embedder and cross-encoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from antiphon.tools.errors import SettingsError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

Vectors = NDArray[np.float32]
WEIGHTS = (
    "model_quantized.onnx",
    "model_int8.onnx",
    "model.onnx",
    "onnx/model_quantized.onnx",
    "onnx/model_int8.onnx",
    "onnx/model_qint8_avx512.onnx",
    "onnx/model_quint8_avx2.onnx",
    "onnx/model.onnx",
)
"""Where published models keep their ONNX weights, those of 8 bits first."""


class OnnxEncoder:
    """A BERT-like encoder with mean pooling, as sentence-transformers would run it."""

    def __init__(
        self, weights: Path, tokenizer: Path, *, threads: int, batch_tokens: int, tokens: int
    ) -> None:
        """Load the weights and the tokenizer."""
        self._session = load_session(weights, threads=threads)
        self._tokenizer = load_tokenizer(tokenizer, tokens=tokens)
        self._batch_tokens = batch_tokens

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors; texts of like length share a batch, so little is padded."""
        encoded = self._tokenizer.encode_batch(list(texts))
        vectors = np.empty((len(texts), self._session.get_outputs()[0].shape[-1]), np.float32)
        for rows in batches([len(one.ids) for one in encoded], self._batch_tokens):
            vectors[rows] = self._pool([encoded[row] for row in rows])
        return vectors

    def tokens(self, texts: Sequence[str]) -> list[tuple[tuple[str, ...], Vectors]]:
        """Return the word pieces of each text and a unit vector for each of them, in its place."""
        encoded = self._tokenizer.encode_batch(list(texts))
        found: dict[int, tuple[tuple[str, ...], Vectors]] = {}
        for rows in batches([len(one.ids) for one in encoded], self._batch_tokens):
            fed = feed(self._session, [encoded[row] for row in rows])
            hidden = np.asarray(self._session.run(None, fed)[0], dtype=np.float32)
            for place, row in enumerate(rows):
                inner = slice(1, len(encoded[row].ids) - 1)
                pieces = tuple(encoded[row].tokens[inner])
                found[row] = pieces, unit(hidden[place, inner])
        return [found[row] for row in range(len(texts))]

    def _pool(self, encoded: Sequence[Encoding]) -> Vectors:
        fed = feed(self._session, encoded)
        hidden = np.asarray(self._session.run(None, fed)[0], dtype=np.float32)
        weight = fed["attention_mask"][:, :, None].astype(np.float32)
        return unit((hidden * weight).sum(axis=1) / weight.sum(axis=1))


class OnnxPairs:
    """A cross-encoder: reads two texts together and gives each of its classes a mark."""

    def __init__(
        self, weights: Path, tokenizer: Path, *, tokens: int, batch_tokens: int, threads: int
    ) -> None:
        """Load it; a pair is cut to `tokens`, the longer text first. Raises SettingsError."""
        self._tokenizer = load_tokenizer(tokenizer, tokens=tokens)
        self._session = load_session(weights, threads=threads)
        self._batch_tokens = batch_tokens

    def marks(self, pairs: Sequence[tuple[str, str]]) -> list[NDArray[np.float64]]:
        """Return the marks of each pair, as the model gives them."""
        encoded = self._tokenizer.encode_batch(list(pairs))
        made: dict[int, NDArray[np.float64]] = {}
        for rows in batches([len(one.ids) for one in encoded], self._batch_tokens):
            fed = feed(self._session, [encoded[row] for row in rows])
            found = np.asarray(self._session.run(None, fed)[0], dtype=np.float64)
            made |= dict(zip(rows, found.reshape(len(rows), -1), strict=True))
        return [made[row] for row in range(len(pairs))]


class OnnxScorer:
    """A cross-encoder of one class from a folder: ONNX weights and tokenizer.json."""

    def __init__(
        self, folder: Path, *, tokens: int = 256, batch_tokens: int = 2048, threads: int = 2
    ) -> None:
        """Load it; a pair is cut to `tokens`, the longer text first. Raises SettingsError."""
        weights, tokenizer = onnx_weights(folder), folder / "tokenizer.json"
        if weights is None or not tokenizer.is_file():
            raise SettingsError(
                f"reranker {str(folder)!r} lacks ONNX weights or its tokenizer.json",
                hint=f"the folder needs tokenizer.json and one of {', '.join(WEIGHTS)}",
            )
        self._pairs = OnnxPairs(
            weights, tokenizer, tokens=tokens, batch_tokens=batch_tokens, threads=threads
        )

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return the score of each pair."""
        return [float(row[0]) for row in self._pairs.marks(pairs)]


def onnx_weights(folder: Path) -> Path | None:
    """Return the quickest ONNX weights that a model's folder holds."""
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def load_session(weights: Path, *, threads: int) -> InferenceSession:
    """Open a model on the processor. Raises SettingsError."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import (
        Fail,
        InvalidGraph,
        InvalidProtobuf,
    )

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Beyond the basic ones, optimisations take longer to make than they save.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        return onnxruntime.InferenceSession(
            str(weights), options, providers=["CPUExecutionProvider"]
        )
    except (Fail, InvalidGraph, InvalidProtobuf) as error:
        raise SettingsError(f"{weights.name} is not an ONNX model: {error}") from error


def load_tokenizer(path: Path, *, tokens: int) -> Tokenizer:
    """Open a tokenizer that cuts at so many tokens and pads nothing. Raises SettingsError."""
    from tokenizers import Tokenizer

    try:
        found: Tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        # The library raises Exception itself.
        raise SettingsError(f"{path.name} is not a tokenizer: {error}") from error
    found.enable_truncation(tokens)
    found.no_padding()
    return found


def batches(lengths: Sequence[int], room: int) -> Iterator[list[int]]:
    """Yield rows that fit a batch once padded to the longest; one alone may be longer."""
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        if rows and (len(rows) + 1) * lengths[row] > room:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def feed(session: InferenceSession, encoded: Sequence[Encoding]) -> dict[str, NDArray[np.int64]]:
    """Pad texts into the arrays that a model asks for."""
    shape = (len(encoded), max(len(one.ids) for one in encoded))
    arrays = {
        name: np.zeros(shape, dtype=np.int64)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    for row, one in enumerate(encoded):
        arrays["input_ids"][row, : len(one.ids)] = one.ids
        arrays["attention_mask"][row, : len(one.ids)] = 1
        arrays["token_type_ids"][row, : len(one.ids)] = one.type_ids
    wanted = {one.name for one in session.get_inputs()}
    return {name: array for name, array in arrays.items() if name in wanted}


def unit(vectors: Vectors) -> Vectors:
    """Scale rows to length one; a row of zeros stays."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)
