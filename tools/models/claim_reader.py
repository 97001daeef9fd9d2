"""The reader of claims that ships: a small cross-encoder that tells support and denial apart.

all-MiniLM-L6-v2 trained on claims and their evidence (`evals/training`), in int8 ONNX beside this
file; its tokenizer is the embedder's. It reads English only.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

from antiphon.tools.claims import SignsVerifier, Verifier
from antiphon.tools.claims.reader import Reading
from antiphon.tools.models.embeddings import ENGLISH, TOKENIZER, MiniLM, packaged
from antiphon.tools.models.onnx_encoders import OnnxPairs
from antiphon.tools.retrieval import Embedder

WEIGHTS = Path(__file__).with_name("weights") / "claim_reader.onnx"
TOKENS = 160
"""Of evidence and claim together; the longer one is cut first. As in training."""
BATCH_TOKENS = 1
"""One pair at a time: with weights of eight bits a reading would depend on what is read beside it,
and a verdict on the other claims of the answer."""


class ClaimReader:
    """Loads at its first pair and reads one caller's at a time, off the event loop."""

    def __init__(self, load: Callable[[], OnnxPairs] | None = None) -> None:
        """`load` makes a classifier of three classes in the order of `Reading`."""
        self._load = load or shipped
        self._pairs: OnnxPairs | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    async def read(self, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
        """Return a reading for each pair; each is read by itself.

        Raises:
            SettingsError: weights or tokenizer cannot be read.
        """
        if not pairs:
            return []
        with self._lock:
            self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="claim-reader")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, pairs)

    def _read(self, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
        self._pairs = self._pairs or self._load()
        marks = np.stack(self._pairs.marks(pairs))
        raised = np.exp(marks - marks.max(axis=1, keepdims=True))
        shares = raised / raised.sum(axis=1, keepdims=True)
        return [(float(one[0]), float(one[1]), float(one[2])) for one in shares]


def make_verifier(embedder: Embedder) -> Verifier:
    """Return the verifier that ships, with all that it can read beside this embedder."""
    return SignsVerifier(
        embedder,
        aligner=embedder if isinstance(embedder, MiniLM) else None,
        reader=ClaimReader(),
        reads="en" if embedder.name == ENGLISH else "*",
    )


def shipped() -> OnnxPairs:
    """Return the weights of this package, loaded once a process: they hold no state.

    Raises:
        SettingsError: they are not there.
    """
    return _loaded(WEIGHTS)


@cache
def _loaded(weights: Path) -> OnnxPairs:
    return OnnxPairs(
        weights, packaged(*TOKENIZER), tokens=TOKENS, batch_tokens=BATCH_TOKENS, threads=2
    )
