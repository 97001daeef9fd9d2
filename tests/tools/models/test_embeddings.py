"""Embedding is batched across callers, fair to short calls, and never loses an error."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from antiphon.tools.models.embeddings import (
    BULK,
    SHARED,
    Encoder,
    MiniLM,
    Quicker,
    Remembered,
)
from antiphon.tools.models.onnx_encoders import Vectors


class Counting:
    """An encoder that notes its batches; the first one waits to be let through."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.entered = threading.Event()
        self.gate = threading.Event()

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        self.entered.set()
        assert self.gate.wait(5)
        if "bad" in texts:
            raise ValueError("cannot be embedded")
        return np.asarray([[float(len(text)), 1.0] for text in texts], dtype=np.float32)


class Fake(Remembered):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__("fake", 2, remember=4)
        self.fake = encoder

    def _load(self) -> Encoder:
        return self.fake


async def test_calls_that_wait_share_a_batch_the_shortest_first() -> None:
    """While one batch runs the others gather; a query overtakes a long document."""
    encoder = Counting()
    embedder = Fake(encoder)
    first = asyncio.create_task(embedder.embed(["first"]))
    await asyncio.to_thread(encoder.entered.wait, 5)
    document = [f"{n}" for n in range(SHARED)]
    waiting = [asyncio.create_task(embedder.embed(t)) for t in (document, ["ab"], ["abc", "d"])]
    await asyncio.sleep(0)
    encoder.gate.set()

    found = [await first, *[await task for task in waiting]]

    assert [["first"], ["ab", "abc", "d"], document] == encoder.batches
    assert [[[5.0, 1.0]], [[2.0, 1.0]], [[3.0, 1.0], [1.0, 1.0]]] == [found[0], *found[2:]]
    assert [float(len(text)) for text in document] == [vector[0] for vector in found[1]]


async def test_a_long_call_is_cut_and_answered_in_order() -> None:
    """No batch holds more than its share, whatever is asked at once."""
    encoder = Counting()
    encoder.gate.set()
    texts = ["x" * n for n in range(3 * SHARED)]

    vectors = await Fake(encoder).embed(texts)

    assert [float(n) for n in range(3 * SHARED)] == [vector[0] for vector in vectors]
    assert all(len(batch) <= SHARED for batch in encoder.batches)


async def test_an_error_reaches_every_caller_of_its_batch_and_the_next_works() -> None:
    """A text that cannot be embedded does not leave anyone waiting."""
    encoder = Counting()
    encoder.gate.set()
    embedder = Fake(encoder)

    with pytest.raises(ValueError, match="cannot be embedded"):
        await embedder.embed(["bad"])

    assert [[4.0, 1.0]] == await embedder.embed(["good"])


async def test_a_call_given_up_is_not_embedded() -> None:
    """What nobody waits for any more costs nothing, and the rest goes on."""
    encoder = Counting()
    embedder = Fake(encoder)
    first = asyncio.create_task(embedder.embed(["first"]))
    await asyncio.to_thread(encoder.entered.wait, 5)
    given_up = asyncio.create_task(embedder.embed(["never"]))
    kept = asyncio.create_task(embedder.embed(["kept"]))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    encoder.gate.set()

    await asyncio.gather(first, kept)

    assert [["first"], ["kept"]] == encoder.batches


async def test_a_text_just_embedded_is_remembered() -> None:
    """The query of a turn is embedded once."""
    encoder = Counting()
    encoder.gate.set()
    embedder = Fake(encoder)

    assert await embedder.embed(["query"]) == await embedder.embed(["query"])
    assert [["query"]] == encoder.batches


async def test_nothing_to_embed_needs_no_model() -> None:
    """An empty call loads nothing."""
    encoder = Counting()

    assert [] == await Fake(encoder).embed([])
    assert [] == encoder.batches


async def test_a_vector_hardly_depends_on_what_shares_its_batch() -> None:
    """The int8 model scales by batch; a text means the same alone and among long ones."""
    texts = ["Where is my parcel?", "word " * 300, "Returns are free within 30 days. " * 9]

    together = np.asarray(await MiniLM().embed(texts))
    alone = np.asarray([(await MiniLM().embed([text]))[0] for text in texts[:1]])

    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert float(together[0] @ alone[0]) > 0.97


class Paced:
    """An encoder that takes a known time for a text."""

    def __init__(self, pause_s: float) -> None:
        self.pause_s = pause_s
        self.texts = 0

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.texts += len(texts)
        time.sleep(self.pause_s * len(texts))
        return np.ones((len(texts), 2), dtype=np.float32)


@pytest.mark.parametrize(("other_s", "wins"), [(0.00001, True), (0.005, False)])
def test_a_large_ingestion_takes_the_quicker_encoder(other_s: float, wins: bool) -> None:
    """The other encoder is tried once, after enough texts, and kept only where it is quicker."""
    usual, other, made = Paced(0.0005), Paced(other_s), list[Paced]()
    batch = [f"text {n}" for n in range(BULK)]

    def make() -> Encoder:
        made.append(other)
        return other

    quicker = Quicker(usual, make, after=2 * BULK)
    quicker.encode(batch)
    assert not made, "a few files load nothing"
    quicker.encode(batch)
    assert made == [other]
    before = usual.texts
    quicker.encode(batch)
    assert (usual.texts == before) is wins
    quicker.encode(["a question"])
    assert usual.texts == before + (0 if wins else BULK) + 1, "a question takes the usual one"
    assert len(made) == 1


def test_an_encoder_that_cannot_help_is_not_asked_again() -> None:
    """Without an accelerator the usual encoder goes on, and nothing is loaded twice."""
    asked = list[int]()
    usual = Paced(0.0)
    quicker = Quicker(usual, lambda: asked.append(1), after=1)
    for _ in range(3):
        quicker.encode(["text"] * BULK)
    assert (asked, usual.texts) == ([1], 3 * BULK)
