"""What reaches LangSmith: nothing unless our setting says so, and then nothing personal."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypedDict

import pytest
from fakes import FakeRail, fake_services
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tracers.langchain import LangChainTracer
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.store.memory import InMemoryStore
from langsmith import Client, run_trees
from langsmith.run_helpers import get_tracing_context, tracing_context
from langsmith.utils import get_env_var

from antiphon.gateway.cli import doctor
from antiphon.graphs.compiled import compile_conversation
from antiphon.graphs.embed import HostNode, as_node, as_tool
from antiphon.graphs.persistence import Persistence
from antiphon.graphs.runtime import converse
from antiphon.graphs.server import Served
from antiphon.graphs.services import Services
from antiphon.graphs.settings import Settings
from antiphon.nodes.state import Context, Input, Said
from antiphon.tools.errors import SettingsError
from antiphon.tools.guards import Subject, Verdict
from antiphon.tools.telemetry.tracing import OFF, Tracing, open_tracing
from antiphon.tools.turns.database import SqliteDatabase
from antiphon.tools.turns.store import SqlTurns

EMAIL = "mona.lisa@example.org"
BATCHES = {
    "use_multipart_endpoint": True,
    "size_limit": 100,
    "size_limit_bytes": 20_971_520,
    "scale_up_qsize_trigger": 1000,
    "scale_up_nthreads_limit": 16,
    "scale_down_nempty_trigger": 4,
}
QUESTION = f"I am {EMAIL}: how long can I take to return a lamp?"


def given() -> Input:
    return {"messages": [HumanMessage(content=QUESTION)]}


def forget_environment() -> None:
    """Let LangSmith read its variables again: it keeps what it read first."""
    get_env_var.cache_clear()  # type: ignore[attr-defined]


@dataclass
class Recorder:
    """What was sent to it."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)

    @property
    def text(self) -> str:
        return b"\n".join(self.bodies).decode("utf-8", "replace")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A LangSmith of our own, which the environment tells every LangChain run to trace to."""
    found = Recorder()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(json.dumps({"version": "0", "batch_ingest_config": BATCHES}).encode())

        def do_POST(self) -> None:
            found.bodies.append(self.rfile.read(int(self.headers.get("content-length", 0))))
            self._answer(b"{}")

        def do_PATCH(self) -> None:
            self.do_POST()

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    for name, value in {
        "LANGSMITH_TRACING": "true",
        "LANGCHAIN_TRACING_V2": "true",
        "LANGSMITH_ENDPOINT": found.url,
        "LANGSMITH_API_KEY": "lsv2_pt_of_the_tests",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(run_trees, "_CLIENT", None)
    forget_environment()
    yield found
    if run_trees._CLIENT is not None:
        run_trees._CLIENT.flush(10)
    forget_environment()
    server.shutdown()
    server.server_close()


class Loud(FakeRail):
    """Raises, with the message in its words."""

    async def judge(self, text: str, subject: Subject) -> Verdict:
        raise RuntimeError(f"cannot judge {text}")


async def flushed(tracing: Tracing) -> None:
    await tracing.close()
    if run_trees._CLIENT is not None:
        run_trees._CLIENT.flush(10)


async def asked(services: Services, tracing: Tracing) -> None:
    persistence = Persistence(
        saver=InMemorySaver(), store=InMemoryStore(), turns=SqlTurns(SqliteDatabase(":memory:"))
    )
    threads = converse(services, persistence, tracing=tracing)
    graph = threads.graph
    await threads.ask(QUESTION, context=Context(tenant="acme"), thread="t")
    async for _ in graph.astream_events(
        given(),
        {"configurable": {"thread_id": "events"}},
        context=Context(),
    ):
        pass
    said = Said(messages=(HumanMessage(content=QUESTION), AIMessage(content=EMAIL)))
    await graph.aupdate_state(
        {"configurable": {"thread_id": "seeded"}}, {"messages": said}, as_node="account"
    )


class Host(TypedDict, total=False):
    messages: list[object]


def host(node: HostNode) -> CompiledStateGraph[Host]:
    table = StateGraph(Host).add_node("help_desk", node)  # type: ignore[type-var]
    return table.add_edge(START, "help_desk").add_edge("help_desk", END).compile()


async def embedded(services: Services, tracing: Tracing) -> None:
    """As a node and as a tool, of a host that is itself not traced."""
    graph = host(as_node(services, tracing=tracing))
    with tracing_context(enabled=False):
        await graph.ainvoke({"messages": [HumanMessage(content=QUESTION)]})
        await as_tool(services, tracing=tracing).ainvoke({"question": QUESTION})


async def served(services: Services, tracing: Tracing) -> None:
    """As the LangGraph server runs it: a copy for each run, with a checkpointer of its own."""
    graph = Served(**vars(compile_conversation(services, tracing=tracing)))
    copy = graph.copy({"checkpointer": InMemorySaver()})
    config: RunnableConfig = {"configurable": {"thread_id": "t"}}
    async for _ in copy.astream(given(), config, context=Context()):
        pass


@pytest.mark.parametrize("way", [asked, served])
@pytest.mark.parametrize("services", [{}, {"input_rail": Loud()}], ids=["answers", "fails"])
async def test_off_sends_nothing_whatever_the_environment_says(
    recorder: Recorder, way: object, services: dict[str, object]
) -> None:
    """LANGSMITH_TRACING is for the other programs of the machine."""
    await way(fake_services(**services), OFF)  # type: ignore[operator]
    await flushed(OFF)
    assert recorder.bodies == []


@pytest.mark.parametrize("way", [asked, embedded, served])
@pytest.mark.parametrize("services", [{}, {"input_rail": Loud()}], ids=["answers", "fails"])
async def test_on_sends_the_steps_without_what_is_personal(
    recorder: Recorder, way: object, services: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs, outputs and errors are masked, and the environment need not say anything."""
    monkeypatch.delenv("LANGSMITH_TRACING")
    monkeypatch.delenv("LANGCHAIN_TRACING_V2")
    tracing = open_tracing(enabled=True)
    await way(fake_services(**services), tracing)  # type: ignore[operator]
    await flushed(tracing)
    assert "guard_input" in recorder.text
    assert "<EMAIL_1>" in recorder.text
    assert EMAIL not in recorder.text
    assert "mona" not in recorder.text


async def test_a_traced_host_sees_what_it_gave_and_got_only(recorder: Recorder) -> None:
    """A host's own tracer, which masks nothing, does not come in with the config."""
    client = Client(recorder.url, api_key="host")
    graph = host(as_node(fake_services()))
    await graph.ainvoke(
        {"messages": [HumanMessage(content=QUESTION)]},
        {"callbacks": [LangChainTracer(client=client)]},
    )
    client.flush(10)
    await flushed(OFF)
    assert '"name":"help_desk"' in recorder.text.replace(" ", "")
    assert "retrieve_context" not in recorder.text


async def test_what_runs_beside_ours_is_left_alone(recorder: Recorder) -> None:
    """Between the steps of a stream, and after it, the caller's own tracing is as it was."""
    graph = compile_conversation(fake_services())
    before = get_tracing_context()
    async for _ in graph.astream(given(), context=Context()):
        assert get_tracing_context() == before
    assert get_tracing_context() == before


def test_on_without_a_key_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting fails with the variable's name, and doctor tells the same."""
    monkeypatch.delenv("LANGSMITH_API_KEY", raising=False)
    forget_environment()
    with pytest.raises(SettingsError, match="LANGSMITH_API_KEY"):
        open_tracing(enabled=True)
    row = doctor._langsmith(Settings(langsmith=True))
    assert (row.status, "LANGSMITH_API_KEY" in row.detail) == ("failed", True)


def test_doctor_says_what_leaves(recorder: Recorder, tmp_path: Path) -> None:
    """Off is off although the environment asks for traces; on names where they go."""
    off, on = (doctor._langsmith(Settings(langsmith=value)) for value in (False, True))
    assert (off.status, off.detail) == ("ok", "off: no run is traced")
    assert (on.status, recorder.url in on.detail) == ("ok", True)
    assert json.dumps(recorder.bodies) == "[]"
