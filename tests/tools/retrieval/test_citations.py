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


class TestOwn:
    """Brackets of the pages themselves reach the reader as they are."""

    LIST = replace(
        RETURNS,
        text="Use items[0] to read the first element of the list. Later ones are slower [2].",
    )

    @pytest.mark.parametrize("number", [0, 1, 2])
    def test_an_index_stays_beside_a_marker(self, number: int) -> None:
        """Whatever the number is, the text's own is no marker; ours is, under another number."""
        said = f"Use items[{number}] to read the first element of the list."
        card = replace(self.LIST, text=said)
        for mark in ("[1]", "⟦1⟧"):
            answer, (only,) = cite(f"{said} {mark}", [card])
            assert answer == f"{said} [{only.id}]"
            assert (only.quote, only.id == number) == (said, False)

    @pytest.mark.parametrize("mark", [" ⟦1⟧", "[1]"])
    def test_a_reference_within_a_sentence_is_no_citation(self, mark: str) -> None:
        """Neither another page's, whose number it happens to be, nor anybody's."""
        said = "Refunds take 5 working days, as shown in earlier work [2] by Smith."
        answer, citations = cite(f"{said}{mark}", CARDS)
        assert answer.startswith(said)
        assert [citation.source for citation in citations] == ["returns.md"]
        assert f"[{citations[0].id}]" == answer.removeprefix(said).strip() != "[2]"
        assert cite(said, CARDS) == (said, ())

    def test_what_may_be_a_footnote_stays_where_it_is_no_citation(self) -> None:
        """A page has the number; the card of that number does not back the sentence."""
        cards = [replace(RETURNS, text=f"{RETURNS.text} See also the notes [2]."), SHIPPING]
        answer, citations = cite("Refunds reach everybody soon [2].", cards)
        assert (answer, citations) == ("Refunds reach everybody soon [2].", ())
        answer, (only,) = cite("Parcels to Norway take 4 working days [2].", cards)
        assert answer == f"Parcels to Norway take 4 working days [{only.id}]."

    def test_a_footnote_of_a_page_is_not_taken_for_a_card(self) -> None:
        """Nor does it keep an unmarked answer from being cited."""
        said = "Later ones are slower [2]."
        answer, citations = cite(said, [self.LIST, SHIPPING])
        assert said in answer
        assert {citation.source for citation in citations} <= {"returns.md"}

    def test_any_text_of_a_page_comes_through(self) -> None:
        """A page quoted word for word keeps every bracket it has."""
        chance = random.Random(7)
        for _ in range(300):
            odd = "".join(chance.choices("[]0123456789 .,xÄ漢(){}#`", k=chance.randrange(20)))
            number = chance.randrange(1000)
            said = f"Returned {odd} x[{number}] are refunded within thirty days of their return."
            answer, _ = cite(said, [replace(self.LIST, text=said)])
            assert f"x[{number}] are refunded" in answer, said


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
