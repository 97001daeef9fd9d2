"""Messages are read by likeness to declared examples, with room for doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from antiphon.tools.intent import DeclaredIntent, EmbeddingClassifier, Likenesses, confidence
from antiphon.tools.models.embeddings import make_embedder

ORDERS = DeclaredIntent(
    name="track_order",
    examples=("Where is my order?", "Has my package shipped yet?", "Track my order",
              "When will my parcel arrive?"),
    needs=("tools",),
    tools=("order_status",),
)  # fmt: skip
RETURNS = DeclaredIntent(
    name="returns",
    examples=("How do I return something?", "Can I send an item back?",
              "What is your return policy?", "I want a refund for an item I bought"),
    needs=("knowledge",),
)  # fmt: skip
BILLING = DeclaredIntent(
    name="billing",
    examples=("Why was I charged twice?", "How do I update my card?",
              "Where can I find my invoice?", "Do you accept PayPal?"),
    needs=("knowledge",),
)  # fmt: skip
CANCEL = DeclaredIntent(
    name="cancel_order",
    examples=("Cancel my order", "I want to cancel the order I just placed"),
    needs=("tools",),
    tools=("cancel_order",),
)
GREETING = DeclaredIntent(
    name="greeting", examples=("Hello", "Hi there", "Good morning"), replies=("Hello!",)
)
THANKS = DeclaredIntent(name="thanks", examples=("Thank you", "Thanks a lot, that helped"))
DECLARED = (ORDERS, RETURNS, BILLING, CANCEL, GREETING, THANKS)


class Points:
    """An embedder that knows a few directions by name; `a+b` lies between."""

    name = "points"
    dimensions = 4

    def __init__(self) -> None:
        self.batches: list[int] = []

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the unit sum of the named directions."""
        self.batches.append(len(texts))
        await asyncio.sleep(0)
        sums = [[float(text.count(letter)) for letter in "abcz"] for text in texts]
        unit: list[list[float]] = (
            np.array(sums) / np.linalg.norm(sums, axis=1, keepdims=True)
        ).tolist()
        return unit


def declared(*, same_needs: bool = False) -> tuple[DeclaredIntent, ...]:
    """Return three intents that lie at right angles."""
    return (
        DeclaredIntent(name="a", examples=("a", "aab", "a"), needs=("knowledge",)),
        DeclaredIntent(
            name="b", examples=("b", "bba", "b"), needs=("knowledge",) if same_needs else ("tools",)
        ),
        DeclaredIntent(name="c", examples=("c", "c", "c")),
    )


def points(intents: Sequence[DeclaredIntent]) -> EmbeddingClassifier:
    """Return a classifier over `Points`."""
    return EmbeddingClassifier(intents, Points(), threshold=0.45, margin=0.05)


@pytest.fixture(scope="module")
def real() -> EmbeddingClassifier:
    """Return a small help centre's classifier on the shipped embedder, at default settings."""
    return EmbeddingClassifier(DECLARED, make_embedder("minilm"), threshold=0.45, margin=0.05)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("my delivery hasn't come", "track_order"),
        ("has it been shipped?", "track_order"),
        ("where's my stuff", "track_order"),
        ("how long do I have to return shoes", "returns"),
        ("I'd like my money back", "returns"),
        ("can i pay with visa", "billing"),
        ("there are two charges on my statement", "billing"),
        ("please cancel order A-1002", "cancel_order"),
        ("hey", "greeting"),
        ("good evening", "greeting"),
        ("many thanks", "thanks"),
    ],
)
async def test_paraphrases_are_recognised(real: EmbeddingClassifier, text: str, name: str) -> None:
    """A few examples each are enough for wordings that are not among them."""
    intent = await real.classify(text)
    assert (name, "unknown") != (intent.name, intent.certainty)
    assert name == intent.name
    assert intent.confidence >= 0.5


@pytest.mark.parametrize(
    "text",
    [
        "what is the capital of France",
        "write me a poem about the sea",
        "who won the world cup",
        "how do I cook rice",
        "solve x^2=4",
        "recommend a good movie",
        "asdf qwer",
        "how tall is Mount Everest",
        "translate dog to Spanish",
    ],
)
async def test_other_subjects_are_unknown(real: EmbeddingClassifier, text: str) -> None:
    """A message that is like none of the examples is unknown and needs nothing."""
    intent = await real.classify(text)
    assert ("unknown", "unknown", ()) == (intent.name, intent.certainty, intent.needs)
    assert intent.confidence < 0.4


async def test_an_intent_carries_what_it_declares(real: EmbeddingClassifier) -> None:
    """Needs, tools and replies come along, and the best names first."""
    order = await real.classify("Track my order")
    assert (("tools",), ("order_status",)) == (order.needs, order.tools)
    assert "track_order" == order.candidates[0]
    assert ("Hello!",) == (await real.classify("Hi there")).replies


async def test_doubt_between_different_needs_is_ambiguous() -> None:
    """A message halfway between a lookup and an action is ambiguous; between two lookups, sure."""
    between = await points(declared()).classify("ab")
    assert ("ambiguous", {"a", "b"}) == (between.certainty, set(between.candidates[:2]))
    assert "sure" == (await points(declared(same_needs=True)).classify("ab")).certainty
    assert "sure" == (await points(declared()).classify("aaaab")).certainty


async def test_a_restricted_choice_takes_the_best_offered() -> None:
    """An answer to a clarification is read among the names offered, short of nonsense."""
    classifier = points(declared())
    assert ("b", "sure") == (
        (intent := await classifier.classify("aab", among=["b", "c"])).name,
        intent.certainty,
    )
    assert "unknown" == (await classifier.classify("z", among=["b", "c"])).name
    assert "unknown" == (await classifier.classify("a", among=["no_such"])).name


async def test_examples_are_embedded_once_however_many_ask_at_first() -> None:
    """Concurrent first messages share one batch of examples."""
    embedder = Points()
    classifier = EmbeddingClassifier(declared(), embedder, threshold=0.45, margin=0.05)
    await asyncio.gather(*(classifier.classify("a") for _ in range(4)))
    assert [9, 1, 1, 1, 1] == embedder.batches


def test_confidence_rises_with_likeness() -> None:
    """The curve is strictly rising from about 0 to about 1, and crosses 0.45 near 0.27."""
    curve = [confidence(step / 20) for step in range(21)]
    assert sorted(set(curve)) == curve
    assert curve[0] < 0.05
    assert curve[-1] > 0.99
    assert confidence(0.25) < 0.45 < confidence(0.28)


def test_many_examples_use_landmarks_and_still_tell_apart() -> None:
    """Beyond the landmark limit the fit stays small and still separates clusters."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(4, 16))
    rows = np.repeat(centres, 800, axis=0) + rng.normal(scale=0.4, size=(3200, 16))
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    fitted = Likenesses(vectors, [800] * 4)
    right = fitted.of(vectors[::100]).argmax(axis=1) == np.repeat(np.arange(4), 8)
    assert right.mean() > 0.95
