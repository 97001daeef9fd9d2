"""What a message is after, in the light of what was said before it."""

from __future__ import annotations

import pytest
from fakes import FakeIntents
from langchain_core.messages import HumanMessage
from langgraph.runtime import Runtime

from antiphon.nodes.intent import classify_intent
from antiphon.nodes.state import Context, State, fresh_turn
from antiphon.tools.intent import Certainty, Intent, Need


def intent(name: str, certainty: Certainty, *needs: Need) -> Intent:
    return Intent(name=name, confidence=0.9, certainty=certainty, needs=needs)


THANKS = intent("thanks", "sure")
DELIVERY = intent("delivery", "sure", "knowledge")


async def read(intents: FakeIntents, question: str, standalone: str) -> State:
    state: State = {
        **fresh_turn("t1", 0.0),
        "messages": [HumanMessage(question)],
        "question": question,
        "standalone": standalone,
    }
    update = await classify_intent(intents)(state, runtime=Runtime(context=Context()))
    return {**state, **update}


async def test_thanks_in_the_middle_are_thanks() -> None:
    """A message that is surely small talk by itself is not read as a follow-up."""
    after = await read(FakeIntents([THANKS, DELIVERY]), "thanks", "How long is delivery? thanks")
    assert (after["intent"], after["standalone"]) == (THANKS, "thanks")


@pytest.mark.parametrize("alone", [intent("unknown", "unknown"), DELIVERY])
async def test_a_follow_up_is_read_with_what_it_leans_on(alone: Intent) -> None:
    """What asks for something, or is unclear by itself, is read as the whole question."""
    intents = FakeIntents([alone, DELIVERY])
    after = await read(intents, "and to Norway?", "How long is delivery? and to Norway?")
    assert after["intent"] == DELIVERY
    assert after["standalone"] == "How long is delivery? and to Norway?"
    assert [text for text, _ in intents.asked] == [
        "and to Norway?",
        "How long is delivery? and to Norway?",
    ]


async def test_a_question_that_stands_alone_is_read_once() -> None:
    """Without a history there is one reading."""
    intents = FakeIntents([DELIVERY])
    await read(intents, "How long is delivery?", "How long is delivery?")
    assert len(intents.asked) == 1
