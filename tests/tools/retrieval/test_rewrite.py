"""A turn made independent of the history: by rule, and by a model when one answers in time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from antiphon.prompts.library import PromptFiles
from antiphon.tools.models import ModelCard
from antiphon.tools.models.fake import ScriptedModel
from antiphon.tools.models.router import ModelRouter
from antiphon.tools.resilience import Switches
from antiphon.tools.retrieval.rewrite import Rewriter, queries, standalone
from antiphon.tools.tokens import ApproximateCounter

CARD = ModelCard(
    name="openai:small", context_tokens=8192, first_token_s=0.5, tokens_per_s=50, quality=0.6
)
SAID: list[BaseMessage] = [
    HumanMessage("Do you ship lamps to Norway?"),
    AIMessage("Yes, within a week."),
]
JOINED = "Do you ship lamps to Norway? And what does it cost?"


def never(_name: str) -> BaseChatModel:
    raise AssertionError("no model may be opened")


def rewriter(
    connect: Callable[[str], BaseChatModel], *cards: ModelCard, deadline_s: float = 2.0
) -> Rewriter:
    router = ModelRouter(
        cards,
        connect=connect,
        last_resort=ScriptedModel(["The last resort quotes a page."]),
        switches=Switches(),
    )
    return Rewriter(router, PromptFiles(), ApproximateCounter(), deadline_s=deadline_s)


class TestQueries:
    def test_the_question_is_searched_for_alone_and_after_the_previous_turn(self) -> None:
        """Both wordings, the plain one first; only the latest of the earlier turns is carried."""
        assert ("and lamps?", "Do you ship rugs? and lamps?") == queries(
            "and lamps?", ["Hello", "Do you ship rugs?"]
        )

    @pytest.mark.parametrize("earlier", [[], ["And lamps? "]], ids=["first turn", "said again"])
    def test_nothing_is_carried_where_there_is_nothing_new(self, earlier: list[str]) -> None:
        """A first turn, or the same question again, is one wording."""
        assert ("And lamps?",) == queries("And lamps?", earlier)

    @pytest.mark.parametrize("question", ["¿Y a Noruega?", "Und nach Norwegen?", "ノルウェーは？"])
    def test_no_language_is_needed(self, question: str) -> None:
        """The previous turn is carried in any language."""
        assert question in queries(question, ["?"])[1]


class TestStandalone:
    @pytest.mark.parametrize("question", ["And what does it cost?", "why?", "what about rugs"])
    def test_a_turn_that_leans_is_joined(self, question: str) -> None:
        """A question that points back is read after the one before it."""
        assert f"Do you ship lamps? {question}" == standalone(question, ["Do you ship lamps?"])

    def test_a_whole_question_stands_as_it_is(self) -> None:
        """A question that says all is not touched."""
        whole = "How long is the warranty on a floor lamp?"
        assert whole == standalone(whole, ["Do you ship lamps?"])


class TestRewriter:
    async def test_without_a_real_model_the_rule_decides(self) -> None:
        """The last resort is never asked to rewrite."""
        found = await rewriter(never).rewrite("And what does it cost?", SAID)

        assert (JOINED, None) == (found.standalone, found.reply)
        assert ("And what does it cost?", JOINED) == found.queries

    async def test_a_first_turn_costs_no_call(self) -> None:
        """Without a history there is nothing to rewrite from."""
        found = await rewriter(never, CARD).rewrite("What does it cost?", [])

        assert ("What does it cost?", ("What does it cost?",)) == (found.standalone, found.queries)

    async def test_a_model_rewrites_from_the_conversation(self) -> None:
        """It reads the history and the message; its wording is searched beside the question."""
        model = ScriptedModel([' "What does shipping lamps to Norway cost?"\n'])

        found = await rewriter(lambda _: model, CARD).rewrite("And what does it cost?", SAID)

        whole = "What does shipping lamps to Norway cost?"
        assert whole == found.standalone
        assert ("And what does it cost?", whole) == found.queries
        assert found.reply is not None
        assert found.reply.usage.input_tokens > 0
        prompt = model.prompts[0][0].text
        assert "human: Do you ship lamps to Norway?" in prompt
        assert "ai: Yes, within a week." in prompt

    @pytest.mark.parametrize(
        "model",
        [
            ScriptedModel(["Too late."], delay_s=30),
            ScriptedModel([TimeoutError("slow")]),
            ScriptedModel(["  "]),
            ScriptedModel(["It costs nine euros, and here is why. " * 20]),
        ],
        ids=["late", "failed", "empty", "answered instead"],
    )
    async def test_a_model_that_is_no_help_leaves_the_rule(self, model: ScriptedModel) -> None:
        """Late, failing, silent or chatty: the turn goes on with the rule's wording."""
        rewriting = rewriter(lambda _: model, CARD, deadline_s=0.2)

        found = await rewriting.rewrite("And what does it cost?", SAID)

        assert (JOINED, ("And what does it cost?", JOINED)) == (found.standalone, found.queries)
