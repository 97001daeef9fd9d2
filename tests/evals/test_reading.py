"""Figures held against each other, and answers read beside question and reference."""

from __future__ import annotations

import pytest

from antiphon.evals.figures import figures, in_digits, lacking, turned
from antiphon.evals.reading import Comparer, Reading, stance_of
from antiphon.tools.models.embeddings import MiniLM


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("twenty-five euros", "25 euros"),
        ("six dollars and fifty cents", "6.50 dollars"),
        ("one hundred and fifty euros", "150 euros"),
        ("two thousand three hundred and five", "2305"),
        ("EUR 150 or more", "150 EUR or more"),
        ("a year and a half", "18 months"),
        ("half an hour", "30 minutes"),
        ("three quarters of an hour", "45 minutes"),
        ("eight in the morning", "8 am"),
        ("one of them", "one of them"),
        ("7 more days", "7 days"),
        ("another week", "1 week"),
        ("between 6 and 9 am", "between 6 am and 9 am"),
        ("from 8 to 5 pm", "from 8 to 5 pm"),
        ("half the price", "half the price"),
    ],
)
def test_amounts_in_words_are_put_in_digits(said: str, digits: str) -> None:
    """And what is no amount stays as it is."""
    assert in_digits(said) == digits


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("within 30 days", "up to a month", True),
        ("within 30 days", "up to 31 days", False),
        ("within 30 days", "up to 30 weeks", False),
        ("for 6.50 USD", "six dollars and fifty cents", True),
        ("for 6.50 USD", "for 6.50 EUR", False),
        ("for 1,500 EUR", "for 1500 EUR", True),
        ("before 14:00", "by 2 pm", True),
        ("before 14:00", "by 4 pm", False),
        ("at least 12 characters", "twelve letters or more", True),
        ("2.4 GHz", "24 GHz", False),
        ("3 to 5 working days", "three to five business days", True),
    ],
)
def test_figures_are_the_same_in_other_words_only(one: str, other: str, same: bool) -> None:
    """Units, words, clocks; not another digit, unit or currency."""
    assert (not lacking(figures(one), figures(other))) is same


def test_an_upper_bound_is_no_lower_bound() -> None:
    """`up to 8` is not `at least 8`, and `no more than` is an upper one."""
    most, least = figures("up to 8 working days"), figures("at least 8 working days")
    assert turned(most, least)
    assert not turned(most, figures("no more than 8 working days"))


@pytest.mark.parametrize(
    ("text", "says", "openly"),
    [
        ("Yes, you can.", "yes", True),
        ("You do, if you ask in time.", "yes", True),
        ("No, we cannot.", "no", True),
        ("You can't: it is too late.", "no", True),
        ("Unfortunately not.", "no", True),
        ("Nein, leider nicht.", "no", True),
        ("We deliver at no charge.", "yes", False),
        ("It costs you nothing as long as it is not packed.", "yes", False),
        ("PO boxes are excluded.", "no", False),
        ("That is not impossible.", "yes", False),
    ],
)
def test_a_yes_or_a_no_is_heard(text: str, says: str, openly: bool) -> None:
    """Said so, or by the negations of the first clause, which cancel each other."""
    assert stance_of(text) == (says, openly)


@pytest.fixture(scope="module")
def comparer() -> Comparer:
    """A comparer with the real quick embedder."""
    return Comparer(MiniLM())


QUESTION = "Will you carry my lamp upstairs?"
REFERENCE = "Delivery by two people up to any floor costs 45 EUR and must be booked by phone."


async def read(comparer: Comparer, answer: str, reference: str = REFERENCE) -> Reading:
    """Read an answer beside question and reference."""
    return await comparer.read(answer, question=QUESTION, reference=reference)


async def test_what_is_left_out_shows_in_the_references_own_words(comparer: Comparer) -> None:
    """A condition dropped from the reference's sentence costs; other words for all of it do not."""
    whole = await read(comparer, REFERENCE)
    dropped = await read(comparer, "Delivery by two people up to any floor costs 45 EUR.")
    other = await read(
        comparer, "A team of two brings it to your storey for 45 euros if you ring us to book."
    )
    assert whole.covered == 1.0
    assert dropped.covered < 0.85
    assert other.covered > dropped.covered


async def test_one_word_for_another_is_a_change(comparer: Comparer) -> None:
    """`email` for `phone`: near in meaning, and not what the reference says."""
    changed = await read(comparer, REFERENCE.replace("phone", "email"))
    assert any("email" in reason for _, reason in changed.turned_round)
    assert (await read(comparer, REFERENCE)).turned_round == ()


async def test_only_the_question_again_is_an_echo(comparer: Comparer) -> None:
    """A short yes is none, nor an answer with a figure in the question's words."""
    assert (await read(comparer, "You ask whether we will carry your lamp upstairs.")).echoes
    assert not (await read(comparer, "Yes, we will carry your lamp upstairs.")).echoes
    assert not (await read(comparer, "We will carry your lamp upstairs for 45 EUR.")).echoes


async def test_another_language_is_read_by_its_figures(comparer: Comparer) -> None:
    """Right figures are enough there, wrong ones are seen, and language alone is no fault."""
    right = await read(comparer, "Zwei Personen tragen sie für 45 EUR in jedes Stockwerk.")
    wrong = await read(comparer, "Zwei Personen tragen sie für 54 EUR in jedes Stockwerk.")
    assert right.foreign
    assert wrong.foreign
    assert right.turned_round == ()
    assert right.core > 0.9
    assert wrong.core < 0.5
    assert wrong.turned_round


async def test_another_regions_rule_is_seen_by_its_name(comparer: Comparer) -> None:
    """A name that the evidence has and the question does not, in place of the reference's."""
    evidence = ("Customs are paid in Norway.", "Customs are not paid in Spain.")
    own, other = [
        await comparer.read(
            f"Customers in {country} pay no customs.",
            question="Do I pay customs?",
            reference="Customers in Spain pay no customs.",
            evidence=evidence,
        )
        for country in ("Spain", "Norway")
    ]
    assert own.turned_round == ()
    assert any("norway" in reason for _, reason in other.turned_round)
