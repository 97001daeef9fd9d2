"""Torn between two intents: a page that surely answers wins, else the customer is asked."""

from __future__ import annotations

import pytest

from antiphon.graphs.edges import SURE, after_intent, after_retrieval
from antiphon.nodes.state import Pending, State, fresh_turn
from antiphon.tools.intent import Certainty, Intent, Need


def turn(certainty: Certainty, *needs: Need, confidence: float = 0.0) -> State:
    intent = Intent(name="how_to", confidence=0.5, certainty=certainty, needs=needs)
    return {
        **fresh_turn("t1", 0.0),
        "messages": [],
        "question": "how do I make an argument required",
        "standalone": "how do I make an argument required",
        "intent": intent,
        "retrieval_confidence": confidence,
    }


def test_what_a_page_may_answer_is_looked_up_before_asking_back() -> None:
    """A torn message whose likeliest intent reads pages is searched for; another is asked."""
    assert after_intent(turn("ambiguous", "knowledge")) == "retrieve_context"
    assert after_intent(turn("ambiguous", "tools")) == "ask_clarification"


@pytest.mark.parametrize(
    ("confidence", "way"), [(SURE, "select_model"), (SURE - 0.01, "ask_clarification")]
)
def test_a_torn_message_is_answered_only_where_the_page_is_sure(
    confidence: float, way: str
) -> None:
    """The bar is higher than for a plain question, and no tool is chosen on a guess."""
    state = turn("ambiguous", "knowledge", "tools", confidence=confidence)
    assert after_retrieval(0.5)(state) == way


def test_nobody_is_asked_twice() -> None:
    """The answer to our own question is taken as it is, torn or not."""
    pending = Pending(question="which?", among=("how_to",))
    state: State = {**turn("ambiguous", "knowledge", confidence=0.6), "pending": pending}
    assert after_retrieval(0.5)(state) == "select_model"
    assert after_retrieval(0.5)({**state, "retrieval_confidence": 0.2}) == "abstain"
