"""Whether the evidence says what an answer says, offline."""

from __future__ import annotations

import pytest

from antiphon.evals.faithfulness import EXPECTED, Faithfulness, unknown
from antiphon.evals.golden import Expected
from antiphon.evals.sample import Sample
from antiphon.tools.claims import SignsVerifier

PAGE = (
    "Parcels to Norway leave the warehouse on working days and arrive after 4 working days."
    " Delivery is free from 150 EUR. A courier calls before delivering large furniture, and takes"
    " the old sofa along for recycling when this was booked with the order."
)
FAITHFUL = (
    "Before large furniture is delivered a courier calls. The old sofa is taken along for recycling"
    " when you booked this with the order."
)


def sample(answer: str, *, outcome: str = "answered", page: str = PAGE) -> Sample:
    """Return an answer from the page."""
    return Sample(
        question="How does delivery work?",
        answer=answer,
        outcome=outcome,
        expected=Expected(outcome=("answered",)),
        evidence=(page,),
    )


async def mark(answer: str, **more: str) -> float:
    """Return the mark of an answer."""
    return (await Faithfulness(SignsVerifier()).evaluate(sample(answer, **more))).value


async def test_what_stands_in_the_evidence_ranks_above_near_misses() -> None:
    """Its words in another order; put to other use; words it lacks; another figure."""
    faithful = await mark(FAITHFUL)
    shuffled = (
        "Couriers book parcels for the warehouse. Large orders leave before delivering, and Norway"
        " calls the old furniture along. Recycling takes working days, and a sofa is free."
    )
    elsewhere = (
        "Assembly of kitchens is offered by trained fitters. Their invoice follows by post a week"
        " later, and a guarantee of five years covers all hinges."
    )
    assert await mark(shuffled) < faithful
    assert await mark(elsewhere) < await mark(shuffled)
    right = "Parcels to Norway arrive after 4 working days."
    assert await mark(right.replace("4", "9")) < await mark(right)


async def test_what_is_denied_counts_less_though_its_words_are_there() -> None:
    """A clause's figure; and the reason names a sentence of which little is there."""
    right = "A courier calls before delivering large furniture, and delivery is free from 150 EUR."
    assert await mark(right.replace("150", "250")) < await mark(right) - 0.02
    wrong = "Norway is free from 250 EUR."
    score = await Faithfulness(SignsVerifier()).evaluate(sample(wrong))
    assert wrong in score.reasons[0]


async def test_what_is_said_not_to_be_known_claims_nothing() -> None:
    """Beside a claim it changes nothing; alone it is what may be expected of any answer."""
    said = "I do not have specific information on assembly."
    assert await mark(f"{said} {FAITHFUL}") == await mark(FAITHFUL)
    score = await Faithfulness(SignsVerifier()).evaluate(sample(said))
    assert score.value == pytest.approx(EXPECTED)
    assert score.reasons == ("claims nothing",)
    assert await mark(said, outcome="abstained") == 1


@pytest.mark.parametrize(
    ("sentence", "says_so"),
    [
        ("The documents do not mention the price.", True),
        ("Sorry, I have no information about this.", True),
        ("Dazu liegen mir keine Angaben vor.", True),
        ("The price does not contain the fee of 25 EUR.", False),
        ("You do not need a receipt.", False),
        ("The form has all the information that we need.", False),
    ],
)
def test_a_disclaimer_is_told_from_a_denial(sentence: str, says_so: bool) -> None:
    """What says that something is not so is a claim."""
    assert unknown(sentence) is says_so


async def test_evidence_in_another_language_is_read_by_the_verifier() -> None:
    """Words cannot be compared then: another figure still ranks below."""
    right = "Die Lieferung nach Norwegen ist ab 150 EUR kostenlos und dauert vier Arbeitstage."
    assert await mark(right.replace("150", "250")) < await mark(right)


async def test_without_evidence_nothing_is_borne_out() -> None:
    """The longer the answer, the surer."""
    empty = Faithfulness(SignsVerifier())
    short = await empty.evaluate(sample("Delivery is free from 150 EUR.", page=""))
    long = await empty.evaluate(sample(PAGE, page=""))
    assert long.value < short.value < EXPECTED
