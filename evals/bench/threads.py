"""What a long life costs: listing among many threads, bytes on disk, and the four hundredth turn.

The sample assistant with its real services over SQLite, without the response cache, so that every
turn does its work.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import cycle, islice
from pathlib import Path

import httpx

from antiphon.evals.bench.drill.processes import Server, environment, free_port
from antiphon.evals.bench.measures import quantile
from antiphon.evals.bench.report import report
from antiphon.evals.golden import load_golden
from antiphon.graphs.assembly import build_services
from antiphon.graphs.assistant import load_assistant
from antiphon.graphs.folders import sample_folder
from antiphon.graphs.persistence import THREADS
from antiphon.graphs.runtime import Runtime, open_runtime
from antiphon.graphs.settings import Settings
from antiphon.nodes.state import Context
from antiphon.tools.turns.store import SqlTurns

MANY = 10_000
"""Threads of one tenant."""
OWN = 200
"""How many of them are the caller's; the others belong to a hundred other people."""
OTHERS = 100
PAGE = 50
LISTED = 200
"""How often the list is asked for, each way."""
EARLY, LATE = 4, 400
WINDOW = 10
"""Turns from EARLY on, and up to LATE, whose median is compared."""
OLD = 2
"""Threads that are grown to LATE turns."""
YOUNG = 3
"""Young threads that take turns with each old one."""
BYTES_TURNS = 40
TENANT, OWNER = "default", "ann"


async def run(*, limit: int | None = None) -> dict[str, object]:
    """List among 10,000 threads, weigh 40 turns, and time turn `limit` (400) against turn 4."""
    began = time.perf_counter()
    late = max(limit or LATE, EARLY + 2 * WINDOW)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        figures |= await _listing(Path(folder) / "listing", MANY if limit is None else 10 * limit)
        figures |= await _weight(Path(folder) / "weight")
        grown, rows = await _growth(Path(folder) / "growth", late)
        figures |= grown
    return report("threads", "sample help centre", figures, rows, time.perf_counter() - began)


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[Runtime]:
    """Open the sample assistant without its response cache, its pages read."""
    settings = Settings(data_dir=folder)
    form = load_assistant(sample_folder())
    form = form.model_copy(update={"cache": form.cache.model_copy(update={"enabled": False})})
    services = build_services(settings, form)
    async with open_runtime(settings, services=services) as runtime:
        await runtime.conversations.ask("Hello", context=Context(user="warm"), thread="warm")
        yield runtime


async def _listing(folder: Path, many: int) -> dict[str, float]:
    """Time a page of the caller's threads, through the store and from a server over a socket."""
    async with _opened(folder) as runtime:
        turns = runtime.conversations.turns
        assert isinstance(turns, SqlTurns)  # noqa: S101 - what open_runtime opens
        await _fill(turns, many)

        async def through_store() -> int:
            return len(await turns.threads(TENANT, OWNER, limit=PAGE))

        store = await _asked(through_store)
    settings = {
        "ANTIPHON_DATA_DIR": str(folder),
        "ANTIPHON_API_KEYS": f"key={TENANT}/{OWNER}",
    }
    server = Server(port=free_port(), env=environment(settings), log=folder / "server.log")
    try:
        await server.start()
        async with httpx.AsyncClient(base_url=server.url, headers={"x-api-key": "key"}) as http:

            async def through_http() -> int:
                said = await http.get("/v1/threads", params={"limit": PAGE})
                return len(said.raise_for_status().json()["threads"])

            whole = await _asked(through_http)
    finally:
        server.stop()
    return {
        "threads": many,
        "list_p95_ms": quantile(whole, 0.95),
        "list_p50_ms": statistics.median(whole),
        "list_store_p95_ms": quantile(store, 0.95),
    }


async def _asked(ask: Callable[[], Awaitable[int]]) -> list[float]:
    times = []
    for _ in range(LISTED):
        began = time.perf_counter()
        found = await ask()
        times.append((time.perf_counter() - began) * 1000)
        if found < PAGE:
            raise RuntimeError("a page of threads is not full: its time means nothing")
    return times


async def _fill(turns: SqlTurns, many: int) -> None:
    """Let so many threads have one turn each, the way the runner would."""
    own = set(range(0, many, max(1, many // OWN)))
    for number in range(many):
        opened = await turns.open(
            turn=f"{number:032x}", tenant=TENANT, thread=f"t{number}",
            owner=OWNER if number in own else f"user-{number % OTHERS}",
            kind="message", ttl_s=15.0,
        )  # fmt: skip
        assert opened.lease is not None, "nobody else is here"  # noqa: S101
        await turns.settle(
            opened.turn, opened.lease, state="done", outcome="answered", result={"answer": "Yes."},
            title=f"The first words of thread {number}",
        )  # fmt: skip


async def _weight(folder: Path) -> dict[str, float]:
    """Return what a thread of forty turns takes on disk."""
    async with _opened(folder) as runtime:
        questions = _questions()
        for _ in range(BYTES_TURNS):
            await runtime.conversations.ask(
                next(questions), context=Context(user=OWNER), thread="one"
            )
        path = runtime.folder / THREADS
    # Closed by now; what is left of the write-ahead log is moved into the file, and counted too.
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    files = path.parent.glob(f"{THREADS}*")
    return {"bytes_40_turns": sum(file.stat().st_size for file in files)}


async def _growth(folder: Path, late: int) -> tuple[dict[str, float], list[dict[str, object]]]:
    """Time late turns and early ones alternately, asking the same on young and on old threads."""
    async with _opened(folder) as runtime:
        for number in range(OLD):
            questions = _questions()
            for _ in range(late - WINDOW):
                await _timed(runtime, f"old-{number}", next(questions))
        early: list[float] = []
        old: list[float] = []
        for number in range(OLD):
            young = [f"young-{number}-{one}" for one in range(YOUNG)]
            for thread in young:
                for question in islice(_questions(), EARLY - 1):
                    await _timed(runtime, thread, question)
            for question in islice(_questions(), EARLY, EARLY + WINDOW):
                # Whoever asks a question first pays for its vector: nobody who is timed.
                await _timed(runtime, f"first-{number}", question)
                old.append(await _timed(runtime, f"old-{number}", question))
                early += [await _timed(runtime, thread, question) for thread in young]
    figures = {
        "turn_ms_growth": statistics.median(old) / statistics.median(early),
        "turn_ms_4": statistics.median(early),
        "turn_ms_400": statistics.median(old),
    }
    rows: list[dict[str, object]] = [
        {"turns": f"{EARLY} to {EARLY + WINDOW - 1}", "timed": len(early),
         "p50_ms": round(statistics.median(early), 2), "p95_ms": round(quantile(early, 0.95), 2)},
        {"turns": f"{late - WINDOW + 1} to {late}", "timed": len(old),
         "p50_ms": round(statistics.median(old), 2), "p95_ms": round(quantile(old, 0.95), 2)},
    ]  # fmt: skip
    return figures, rows


async def _timed(runtime: Runtime, thread: str, question: str) -> float:
    began = time.perf_counter()
    await runtime.conversations.ask(question, context=Context(user=OWNER), thread=thread)
    return (time.perf_counter() - began) * 1000


def _questions() -> cycle[str]:
    """Return the sample's golden questions over and over: one message each, of normal length."""
    golden = load_golden(sample_folder() / "golden.jsonl")
    return cycle([one.questions[0] for one in golden if one.kind == "answerable"])
