"""Claims against evidence: four right answers stay, and near misses do not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from fakes import FakeEmbedder

from antiphon.tools.claims import SignsVerifier, claims_of
from antiphon.tools.claims.polarity import opposed, turned
from antiphon.tools.claims.reader import Reading
from antiphon.tools.models.embeddings import make_embedder

PAGES = (
    "You can return any item within 30 days of delivery. It counts from the next day.",
    "We cannot deliver to PO boxes or parcel lockers abroad. Not only lamps are insured.",
    "Orders placed before 14:00 on a working day leave our warehouse the same day.",
    "Express delivery to Austria costs 9 EUR. Delivery is free from 150 EUR.",
)


class Counting(FakeEmbedder):
    """Counts how often it is asked."""

    asked = 0

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Count and embed."""
        self.asked += 1
        return await super().embed(texts)


async def verdict(claim: str, language: str = "en") -> str:
    """Judge a claim by words alone."""
    (found,) = await SignsVerifier().judge([claim], PAGES, language=language)
    return found.verdict


@pytest.mark.parametrize(
    "claim",
    [
        "You can return an item within 30 days of delivery [1].",
        "Any item can be returned within four weeks and two days of delivery.",
        "Orders placed before 2 pm on a working day leave the same day.",
        "Delivery is free from 150 euros.",
        "Parcel lockers abroad and PO boxes: we cannot deliver to them.",
    ],
)
async def test_what_the_pages_say_is_supported(claim: str) -> None:
    """Also with a figure in another unit, or in another order."""
    assert await verdict(claim) in ("supported", "unsure")


@pytest.mark.parametrize(
    "claim",
    [
        "You cannot return any item within 30 days of delivery [1].",
        "You can return any item within 90 days of delivery.",
        "We deliver to PO boxes.",
        "Orders placed before 16:00 on a working day leave our warehouse the same day.",
        "Orders placed after 14:00 on a working day leave our warehouse the same day.",
        "Express delivery to Austria costs 19 EUR.",
        "Delivery is free from 50 EUR.",
        "Orders placed before 14:00 on a working day never leave our warehouse the same day.",
    ],
)
async def test_the_opposite_is_contradicted(claim: str) -> None:
    """A negation, a figure, a bound or an opposite; everything else is the page's own words."""
    (found,) = await SignsVerifier().judge([claim], PAGES)
    assert found.verdict == "contradicted", found
    assert found.quote in " ".join(PAGES)
    assert found.reason


@pytest.mark.parametrize(
    "claim",
    ["Express delivery to Norway costs 9 EUR.", "Our brass lamps are polished twice by hand."],
)
async def test_what_the_pages_do_not_say_is_not_found(claim: str) -> None:
    """Another country's price, and what nobody spoke of."""
    assert await verdict(claim) == "not found"


async def test_another_language_is_never_called_false_for_its_words() -> None:
    """Its figures are read; without a model for both languages the rest stays open."""
    right = "Sie können jeden Artikel innerhalb von 30 Tagen nach der Lieferung zurückgeben."
    assert await verdict(right, "de") == "unverified"
    assert await verdict(right.replace("30", "90"), "de") == "contradicted"


async def test_other_words_are_recognised_by_the_embedder() -> None:
    """Half of the words are others: without vectors the page seems to say nothing of it."""
    claim = "You have a month from the day it arrives to send it back."
    assert await verdict(claim) == "not found"
    (found,) = await SignsVerifier(make_embedder("minilm")).judge([claim], PAGES)
    assert found.verdict == "unsure"


async def test_what_words_settle_is_not_embedded() -> None:
    """An extractive answer costs no vectors."""
    embedder = Counting()
    claims = [PAGES[2], "We cannot deliver to PO boxes."]
    await SignsVerifier(embedder).judge(claims, PAGES)
    assert embedder.asked == 0
    await SignsVerifier(embedder).judge([*claims, "Send it back in a month."], PAGES)
    assert embedder.asked == 1


async def test_claims_come_back_in_order_and_nothing_is_judged_of_nothing() -> None:
    """One judgement a claim, whatever the evidence."""
    claims = ["Lamps are insured abroad.", "Delivery is free from 150 EUR."]
    found = await SignsVerifier().judge(claims, PAGES)
    assert [one.claim for one in found] == claims
    assert await SignsVerifier().judge([], PAGES) == ()
    assert {one.verdict for one in await SignsVerifier().judge(claims, ())} == {"not found"}


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        ("It isn't open on Sunday.", "It is open on Sunday."),
        ("The shop is closed on Sunday.", "The shop is open on Sunday."),
        ("Der Laden ist sonntags nicht geöffnet.", "Der Laden ist sonntags geöffnet."),
        ("Yes, gift cards never expire.", "Gift cards expire."),
    ],
)
def test_opposites(claim: str, sentence: str) -> None:
    """A negation on one side, or a word and its opposite."""
    assert opposed(claim, sentence, language="de" if "ist" in claim.split() else "en")
    assert opposed(sentence, claim, language="de" if "ist" in claim.split() else "en")


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        ("No, gift cards do not expire.", "Gift cards do not expire."),
        ("Lamps are insured.", "Not only lamps are insured."),
        ("You can pay by card.", "You can pay by card but not by cheque."),
        ("Lamps are never not insured.", "Lamps are insured."),
        (
            "There is no parking in Tidehaven, but a tram stop in front of the door.",
            "In Tidehaven there is no parking, but a tram stop in front of the door.",
        ),
        ("Curtains are made to measure.", "We cannot deliver to PO boxes."),
    ],
)
def test_what_only_looks_opposed(claim: str, sentence: str) -> None:
    """An answer's own "no", a negation about something else, or two of them."""
    assert not opposed(claim, sentence)


def test_what_is_a_claim() -> None:
    """Questions, greetings, offers, headings and code say nothing that could be held against."""
    answer = (
        "# Returns of items\n\nHello, thanks for asking about returns! Returns are free within 30"
        " days [1]. Do you have the order number?\n\n```\nreturns = free_within(30)\n```\nLet me"
        " know if you need more help with returns."
    )
    assert [answer[slice(*span)] for span in claims_of(answer)] == [
        "Returns are free within 30 days [1]."
    ]


class Scripted:
    """A reader that says the same of every pair."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.pairs: list[tuple[str, str]] = []

    async def read(self, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
        """Note what is read."""
        self.pairs += pairs
        return [self.reading] * len(pairs)


async def test_a_reader_denies_what_no_sign_sees() -> None:
    """Below the cut it only makes unsure."""
    claim = "Any item may come back to us within 30 days of delivery."
    for denial, wanted in ((0.9, "contradicted"), (0.6, "unsure")):
        reader = Scripted((0.05, denial, 0.95 - denial))
        (found,) = await SignsVerifier(reader=reader).judge([claim], PAGES)
        assert found.verdict == wanted, found


async def test_a_reader_cannot_wave_through_a_negated_verb() -> None:
    """The sign of `cannot return` against `can return` needs no more than its not being sure."""
    claim = "You cannot return any item within 30 days of delivery."
    (found,) = await SignsVerifier(reader=Scripted((0.6, 0.2, 0.2))).judge([claim], PAGES)
    assert found.verdict == "contradicted"


async def test_what_stands_word_for_word_is_not_read() -> None:
    """An extractive answer costs nothing; the beginning of a sentence is not the sentence."""
    reader = Scripted((0.9, 0.0, 0.1))
    await SignsVerifier(reader=reader).judge([PAGES[2], "Delivery is free from 150 EUR."], PAGES)
    assert reader.pairs == []
    (found,) = await SignsVerifier(reader=reader).judge(["Delivery is free."], PAGES)
    assert reader.pairs
    assert found.verdict == "not found"
    assert "from 150 EUR" in found.reason


async def test_a_condition_may_stand_in_the_next_sentence() -> None:
    """What the answer says beside a claim counts as said."""
    claims = ["Delivery is free.", "That holds from an order of 150 EUR."]
    first, _ = await SignsVerifier().judge(claims, PAGES)
    assert first.verdict != "not found"


async def test_a_sentence_of_two_things_is_judged_by_the_worse() -> None:
    """The first half is right; the second is not."""
    claim = "We cannot deliver to PO boxes, and the express delivery to Austria costs 19 EUR."
    (found,) = await SignsVerifier().judge([claim], PAGES)
    assert (found.claim, found.verdict) == (claim, "contradicted")
    assert "19 EUR" in found.reason


async def test_items_are_read_with_the_line_above_them() -> None:
    """The line "what it does not cover" belongs to each of its items."""
    page = "The warranty holds for two years.\n\nWhat it does not cover:\n- bulbs\n- worn cords\n"
    claim = "What the warranty does not cover: bulbs."
    (found,) = await SignsVerifier().judge([claim], [page])
    assert found.verdict != "contradicted", found
    (found,) = await SignsVerifier().judge(["It does cover bulbs."], [page])
    assert found.verdict == "contradicted", found


def test_the_very_word_that_is_negated() -> None:
    """Another word's negation turns nothing."""
    assert turned("You cannot return it.", "You can return it within a month.")
    assert not turned("You can return it.", "You can return it if it was not opened.")


async def test_a_sentence_cut_short_is_not_denied_by_a_reader() -> None:
    """Its words in its order, no negation left out; another order is another matter."""
    page = "Put the lid back on top, turn on your diffuser and enjoy the scent."
    reader = Scripted((0.02, 0.95, 0.03))
    short, turned_round = "Put the lid back on, turn on the diffuser.", "Put the diffuser on top."
    (found,) = await SignsVerifier(reader=reader).judge([short], [page])
    assert found.verdict != "contradicted", found
    (found,) = await SignsVerifier(reader=reader).judge([turned_round], [page])
    assert found.verdict == "contradicted", found
    (found,) = await SignsVerifier(reader=reader).judge(
        ["Lamps may be returned to us."], ["Lamps may not be returned to us."]
    )
    assert found.verdict == "contradicted", found
