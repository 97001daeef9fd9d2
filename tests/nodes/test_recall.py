"""From the thread to what is searched for, and from there to the cards of the turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pytest
from fakes import FakeKnowledge, FakeModels, FakeRail
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage
from langchain_core.tools import BaseTool
from langgraph.runtime import Runtime

from antiphon.nodes.guard import SMALL_TALK, WITHHELD
from antiphon.nodes.recall import rewrite_query
from antiphon.nodes.retrieve import retrieve_context
from antiphon.nodes.state import Context, Pending, State, fresh_turn
from antiphon.prompts.library import PromptFiles
from antiphon.tools.models import Reply, Selection
from antiphon.tools.retrieval.rewrite import Rewriter
from antiphon.tools.retrieval.search import Retriever
from antiphon.tools.tokens import ApproximateCounter

TOKENS = ApproximateCounter()
THREAD: list[AnyMessage] = [
    HumanMessage("Do you ship lamps?"),
    AIMessage("Yes."),
    HumanMessage(WITHHELD),
    AIMessage("I cannot answer that."),
    HumanMessage("And to Norway?"),
]


@dataclass
class Rewriting(FakeModels):
    """A real model, which says one sentence and counts what it took."""

    name: str = "openai:small"
    says: str = "Do you ship lamps to Norway?"

    async def reply(
        self,
        selection: Selection,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[BaseTool] = (),
    ) -> Reply:
        return replace(await self.last_resort(messages), model=self.name)


def turn(messages: list[AnyMessage], **changes: object) -> State:
    state = fresh_turn("t1", 0.0)
    fields: Mapping[str, object] = {
        "messages": messages, "question": messages[-1].text, "window": len(messages) - 1,
    }  # fmt: skip
    return {**state, **fields, **changes}  # type: ignore[typeddict-item]


async def rewritten(state: State, models: FakeModels | None = None) -> State:
    rewriter = Rewriter(models or FakeModels(), PromptFiles(), TOKENS)
    return await rewrite_query(rewriter, FakeRail())(state, runtime=Runtime(context=Context()))


async def test_a_follow_up_does_not_lean_on_small_talk() -> None:
    """After thanks, a short question still belongs to what was asked before them."""
    thread = [
        *THREAD[:2],
        HumanMessage("Thanks!"),
        AIMessage("You are welcome.", response_metadata={SMALL_TALK: True}),
        THREAD[-1],
    ]
    update = await rewritten(turn(thread))

    assert ("And to Norway?", "Do you ship lamps? And to Norway?") == update["queries"]


async def test_a_turn_is_searched_for_with_the_last_words_of_the_user() -> None:
    """What a guard withheld is not carried, nor is what the assistant said."""
    update = await rewritten(turn(THREAD))

    assert ("And to Norway?", "Do you ship lamps? And to Norway?") == update["queries"]
    assert "Do you ship lamps? And to Norway?" == update["standalone"]
    assert "cost_usd" not in update


async def test_what_left_the_window_is_not_carried() -> None:
    """Of an old thread only the latest exchanges are read."""
    update = await rewritten(turn(THREAD, window=1))

    assert ("And to Norway?",) == update["queries"]


async def test_the_answer_to_a_question_of_ours_is_read_with_what_led_to_it() -> None:
    """After a clarifying question both messages are one wording."""
    update = await rewritten(turn(THREAD, pending=Pending(question="Shipping?")))

    assert ("Shipping? And to Norway?",) == update["queries"]


async def test_a_models_rewriting_is_paid_for() -> None:
    """Its wording is used, and its tokens and price are added to the turn's."""
    update = await rewritten(turn(THREAD), Rewriting())

    assert "Do you ship lamps to Norway?" == update["standalone"]
    assert ("And to Norway?", "Do you ship lamps to Norway?") == update["queries"]
    assert (10, 0.001) == (update["usage"].input_tokens, update["cost_usd"])


@pytest.mark.parametrize(
    ("queries", "asked"),
    [(("a", "b a"), ["a", "b a"]), ((), ["And to Norway?"])],
    ids=["rewritten", "after a fault"],
)
async def test_retrieval_searches_for_every_wording(
    queries: tuple[str, ...], asked: list[str]
) -> None:
    """And for the bare question where rewriting failed."""
    knowledge = FakeKnowledge()
    node = retrieve_context(Retriever(knowledge), TOKENS, top_k=3, budget_tokens=500)

    update = await node(turn(THREAD, queries=queries), runtime=Runtime(context=Context()))

    assert asked == knowledge.queries
    assert ["returns.md"] == [card.source for card in update["cards"]]
