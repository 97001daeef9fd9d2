"""What a model's draft becomes when it is held against the pages, from end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from fakes import RETURNS, FakeKnowledge, FakeModels, Opening, fake_assistant, fake_services
from langchain_core.messages import BaseMessage

from antiphon.graphs.assistant import ClaimsForm
from antiphon.graphs.services import Deadlines, Services
from antiphon.nodes.state import Context
from antiphon.tools.claims import Judgement, SignsVerifier, Verifier
from antiphon.tools.errors import ModelUnavailable
from antiphon.tools.guards.grounding import Grounding
from antiphon.tools.guards.pipeline import GuardRail
from antiphon.tools.models import LAST_RESORT, Reply
from antiphon.tools.models.embeddings import make_embedder
from antiphon.tools.retrieval import Hit

ME = Context(tenant="acme", user="alice")
PAGES = (
    "You can return an item within 30 days of delivery. They count from the next day.",
    "We cannot deliver to PO boxes, since Fernpost needs a person or a safe place.",
    "Orders placed before 14:00 on a working day leave our warehouse the same day.",
)
QUESTION = "How long can I take to return a lamp?"
RIGHT = "You can return an item within 30 days of delivery."
WRONG = "You can return an item within 90 days of delivery."


@dataclass
class Scripted(FakeModels):
    """Says one thing after the other; an error is raised."""

    script: list[str | Exception] = field(default_factory=list)
    name: str = "capable"

    async def last_resort(self, messages: Sequence[BaseMessage]) -> Reply:
        said = self.script.pop(0)
        if isinstance(said, Exception):
            self.prompts.append(messages)
            raise said
        self.says = said
        return await super().last_resort(messages)


@dataclass
class Counting:
    """Judges by signs and counts the calls; fails where it is told to."""

    calls: int = 0
    failing: bool = False

    async def judge(
        self, claims: Sequence[str], evidence: Sequence[str], *, language: str = "en"
    ) -> tuple[Judgement, ...]:
        self.calls += 1
        if self.failing:
            raise ConnectionError("down")
        verifier = SignsVerifier(make_embedder("minilm"))
        return await verifier.judge(claims, evidence, language=language)


def services(
    draft: str = "",
    *,
    models: FakeModels | None = None,
    verifier: Verifier | None = None,
    claims: ClaimsForm | None = None,
) -> Services:
    """Return services whose model says `draft` over the pages."""
    hits = tuple(
        Hit(passage=replace(RETURNS, id=str(n), text=text, source=f"{n}.md"), score=1.0, bm25=5.0,
            cosine=0.9)
        for n, text in enumerate(PAGES)
    )  # fmt: skip
    verifier = verifier or SignsVerifier(make_embedder("minilm"))
    assistant = fake_assistant().model_copy(update={"claims": claims or ClaimsForm()})
    return fake_services(
        assistant=assistant,
        knowledge=FakeKnowledge(hits=hits),
        models=models or FakeModels(says=draft, name="capable"),
        embedder=make_embedder("minilm"),
        deadlines=Deadlines(),
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


@pytest.mark.parametrize(
    ("wrong", "question"),
    [
        ("You cannot return an item within 30 days of delivery.", QUESTION),
        (WRONG, QUESTION),
        ("We deliver to PO boxes.", "Do you deliver to PO boxes?"),
        ("Orders placed before 16:00 leave our warehouse the same day.", "When do orders leave?"),
        ("Orders from Iceland leave our warehouse the same day.", "Do orders from Iceland leave?"),
    ],
    ids=["negated", "another digit", "the opposite", "another time", "another country"],
)
async def test_near_misses_are_cut_and_never_shown(
    opening: Opening, wrong: str, question: str
) -> None:
    """Beside a right claim that answers it is taken out; as the answer there is none."""
    beside = await (await opening(services(f"{wrong} ⟦1⟧ {RIGHT} ⟦1⟧"))).ask(QUESTION, context=ME)
    assert (beside.outcome, beside.answer) == ("answered", f"{RIGHT} [1]")
    assert [one["guard"] for one in beside.violations] == ["claims"]
    assert beside.confidence["support"] == 1.0
    other = RIGHT if question != QUESTION else PAGES[2]
    answer = await (await opening(services(f"{wrong} ⟦1⟧ {other} ⟦3⟧"))).ask(question, context=ME)
    assert answer.outcome == "abstained"
    assert wrong not in answer.answer
    assert answer.confidence["support"] is None


async def test_one_call_judges_a_draft(opening: Opening) -> None:
    """For what is cut, for the citations, for the support and for the rail."""
    verifier = Counting()
    turn = await (await opening(services(f"{RIGHT} {PAGES[2]}", verifier=verifier))).ask(
        QUESTION, context=ME
    )
    assert (turn.outcome, verifier.calls) == ("answered", 1)
    assert [one["source"] for one in turn.citations] == ["0.md", "2.md"]


@pytest.mark.parametrize(("critical", "outcome"), [(False, "abstained"), (True, "refused")])
async def test_an_answer_that_cannot_be_judged_is_not_given(
    opening: Opening, critical: bool, outcome: str
) -> None:
    """An "I don't know", or refused where the assistant says so; the record tells why."""
    given = services(RIGHT, verifier=Counting(failing=True), claims=ClaimsForm(critical=critical))
    turn = await (await opening(given)).ask(QUESTION, context=ME)
    assert turn.outcome == outcome
    assert RIGHT not in turn.answer
    assert {"guard": "grounding", "severity": "high", "action": "failed"} in turn.violations


async def test_a_model_that_contradicts_is_asked_again(opening: Opening) -> None:
    """Once, with what was wrong and what the page says; both calls are paid for."""
    models = Scripted(script=[f"{WRONG} ⟦1⟧", f"{RIGHT} ⟦1⟧"])
    given = services(models=models, claims=ClaimsForm(contradicted="regenerate"))
    turn = await (await opening(given)).ask(QUESTION, context=ME)
    assert (turn.outcome, turn.answer) == ("answered", f"{RIGHT} [1]")
    first, second = models.prompts
    assert second[: len(first)] == first
    assert WRONG in second[-1].text
    assert RIGHT in second[-1].text
    assert turn.usage == {"input_tokens": 20, "output_tokens": 10}


@pytest.mark.parametrize(
    ("second", "budget", "name", "calls"),
    [
        (WRONG, 0.10, "capable", 2),
        (ModelUnavailable("down"), 0.10, "capable", 2),
        (RIGHT, 0.0005, "capable", 1),
        (RIGHT, 0.10, LAST_RESORT, 1),
    ],
    ids=["wrong again", "down", "no budget", "no model"],
)
async def test_it_is_asked_once_and_only_where_that_helps(
    opening: Opening, second: str | Exception, budget: float, name: str, calls: int
) -> None:
    """Else the claim is removed as it would have been."""
    models = Scripted(script=[WRONG, second], name=name)
    given = services(models=models, claims=ClaimsForm(contradicted="regenerate"))
    turn = await (await opening(given)).ask(QUESTION, context=replace(ME, max_cost_usd=budget))
    assert (turn.outcome, len(models.prompts)) == ("abstained", calls)
    assert WRONG not in turn.answer


async def test_one_contradiction_may_refuse_the_answer(opening: Opening) -> None:
    """Where the assistant would rather say nothing."""
    given = services(f"{RIGHT} We deliver to PO boxes.", claims=ClaimsForm(contradicted="block"))
    turn = await (await opening(given)).ask(QUESTION, context=ME)
    assert (turn.outcome, turn.citations) == ("refused", ())
    assert RIGHT not in turn.answer


@pytest.mark.parametrize("kind", ["flag", "ask"])
async def test_what_no_page_knows_is_said_to_be_so(opening: Opening, kind: str) -> None:
    """Behind the claim, or at the end as a question."""
    claims = ClaimsForm.model_validate({"not_found": kind})
    draft = f"{RIGHT} ⟦1⟧ Pelicans cross deep lakes quickly. ⟦1⟧"
    turn = await (await opening(services(draft, claims=claims))).ask(QUESTION, context=ME)
    doubt = {
        "flag": " Pelicans cross deep lakes quickly. (I could not confirm this.)",
        "ask": "\n\nI found nothing about this, so I am not sure of it: Pelicans cross deep lakes"
        " quickly. Could you tell me more?",
    }
    assert (turn.outcome, turn.answer) == ("answered", f"{RIGHT} [1]{doubt[kind]}")


async def test_a_reference_of_a_text_is_not_made_a_citation(opening: Opening) -> None:
    """A bracketed number is a marker only where it is the id of a citation."""
    plain = "You can return an item [2] within 30 days of delivery."
    turn = await (await opening(services(plain))).ask(QUESTION, context=ME)
    assert [(one["id"], one["source"]) for one in turn.citations] == [(1, "0.md")]
    assert turn.answer == f"{plain} [1]"
