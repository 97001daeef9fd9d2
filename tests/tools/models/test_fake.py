"""The scripted model keeps to its script and to BaseChatModel."""

from __future__ import annotations

import asyncio
import time

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool

from antiphon.tools.models.fake import ScriptedModel


@tool
def look_up(order: str) -> str:
    """Find an order."""
    return order


async def test_lines_are_said_in_order() -> None:
    """Texts, messages and functions of the prompt each make one reply."""
    model = ScriptedModel(["one", AIMessage("two"), lambda prompt: prompt[-1].text.upper()])

    said = [(await model.ainvoke("three")).text for _ in range(3)]

    assert said == ["one", "two", "THREE"]


async def test_prompts_are_remembered_per_model() -> None:
    """What a model was asked can be read afterwards, and no other model shares it."""
    model, other = ScriptedModel(["a"]), ScriptedModel(["b"])

    await model.ainvoke([HumanMessage("hello")])

    assert [[m.text for m in prompt] for prompt in model.prompts] == [["hello"]]
    assert other.prompts == []


async def test_an_exception_in_the_script_is_raised() -> None:
    """A line that is an exception fails its call; the next call goes on."""
    model = ScriptedModel([ConnectionError("down"), "up"])

    with pytest.raises(ConnectionError, match="down"):
        await model.ainvoke("x")
    assert (await model.ainvoke("x")).text == "up"


async def test_a_call_beyond_the_script_fails() -> None:
    """An unexpected call is noticed."""
    with pytest.raises(AssertionError, match="no line for call 1"):
        await ScriptedModel().ainvoke("x")


async def test_bound_tools_are_noted_and_calls_pass() -> None:
    """A script may call tools, and the test can see which were offered."""
    call = AIMessage("", tool_calls=[{"name": "look_up", "args": {"order": "7"}, "id": "c1"}])
    model = ScriptedModel([call])

    reply = await model.bind_tools([look_up]).ainvoke("where is order 7?")

    assert model.tools == ["look_up"]
    assert reply.tool_calls[0]["args"] == {"order": "7"}


async def test_a_delay_gives_way_to_a_deadline() -> None:
    """A slow model can be cut off, so timeouts can be tested quickly."""
    began = time.perf_counter()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await ScriptedModel(["late"], delay_s=5).ainvoke("x")

    assert time.perf_counter() - began < 2
