"""The peers run, set up as their users set them up: on the sample's pages, and word by word."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import pytest

from antiphon.evals.bench.collection import Collection, Query
from antiphon.evals.bench.measures import averages
from antiphon.evals.bench.peers import Peer, peers
from antiphon.evals.bench.retrieval import against
from antiphon.evals.golden import load_golden
from antiphon.tools.models.embeddings import MiniLM
from antiphon.tools.retrieval.loaders import discover, load
from antiphon.tools.retrieval.passages import Passage

SAMPLE = Path(__file__).parents[3] / "examples" / "help_centre"
JOINED = ", two turns joined"
HYBRID = "relativeScoreFusion, 0.5"


def page(key: str, text: str, title: str = "") -> Passage:
    return Passage(id=key, source=key, title=title, heading="", text=text, start=0, end=len(text))


def help_centre() -> Collection:
    """Return the sample's pages whole, with the questions whose sources its golden set names."""
    documents = [load(source) for source in discover([SAMPLE / "knowledge"])]
    queries = [
        Query(
            text=example.questions[-1],
            relevant=dict.fromkeys(example.expected.sources, 1.0),
            history=tuple(("user", said) for said in example.questions[:-1]),
        )
        for example in load_golden(SAMPLE / "golden.jsonl")
        if example.expected.sources
    ]
    return Collection(
        documents=tuple(page(d.source, d.text, d.title) for d in documents),
        queries=tuple(queries),
        language="en",
    )


class Blind:
    """An embedder that sees no difference: what is found, words alone have found."""

    name = "blind"
    dimensions = 2

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]


async def test_every_peer_runs_on_real_pages_in_both_wordings() -> None:
    """None is left out: each finds most of what the sample's questions are about."""
    collection = help_centre()
    assert len(collection.queries) > 30
    found = await peers(collection, MiniLM())
    methods = [peer.method for peer in found]
    assert methods == [
        name + wording
        for name in (
            "bm25s", "rank-bm25", "langchain EnsembleRetriever, 20",
            "langchain EnsembleRetriever, 100", HYBRID, "relativeScoreFusion, 0.75",
        )
        for wording in ("", JOINED)
    ]  # fmt: skip
    relevant = [query.relevant for query in collection.queries]
    scores = {peer.method: averages(peer.rankings, relevant)["ndcg@10"] for peer in found}
    assert all(not peer.note and peer.times_ms for peer in found)
    assert min(scores.values()) > 60
    best = {name: max(scores[name], scores[name + JOINED]) for name in ("bm25s", HYBRID)}
    # Vectors beside words are no worse than words: the tell of a peer that was put together badly.
    assert best[HYBRID] > best["bm25s"]


@pytest.mark.parametrize("asked", ["Returned LAMPS?", "(return) of a lamp", "returning lamps"])
async def test_every_peer_sees_through_case_punctuation_and_endings(asked: str) -> None:
    """The other page has the stop words and the near words, not the asked ones."""
    collection = Collection(
        documents=(
            page("warranty", "Of a lantern, and of all lanterns, the warranty is two years."),
            page("returns", "Lamp returns are free."),
            page("rugs", "Rugs take turns; a rug is not for the garden or a camp."),
        ),
        queries=(Query(text=asked, relevant={"returns": 1.0}),),
        language="en",
    )
    for peer in await peers(collection, Blind()):
        assert peer.rankings[0][0] == "returns", peer.method


async def test_a_follow_up_reaches_every_peer_with_the_turn_before() -> None:
    """Words of the last turn alone find the wrong page; joined with the one before, the right."""
    asked = Query(
        text="And how much is it for express?",
        history=(
            ("user", "Do you deliver rugs?"),
            ("assistant", "Yes."),
            ("user", "What does delivery to Norway cost?"),
            ("assistant", "It costs 12 EUR to Norway."),
        ),
        relevant={"norway": 1.0},
    )
    collection = Collection(
        documents=(
            page("us", "Express shipping in the United States: express is 25 USD."),
            page("norway", "Delivery to Norway costs 12 EUR, express 30 EUR."),
            page("rugs", "Rugs are delivered rolled; rugs, we deliver all rugs."),
        ),
        queries=(asked,),
        language="en",
    )
    first = {peer.method: peer.rankings[0][0] for peer in await peers(collection, Blind())}
    assert first["bm25s"] == "us"
    assert {first[name] for name in first if name.endswith(JOINED)} == {"norway"}


async def test_what_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its package a peer has a note in place of figures, and the others still run."""
    import sys

    monkeypatch.setitem(sys.modules, "bm25s", None)
    collection = Collection(
        documents=(page("returns", "Lamp returns are free."), page("rugs", "Rugs are woven.")),
        queries=(Query(text="lamp", relevant={"returns": 1.0}),),
        language="en",
    )
    found = {peer.method: peer for peer in await peers(collection, Blind())}
    assert found["bm25s"].note == "not installed: pip install 'antiphon[bench]'"
    assert found["rank-bm25"].rankings


def test_the_peers_are_part_of_what_the_tests_install() -> None:
    """So that no suite passes without them."""
    assert version("bm25s")
    assert version("rank-bm25")


def test_a_gain_is_over_the_best_peer_with_its_interval() -> None:
    """Ours is better than one peer for sure, and worse than another: the figures are of that."""
    queries = [Query(text=f"q{n}", relevant={"a": 1.0}) for n in range(20)]
    first, second = ["a", "b"], ["b", "a"]
    ours = [first] * 10 + [second] * 10
    rows, gains = against(
        [
            Peer(method="weak", rankings=[second] * 20),
            Peer(method="strong", rankings=[first] * 20),
            Peer(method="absent", note="not installed"),
        ],
        ours,
        queries,
    )
    weak, strong, absent = rows
    assert weak["gain"] == -strong["gain"] == pytest.approx(18.45, abs=0.01)  # type: ignore[operator]
    assert strong["gain_low"] < strong["gain"] < strong["gain_high"] < 0  # type: ignore[operator]
    assert "gain" not in absent
    assert gains["gain_over_best_peer"] == pytest.approx(-18.45, abs=0.01)
    assert gains["gain_high_over_best_peer"] < 0
