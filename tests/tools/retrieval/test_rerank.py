"""The default reranker's looks at the wording: phrase and title, rarity among the candidates."""

from __future__ import annotations

import pytest

from antiphon.tools.retrieval.fusion import standardised
from antiphon.tools.retrieval.passages import Passage
from antiphon.tools.retrieval.rerank import wording_marks


def page(text: str, title: str = "", language: str = "en") -> Passage:
    return Passage(
        id=text, source="a.md", title=title, heading="", text=text, start=0, end=len(text),
        language=language,
    )  # fmt: skip


def test_words_side_by_side_count_for_more_than_words_apart() -> None:
    """Both hold the words; one holds the phrase."""
    phrase = page("A gift card never expires.")
    apart = page("A card never expires, and a gift does not either.")

    marks = wording_marks("gift card", [apart, phrase])

    assert marks[1] > marks[0]


def test_the_title_says_what_a_passage_is_about() -> None:
    """Of equal texts the one whose title holds the query's word is marked higher."""
    marks = wording_marks("return a rug", [page("Send it.", "Lamps"), page("Send it.", "Returns")])

    assert marks[1] > marks[0]


@pytest.mark.parametrize(
    ("query", "language", "right", "wrong"),
    [
        ("tarjetas regalo", "es", "La tarjeta regalo no caduca.", "El regalo y la tarjeta."),
        ("Lieferung Norwegen", "de", "Lieferungen Norwegens dauern.", "Norwegen, ohne Lieferung."),
        ("返品の方法", "ja", "返品の方法はこちらです。", "方法は様々で返品は別です。"),
    ],
)
def test_endings_and_languages_do_not_matter(
    query: str, language: str, right: str, wrong: str
) -> None:
    """Words are compared by their beginnings, so a phrase is found in other forms of its words."""
    pages = [page(wrong, language=language), page(right, language=language)]

    marks = wording_marks(query, pages)

    assert marks[1] > marks[0]


def test_a_collection_in_two_languages_is_marked_together() -> None:
    """Each passage is read by its own language's rules."""
    pages = [page("Die Lampe.", language="de"), page("The floor lamp is new."), page("Rugs.")]

    marks = wording_marks("the floor lamp", pages)

    assert 1 == marks.index(max(marks))


@pytest.mark.parametrize("texts", [[], [""], ["same", "same"]], ids=["none", "empty", "alike"])
def test_nothing_to_tell_apart_is_no_mark(texts: list[str]) -> None:
    """Without a difference every mark is nought."""
    assert [0.0] * len(texts) == wording_marks("anything", [page(text) for text in texts])


def test_standardised_scores_have_mean_nought_and_deviation_one() -> None:
    """Whatever the scale they came in."""
    assert [-1.0, 1.0] == pytest.approx(standardised([300.0, 500.0]).tolist())
