"""When the passages found are likely to hold the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import blake2b
from pathlib import Path

import pytest

from antiphon.tools.models.embeddings import MiniLM
from antiphon.tools.retrieval.confidence import retrieval_confidence
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.retrieval.passages import Hit, Passage

PAGES = {
    "Returns policy": "You may return an unworn item within 30 days of delivery for a refund.",
    "Shipping rates": "Delivery to Canada costs 12 dollars; to the United States 8 dollars.",
    "Warranty": "Lamps have a warranty of two years against faults of manufacture.",
    "Opening hours": "The shop is open from nine to six, Monday to Saturday.",
    "Gift cards": "Gift cards never expire. The balance stands in your account.",
    "Tracking": "Follow your parcel with the tracking number in the dispatch email.",
    "Invoices": "Download the invoice of an order from your account at any time.",
    "Rug care": "Vacuum the rug weekly and have it cleaned professionally.",
}


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    """One loaded model for the module."""
    return MiniLM()


@pytest.fixture
async def shop(tmp_path: Path, minilm: MiniLM) -> AsyncIterator[SqliteKnowledge]:
    """A small help centre."""
    knowledge = SqliteKnowledge(tmp_path / "shop.sqlite", minilm)
    for title, text in PAGES.items():
        await knowledge.upsert(title, [passage(title, text)], tenant="shop")
    yield knowledge
    await knowledge.close()


def passage(title: str, text: str) -> Passage:
    """Return a page as one passage."""
    key = blake2b(text.encode(), digest_size=16).hexdigest()
    return Passage(id=key, source=title, title=title, heading="", text=text, start=0, end=len(text))


@pytest.mark.parametrize(
    "query",
    [
        "return policy",
        "How long do I have to return something?",
        "shipping cost to Canada",
        "do gift cards expire",
        "when are you open on Saturday?",
        "how do I track my parcel",
        "invoice",
        "how long is the warranty",
    ],
)
async def test_answered_questions_pass(shop: SqliteKnowledge, query: str) -> None:
    """A question that a page answers is admitted, however short."""
    assert retrieval_confidence(query, await shop.search(query, tenant="shop")) > 0.5


@pytest.mark.parametrize(
    "query",
    [
        "what is the capital of France?",
        "who won the world cup",
        "write me a python script that sorts a list",
        "tell me a joke",
        "how do vaccines work",
        "solve x^2 + 3x = 0",
        "hello",
        "🙂",
    ],
)
async def test_other_questions_do_not(shop: SqliteKnowledge, query: str) -> None:
    """A question that no page answers is refused."""
    assert retrieval_confidence(query, await shop.search(query, tenant="shop")) < 0.5


def test_nothing_found_is_no_confidence() -> None:
    """No hits, or hits of unknown cosine, prove nothing."""
    page = passage("Returns policy", PAGES["Returns policy"])
    assert retrieval_confidence("return policy", ()) == 0.0
    assert retrieval_confidence("return policy", [Hit(passage=page, score=1.0)]) == 0.0


def test_grows_with_cosine_and_coverage() -> None:
    """Nearer vectors and more of the query's words both raise it."""
    page = passage("Returns policy", PAGES["Returns policy"])
    near, far = (Hit(passage=page, score=1.0, cosine=c) for c in (0.6, 0.4))
    assert retrieval_confidence("return item", [near]) > retrieval_confidence("return item", [far])
    assert retrieval_confidence("return item", [far]) > retrieval_confidence("lost umbrella", [far])


def test_agreement_on_the_first_raises_it() -> None:
    """The nearest passage proves more when it is also the first; a first without cosine is none."""
    page = passage("Returns policy", PAGES["Returns policy"])
    near, far, unknown = (Hit(passage=page, score=1.0, cosine=c) for c in (0.6, 0.4, None))
    agreed = retrieval_confidence("return item", [near, far])

    assert agreed > retrieval_confidence("return item", [far, near])
    assert agreed == retrieval_confidence("return item", [unknown, near, far])
