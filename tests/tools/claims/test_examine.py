"""What of a model's answer may be said, by the judgements of its claims."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from fakes import FakeEmbedder
from langchain_core.messages import HumanMessage, SystemMessage

from antiphon.tools.claims import Examined, Examiner, Judgement, Policy, SignsVerifier
from antiphon.tools.models.embeddings import make_embedder
from antiphon.tools.models.extractive import Extractive
from antiphon.tools.retrieval.context import Card, fence
from antiphon.tools.retrieval.marks import MARKERS, free_tag

PAGES = (
    "You can return an item within 30 days of delivery. They count from the next day.",
    "We cannot deliver to PO boxes, since Fernpost needs a person or a safe place.",
    "Delivery to Norway takes 4 working days and is free from 150 EUR.",
)
RETURN, BOXES = "You can return an item within 30 days of delivery.", PAGES[1]
QUESTION = "How long can I take to return a lamp?"


def cards_of(*texts: str) -> tuple[Card, ...]:
    """Return a card for each text."""
    return tuple(
        Card(number=n, source=f"{n}.md", title="T", heading="", text=text, start=0, tokens=0,
             score=1.0)
        for n, text in enumerate(texts, start=1)
    )  # fmt: skip


@dataclass
class Counting:
    """Judges by signs, and counts the calls and the claims."""

    calls: list[tuple[str, ...]] = field(default_factory=list)

    async def judge(
        self, claims: Sequence[str], evidence: Sequence[str], *, language: str = "en"
    ) -> tuple[Judgement, ...]:
        self.calls.append(tuple(claims))
        return await SignsVerifier().judge(claims, evidence, language=language)


class Broken:
    """Raises, or gives fewer judgements than claims."""

    def __init__(self, *, short: bool = False) -> None:
        self.short = short

    async def judge(self, *_: object, **__: object) -> tuple[Judgement, ...]:
        if self.short:
            return ()
        raise ConnectionError("the judge is down")


async def examine(
    said: str, *pages: str, question: str = QUESTION, policy: Policy | None = None
) -> Examined:
    """Examine an answer over the pages, by signs and by meaning."""
    embedder = make_embedder("minilm")
    texts = pages or PAGES
    return await Examiner(SignsVerifier(embedder), embedder, policy).examine(
        said, question=question, cards=cards_of(*texts), evidence=texts, texts=texts
    )


@pytest.mark.parametrize(
    ("answer", "left"),
    [
        (f"{RETURN} Pelicans cross deep lakes quickly.", RETURN),
        (f"- We deliver to PO boxes.\n- {RETURN}", f"- {RETURN}"),
        (f"{RETURN} Shall we discuss your purple kayak?",) * 2,
        (f"You cannot return an item within 30 days of delivery. {RETURN}", RETURN),
        (f"{RETURN} Delivery to Norway takes 5 working days.", RETURN),
        (f"{RETURN} Delivery to Sweden takes 4 working days.", RETURN),
        (f"{RETURN} Yes. We deliver to PO boxes.", RETURN),
        (f"{RETURN}\nWhat we also do:\n- We deliver to PO boxes.", RETURN),
    ],
    ids=[
        "beside the point", "item", "question", "negation", "other digit", "other country",
        "its yes", "its introduction",
    ],
)  # fmt: skip
async def test_what_is_not_borne_out_is_cut_and_the_rest_answers(answer: str, left: str) -> None:
    """Only claims are cut, with what means nothing without them."""
    found = await examine(answer)
    assert MARKERS.sub("", found.answer) == left
    assert (found.fault, found.support) == ("", 1.0)
    assert bool(found.removed) == (answer != left)


@pytest.mark.parametrize(
    "wrong",
    [
        "You can return an item within 90 days of delivery.",
        "You cannot return an item within 30 days of delivery.",
    ],
)
async def test_an_answer_without_what_was_asked_is_none(wrong: str) -> None:
    """What is left is true, but the question stays open; where it is about something else, not."""
    rest = "Delivery to Norway takes 4 working days and is free from 150 EUR."
    found = await examine(f"{wrong} ⟦1⟧ {rest} ⟦3⟧")
    assert (found.fault, found.answer, found.citations) == ("unanswered", "", ())
    kept = await examine(f"{wrong} ⟦1⟧ {rest} ⟦3⟧", question="How long does Norway take?")
    assert (kept.fault, kept.answer) == ("", f"{rest} [1]")
    alone = await examine(wrong)
    assert (alone.fault, alone.answer) == ("unanswered", "")


async def test_what_no_page_knows_is_left_to_the_rail_where_nothing_else_is() -> None:
    """With its judgements, so that nobody judges again."""
    found = await examine("Pelicans cross deep lakes quickly.")
    assert found.judgements is not None
    assert [one.verdict for one in found.judgements] == ["not found"]
    assert (found.fault, found.citations) == ("", ())
    assert found.support is not None
    assert found.support < 0.5


@pytest.mark.parametrize("named", ["⟦1⟧", "⟦2⟧", "⟦3⟧", "⟦9⟧", "", "[2]"])
async def test_a_claim_is_cited_to_the_page_that_bears_it_out(named: str) -> None:
    """Whichever page the model named, or none."""
    found = await examine(f"You may return an item within 30 days of delivery. {named}")
    assert [(one.id, one.source, one.quote) for one in found.citations] == [(1, "1.md", RETURN)]
    assert found.answer == "You may return an item within 30 days of delivery. [1]"


async def test_a_page_that_says_the_opposite_is_not_cited_beside() -> None:
    """Another that says the same is, and one that brings the rest of the claim."""
    same = "Within 30 days of delivery you can return an item."
    opposite = "You cannot return an item within 30 days of delivery of the sofa."
    other = "You can return an item within 90 days of delivery."
    found = await examine(f"{RETURN} ⟦1⟧⟦2⟧⟦3⟧⟦4⟧", RETURN, same, opposite, other)
    assert [one.source for one in found.citations] == ["1.md", "2.md"]
    both = "You can return an item within 30 days of delivery and Norway takes 4 working days."
    found = await examine(f"{both} ⟦1⟧⟦3⟧")
    assert [one.source for one in found.citations] == ["1.md", "3.md"]


async def test_another_language_keeps_its_marks() -> None:
    """A right German answer from English pages is cited; one with another figure is none."""
    right = "Sie können einen Artikel innerhalb von 30 Tagen nach der Lieferung zurückgeben."
    found = await examine(f"{right} ⟦1⟧")
    assert [one.source for one in found.citations] == ["1.md"]
    assert found.support is not None
    assert 0 < found.support < 1
    wrong = await examine(f"{right.replace('30', '90')} ⟦1⟧")
    assert wrong.fault == "unanswered"


async def test_each_claim_is_judged_once() -> None:
    """Cutting, citing and support come from one call."""
    verifier = Counting()
    found = await Examiner(verifier, FakeEmbedder()).examine(
        f"{RETURN} ⟦1⟧ {BOXES} ⟦2⟧ {RETURN} ⟦1⟧",
        question=QUESTION, cards=cards_of(*PAGES), evidence=PAGES, texts=PAGES,
    )  # fmt: skip
    assert verifier.calls == [(RETURN, BOXES)]
    assert found.answer == f"{RETURN} [1] {BOXES} [2] {RETURN} [1]"


@pytest.mark.parametrize("short", [False, True])
async def test_what_could_not_be_judged_is_not_said(short: bool) -> None:
    """Whatever is wrong with the verifier; the reason names the kind of fault alone."""
    found = await Examiner(Broken(short=short), FakeEmbedder()).examine(
        RETURN, question=QUESTION, cards=cards_of(*PAGES), evidence=PAGES, texts=PAGES
    )
    assert (found.answer, found.citations, found.fault) == ("", (), "failed")
    assert "judge is down" not in found.reason


@pytest.mark.parametrize("kind", ["flag", "ask"])
async def test_what_no_page_knows_is_flagged_or_asked_about(kind: str) -> None:
    """By kind of assistant; never cited, and it lowers the support."""
    policy = Policy(not_found=kind, unconfirmed="(unconfirmed)", unsure="Unsure: {claims}")  # type: ignore[arg-type]
    found = await examine(f"Pelicans cross deep lakes quickly. ⟦1⟧ {RETURN} ⟦1⟧", policy=policy)
    if kind == "flag":
        said = f"Pelicans cross deep lakes quickly. (unconfirmed) {RETURN} [1]"
        assert (found.answer, found.support, len(found.flagged)) == (said, 0.5, 1)
    else:
        said = f"{RETURN} [1]\n\nUnsure: Pelicans cross deep lakes quickly."
        assert (found.answer, found.support) == (said, 1.0)


async def test_a_contradiction_may_forbid_the_answer() -> None:
    """One claim is enough; what no page knows is not."""
    policy = Policy(contradicted="block")
    assert (await examine(f"{RETURN} We deliver to PO boxes.", policy=policy)).fault == "blocked"
    fine = await examine(f"{RETURN} Pelicans cross deep lakes quickly.", policy=policy)
    assert (fine.fault, fine.answer) == ("", f"{RETURN} [1]")


@pytest.mark.parametrize("seed", range(60))
async def test_a_page_quoted_without_a_model_keeps_its_brackets(seed: int) -> None:
    """From page to reader, whatever brackets it has: a marker is the id of a citation."""
    chance = random.Random(seed)
    odd = " ".join(
        chance.choice(("x[{n}]", "[{n}]", "m[{n}][2]", "[^{n}]", "⟦{n}⟧", "⟦c{n}⟧", "[{n}](#a)"))
        .replace("{n}", str(chance.randrange(4)))
        for _ in range(chance.randrange(1, 5))
    )  # fmt: skip
    page = f"Returned lamps {odd} are refunded within thirty days of their return."
    cards, tag = cards_of(page, PAGES[2]), free_tag([page])
    prompt = [SystemMessage(fence(cards, tag=tag)), HumanMessage("When are lamps refunded?")]
    said = (await Extractive(FakeEmbedder()).ainvoke(prompt)).text
    found = await Examiner(SignsVerifier(), FakeEmbedder()).examine(
        said, question="When are lamps refunded?", cards=cards,
        evidence=(page, PAGES[2]), texts=(page, PAGES[2]), tag=tag,
    )  # fmt: skip
    ids = "|".join(str(one.id) for one in found.citations)
    assert page in re.sub(rf" \[(?:{ids})\]", "", found.answer)
    assert page in [one.quote for one in found.citations]
