"""What survives when processes are killed: two servers on one store, clients, and a killer.

Everything is real but the language model: `antiphon serve`, the store, sockets, SIGKILL. What was
done is read from a ledger that the tools write outside of the runtime, what was asked of the model
from its server's own log, and what was answered from the clients' notes. `lost`, `doubled`, `stuck`
and `unaccounted` count what does not fit; each is named on standard error.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from antiphon.evals.bench.drill.assistant import MODEL, write_assistant
from antiphon.evals.bench.drill.clients import Clients, Sent
from antiphon.evals.bench.drill.model import ModelLog, model_server
from antiphon.evals.bench.drill.processes import Server, environment, free_port, kill_at_random
from antiphon.evals.bench.drill.service import entries, ledger_of
from antiphon.evals.bench.drill.verdict import (
    Evidence,
    Faults,
    Stored,
    given_up,
    judge,
    read_store,
)
from antiphon.evals.bench.measures import quantile
from antiphon.evals.bench.report import report
from antiphon.graphs.assistant import load_assistant
from antiphon.graphs.folders import data_folder
from antiphon.graphs.persistence import open_persistence
from antiphon.graphs.settings import Settings, read_settings
from antiphon.tools.errors import InputError

KILLS = 200
PEOPLE = 12
KEY = "drill-key"
QUIET_S = 60.0
"""How long after the last answer the store may still have something to do."""


async def run(
    *, backend: str = "sqlite", limit: int | None = None, postgres_url: str = ""
) -> dict[str, object]:
    """Kill `limit` times (200) over SQLite, or the PostgreSQL of the option or the settings."""
    began = time.perf_counter()
    url = postgres_url or read_settings().postgres_url.get_secret_value()
    if backend not in ("sqlite", "postgres"):
        raise InputError(f"there is no backend {backend!r}", hint="sqlite or postgres")
    if backend == "postgres" and not url:
        raise InputError(
            "the backend 'postgres' needs a server",
            hint="Set ANTIPHON_POSTGRES_URL or give --postgres-url.",
        )
    kills = limit or KILLS
    with tempfile.TemporaryDirectory() as folder, model_server() as (model_url, log):
        drill = _Drill(Path(folder), model_url, log, url if backend == "postgres" else "")
        evidence = await drill.run(kills)
        faults = judge(evidence)
    _tell_faults(faults)
    sent = [one for story in evidence.stories for one in story.sent]
    cut = [one for one in sent if one.cuts and one.answered]
    waits = [one.answered - one.cuts[-1] for one in cut]
    whole = [one.answered - one.cuts[0] for one in cut]
    figures = {
        "lost": len(faults.lost),
        "doubled": len(faults.doubled),
        "stuck": len(faults.stuck),
        "unaccounted": len(faults.unaccounted),
        "kills": kills,
        "resume_p95_s": quantile(waits, 0.95) if waits else 0.0,
        "resume_p50_s": quantile(waits, 0.5) if waits else 0.0,
        "from_first_kill_p95_s": quantile(whole, 0.95) if whole else 0.0,
        "turns": len(sent),
        "interrupted": len(cut),
        "asked_again": sum(story.asked_again for story in evidence.stories),
        "closed": given_up(evidence.stories),
        "model_calls": len(evidence.seen),
        "effects": len(evidence.entries),
    }
    rows = [
        {"kind": kind, "messages": sum(story.kind == kind for story in evidence.stories)}
        for kind in sorted({story.kind for story in evidence.stories})
    ]
    return report("durability", backend, figures, rows, time.perf_counter() - began)


class _Drill:
    """One run: its folder, its servers and its people."""

    def __init__(self, folder: Path, model_url: str, log: ModelLog, postgres_url: str) -> None:
        self._assistant = write_assistant(folder / "assistant")
        self._data = folder / "data"
        self._log = log
        # On a database that others use too, a drill is a tenant of its own.
        self._tenant = f"drill-{uuid.uuid4().hex[:8]}"
        self._settings = Settings(data_dir=self._data, postgres_url=postgres_url)
        env = environment(
            {
                "ANTIPHON_DATA_DIR": str(self._data),
                "ANTIPHON_ASSISTANT": str(self._assistant),
                "ANTIPHON_MODEL_URL": model_url,
                "ANTIPHON_MODEL": MODEL,
                "ANTIPHON_API_KEYS": f"{KEY}={self._tenant}/person",
                **({"ANTIPHON_POSTGRES_URL": postgres_url} if postgres_url else {}),
            }
        )
        self._servers = [
            Server(port=free_port(), env=env, log=folder / f"server-{number}.log")
            for number in (1, 2)
        ]
        self._chance = random.Random()
        self._clients = Clients(self._servers, self._data, key=KEY, chance=self._chance)

    async def run(self, kills: int) -> Evidence:
        """Start, kill, let all come to rest, and gather what is known."""
        try:
            # One after the other: what two do on an empty folder at once is not the question here.
            for server in self._servers:
                await server.start()
            async with asyncio.TaskGroup() as people:
                for _ in range(PEOPLE):
                    people.create_task(self._clients.talk())
                await kill_at_random(
                    self._servers,
                    kills,
                    chose=self._log.chose,
                    tell=lambda number: self._tell(number, kills),
                    chance=self._chance,
                )
                self._clients.stopping = True
            return await self._gathered()
        except ExceptionGroup as faults:
            # The first says why; the others were called off for it.
            raise faults.exceptions[0] from None
        finally:
            for server in self._servers:
                server.stop()

    async def _gathered(self) -> Evidence:
        _say("all killed; waiting until everything is at rest")
        clients = self._clients
        stories, threads = list(clients.stories), clients.threads()
        deaf = [
            thread
            for thread in threads
            if not (await clients.tell("question", thread)).last.answered
        ]
        interrupted = [one for story in stories for one in story.sent if one.cuts]
        repeated = {one.key: await clients.once_more(one) for one in _turns(interrupted)}
        states = {thread: await clients.state(thread) for thread in threads}
        stored = await self._at_rest()
        return Evidence(
            stories=list(clients.stories),
            entries=entries(ledger_of(self._data)),
            seen=tuple(self._log.seen),
            states=states,
            repeated=repeated,
            deaf=deaf,
            stored=stored,
        )

    async def _at_rest(self) -> Stored:
        """Return what the store holds once nothing runs, or after a while whatever runs."""
        folder = data_folder(self._settings, load_assistant(self._assistant))
        async with open_persistence(self._settings, folder) as persistence:
            deadline = time.monotonic() + QUIET_S
            while True:
                stored = await read_store(persistence.turns, self._tenant)
                busy = stored.held or any(
                    row["state"] in ("queued", "running") for row in stored.turns
                )
                if not busy or time.monotonic() > deadline:
                    return stored
                await asyncio.sleep(0.5)

    def _tell(self, number: int, kills: int) -> None:
        if number % 10 == 0 or number == kills:
            answered = sum(
                bool(one.answered) for story in self._clients.stories for one in story.sent
            )
            _say(f"{number} of {kills} kills, {answered} requests answered")


def _turns(sent: Sequence[Sent]) -> list[Sent]:
    """Return those that were answered with a turn, not with a refusal."""
    return [one for one in sent if "turn_id" in one.turn]


def _tell_faults(faults: Faults) -> None:
    for kind in ("lost", "doubled", "stuck", "unaccounted"):
        for place in getattr(faults, kind):
            _say(f"{kind}: {place}")


def _say(text: str) -> None:
    sys.stderr.write(f"durability: {text}\n")
    sys.stderr.flush()
