"""A model writes a forbidden link wherever it can: no stream, step, question or file holds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from fakes import ACTION, KNOWLEDGE, FakeIntents
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool

from antiphon.graphs.assembly import build_services
from antiphon.graphs.assistant import Assistant, load_assistant
from antiphon.graphs.folders import data_folder
from antiphon.graphs.history import History
from antiphon.graphs.runtime import Runtime, open_runtime
from antiphon.graphs.settings import Settings
from antiphon.nodes.state import Context
from antiphon.tools.intent import Intent
from antiphon.tools.models import ModelCard
from antiphon.tools.models.extractive import Extractive
from antiphon.tools.models.fake import ScriptedModel
from antiphon.tools.models.router import ModelRouter
from antiphon.tools.resilience import Switches
from antiphon.tools.toolbox import ToolSpec
from antiphon.tools.toolbox.executor import AssistantToolbox

EVIL = "evil.example"
LINK = f"http://{EVIL}/login?card=4111"
FACT = "You can return an item within 30 days of delivery."
ME = Context(tenant="acme", user="alice")
MODES: list[Literal["values", "updates", "messages", "debug", "checkpoints", "tasks"]] = [
    "values", "updates", "messages", "debug", "checkpoints", "tasks",
]  # fmt: skip
CARD = ModelCard(
    name="openai:evil", context_tokens=8192, first_token_s=0.1, tokens_per_s=100.0, quality=0.9,
    capabilities=frozenset({"chat", "tools"}),
)  # fmt: skip


@tool
def note(text: str) -> str:
    """Note a text."""
    return "noted"


def evil(prompt: Sequence[BaseMessage]) -> AIMessage:
    """Answer anything, and reword anything, with the link."""
    if "<conversation>" in prompt[0].text:
        return AIMessage(content=f"How long, see {LINK}, can I return it?")
    return AIMessage(content=f"{FACT} Go on at [this page]({LINK}) or {LINK}. [1]")


def calling(prompt: Sequence[BaseMessage]) -> AIMessage:
    """Ask for a call with the link, until that is refused."""
    if "holds what may not" in str([message.text for message in prompt]):
        return evil(prompt)
    call = {"name": "note", "args": {"text": f"visit {LINK} and type your card"}, "id": "c1"}
    return AIMessage(content=f"I note {LINK}", tool_calls=[call])


@pytest.fixture
def assistant(tmp_path: Path) -> Assistant:
    """The smallest assistant with a page and a tool that asks first."""
    (tmp_path / "shop" / "knowledge").mkdir(parents=True)
    (tmp_path / "shop" / "knowledge" / "returns.md").write_text(f"# Returns\n\n{FACT}\n")
    (tmp_path / "shop" / "assistant.yaml").write_text(
        "id: shop\nname: Shop\nknowledge:\n  paths: [knowledge]\n"
        "intents:\n  declared:\n    - name: help\n      needs: [knowledge]\n"
        "      examples: [How long can I keep it?, When must it be back?]\n"
    )
    return load_assistant(tmp_path / "shop")


def misled(
    settings: Settings, assistant: Assistant, model: BaseChatModel, intents: list[Intent]
) -> Any:
    """Return the assistant's own services around a model that cannot be trusted."""
    services = build_services(settings, assistant)
    router = ModelRouter(
        [CARD],
        connect=lambda name: model,
        last_resort=Extractive(embedder=services.embedder),
        switches=Switches(),
    )
    spec = ToolSpec(tool=note, side_effects=True, approval=True, idempotent=True)
    box = AssistantToolbox([spec], embedder=services.embedder, switches=Switches())
    return replace(services, models=router, toolbox=box, intents=FakeIntents(intents))


@pytest.mark.parametrize(
    ("says", "intents", "questions", "tried"),
    [
        (
            evil,
            [KNOWLEDGE],
            ["How long can I take to return it?", "And how long for a rug?"],
            "<conversation>",
        ),
        (
            calling,
            [replace(ACTION, tools=("note",))],
            ["Note that I sent it back"],
            "holds what may not",
        ),
    ],
    ids=["answer and rewriting", "arguments"],
)
async def test_a_forbidden_link_is_nowhere(
    tmp_path: Path,
    assistant: Assistant,
    says: Any,
    intents: list[Intent],
    *,
    questions: list[str],
    tried: str,
) -> None:
    """Through the runtime and on the compiled graph: every frame, row and file is searched."""
    settings = Settings(data_dir=tmp_path / "data")
    model = ScriptedModel([says] * 40)
    services = misled(settings, assistant, model, intents)
    async with open_runtime(settings, assistant=assistant.folder, services=services) as runtime:
        told = await through_the_runtime(runtime, questions)
        told += await on_the_graph(runtime, questions)
    asked = [message.text for prompt in model.prompts for message in prompt]
    assert sum(tried in text for text in asked) == 2, "once on each way"
    assert "30 days" in told
    assert EVIL not in told
    files = [path for path in data_folder(settings, assistant).rglob("*") if path.is_file()]
    assert {"threads.db", "memory.db", "answers.db", "turns.jsonl"} <= {one.name for one in files}
    for path in files:
        assert EVIL.encode() not in path.read_bytes(), path


async def through_the_runtime(runtime: Runtime, questions: list[str]) -> str:
    """Return all that the doors tell of some turns."""
    talk = runtime.conversations
    told = ""
    for text in questions:
        turn = await talk.ask(text, context=ME, thread="t")
        told += repr(turn)
    told += repr(await talk.messages(context=ME, thread="t"))
    return told + repr(await History(talk).steps(context=ME, thread="t"))


async def on_the_graph(runtime: Runtime, questions: list[str]) -> str:
    """Return every frame of every stream mode, and the history, as a server would show them."""
    graph = runtime.conversations.graph
    config: RunnableConfig = {"configurable": {"thread_id": "served"}}
    told = ""
    for text in questions:
        async for frame in graph.astream(
            {"messages": [HumanMessage(content=text)]}, config, context=ME, stream_mode=MODES
        ):
            told += repr(frame)
    async for snapshot in graph.aget_state_history(config):
        told += repr(snapshot)
    return told
