"""A golden set put to an assistant: threads of their own, rows, means, advice, no traffic."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from rich.console import Console

from antiphon.evals.golden import Example, load_golden
from antiphon.evals.metrics import five
from antiphon.evals.report import Report, table
from antiphon.evals.run import Progress, judge, run_golden
from antiphon.graphs.runtime import open_runtime
from antiphon.graphs.settings import Settings
from antiphon.graphs.threads import Conversations, Event
from antiphon.graphs.turns import Turn
from antiphon.nodes.state import Context
from antiphon.tools.errors import ModelUnavailable
from antiphon.tools.models.embeddings import MiniLM
from antiphon.tools.privacy.detect import PatternDetector
from antiphon.tools.resilience import Switches

QUOTE = "You can return any item within 30 days of delivery."
SAMPLE = Path(__file__).parents[2] / "examples" / "help_centre"


class Scripted(Conversations):
    """Answers by script; remembers threads and how many turns ran at once."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.tenants: set[str] = set()
        self.running = self.most = 0

    async def ask(
        self, text: str, *, context: Context, thread: str = "", request_key: str = ""
    ) -> Turn:
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

    async def stream(
        self, text: str, *, context: Context, thread: str = "", request_key: str = ""
    ) -> AsyncIterator[Event]:
        yield Event(kind="node", node="guard_input", ms=1.0)
        yield Event(kind="node", node="respond", ms=10.0)
        yield Event(kind="turn", turn=await self.ask(text, context=context, thread=thread))


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


@pytest.fixture(scope="module")
def embedder() -> MiniLM:
    """The real quick embedder."""
    return MiniLM()


@pytest.fixture
def asked() -> Scripted:
    """A scripted conversation."""
    return Scripted()


@pytest.fixture
def judged(asked: Scripted, embedder: MiniLM) -> Callable[..., Awaitable[Report]]:
    """Judge the examples with the five evaluators."""

    async def run(concurrency: int = 2, progress: Progress | None = None) -> Report:
        return await judge(
            asked,
            EXAMPLES,
            jury=five(embedder, PatternDetector()),
            context=Context(tenant="acme"),
            concurrency=concurrency,
            progress=progress,
        )

    return run


Judged = Callable[..., Awaitable[Report]]


async def test_each_example_has_a_thread_of_its_own(judged: Judged, asked: Scripted) -> None:
    """Messages of one example share a thread, examples never do."""
    await judged(concurrency=1)
    threads = [thread for thread, _ in asked.asked]
    assert len(set(threads)) == len(EXAMPLES)
    assert threads[1] == threads[2]
    assert asked.tenants == {"acme"}


async def test_rows_keep_the_order_and_say_what_happened(judged: Judged) -> None:
    """Outcome, scores, reasons; an example that crashed is a row with its error."""
    report = await judged()
    rows = {row.id: row for row in report.rows}
    assert list(rows) == [example.id for example in EXAMPLES]
    assert rows["returns"].overall > 0.9
    assert rows["follow-up"].question == "And when may I return a gift?"
    assert rows["unknown"].overall == pytest.approx(1.0)
    assert rows["wrong"].overall < 0.7
    assert "outcome is abstained, expected answered" in rows["wrong"].reasons["relevance"]
    assert rows["crash"].error == "model_unavailable: everything is down"
    assert rows["crash"].overall == 0.0


async def test_a_row_says_when_it_ran_and_how_its_steps_followed(judged: Judged) -> None:
    """The last question's start, each node in order; a crash has no steps."""
    before = time.time()
    rows = {row.id: row for row in (await judged()).rows}
    assert before - 0.01 <= rows["follow-up"].started <= time.time()
    assert [step.node for step in rows["follow-up"].steps] == ["guard_input", "respond"]
    assert all(step.at_ms >= 0 for step in rows["follow-up"].steps)
    assert (rows["returns"].model, rows["returns"].usage["output_tokens"]) == ("extractive", 1)
    assert before - 0.01 <= rows["crash"].started
    assert rows["crash"].steps == ()


async def test_the_report_has_means_and_advice(judged: Judged) -> None:
    """What failed is counted and followed by what to do about it."""
    report = await judged()
    assert report.overall == pytest.approx(sum(r.overall for r in report.rows) / 5, abs=1e-3)
    assert (report.examples, report.failed, report.outcomes_as_expected) == (5, 1, 0.6)
    assert set(report.kinds) == {"answered", "abstained"}
    assert report.cost_usd == pytest.approx(0.004)
    assert any(advice.startswith("relevance is") for advice in report.recommendations)
    assert "Ended otherwise than expected: wrong." in report.recommendations
    assert any("crash" in advice for advice in report.recommendations)


async def test_the_report_is_plain_json_and_a_table(judged: Judged) -> None:
    """JSON for machines, a table with every example for people."""
    report = await judged()
    plain = json.loads(json.dumps(report.as_json()))
    assert [row["id"] for row in plain["rows"]] == [example.id for example in EXAMPLES]
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(table(report))
    shown = console.export_text()
    assert all(example.id in shown for example in EXAMPLES)
    assert "60% as expected" in shown


async def test_no_more_run_at_once_than_asked_for_and_progress_is_told(
    judged: Judged, asked: Scripted
) -> None:
    """Concurrency is a limit; progress counts up to the end."""
    seen: list[tuple[int, int]] = []
    await judged(progress=lambda done, of: seen.append((done, of)))
    assert asked.most == 2
    assert seen == [(n, 5) for n in range(1, 6)]


async def test_two_runs_agree(judged: Judged) -> None:
    """The evaluators are deterministic, so a gate does not flicker."""
    first, second = await judged(), await judged()
    assert [row.metrics for row in first.rows] == [row.metrics for row in second.rows]


async def test_the_sample_is_judged_offline_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No connection though LangSmith's key is set; no thread, record, incident or cached answer."""
    tried: list[object] = []

    def refuse(_: socket.socket, address: object) -> None:
        tried.append(address)
        raise OSError("no network here")

    monkeypatch.setenv("LANGSMITH_API_KEY", "k")
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    chosen = ("answerable-return-label-us", "unanswerable-capital", "injection")
    examples = [
        example for example in load_golden(SAMPLE / "golden.jsonl") if example.id.startswith(chosen)
    ]
    async with open_runtime(Settings(data_dir=tmp_path)) as runtime:
        first = await run_golden(runtime, examples)
        second = await run_golden(runtime, examples)
        assert (await runtime.conversations.threads(context=Context())).threads == ()
        assert runtime.services.switches == Switches()
        assert not (runtime.folder / "turns.jsonl").exists()
        assert not (runtime.folder / "incidents.jsonl").exists()
    assert first.failed == 0
    assert first.outcomes_as_expected >= 0.8
    assert first.overall > 0.8
    assert [row.path for row in first.rows] == [row.path for row in second.rows]
    assert tried == []
