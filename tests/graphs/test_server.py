"""The LangGraph server, started for real: threads, streams, interrupts, fork, MCP, RemoteGraph."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Annotated, TypedDict

import httpx
import pytest
from langchain_core.messages import AnyMessage, HumanMessage
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

ROOT = Path(__file__).parent.parent.parent
QUESTION = "How long do I have to return an order?"
UNCACHED = "How much does standard delivery cost?"
"""Asked once, so that no other test's answer is in the cache."""
RETURN = "I want to send back order LL-10482 because it arrived damaged"

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        not os.environ.get("ANTIPHON_TEST_SERVERS"),
        reason="set ANTIPHON_TEST_SERVERS=1 to start `langgraph dev`",
    ),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start `langgraph dev` on the checkout's configuration, with no key and no egress."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(ROOT / "langgraph.json", folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / ".env").touch()
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("LANGSMITH")}
    env |= {
        "ANTIPHON_DATA_DIR": str(folder / "data"),
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "LANGGRAPH_NO_VERSION_CHECK": "true",
        "LANGGRAPH_STRICT_MSGPACK": "true",
        "LANGSMITH_TRACING": "false",
    }
    log = folder / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "langgraph", "dev", "--no-browser", "--no-reload",
             "--port", str(port)],
            cwd=folder, env=env, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            if process.poll() is not None:
                break
            try:
                if httpx.get(f"{url}/ok", timeout=2).status_code == 200:
                    yield url
                    return
            except httpx.HTTPError:
                time.sleep(0.5)
        pytest.fail(f"langgraph dev did not start:\n{log.read_text()[-4000:]}")
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
async def client(server: str) -> AsyncIterator[LangGraphClient]:
    async with get_client(url=server) as opened:
        yield opened


async def run(client: LangGraphClient, thread: str, **given: object) -> dict[str, object]:
    result: dict[str, object] = await client.runs.wait(thread, "conversation", **given)
    return result


def said(text: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}]}


async def test_a_turn_streams_its_nodes_and_no_unguarded_token(client: LangGraphClient) -> None:
    """Updates name the nodes; message tokens appear only once the output rail has passed them."""
    thread = await client.threads.create()
    nodes: list[str] = []
    messages: list[str] = []
    async for part in client.runs.stream(
        thread["thread_id"], "conversation", input=said(QUESTION),
        stream_mode=["updates", "messages-tuple"],
    ):  # fmt: skip
        if part.event == "updates":
            nodes += list(part.data)
        if part.event == "messages":
            messages.append(part.data[1]["langgraph_node"])
    assert nodes[0] == "guard_input"
    assert nodes[-1] == "account"
    assert "respond" not in messages
    state = await client.threads.get_state(thread["thread_id"])
    assert state["values"]["outcome"] == "answered"
    assert state["values"]["citations"]


async def test_an_interrupt_is_shown_and_resumed(client: LangGraphClient) -> None:
    """A return waits for approval; resuming runs the tool and ends the turn."""
    thread = (await client.threads.create())["thread_id"]
    stopped = await run(client, thread, input=said(RETURN))
    request = stopped["__interrupt__"][0]["value"]  # type: ignore[index]
    assert request["tool"] == "return_request"
    done = await run(client, thread, command={"resume": {"approved": True}})
    assert done["outcome"] == "answered"


async def test_history_and_fork(client: LangGraphClient) -> None:
    """Every step is a checkpoint, and a run forked from one takes another way."""
    thread = (await client.threads.create())["thread_id"]
    await run(client, thread, input=said(UNCACHED))
    history = await client.threads.get_history(thread, limit=50)
    assert len(history) > 10
    before = next(item for item in history if item["next"] == ["retrieve_context"])
    forked = await client.threads.update_state(
        thread, {"standalone": "What is the capital of France?"}, as_node="classify_intent",
        checkpoint_id=before["checkpoint"]["checkpoint_id"],
    )  # fmt: skip
    again = await run(
        client, thread, input=None, checkpoint_id=forked["checkpoint"]["checkpoint_id"]
    )
    assert again["outcome"] == "abstained"


async def test_an_assistant_shows_the_contexts_knobs(client: LangGraphClient) -> None:
    """The server offers a form for tenant, locale, model and budget."""
    assistants = await client.assistants.search()
    schemas = await client.assistants.get_schemas(assistants[0]["assistant_id"])
    knobs = schemas["context_schema"]["properties"]
    assert {"tenant", "user", "locale", "model", "min_quality", "max_cost_usd"} <= set(knobs)


async def test_the_conversation_is_an_mcp_tool(server: str) -> None:
    """Another agent can list and call the conversation over MCP."""
    head = {"Accept": "application/json, text/event-stream"}

    async def call(method: str, params: dict[str, object]) -> dict[str, object]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with httpx.AsyncClient(timeout=120) as http:
            reply = await http.post(f"{server}/mcp", json=body, headers=head)
        result: dict[str, object] = reply.json()["result"]
        return result

    tools = await call("tools/list", {})
    assert [tool["name"] for tool in tools["tools"]] == ["conversation"]  # type: ignore[attr-defined, index]
    given = {"name": "conversation", "arguments": said(QUESTION)}
    answer = await call("tools/call", given)
    assert "30 days" in str(answer["content"])


async def test_the_conversation_is_a_remote_graph_inside_another(client: LangGraphClient) -> None:
    """A host graph elsewhere uses the served conversation as a node."""
    class Host(TypedDict):
        messages: Annotated[list[AnyMessage], add_messages]

    graph = (
        StateGraph(Host)
        .add_node("desk", RemoteGraph("conversation", client=client))
        .add_edge(START, "desk")
        .add_edge("desk", END)
        .compile()
    )
    result = await asyncio.wait_for(
        graph.ainvoke({"messages": [HumanMessage(content=QUESTION)]}), timeout=120
    )
    assert "30 days" in result["messages"][-1].text
