"""The search above a backend: wordings joined, stale versions dropped, reranking that may fail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from antiphon.tools.errors import KnowledgeUnavailable, ModelUnavailable
from antiphon.tools.retrieval import Change, Hit, Inventory, Passage, Where
from antiphon.tools.retrieval.context import pack
from antiphon.tools.retrieval.search import Found, Retriever, join
from antiphon.tools.retrieval.versions import distinct
from antiphon.tools.tokens import ApproximateCounter


def passage(key: str, text: str = "", **changes: object) -> Passage:
    fields = {"id": key, "source": f"{key}.md", "title": key, "heading": "",
              "text": text or f"All about {key}.", "start": 0, "end": 9, **changes}  # fmt: skip
    return Passage(**fields)  # type: ignore[arg-type]


def hit(key: str, score: float, text: str = "", **changes: object) -> Hit:
    return Hit(passage=passage(key, text, **changes), score=score, bm25=score, cosine=score)


@dataclass
class Scripted:
    """A Knowledge that finds for each query what it was told to."""

    found: Mapping[str, Sequence[Hit]]
    asked: list[tuple[str, str, int, Where | None]] = field(default_factory=list)
    fails: bool = False

    async def search(
        self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
    ) -> tuple[Hit, ...]:
        self.asked.append((query, tenant, limit, where))
        if self.fails:
            raise KnowledgeUnavailable("down")
        return tuple(self.found[query][:limit])

    async def upsert(self, source: str, passages: Sequence[Passage], *, tenant: str) -> Change:
        raise NotImplementedError

    async def remove(self, sources: Sequence[str], *, tenant: str) -> int:
        raise NotImplementedError

    async def inventory(self, *, tenant: str) -> Inventory:
        raise NotImplementedError


@dataclass
class Backwards:
    """Marks the last passage highest, after a while or never."""

    delay_s: float = 0.0
    fails: bool = False
    name: str = "backwards"
    weight: float = 1.0

    async def marks(self, query: str, passages: Sequence[Passage]) -> Sequence[float]:
        await asyncio.sleep(self.delay_s)
        if self.fails:
            raise ModelUnavailable("no weights")
        return [float(at) for at in range(len(passages))]


THREE = [hit("a", 1.0), hit("b", 0.6), hit("c", 0.2)]


def order(found: Found) -> list[str]:
    return [one.passage.id for one in found.hits]


class TestSearch:
    async def test_candidates_are_spare_and_what_is_not_wanted_is_named(self) -> None:
        """Twice the limit is looked for; what lies beyond the limit is said to be dropped."""
        knowledge = Scripted({"q": THREE})
        where = Where(languages=("de",))

        found = await Retriever(knowledge).search("q", tenant="t", limit=2, where=where)

        assert [("q", "t", 4, where)] == knowledge.asked
        assert ["a", "b"] == order(found)
        assert [("c", "beyond_limit")] == [(d.hit.passage.id, d.reason) for d in found.dropped]

    async def test_every_stage_can_be_inspected(self) -> None:
        """The trace holds each wording's ranking and what each stage made of it."""
        knowledge = Scripted({"q": THREE, "p q": THREE[::-1]})

        found = await Retriever(knowledge).search("q", "p q", tenant="t")

        stages = found.stages
        assert ["search", "search", "join", "newest", "rerank"] == [s.name for s in stages]
        assert ["q", "p q"] == [s.query for s in stages[:2]]
        assert ("a", 1.0) == stages[0].ranking[0]

    async def test_the_same_wording_twice_is_searched_once(self) -> None:
        """Wordings are distinct."""
        knowledge = Scripted({"q": THREE})

        await Retriever(knowledge).search("q", "q", tenant="t")

        assert 1 == len(knowledge.asked)

    async def test_nothing_found_is_an_empty_answer(self) -> None:
        """An empty knowledge neither fails nor reranks."""
        found = await Retriever(Scripted({"q": []})).search("q", tenant="t")

        assert ((), ()) == (found.hits, found.dropped)

    async def test_a_backend_that_is_down_is_the_callers_to_handle(self) -> None:
        """Knowledge errors pass through unchanged."""
        with pytest.raises(KnowledgeUnavailable):
            await Retriever(Scripted({}, fails=True)).search("q", "p q", tenant="t")


class TestJoin:
    def test_wordings_count_alike(self) -> None:
        """Scores are averaged; a passage that one wording missed gets nothing from it."""
        joined = join([[hit("a", 1.0), hit("b", 0.6)], [hit("b", 1.0), hit("c", 0.4)]])

        assert [("b", 0.8), ("a", 0.5), ("c", 0.2)] == [(h.passage.id, h.score) for h in joined]

    def test_the_nearest_wording_says_how_near_a_passage_is(self) -> None:
        """The greatest cosine and keyword score stay, as confidence reads them."""
        (joined,) = join([[hit("a", 0.2)], [hit("a", 0.8)]])

        assert (0.8, 0.8) == (joined.cosine, joined.bm25)


class TestVersions:
    OLD = "Returns are accepted within 14 days of delivery when the item is unused."
    NEW = "Returns are accepted within 30 days of delivery when the item is unused."

    @pytest.mark.parametrize("fresher_first", [True, False])
    async def test_the_fresher_of_two_versions_is_believed(self, fresher_first: bool) -> None:
        """Whatever their rank, the newer text stays, in the better place."""
        fresh = {"title": "Returns", "updated": "2025-03-01"}
        stale = {"title": "Returns", "updated": "2021-03-01"}
        new, old = hit("new", 0.9, self.NEW, **fresh), hit("old", 0.8, self.OLD, **stale)
        if not fresher_first:
            new, old = hit("new", 0.8, self.NEW, **fresh), hit("old", 0.9, self.OLD, **stale)
        ranked = sorted((new, old), key=lambda one: -one.score)

        found = await Retriever(Scripted({"q": ranked}), reranker=None).search("q", tenant="t")

        assert [("new", 0.9)] == [(h.passage.id, h.score) for h in found.hits]
        assert [("old", "older", "new")] == [
            (d.hit.passage.id, d.reason, d.kept) for d in found.dropped
        ]

    async def test_two_sources_that_say_the_same_are_both_found(self) -> None:
        """Neither is newer, so either may be cited; the prompt holds the text once."""
        ranked = [hit("a", 0.9, self.NEW), hit("b", 0.8, self.NEW), hit("c", 0.1)]

        found = await Retriever(Scripted({"q": ranked}), reranker=None).search("q", tenant="t")
        cards = pack(found.hits, budget_tokens=500, tokens=ApproximateCounter())

        assert ["a", "b", "c"] == order(found)
        assert ["a.md", "c.md"] == [card.source for card in cards]

    def test_what_was_left_out_is_named_with_its_reason(self) -> None:
        """A repeat without dates names the passage that stands for it."""
        ranked = [hit("a", 0.9, self.NEW), hit("b", 0.8, self.NEW)]

        kept, dropped = distinct(ranked)

        assert ["a"] == [one.passage.id for one in kept]
        assert [("b", "repeated", "a")] == [(d.hit.passage.id, d.reason, d.kept) for d in dropped]

    def test_texts_of_different_titles_are_no_versions(self) -> None:
        """A template filled for two products says two things, whatever the dates."""
        one = hit("one", 0.9, self.OLD, title="Lamps", updated="2021-01-01")
        other = hit("other", 0.8, self.NEW, title="Rugs", updated="2025-01-01")

        assert ((one, other), ()) == distinct([one, other])


class TestRerank:
    async def test_the_rerankers_order_stands(self) -> None:
        """With all of the weight the marks decide, scaled to 0..1."""
        retriever = Retriever(Scripted({"q": THREE}), reranker=Backwards())

        found = await retriever.search("q", tenant="t")

        assert ["c", "b", "a"] == order(found)
        assert [1.0, 0.5, 0.0] == pytest.approx([one.score for one in found.hits])

    @pytest.mark.parametrize(
        ("reranker", "note"),
        [
            (Backwards(delay_s=30), "backwards: not done within 0.02 s"),
            (Backwards(fails=True), "backwards: model_unavailable: no weights"),
        ],
        ids=["late", "broken"],
    )
    async def test_a_late_or_broken_reranker_costs_no_turn(
        self, reranker: Backwards, note: str
    ) -> None:
        """The fused order is used in time, and the trace says why."""
        retriever = Retriever(Scripted({"q": THREE}), reranker=reranker, rerank_s=0.02)

        async with asyncio.timeout(2):
            found = await retriever.search("q", tenant="t")

        assert ["a", "b", "c"] == order(found)
        assert note == found.stages[-1].note

    async def test_the_default_prefers_the_phrase_and_the_title(self) -> None:
        """Among near-ties the passage that holds the query's words side by side comes first."""
        apart = "The card is yours to keep. Ask at the desk for a gift for it."
        phrase = "A gift card never expires, and it can be used in parts."
        ranked = [
            hit("x", 0.81, apart, title="Desk"),
            hit("y", 0.80, phrase, title="Desk"),
            hit("z", 0.10, "Opening hours.", title="Hours"),
        ]

        found = await Retriever(Scripted({"gift card": ranked})).search("gift card", tenant="t")

        assert ["y", "x", "z"] == order(found)
