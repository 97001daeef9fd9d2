"""What the runtime costs a turn: ours against the same path written by hand in LangGraph.

All run the scripted model, the same services and no guards over LangGraph's SQLite checkpointer,
each in a file of its own, alternating in one process, five turns a thread. Ours is the whole turn
as a door asks for it: with the records of thread, turn, lease and calls, and with old steps thinned
out; theirs has none of that. `ratio` is against the hand-written path with LangGraph's own node
timeouts, as ours has, over the checkpointer as LangGraph opens it: every commit waits for the disk.
Ours does not wait for it (a commit outlives the process all the same), so `ratio_relaxed` is
against a hand-written path that does not either. `ratio_plain` is against one without timeouts, and
`ratio_graph` is our graph alone, as LangGraph opens the checkpointer and without records, against
the hand-written path. A second part times the real services, node
by node.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, TypedDict, cast

import aiosqlite
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph

from antiphon.evals.bench.report import report
from antiphon.graphs.compiled import compile_conversation
from antiphon.graphs.persistence import STORED, open_persistence, serializer
from antiphon.graphs.runtime import converse, open_runtime
from antiphon.graphs.services import Services
from antiphon.graphs.settings import Settings
from antiphon.nodes.respond import Prompting
from antiphon.nodes.state import Context, Input, State, fresh_turn
from antiphon.tools.guards import Subject
from antiphon.tools.guards.pipeline import GuardRail
from antiphon.tools.intent import Intent
from antiphon.tools.models import Reply, Selection, Task
from antiphon.tools.models.catalog import KNOWN, LAST_RESORT
from antiphon.tools.models.fake import ScriptedModel
from antiphon.tools.models.router import ModelRouter
from antiphon.tools.retrieval.citations import cite, support
from antiphon.tools.retrieval.confidence import retrieval_confidence
from antiphon.tools.retrieval.context import Card, Citation, pack
from antiphon.tools.retrieval.rewrite import Rewriter
from antiphon.tools.retrieval.search import Retriever
from antiphon.tools.telemetry import TurnRecord

QUESTION = "How long do I have to return an order?"
SAYS = "You have 30 days to return an order. [1]"
ROUNDS = 200
WARM_UP = 20
TURNS = 5
"""Turns of one thread; then another begins."""


async def run(*, limit: int | None = None) -> dict[str, object]:
    """Time `limit` alternating turns (200). The sample help centre is asked."""
    began = time.perf_counter()
    rounds = limit or ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        async with open_runtime(settings) as runtime:
            services = runtime.services
            await services.knowledge.inventory(tenant="default")
            times = await _interleaved(_bare(services), rounds, Path(folder))
            whole, nodes = await _whole(services, rounds)
    figures = {
        "ratio": _median(times, "ours") / _median(times, "handwritten"),
        "ratio_plain": _median(times, "ours") / _median(times, "plain"),
        "ratio_relaxed": _median(times, "ours") / _median(times, "relaxed"),
        "ratio_graph": _median(times, "graph") / _median(times, "handwritten"),
        "ours_ms": _median(times, "ours"),
        "graph_ms": _median(times, "graph"),
        "handwritten_ms": _median(times, "handwritten"),
        "plain_ms": _median(times, "plain"),
        "relaxed_ms": _median(times, "relaxed"),
        "full_p50_ms": statistics.median(whole),
        "full_p95_ms": statistics.quantiles(whole, n=20)[-1],
    }
    rows = [{"node": node, "p50_ms": round(ms, 3)} for node, ms in nodes.items()]
    return report("overhead", "sample help centre", figures, rows, time.perf_counter() - began)


def _median(times: Mapping[str, list[float]], name: str) -> float:
    return statistics.median(times[name])


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


def _open_serializer() -> JsonPlusSerializer:
    """Return the serializer of the hand-written graph: the same kind, for its own types."""
    kinds = (*STORED, Reply)
    return JsonPlusSerializer(
        allowed_msgpack_modules=[(kind.__module__, kind.__name__) for kind in kinds]
    )


def _scripted() -> BaseChatModel:
    return ScriptedModel(replies=[SAYS] * 100_000)


Compiled = CompiledStateGraph[Any, None, Any, Any]


class HandState(TypedDict, total=False):
    """The state of the graph written by hand: only what its nodes hand on."""

    messages: Annotated[list[AnyMessage], add_messages]
    question: str
    kept: bool
    queries: tuple[str, ...]
    began: float
    intent: Intent
    cards: tuple[Card, ...]
    confidence: float
    selection: Selection
    draft: str
    reply: Reply
    answer: str
    citations: tuple[Citation, ...]


def _handwritten(services: Services, *, deadline_s: float | None) -> StateGraph[HandState]:
    """Declare the same path as a team would by hand, asking the same services for the same work.

    It has the twelve steps of ours, the five places where a turn may take another way and, with
    `deadline_s`, LangGraph's own node timeouts; and none of what the runtime adds: recovery,
    retries, phases, trail, context, typed failures, fields that outlive the step.
    """
    prompting = Prompting(services.prompts, persona=services.assistant.persona)
    rewriter = Rewriter(services.models, services.prompts, services.tokens)
    retriever = Retriever(services.knowledge, reranker=services.reranker)
    context, least = Context(), services.assistant.knowledge.min_confidence

    async def take_in(state: HandState) -> HandState:
        verdict = await services.input_rail.judge(state["messages"][-1].text, Subject())
        return {"question": verdict.text, "began": time.time()}

    async def look_up(state: HandState) -> HandState:
        return {"kept": False}

    async def recall(state: HandState) -> HandState:
        await services.memory.recall(
            state["question"], state["messages"][:-1], store=None, tenant="default", user=""
        )
        return {}

    async def rewrite(state: HandState) -> HandState:
        found = await rewriter.rewrite(state["question"], state["messages"][:-1], prefer="")
        return {"question": found.standalone, "queries": found.queries}

    async def classify(state: HandState) -> HandState:
        return {"intent": await services.intents.classify(state["question"])}

    async def retrieve(state: HandState) -> HandState:
        question, know = state["question"], services.assistant.knowledge
        found = await retriever.search(*state["queries"], tenant="default", limit=know.top_k)
        cards = pack(
            found.hits, budget_tokens=know.budget_tokens, tokens=services.tokens, query=question
        )
        return {"cards": cards, "confidence": retrieval_confidence(question, found.hits)}

    def prompt(state: HandState) -> list[AnyMessage]:
        whole: State = {
            **fresh_turn("", 0.0),
            "messages": state["messages"],
            "cards": state["cards"],
            "question": state["question"],
        }
        return cast("list[AnyMessage]", prompting.answer(whole, context))

    async def select(state: HandState) -> HandState:
        size = services.tokens.count_messages(prompt(state))
        return {"selection": services.models.select(Task(input_tokens=size, output_tokens=400))}

    async def respond(state: HandState) -> HandState:
        reply = await services.models.reply(state["selection"], prompt(state))
        draft, citations = cite(reply.message.text, state["cards"])
        support(draft, [card.text for card in state["cards"]])
        return {"draft": draft, "citations": citations, "reply": reply}

    async def check_out(state: HandState) -> HandState:
        verdict = await services.output_rail.judge(state["draft"], Subject())
        return {"answer": verdict.text, "messages": [AIMessage(content=verdict.text)]}

    async def keep(state: HandState) -> HandState:
        return {}

    async def remember(state: HandState) -> HandState:
        await services.memory.digest(
            state["messages"], "", store=None, tenant="default", user="", thread="t"
        )
        return {}

    async def account(state: HandState) -> HandState:
        reply, hashed = state["reply"], services.telemetry.hash
        record = TurnRecord(
            turn="t", tenant="default", thread_hash=hashed("t"), user_hash="",
            question_hash=hashed(state["question"]), answer_hash=hashed(state["answer"]),
            intent=state["intent"].name, outcome="answered", model=reply.model, path=(),
            node_ms={}, duration_ms=(time.time() - state["began"]) * 1000,
            input_tokens=reply.usage.input_tokens, output_tokens=reply.usage.output_tokens,
            cost_usd=reply.cost_usd, violations=(), tools=(), failed=False,
        )  # fmt: skip
        await services.telemetry.record(record)
        return {}

    async def refuse(state: HandState) -> HandState:
        return {"answer": "I can't help with that."}

    async def do_not_know(state: HandState) -> HandState:
        return {"draft": "I don't know."}

    table = StateGraph(HandState)
    for node in (
        take_in, look_up, recall, rewrite, classify, retrieve, select, respond, check_out, keep,
        remember, account, refuse, do_not_know,
    ):  # fmt: skip
        table.add_node(node.__name__, node, timeout=deadline_s)
    for source, target in (
        (START, "take_in"), ("recall", "rewrite"), ("rewrite", "classify"), ("select", "respond"),
        ("respond", "check_out"), ("do_not_know", "check_out"), ("keep", "remember"),
        ("remember", "account"), ("refuse", "account"), ("account", END),
    ):  # fmt: skip
        table.add_edge(source, target)
    for source, yes, no, way in (
        ("take_in", "look_up", "refuse", lambda state: bool(state["question"])),
        ("look_up", "recall", "check_out", lambda state: not state["kept"]),
        ("classify", "retrieve", "select", lambda state: "knowledge" in state["intent"].needs),
        ("retrieve", "select", "do_not_know", lambda state: state["confidence"] >= least),
        ("check_out", "keep", "refuse", lambda state: bool(state["answer"])),
    ):
        table.add_conditional_edges(source, way, {True: yes, False: no})
    return table


async def _interleaved(services: Services, rounds: int, folder: Path) -> dict[str, list[float]]:
    """Time a turn of each in turn, so that a slow moment of the machine hits all alike."""
    settings = Settings(data_dir=folder)
    async with AsyncExitStack() as stack:

        async def saver(name: str, serde: JsonPlusSerializer, mode: str) -> AsyncSqliteSaver:
            place = await stack.enter_async_context(aiosqlite.connect(folder / f"{name}.db"))
            await place.execute(f"PRAGMA synchronous={mode}")
            return AsyncSqliteSaver(place, serde=serde)

        kept = await stack.enter_async_context(open_persistence(settings, folder / "ours"))
        talk = converse(services, kept)
        graph = compile_conversation(services, await saver("graph", serializer(), "FULL"))
        hand, plain, relaxed = [
            _handwritten(services, deadline_s=seconds).compile(
                checkpointer=await saver(name, _open_serializer(), mode)
            )
            for name, seconds, mode in (
                ("hand", 30.0, "FULL"), ("plain", None, "FULL"), ("relaxed", 30.0, "NORMAL"),
            )
        ]  # fmt: skip

        async def ours(thread: str) -> bool:
            return bool((await talk.ask(QUESTION, context=Context(), thread=thread)).citations)

        async def table(thread: str) -> bool:
            given: Input = {"messages": [HumanMessage(content=QUESTION)]}
            return bool((await graph.ainvoke(given, _of(thread), context=Context()))["citations"])

        def by_hand(compiled: Compiled) -> Callable[[str], Awaitable[bool]]:
            async def asked(thread: str) -> bool:
                given: HandState = {"messages": [HumanMessage(content=QUESTION)]}
                return bool((await compiled.ainvoke(given, _of(thread)))["citations"])

            return asked

        turns: dict[str, Callable[[str], Awaitable[bool]]] = {
            "ours": ours,
            "graph": table,
            "handwritten": by_hand(hand),
            "plain": by_hand(plain),
            "relaxed": by_hand(relaxed),
        }
        times: dict[str, list[float]] = {name: [] for name in turns}
        for turn in range(rounds + WARM_UP):
            for name in sorted(turns, key=lambda name: hash((name, turn))):
                began = time.perf_counter()
                cited = await turns[name](f"{name}-{turn // TURNS}")
                if turn >= WARM_UP:
                    times[name].append((time.perf_counter() - began) * 1000)
                if not cited:
                    raise RuntimeError("a turn gave no cited answer: its time means nothing")
        return times


def _of(thread: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread}}


async def _whole(services: Services, rounds: int) -> tuple[list[float], dict[str, float]]:
    """Time turns with guards, retrieval and the extractive model, without the response cache."""
    cache = services.assistant.cache.model_copy(update={"enabled": False})
    assistant = services.assistant.model_copy(update={"cache": cache})
    graph = compile_conversation(
        replace(services, assistant=assistant), InMemorySaver(serde=serializer())
    )
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
            nodes.setdefault(step["node"], []).append(step["ms"])
    return times, {node: statistics.median(ms) for node, ms in nodes.items()}
