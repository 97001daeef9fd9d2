"""Citations that stand where they say, and what of an answer its evidence supports."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from antiphon.tools.retrieval.citations import (
    cite,
    verbatim,
)
from antiphon.tools.retrieval.context import Card, Citation

RETURNS = Card(
    number=1,
    source="returns.md",
    title="Returns",
    heading="",
    text="You can return items within 30 days of delivery. Refunds take 5 working days.",
    start=10,
    tokens=0,
    score=0.0,
)
SHIPPING = replace(
    RETURNS,
    number=2,
    source="shipping.md",
    title="Shipping",
    text="Parcels to Norway take 4 working days.",
    start=3,
)
CARDS = (RETURNS, SHIPPING)
EVIDENCE = tuple(card.text for card in CARDS)


class TestUnmarked:
    def test_an_answer_without_markers_is_cited_where_a_card_backs_it(self) -> None:
        """Strong support gets a marker after the sentence; other sentences get none."""
        answer, citations = cite(
            "Refunds take 5 working days. Have a lovely day!\n- Parcels to Norway take 4 days.",
            CARDS,
        )

        assert (
            "Refunds take 5 working days. [1] Have a lovely day!"
            "\n- Parcels to Norway take 4 days. [2]"
        ) == answer
        assert ["Refunds take 5 working days.", "Parcels to Norway take 4 working days."] == [
            citation.quote for citation in citations
        ]

    @pytest.mark.parametrize(
        "answer",
        [
            "Refunds take 9 working days.",
            "They take days.",
            "Refunds reach your bank account after our accountants approve them.",
            "# Refunds take working days",
            "`Refunds take 5 working days.`",
        ],
        ids=["another figure", "few words", "weak support", "heading", "code"],
    )
    def test_what_is_not_clearly_backed_stays_uncited(self, answer: str) -> None:
        """A wrong citation is worse than none."""
        assert (answer, ()) == cite(answer, CARDS)

    def test_a_model_that_cites_is_not_corrected(self) -> None:
        """Sentences left unmarked beside marked ones stay so."""
        answer, citations = cite("Parcels to Norway take 4 days [2]. Refunds take 5 days.", CARDS)

        assert "Parcels to Norway take 4 days [1]. Refunds take 5 days." == answer
        assert 1 == len(citations)

    def test_the_language_decides_which_words_are_alike(self) -> None:
        """Inflected German words meet their source only by German stems."""
        card = replace(RETURNS, text="Rücksendungen werden binnen drei Wochen erstattet.")
        answer = "Die Rücksendung wird binnen drei Wochen erstattet."

        assert cite(answer, [card], language="de")[1]
        assert not cite(answer, [card], language="en")[1]


class TestVerbatim:
    @pytest.mark.parametrize("seed", range(50))
    def test_every_quote_stands_at_its_place_in_the_source(self, seed: int) -> None:
        """Whatever is answered over whatever cards, marked or not, in text of any script."""
        chance = random.Random(seed)
        parts = (
            "Refunds",
            "naïve",
            "5 days.",
            "\n- ",
            "| a | b |\n",
            "日本語。",
            "x",
            "£9.",
            "\n\n",
        )
        sources = {f"{n}": "§" * n + " ".join(chance.choices(parts, k=40)) for n in (1, 2, 3)}
        cards = [
            replace(RETURNS, number=n, source=f"{n}", start=n, text=sources[f"{n}"][n:])
            for n in (1, 2, 3)
        ]
        marks = ("[1]", "[2]", "[3]", "[1, 3]") if seed % 2 else ("",)

        _, citations = cite(" ".join(chance.choices((*parts, *marks), k=30)), cards)

        for citation in citations:
            assert verbatim(citation, sources[citation.source])
            assert sources[citation.source][citation.start : citation.end] == citation.quote

    @pytest.mark.parametrize(
        ("start", "end", "quote", "expected"),
        [
            (10, 13, "You", True),
            (11, 14, "You", False),
            (10, 14, "You", False),
            (7, 10, "ys.", False),
            (10, 10, "", False),
        ],
    )
    def test_a_moved_or_changed_quote_is_found_out(
        self, start: int, end: int, quote: str, expected: bool
    ) -> None:
        """Offsets before the text do not wrap around to its end, and nothing is no quote."""
        citation = Citation(id=1, source="s", title="T", quote=quote, start=start, end=end)

        assert expected is verbatim(citation, RETURNS.text, start=RETURNS.start)
