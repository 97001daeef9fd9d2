"""Proposed golden lines: true of their page, near misses that are false of it, nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEmbedder, FakeModels, fake_services
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool

from antiphon.evals.candidates import checked
from antiphon.evals.golden import Example, Expected, Message
from antiphon.evals.synth import (
    Line,
    Proposal,
    Sieve,
    borne_out,
    candidate_of,
    proposals,
    propose,
    read_folder,
)
from antiphon.tools.errors import InputError, ModelUnavailable
from antiphon.tools.models import Reply, Selection
from antiphon.tools.retrieval import Passage
from antiphon.tools.tokens import ApproximateCounter

SAMPLE = Path(__file__).parents[2] / "examples" / "help_centre" / "knowledge"
RETURNS = (
    "You can return an item within 30 days of delivery. A return label within the United States"
    " costs 6.50 USD per parcel. It takes 5 days. Please wait 9 days before you write to us."
    " Then you can see the refund."
)
CLUB = "The Thread Club is our loyalty programme. Points are worth more the longer you stay."


def passage(text: str, source: str = "a.md", title: str = "Returns", heading: str = "") -> Passage:
    """Return a passage of a page."""
    return Passage(
        id=source + heading, source=source, title=title, heading=heading, text=text, start=0, end=9
    )


PAGES = [
    passage(RETURNS, heading="What does it cost?"),
    passage(CLUB, "b.md", "Thread Club", "Levels and rewards"),
]


def test_the_sample_gives_lines_whose_facts_stand_in_their_page() -> None:
    """Every fact is a word-for-word part of its source, and each kind is there in turn."""
    passages, failed = read_folder(SAMPLE, ApproximateCounter())
    made = list(proposals(passages))
    texts = {path.name: path.read_text("utf-8") for path in SAMPLE.iterdir()}

    assert failed == []
    assert len(made) > 150
    assert {each.kind for each in made[:5]} == {"answerable", "near_miss", "unanswerable"}
    assert [each for each in made if any(f not in texts[each.source] for f in each.facts)] == []
    for each in made:
        checked(candidate_of(each, tenant="t").example)


def test_a_sentence_gives_a_question_and_a_near_miss() -> None:
    """The figure is asked for, not given away; the near miss holds a greater one, and is false."""
    made = [each for each in proposals(PAGES) if each.facts == ("30 days",)]
    asked = next(each for each in made if each.kind == "answerable")
    false = next(each for each in made if each.kind == "near_miss")
    assert asked.question == "You can return an item within how many days of delivery?"
    assert asked.reference == "You can return an item within 30 days of delivery."
    assert false.question in {
        f"Is it true that you can return an item within {number} days of delivery?"
        for number in (31, 60)
    }
    assert "yes" in false.absent


def test_another_region_is_asked_about_only_where_the_figure_is_the_regions_own() -> None:
    """A figure that holds elsewhere too would make a true statement of the near miss."""
    regional = [each for each in proposals(PAGES) if each.kind == "near_miss" and not each.facts]
    assert len(regional) == 1
    assert "United States" not in regional[0].question
    assert "6.50 USD" in regional[0].question

    also = [*PAGES, passage("A return label from Canada costs 6.50 USD, too.", "c.md")]
    assert [e for e in proposals(also) if e.kind == "near_miss" and not e.facts] == []


def test_what_leans_on_another_sentence_or_asks_is_left_out() -> None:
    """Neither "it" without its noun nor an instruction becomes a question."""
    said = " ".join(each.question for each in proposals(PAGES))
    assert "how many days?" not in said.replace("how many days of", "")
    assert "5 days" not in said
    assert "9 days" not in said


def test_definitions_headings_and_absent_sections() -> None:
    """What is defined is asked for; a heading that another page lacks is asked of that page."""
    made = list(proposals(PAGES))
    facts = {each.question: each.facts for each in made}
    assert facts["What is the Thread Club?"] == ("our loyalty programme",)
    assert "Returns: What does it cost?" in facts
    [absent] = [each for each in made if each.kind == "unanswerable"]
    assert (absent.question, absent.outcome) == (
        "What does your page “Returns” say about “levels and rewards”?",
        ("abstained", "clarifying"),
    )


def test_the_same_seed_gives_the_same() -> None:
    """Another seed gives another order, the same one the same; another language gives nothing."""
    passages, _ = read_folder(SAMPLE, ApproximateCounter())
    assert list(proposals(passages, seed=3)) == list(proposals(passages, seed=3))
    assert list(proposals(passages, seed=3)) != list(proposals(passages, seed=4))
    german = Passage(
        id="g", source="g.md", title="Rückgabe", heading="", text="Sie haben 30 Tage Zeit dafür.",
        start=0, end=9, language="de",
    )  # fmt: skip
    assert list(proposals([german])) == []


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """There is nothing to propose from."""
    with pytest.raises(InputError):
        read_folder(tmp_path, ApproximateCounter())


@pytest.mark.parametrize(
    "question",
    ["How long can I return it?", "how long can i return it", "return it how long can I?"],
)
async def test_what_the_golden_set_asks_is_not_proposed(question: str) -> None:
    """Neither the same words nor, by their vectors, the same meaning."""
    golden = Example(
        id="a",
        kind="k",
        messages=(Message(content="How long can I return it?"),),
        expected=Expected(outcome=("answered",)),
    )
    sieve = Sieve(FakeEmbedder(), [golden])
    assert not await sieve.new(question)
    assert await sieve.new("What does a return label cost?")
    assert not await sieve.new("What does a return label cost?")


async def test_a_question_with_another_figure_is_another() -> None:
    """However alike two near misses are, one figure apart they are two."""
    sieve = Sieve(FakeEmbedder(), [])
    long = "Is it true that you can return an item within {} days of the delivery of your order?"
    assert await sieve.new(long.format(30))
    assert await sieve.new(long.format(31))
    assert not await sieve.new(long.format("30, 30").replace("30, 30", "30"))


@pytest.mark.parametrize(
    ("quote", "facts", "kept"),
    [
        ("You can return an item within 30 days of delivery.", ["30 days"], True),
        ("You can  return an item within\n30 days of delivery.", ["30 days"], True),
        ("You can return an item within 30 days of delivery.", ["31 days"], False),
        ("You can return an item within 31 days of delivery.", ["31 days"], False),
        ("You cannot return an item within 30 days of delivery.", ["30 days"], False),
        ("You can return an item within 30 days of delivery.", ["6.50 USD"], False),
        ("You can return an item within 30 days of delivery.", [], False),
        ("", ["30 days"], False),
    ],
)
def test_a_models_line_is_kept_where_the_page_says_it(
    quote: str, facts: list[str], kept: bool
) -> None:
    """Quote and facts stand in the page word for word, or the line is dropped."""
    line = Line(kind="answerable", question="Until when?", quote=quote, facts=facts)
    made = borne_out(line, PAGES[0])
    assert (made is not None) == kept
    if made is not None:
        assert (made.facts, made.source) == (("30 days",), "a.md")


@dataclass
class Writer(FakeModels):
    """A model that calls the tool it is given with these lines, or says them."""

    name: str = "writer"
    lines: Any = None
    offered: list[str] = field(default_factory=list)

    async def reply(
        self,
        selection: Selection,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[BaseTool] = (),
    ) -> Reply:
        self.offered += [tool.name for tool in tools]
        reply = await self.last_resort(messages)
        call = {"name": tools[0].name, "args": {"lines": self.lines}, "id": "1"}
        message = AIMessage(content="", tool_calls=[call])
        return Reply(message=message, model=self.name, usage=reply.usage, cost_usd=0.25)


def line(
    question: str, fact: str = "30 days", quote: str = "", **more: object
) -> dict[str, object]:
    """Return a line as a model writes it."""
    said = quote or f"You can return an item within {fact} of delivery."
    return {"kind": "answerable", "question": question, "quote": said, "facts": [fact], **more}


async def test_a_models_lines_come_first_and_are_checked() -> None:
    """Half at most is its own; what is invented, misshapen or personal does not get through."""
    models = Writer(
        lines=[
            line("By when must a parcel be on its way back? Tell dana@mail.example"),
            line("What of 45 days?", "45 days"),
            {"kind": "answerable"},
            "nonsense",
            line("x" * 400),
            line("How long may I keep it?", surprise="rm -rf"),
        ]
    )
    services = fake_services(models=models, embedder=FakeEmbedder())
    done = await propose(PAGES, [], services, tenant="t", count=4)
    asked = [str(each.example["messages"]) for each in done.candidates]
    assert len(asked) == 4
    assert done.by_model == 2
    assert asked[:2] == [
        "['By when must a parcel be on its way back? Tell <EMAIL_1>']",
        "['How long may I keep it?']",
    ]
    assert done.cost_usd >= 0.25
    assert set(models.offered) == {"propose_lines"}
    assert "You can return" in str(models.prompts[0][0].content) or "Thread Club" in str(
        models.prompts[0][0].content
    )


class Down(Writer):
    """A model that cannot answer."""

    async def reply(self, *_: object, **__: object) -> Reply:
        raise ModelUnavailable("everything is down")


@pytest.mark.parametrize("models", [Down(), FakeModels(), Writer(lines="[]"), Writer(lines=None)])
async def test_without_a_model_that_helps_the_pages_alone_do(models: FakeModels) -> None:
    """A model that is down, absent or talks nonsense costs nothing but its own lines."""
    services = fake_services(models=models, embedder=FakeEmbedder())
    done = await propose(PAGES, [], services, tenant="t", count=3)
    assert (len(done.candidates), done.by_model) == (3, 0)


async def test_a_model_that_only_invents_is_not_asked_for_ever() -> None:
    """It is called no more often than lines are wanted, however many pages there are."""
    models = Writer(lines=[line("By when?", "45 days")])
    services = fake_services(models=models, embedder=FakeEmbedder())
    await propose(PAGES * 20, [], services, tenant="t", count=2)
    assert len(models.offered) == 2


async def test_what_was_proposed_before_is_not_proposed_again() -> None:
    """Whatever became of a candidate, the next run goes on to others."""
    services = fake_services(embedder=FakeEmbedder())
    first = await propose(PAGES, [], services, tenant="t", count=3)
    known = {each.id for each in first.candidates}
    second = await propose(PAGES, [], services, tenant="t", count=3, known=known)
    assert second.candidates
    assert not known & {each.id for each in second.candidates}


def test_a_candidate_is_marked_and_named_by_what_it_asks() -> None:
    """It waits for a person, and the same question has the same id in whatever spelling."""
    made = candidate_of(
        Proposal(kind="near_miss", question="Is it 31 days?", source="a"), tenant="t"
    )
    same = candidate_of(
        Proposal(kind="near_miss", question="is it 31 days", source="a"), tenant="t"
    )
    other = candidate_of(
        Proposal(kind="near_miss", question="Is it 30 days?", source="a"), tenant="t"
    )
    assert (made.state, made.origin) == ("proposed", "synth")
    assert made.id == same.id != other.id
