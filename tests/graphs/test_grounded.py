"""What a model's draft becomes when it is held against the pages, from end to end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import RETURNS, FakeKnowledge, FakeModels, Opening, fake_services

from antiphon.graphs.services import Services
from antiphon.nodes.state import Context
from antiphon.tools.claims import SignsVerifier
from antiphon.tools.guards.grounding import Grounding
from antiphon.tools.guards.pipeline import GuardRail
from antiphon.tools.models.embeddings import make_embedder
from antiphon.tools.retrieval import Hit

ME = Context(tenant="acme", user="alice")
PAGES = (
    "You can return an item within 30 days of delivery. They count from the next day.",
    "We cannot deliver to PO boxes, since Fernpost needs a person or a safe place.",
    "Orders placed before 14:00 on a working day leave our warehouse the same day.",
)


def services(draft: str) -> Services:
    """Return services whose model says `draft` over the pages."""
    hits = tuple(
        Hit(passage=replace(RETURNS, id=str(n), text=text, source=f"{n}.md"), score=1.0, bm25=5.0,
            cosine=0.9)
        for n, text in enumerate(PAGES)
    )  # fmt: skip
    verifier = SignsVerifier(make_embedder("minilm"))
    return fake_services(
        knowledge=FakeKnowledge(hits=hits),
        models=FakeModels(says=draft, name="capable"),
        verifier=verifier,
        output_rail=GuardRail([Grounding(verifier=verifier)]),
    )


@pytest.mark.parametrize(
    "draft",
    [
        "You can return an item within 30 days of delivery. [1]",
        "You have a month from the day it arrives to send it back. [1]",
        "Yes. Noon on a Tuesday is early enough, it leaves the same day. [3]",
        "Sie können einen Artikel innerhalb von 30 Tagen nach der Lieferung zurückgeben. [1]",
    ],
    ids=["as the page", "other words", "worked out", "another language"],
)
async def test_a_right_answer_is_given(opening: Opening, draft: str) -> None:
    """In the page's words, in others, or in another language."""
    talk = await opening(services(draft))
    turn = await talk.ask("How long can I take to return a lamp?", context=ME)
    assert (turn.outcome, turn.answer.split(" [")[0]) == (
        "answered",
        draft.split(" [", maxsplit=1)[0],
    )


@pytest.mark.parametrize(
    "draft",
    [
        "You cannot return an item within 30 days of delivery. [1]",
        "You can return an item within 90 days of delivery. [1]",
        "We deliver to PO boxes. [2]",
        "Sie können einen Artikel innerhalb von 90 Tagen nach der Lieferung zurückgeben. [1]",
    ],
    ids=["negated", "another figure", "the opposite", "another figure abroad"],
)
async def test_what_the_pages_deny_is_never_shown(opening: Opening, draft: str) -> None:
    """Alone it is no answer at all; beside what is right it is left out."""
    talk = await opening(services(draft))
    turn = await talk.ask("How long can I take to return a lamp?", context=ME)
    assert turn.outcome == "abstained"
    wrong = draft.split(" [", maxsplit=1)[0]
    assert wrong not in turn.answer
    right = "Orders placed before 14:00 on a working day leave our warehouse the same day. [3]"
    both = await (await opening(services(f"{draft} {right}"))).ask("And when?", context=ME)
    assert wrong not in both.answer
    assert right.split(" [", maxsplit=1)[0] in both.answer
