"""Cards fit their budget, survive their fence, and back each citation with a verbatim quote."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from antiphon.tools.retrieval.citations import cite, support
from antiphon.tools.retrieval.context import (
    Card,
    fence,
    fence_result,
    pack,
    unfence,
    unfence_results,
)
from antiphon.tools.retrieval.passages import Hit, Passage
from antiphon.tools.tokens import ApproximateCounter

TOKENS = ApproximateCounter()
NASTY = (
    "</passage>", '<passage number="1"', "&amp;", "&lt;", "&#10;", "&", "<", ">", '"', "'", "\n",
    "\r\n", "\t", " ", "]]>", "</tool_result>", "word", "é", "日本", "🙂",
    "\u2028", "\\", "{{x}}", ";",
)  # fmt: skip


def hit(text: str, score: float, **changes: object) -> Hit:
    fields = {"id": text, "source": "a.md", "title": "", "heading": "", "text": text,
              "start": 7, "end": 7 + len(text), **changes}  # fmt: skip
    return Hit(passage=Passage(**fields), score=score)  # type: ignore[arg-type]


def card(number: int, text: str, **changes: object) -> Card:
    fields = {"number": number, "source": f"{number}.md", "title": "T", "heading": "",
              "text": text, "start": 100, "tokens": 0, "score": 0.0, **changes}  # fmt: skip
    return Card(**fields)  # type: ignore[arg-type]


def essay(name: str, sentences: int) -> str:
    return " ".join(f"The {name} has property {name}{n} here." for n in range(sentences))


def nasty(chance: random.Random) -> str:
    return "".join(chance.choices(NASTY, k=chance.randint(0, 12)))


class TestPack:
    def test_the_most_relevant_come_first_whatever_the_order_given(self) -> None:
        """Cards are numbered by score."""
        cards = pack([hit("cats", 0.2), hit("dogs", 0.9)], budget_tokens=500, tokens=TOKENS)

        assert [(1, "dogs"), (2, "cats")] == [(card.number, card.text) for card in cards]

    def test_what_does_not_fit_is_cut_at_a_sentence(self) -> None:
        """What is left of the budget is used when it is worth it, with a verbatim beginning."""
        hits = [hit(essay("ant", 20), 0.9), hit(essay("bee", 40), 0.8)]

        first, second = pack(hits, budget_tokens=500, tokens=TOKENS)

        assert hits[0].passage.text == first.text
        assert hits[1].passage.text.startswith(second.text)
        assert second.text.endswith(" here.")
        assert second.text != hits[1].passage.text

    def test_one_that_does_not_fit_does_not_keep_the_next_out(self) -> None:
        """A short passage after a long one is still seen, numbered without a gap."""
        hits = [hit(essay("ant", 20), 0.9), hit(essay("bee", 40), 0.8), hit("Tiny.", 0.7)]

        cards = pack(hits, budget_tokens=500, tokens=TOKENS)

        assert ["ant", "bee", "Tiny"] == [
            card.text.replace("The ", "", 1)[:4].strip(" .") for card in cards
        ]
        assert [1, 2, 3] == [card.number for card in cards]

    def test_long_passages_share_what_the_first_left(self) -> None:
        """Where not all fit, each takes half of what is left, so that more of them are seen."""
        names = ("ant", "bee", "cow", "doe")
        hits = [hit(essay(name, 40), 0.9 - n / 10) for n, name in enumerate(names)]
        whole = pack(hits[:1], budget_tokens=10_000, tokens=TOKENS)[0].tokens

        cards = pack(hits, budget_tokens=whole + 600, tokens=TOKENS)

        assert ["ant", "bee", "cow", "doe"] == [card.text[4:7] for card in cards]
        assert cards[0].tokens > cards[1].tokens > cards[2].tokens

    def test_a_cut_keeps_the_sentences_that_bear_on_the_question(self) -> None:
        """The run of sentences is chosen by the query's terms, and its offset says where it is."""
        text = f"{essay('bee', 30)} Honey keeps for three thousand years. {essay('hive', 30)}"
        passage = hit(text, 0.9)

        (card,) = pack([passage], budget_tokens=200, tokens=TOKENS, query="does honey keep?")

        assert "Honey keeps for three thousand years." in card.text
        begins = card.start - passage.passage.start
        assert text[begins : begins + len(card.text)] == card.text

    def test_a_cut_table_keeps_its_header(self) -> None:
        """Rows without their header say little, so a table is cut at its end."""
        rows = "\n".join(f"| item {n} | {n} euros |" for n in range(100))
        table = f"| Item | Price |\n| --- | --- |\n{rows}"

        (card,) = pack([hit(table, 0.9)], budget_tokens=200, tokens=TOKENS, query="item 90")

        assert table.startswith(card.text)

    def test_a_small_rest_is_left_unused(self) -> None:
        """With at most 100 tokens left the next passage is not cut but dropped."""
        hits = [hit(essay("ant", 20), 0.9), hit(essay("bee", 40), 0.8)]
        whole = pack(hits[:1], budget_tokens=10_000, tokens=TOKENS)[0].tokens

        assert 1 == len(pack(hits, budget_tokens=whole + 100, tokens=TOKENS))
        assert 2 == len(pack(hits, budget_tokens=whole + 101, tokens=TOKENS))

    @pytest.mark.parametrize("seed", range(60))
    def test_the_budget_is_never_overrun(self, seed: int) -> None:
        """Fences included, what the model reads stays within any budget."""
        chance = random.Random(seed)
        hits = [
            hit("".join(chance.choices((*NASTY, "Some words. "), k=chance.randint(1, 400))),
                chance.random(), id=str(n), source=nasty(chance))
            for n in range(8)
        ]  # fmt: skip
        budget = chance.randint(0, 1500)

        cards = pack(hits, budget_tokens=budget, tokens=TOKENS)

        assert TOKENS.count(fence(cards)) <= budget
        assert sum(card.tokens for card in cards) <= budget
        texts = [hit.passage.text for hit in hits]
        assert all(any(text.startswith(card.text) for text in texts) for card in cards)

    def test_of_near_identical_passages_the_newest_stays_in_the_better_place(self) -> None:
        """A copy costs nothing, and the old version of a text does not speak."""
        old = "Parcels may be sent back within 14 days of delivery by post."
        hits = [
            hit(old, 0.9, source="old.md", title="Returns", updated="2024-01-01"),
            hit("Something else entirely.", 0.8),
            hit(old.replace("14", "30"), 0.7,
                source="new.md", title="Returns", updated="2026-01-01"),
        ]  # fmt: skip

        cards = pack(hits, budget_tokens=900, tokens=TOKENS)

        assert ["new.md", "a.md"] == [card.source for card in cards]

    def test_alike_passages_on_different_things_both_stay(self) -> None:
        """One word can make all the difference where headings differ."""
        text = "Open settings, choose account, then press reset on {} and follow the mail we send."
        hits = [
            hit(text.format("Android"), 0.9, source="x.md", heading="Android"),
            hit(text.format("iPhone"), 0.8, source="y.md", heading="iPhone"),
        ]

        assert 2 == len(pack(hits, budget_tokens=900, tokens=TOKENS))

    def test_an_exact_copy_is_dropped_wherever_it_stands(self) -> None:
        """The same words twice tell nothing new."""
        hits = [hit("The same words.", 0.9), hit("the SAME words", 0.8, source="b.md", title="B")]

        assert 1 == len(pack(hits, budget_tokens=900, tokens=TOKENS))

    def test_nothing_found_packs_to_nothing(self) -> None:
        """No hits, no cards, and an empty fence."""
        assert () == pack([], budget_tokens=100, tokens=TOKENS)
        assert "" == fence(())

    def test_unspaced_text_is_cut_within_the_budget(self) -> None:
        """Scripts without spaces are cut between characters."""
        (only,) = pack([hit("日本語" * 1000, 0.9)], budget_tokens=200, tokens=TOKENS)

        assert 300 < len(only.text)
        assert only.tokens <= 200


class TestFence:
    @pytest.mark.parametrize("seed", range(200))
    def test_unfence_gives_back_what_was_fenced(self, seed: int) -> None:
        """Whatever a passage says, it neither closes its fence nor opens another."""
        chance = random.Random(seed)
        cards = tuple(
            card(n, nasty(chance), source=nasty(chance), title=nasty(chance),
                 heading=nasty(chance), updated=nasty(chance), start=chance.randint(0, 99))
            for n in range(1, chance.randint(1, 5) + 1)
        )  # fmt: skip

        read = tuple(replace(each, mark=f"⟦{each.number}⟧") for each in cards)
        assert read == unfence("Before.\n" + fence(cards) + "\nAfter <b>.")

    def test_a_fence_reads_as_announced(self) -> None:
        """The form that prompts and models rely on."""
        fenced = fence([card(1, "A < B", source='a"b.md', heading="H", updated="2026-01-02")])

        assert (
            '<passage number="1" mark="⟦1⟧" source="a&quot;b.md" title="T" heading="H" start="100"'
            ' updated="2026-01-02">\nA &lt; B\n</passage>'
        ) == fenced

    @pytest.mark.parametrize("seed", range(50))
    def test_tool_results_survive_their_fence(self, seed: int) -> None:
        """A tool's words cannot end its element either."""
        chance = random.Random(seed)
        results = tuple((nasty(chance), chance.random() < 0.5, nasty(chance)) for _ in range(3))

        assert results == unfence_results("\n".join(fence_result(*result) for result in results))


RETURNS = card(
    1, "You may return items within 30 days of delivery. Refunds go to the card you paid with.\n\n"
    "- Sale items are final.",
)  # fmt: skip
SHIPPING = card(2, "Shipping takes 3 days. Express takes one day.", source="s.md", start=5)


class TestCite:
    def test_each_marker_becomes_a_verbatim_quote_with_its_place(self) -> None:
        """The sentence that shares most words with the claim is quoted."""
        answer, (only,) = cite("Sale items cannot be sent back, they are final [1].", [RETURNS])

        assert "Sale items cannot be sent back, they are final [1]." == answer
        assert "Sale items are final." == only.quote
        assert RETURNS.text[only.start - 100 : only.end - 100] == only.quote
        assert (1, "1.md", "T") == (only.id, only.source, only.title)

    def test_ids_count_from_one_in_order_of_appearance(self) -> None:
        """Numbers of cards become numbers of quotes; the same quote keeps its number."""
        answer, citations = cite(
            "Express takes one day [2]. Return items within 30 days.[1] Express is one day [2].",
            [RETURNS, SHIPPING],
        )

        assert (
            "Express takes one day [1]. Return items within 30 days.[2] Express is one day [1]."
        ) == answer
        assert [(1, "s.md"), (2, "1.md")] == [(c.id, c.source) for c in citations]

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            ("Shipping takes 3 days [9].", "Shipping takes 3 days."),
            ("The moon is cheese [2].", "The moon is cheese."),
            ("Shipping takes 3 days [2, 9].", "Shipping takes 3 days [1]."),
            ("Shipping takes 3 days [2][2].", "Shipping takes 3 days [1]."),
            ("Shipping takes 3 days.\n[2]", "Shipping takes 3 days.\n[1]"),
            ("[2]", ""),
            ("Shipping `days[2]` [2](https://x.test)", "Shipping `days[2]` [2](https://x.test)"),
            ("No markers.", "No markers."),
        ],
        ids=["no card", "no overlap", "half", "twice", "own line", "empty", "code, link", "none"],
    )  # fmt: skip
    def test_markers_without_support_are_removed(self, answer: str, expected: str) -> None:
        """What is left of an answer cites only what backs it."""
        assert expected == cite(answer, [RETURNS, SHIPPING])[0]

    def test_a_claim_over_two_sentences_is_backed_by_both(self) -> None:
        """A second sentence is quoted when it brings enough of the claim."""
        _, (only,) = cite(
            "Return items within 30 days of delivery; refunds go to the card you paid with [1].",
            [RETURNS],
        )

        assert RETURNS.text.split("\n")[0] == only.quote

    @pytest.mark.parametrize("seed", range(100))
    def test_every_quote_is_verbatim_and_every_marker_has_one(self, seed: int) -> None:
        """Random answers: ids are 1..k, quotes are slices of their cards."""
        chance = random.Random(seed)
        cards = [
            replace(SHIPPING, number=n, source=f"{n}", start=n, text=" ".join(
                chance.choices(("Ships", "in days.", "To", "Rome.", "\n- ", "cost", "5"), k=30)))
            for n in (1, 2, 3)
        ]  # fmt: skip
        words = ("ships", "rome", "cost", "5", ".", "⟦1⟧", "⟦2⟧", "⟦3⟧", "⟦7⟧", "⟦1,2⟧", "\n")
        raw = " ".join(chance.choices(words, k=25))

        answer, citations = cite(raw, cards)

        assert list(range(1, len(citations) + 1)) == [c.id for c in citations]
        for citation in citations:
            source = cards[int(citation.source) - 1]
            at = citation.start - source.start
            assert source.text[at : citation.end - source.start] == citation.quote != ""
            assert f"[{citation.id}]" in answer
        assert f"[{len(citations) + 1}]" not in answer


class TestSupport:
    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            ("Returned items within 30 days [1].", 1.0),
            ("Return it to Neptune", 0.5),
            ("Neptune", 0.0),
            ("It is the [1].", None),
            ("", None),
        ],
    )
    def test_support_is_the_share_of_content_words_in_the_evidence(
        self, answer: str, expected: float | None
    ) -> None:
        """Stop words and markers do not count; word forms do not matter."""
        assert expected == support(answer, [RETURNS.text])

    def test_without_evidence_nothing_is_supported(self) -> None:
        """An answer out of nowhere scores 0, not None."""
        assert 0.0 == support("Return items", [])
