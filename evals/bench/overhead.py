"""What the runtime costs a turn: ours against the same path written by hand in LangGraph.

Both run the scripted model, the same passages and no guards, alternating in one process, so that a
slow moment of the machine hits both. A second part times the real services, node by node.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypedDict

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

from antiphon.evals.bench.report import report
from antiphon.graphs.assembly import compile_conversation, open_runtime
from antiphon.graphs.services import Services
from antiphon.graphs.settings import Settings
from antiphon.nodes.state import Context, Input
from antiphon.tools.guards.pipeline import GuardRail
from antiphon.tools.models.catalog import KNOWN, LAST_RESORT
from antiphon.tools.models.fake import ScriptedModel
from antiphon.tools.models.router import ModelRouter
from antiphon.tools.retrieval.citations import cite
from antiphon.tools.retrieval.context import Card, Citation, fence, pack

QUESTION = "How long do I have to return an order?"
SAYS = "You have 30 days to return an order. [1]"
ROUNDS = 200
WARM_UP = 20


async def run(data: Path | None = None, *, limit: int | None = None) -> dict[str, object]:
    """Time `limit` alternating turns (200). `data` is not used: the sample help centre is asked."""
    began = time.perf_counter()
    rounds = limit or ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        async with open_runtime(settings) as runtime:
            services = runtime.services
            await services.knowledge.inventory(tenant="default")
            bare = _bare(services)
            ours, handwritten = await _interleaved(bare, rounds)
            whole, nodes = await _whole(services, rounds)
    figures = {
        "ratio": statistics.median(ours) / statistics.median(handwritten),
        "ours_ms": statistics.median(ours),
        "handwritten_ms": statistics.median(handwritten),
        "full_p50_ms": statistics.median(whole),
        "full_p95_ms": statistics.quantiles(whole, n=20)[-1],
    }
    rows = [{"node": node, "p50_ms": round(ms, 3)} for node, ms in nodes.items()]
    return report("overhead", "sample help centre", figures, rows, time.perf_counter() - began)


def _bare(services: Services) -> Services:
    """Return the services with guards off, no cache and the scripted model."""
    cache = services.assistant.cache.model_copy(update={"enabled": False})
    assistant = services.assistant.model_copy(update={"cache": cache})
    models = ModelRouter(
        [KNOWN[LAST_RESORT]],
        connect=lambda _: _scripted(),
        last_resort=_scripted(),
        switches=services.switches,
    )
    return replace(
        services,
        assistant=assistant,
        input_rail=GuardRail([]),
        output_rail=GuardRail([]),
        models=models,
    )


def _scripted() -> BaseChatModel:
    return ScriptedModel(replies=[SAYS] * 100_000)


class HandState(TypedDict, total=False):
    """The state of the graph written by hand."""

    messages: Annotated[list[AnyMessage], add_messages]
    intent: str
    cards: tuple[Card, ...]
    answer: str
    citations: tuple[Citation, ...]


def _handwritten(services: Services, model: BaseChatModel) -> StateGraph[HandState]:
    """Declare the same path as a team would by hand: no policies, no phases, no accounting.

    It does the same work with the same parts: reads the intent, recalls, searches, packs, renders
    the prompt, asks the model, cites, remembers.
    """

    async def recall(state: HandState) -> HandState:
        await services.memory.recall(
            state["messages"][-1].text,
            state["messages"][:-1],
            store=None,
            tenant="default",
            user="",
        )
        return {}

    async def classify(state: HandState) -> HandState:
        return {"intent": (await services.intents.classify(state["messages"][-1].text)).name}

    async def retrieve(state: HandState) -> HandState:
        hits = await services.knowledge.search(state["messages"][-1].text, tenant="default")
        return {"cards": pack(hits, budget_tokens=1500, tokens=services.tokens)}

    async def respond(state: HandState) -> HandState:
        prompt = services.prompts.render(
            "answer", passages=fence(state["cards"]), results="", persona="", locale="en",
            summary="", memories="",
        )  # fmt: skip
        reply = await model.ainvoke([SystemMessage(content=prompt), *state["messages"]])
        answer, citations = cite(reply.text, state["cards"])
        return {"answer": answer, "citations": citations, "messages": [reply]}

    async def remember(state: HandState) -> HandState:
        await services.memory.digest(
            state["messages"], "", store=None, tenant="default", user="", thread="t"
        )
        return {}

    table = StateGraph(HandState)
    steps = {"recall": recall, "classify": classify, "retrieve": retrieve, "respond": respond,
             "remember": remember}  # fmt: skip
    before = START
    for name, node in steps.items():
        table.add_node(name, node)
        table.add_edge(before, name)
        before = name
    table.add_edge(before, END)
    return table


async def _interleaved(services: Services, rounds: int) -> tuple[list[float], list[float]]:
    ours = compile_conversation(services, InMemorySaver())
    hand = _handwritten(services, _scripted()).compile(checkpointer=InMemorySaver())
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + WARM_UP):
        order = (0, 1) if turn % 2 else (1, 0)
        for which in order:
            config: RunnableConfig = {"configurable": {"thread_id": f"{which}-{turn}"}}
            given: Input = {"messages": [HumanMessage(content=QUESTION)]}
            began = time.perf_counter()
            if which == 0:
                result = await ours.ainvoke(given, config, context=Context())
            else:
                result = await hand.ainvoke({"messages": given["messages"]}, config)
            if turn >= WARM_UP:
                times[which].append((time.perf_counter() - began) * 1000)
            if not result["citations"]:
                raise RuntimeError("a benchmark turn gave no cited answer: its time means nothing")
    return times


async def _whole(services: Services, rounds: int) -> tuple[list[float], dict[str, float]]:
    """Time turns with guards, retrieval and the extractive model, without the response cache."""
    cache = services.assistant.cache.model_copy(update={"enabled": False})
    assistant = services.assistant.model_copy(update={"cache": cache})
    graph = compile_conversation(replace(services, assistant=assistant), InMemorySaver())
    times: list[float] = []
    nodes: dict[str, list[float]] = {}
    for turn in range(rounds + WARM_UP):
        config: RunnableConfig = {"configurable": {"thread_id": str(turn)}}
        given: Input = {"messages": [HumanMessage(content=QUESTION)]}
        began = time.perf_counter()
        await graph.ainvoke(given, config, context=Context())
        if turn < WARM_UP:
            continue
        times.append((time.perf_counter() - began) * 1000)
        for step in (await graph.aget_state(config)).values["trail"]:
            nodes.setdefault(step.node, []).append(step.ms)
    return times, {node: statistics.median(ms) for node, ms in nodes.items()}
