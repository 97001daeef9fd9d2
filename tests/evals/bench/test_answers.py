"""Answer containment: on the path of a turn, with markers out of the way."""

from __future__ import annotations

import pytest

from antiphon.evals.bench.answers import Asked, containment, holds, plain_containment
from antiphon.tools.models.embeddings import MiniLM
from antiphon.tools.retrieval.passages import Hit, Passage


def hit(text: str) -> Hit:
    """Return a page as a hit."""
    page = Passage(
        id=text, source=text, title="", heading="", text=text, start=0, end=len(text)
    )  # fmt: skip
    return Hit(passage=page, score=1.0, cosine=0.5)


LAMPS = hit("Lamps have a guarantee of five\nyears. The shop opens at nine.")


async def test_the_share_counts_answers_that_hold_a_right_one() -> None:
    """One of two is right; what has no known answer is not counted."""
    asked = [
        Asked(text="How long is the guarantee?", answers=("5 years", "Five years"), hits=(LAMPS,)),
        Asked(text="How long is the guarantee?", answers=("ten years",), hits=(LAMPS,)),
        Asked(text="Who is it?", answers=(), hits=(LAMPS,)),
    ]

    share, words = await containment(asked, MiniLM())

    assert share == 50.0
    assert words == 7


async def test_nothing_to_count_is_nothing() -> None:
    """A set without answers has no containment."""
    asked = [Asked(text="Who?", answers=(), hits=())]
    assert await containment(asked, MiniLM()) == (0.0, 0.0)
    assert await plain_containment(asked, MiniLM()) == (0.0, 0.0)


async def test_the_plain_way_takes_three_sentences_of_three_passages() -> None:
    """Not the sentence that is farthest off, and nothing from a fourth passage."""
    hits = (
        LAMPS,
        hit("A lamp may be dimmed. Lamps are delivered with a bulb."),
        hit("The guarantee of a rug is two years."),
        hit("A guarantee of lamps for thirty years."),
    )
    asked = [
        Asked(text="How long is the guarantee of lamps?", answers=(answer,), hits=hits)
        for answer in ("five years", "at nine", "thirty years")
    ]
    share, words = await plain_containment(asked[:1], MiniLM())
    assert share == 100
    assert 18 <= words <= 26
    assert (await plain_containment(asked[1:], MiniLM()))[0] == 0
    nothing = Asked(text="When?", answers=("at nine",), hits=())
    assert await plain_containment([nothing], MiniLM()) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("said", "answers", "expected"),
    [
        ("It is 5  Years old", ("5 years",), True),
        ("It is 5 years old", ("6", "7"), False),
        ("STRASSE", ("straße",), True),
    ],
)
def test_case_and_white_space_do_not_matter(
    said: str, answers: tuple[str, ...], expected: bool
) -> None:
    """Neither does which of the answers it is."""
    assert holds(said, answers) is expected
