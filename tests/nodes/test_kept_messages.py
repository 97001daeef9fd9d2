"""How the conversation is kept between steps: short, and whole again when it is read."""

from __future__ import annotations

from typing import cast

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from antiphon.graphs.persistence import serializer
from antiphon.nodes.state import UNREAD, Conversation, conversation


def kept(*messages: AnyMessage) -> tuple[bytes, list[AnyMessage]]:
    """Return what a checkpointer would write of the messages, and what it reads again."""
    channel = Conversation(list, conversation)
    channel.value = list(messages)
    serde = serializer()
    kind, written = serde.dumps_typed(channel.checkpoint())
    return written, channel.from_checkpoint(serde.loads_typed((kind, written))).get()


@pytest.mark.parametrize(
    "message",
    [
        HumanMessage(content="Hello", id="1"),
        HumanMessage(content="Hello", id="1", response_metadata={UNREAD: True}),
        AIMessage(content="Hi", id="2"),
        AIMessage(content="", id="3", tool_calls=[{"name": "look", "args": {}, "id": "c"}]),
        AIMessage(content=[{"type": "text", "text": "Hi"}], id="4"),
        HumanMessage(content="Hello", id="5", name="ann", additional_kwargs={"a": 1}),
        ToolMessage(content="42", tool_call_id="c", id="6"),
    ],
    ids=["person", "unread", "assistant", "tool call", "parts", "named", "tool"],
)
def test_a_message_is_read_as_it_was(message: AnyMessage) -> None:
    """Nothing of any kind of message is lost."""
    assert kept(message)[1] == [message]


def test_plain_messages_take_little_room() -> None:
    """A message of a few words takes a few bytes, since every step writes all of them."""
    written, _ = kept(*(HumanMessage(content="x" * 20, id=f"{n}") for n in range(100)))
    assert len(written) < 100 * 40


def test_a_thread_of_an_earlier_release_is_read() -> None:
    """It kept the messages as they were."""
    before = [HumanMessage(content="Hello", id="1"), AIMessage(content="Hi", id="2")]
    channel = Conversation(list, conversation).from_checkpoint(cast("list[AnyMessage]", before))
    assert channel.get() == before
