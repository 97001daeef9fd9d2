"""A golden set put to an assistant: threads of their own, rows, means, advice, no traffic."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from langgraph.cache.memory import InMemoryCache
from rich.console import Console

from antiphon.evals.golden import Example
from antiphon.evals.report import Report, table
from antiphon.evals.run import quiet, run_golden
from antiphon.graphs.assembly import Runtime
from antiphon.graphs.assistant import load_assistant
from antiphon.graphs.services import Services
from antiphon.graphs.settings import Settings
from antiphon.graphs.threads import Conversations
from antiphon.graphs.turns import Turn
from antiphon.nodes.state import Context
from antiphon.tools.errors import ModelUnavailable
from antiphon.tools.models.embeddings import MiniLM
from antiphon.tools.telemetry import Alert

QUOTE = "You can return any item within 30 days of delivery."
SAMPLE = Path(__file__).parents[2] / "examples" / "help_centre"


class Scripted(Conversations):
    """Answers by script; remembers threads and how many turns ran at once."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.deleted: list[str] = []
        self.tenants: set[str] = set()
        self.running = self.most = 0

    async def ask(self, text: str, *, context: Context, thread: str = "") -> Turn:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        self.tenants.add(context.tenant)
        thread = thread or f"thread-{len(self.asked)}"
        self.asked.append((thread, text))
        if "crash" in text:
            raise ModelUnavailable("everything is down")
        knows = "return" in text
        return Turn(
            answer=f"{QUOTE[:-1]} [1]." if knows else "I don't know.",
            outcome="answered" if knows else "abstained",
            citations=(({"id": 1, "source": "returns.md", "quote": QUOTE},) if knows else ()),
            confidence={"retrieval": 0.9, "support": 1.0},
            phase="completed",
            path=("guard_input", "respond"),
            model="extractive",
            usage={"input_tokens": 1, "output_tokens": 1},
            cost_usd=0.001,
            latency_ms=12.0,
            violations=(),
            interrupt=None,
            thread_id=thread,
            degraded_because=None,
        )

    async def delete(self, *, context: Context, thread: str) -> None:
        self.deleted.append(thread)


def an_example(name: str, *messages: str, outcome: str = "answered") -> Example:
    """Return an example of that id."""
    facts = ["30 days"] if outcome == "answered" else []
    return Example.model_validate(
        {
            "id": name,
            "kind": outcome,
            "messages": messages,
            "expected": {"outcome": outcome, "facts": facts},
        }
    )


EXAMPLES = (
    an_example("returns", "How long may I return it?"),
    an_example("follow-up", "Hello", "And when may I return a gift?"),
    an_example("unknown", "What is the capital of Mongolia?", outcome="abstained"),
    an_example("wrong", "Tell me of curtains"),
    an_example("crash", "crash please"),
)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """A runtime with a scripted conversation and the real embedder."""
    unused: Any = None  # run_golden touches the assistant and the embedder only
    services = Services(
        assistant=load_assistant(SAMPLE),
        input_rail=unused,
        output_rail=unused,
        cache=unused,
        memory=unused,
        intents=unused,
        knowledge=unused,
        embedder=MiniLM(),
        toolbox=unused,
        models=unused,
        prompts=unused,
        tokens=unused,
        telemetry=unused,
        respond_to=unused,
    )
    return Runtime(
        settings=Settings(data_dir=tmp_path), services=services, conversations=Scripted()
    )


async def judged(runtime: Runtime, **options: Any) -> tuple[Report, Scripted]:
    """Run the examples; return the report and the conversation that was asked."""
    report = await run_golden(runtime, EXAMPLES, **options)
    assert isinstance(runtime.conversations, Scripted)
    return report, runtime.conversations


async def test_each_example_has_a_thread_of_its_own_that_is_forgotten(runtime: Runtime) -> None:
    """Messages of one example share a thread, examples never do; nothing stays behind."""
    _, asked = await judged(runtime, concurrency=1)
    threads = [thread for thread, _ in asked.asked]
    assert len(set(threads)) == len(EXAMPLES)
    assert threads[1] == threads[2]
    assert set(asked.deleted) == set(threads) - {threads[-1]}, "the crashed one was never kept"


async def test_rows_keep_the_order_and_say_what_happened(runtime: Runtime) -> None:
    """Outcome, scores, reasons; an example that crashed is a row with its error."""
    report, _ = await judged(runtime)
    rows = {row.id: row for row in report.rows}
    assert list(rows) == [example.id for example in EXAMPLES]
    assert rows["returns"].overall > 0.9
    assert rows["follow-up"].question == "And when may I return a gift?"
    assert rows["unknown"].overall == pytest.approx(1.0)
    assert rows["wrong"].overall < 0.7
    assert "outcome is abstained, expected answered" in rows["wrong"].reasons["relevance"]
    assert rows["crash"].error == "model_unavailable: everything is down"
    assert rows["crash"].overall == 0.0


async def test_the_report_has_means_and_advice(runtime: Runtime) -> None:
    """What failed is counted and followed by what to do about it."""
    report, _ = await judged(runtime)
    assert report.overall == pytest.approx(sum(r.overall for r in report.rows) / 5, abs=1e-3)
    assert (report.examples, report.failed, report.outcomes_as_expected) == (5, 1, 0.6)
    assert set(report.kinds) == {"answered", "abstained"}
    assert report.cost_usd == pytest.approx(0.004)
    assert any(advice.startswith("relevance is") for advice in report.recommendations)
    assert any("crash" in advice for advice in report.recommendations)


async def test_the_report_is_plain_json_and_a_table(runtime: Runtime) -> None:
    """JSON for machines, a table with every example for people."""
    report, _ = await judged(runtime)
    plain = json.loads(json.dumps(report.as_json()))
    assert [row["id"] for row in plain["rows"]] == [example.id for example in EXAMPLES]
    console = Console(width=140, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123, ASYNC230
    console.print(table(report))
    shown = console.export_text()
    assert all(example.id in shown for example in EXAMPLES)
    assert "60% as expected" in shown


async def test_no_more_run_at_once_than_asked_for_and_progress_is_told(runtime: Runtime) -> None:
    """Concurrency is a limit; progress counts up to the end."""
    seen: list[tuple[int, int]] = []
    _, asked = await judged(
        runtime, concurrency=2, tenant="acme", progress=lambda done, of: seen.append((done, of))
    )
    assert asked.most == 2
    assert seen == [(n, 5) for n in range(1, 6)]
    assert asked.tenants == {"acme"}


async def test_two_runs_agree(runtime: Runtime) -> None:
    """The evaluators are deterministic, so a gate does not flicker."""
    first, _ = await judged(runtime)
    second, _ = await judged(runtime)
    assert [row.metrics for row in first.rows] == [row.metrics for row in second.rows]


async def test_a_plain_run_opens_no_connection(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even with LangSmith's own variables set, nothing is sent."""
    tried: list[object] = []

    def refuse(_: socket.socket, address: object) -> None:
        tried.append(address)
        raise OSError("no network here")

    monkeypatch.setenv("LANGSMITH_API_KEY", "k")
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    await judged(runtime)
    assert tried == []


async def test_quiet_services_neither_remember_nor_mitigate(runtime: Runtime) -> None:
    """Judging starts with an empty cache, and attacks in the set throw no switch."""
    services = quiet(runtime.services)
    assert isinstance(services.cache, InMemoryCache)
    alert = Alert(
        rule="safety_violation",
        incident="safety_violation",
        severity="high",
        message="",
        value=1,
        threshold=1,
    )
    before = services.switches
    await services.respond_to([alert])
    assert services.switches == before
    assert services.embedder is runtime.services.embedder
