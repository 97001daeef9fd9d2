"""The approval question, and yes and no in four languages."""

from __future__ import annotations

import pytest
from langchain_core.tools import StructuredTool

from antiphon.tools.toolbox import ToolCall, ToolSpec
from antiphon.tools.toolbox.approval import decision, question


def cancel_order(order_id: str) -> str:
    """Cancel an order."""
    return order_id


TOOL = StructuredTool.from_function(cancel_order)
CALL = ToolCall(
    id="1", name="cancel_order", arguments={"order_id": "A-1001"}, idempotency_key="key"
)


@pytest.mark.parametrize(
    ("confirm", "expected"),
    [
        ("Cancel order {order_id} now?", "Cancel order A-1001 now?"),
        ("", "Shall I go ahead with cancel order (order id A-1001)?"),
        ("Cancel {no_such}?", "Shall I go ahead with cancel order (order id A-1001)?"),
    ],
)
def test_the_question_names_what_will_happen(confirm: str, expected: str) -> None:
    """The confirm sentence is filled in; one that cannot be gives way to a plain question."""
    assert expected == question(ToolSpec(tool=TOOL, confirm=confirm), CALL)


@pytest.mark.parametrize(
    "text",
    ["yes", "Yes!", "Yes please.", "ok", "Sure, go ahead", "yes, cancel order A-1001", "do it",
     "please do", "Ja", "ja bitte", "klar", "Sí", "si, por favor", "vale", "Oui", "oui merci",
     "d\u2019accord", "\N{THUMBS UP SIGN}", "y"],
)  # fmt: skip
def test_yes_is_read(text: str) -> None:
    """An agreement is read in English, German, Spanish and French."""
    assert decision(text) is True


@pytest.mark.parametrize(
    "text",
    ["no", "No!", "no thanks", "nope", "don't", "please don't", "do not do that", "cancel", "stop",
     "never mind", "Nein", "nein danke", "lieber nicht", "no, gracias", "mejor no", "non merci",
     "Non", "n", "\N{THUMBS DOWN SIGN}"],
)  # fmt: skip
def test_no_is_read(text: str) -> None:
    """A refusal is read in English, German, Spanish and French."""
    assert decision(text) is False


@pytest.mark.parametrize(
    "text",
    ["", "what does it cost?", "yes?", "yes but not today", "yes, wait", "no wait, yes",
     "yesterday I ordered a lamp", "note that I moved", "I would like a refund", "notably",
     "no problem", "ja, aber erst morgen",
     "oui mais pas maintenant", "when will it arrive", "parameters",
     "ok so first of all I want to know how long it takes until the money is back"],
)  # fmt: skip
def test_what_is_not_clear_is_neither(text: str) -> None:
    """A question, a condition or another subject is neither yes nor no."""
    assert decision(text) is None
