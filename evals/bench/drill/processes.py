"""Two servers on one store, and the killer that takes one down whenever it likes."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from antiphon.tools.errors import AntiphonError

START_S = 90.0
"""How long a server may take until it is ready."""
LONGEST_LIFE_S = 12.0
"""How long a server that is up lives at most."""
AIMED = 0.5
"""Share of the kills that wait until a tool was chosen, so that many land around its call."""
EARLY = 0.1
"""Share of the servers that may be killed again before they are up."""


@dataclass(slots=True, kw_only=True)
class Server:
    """One `antiphon serve`, started again whenever it was killed."""

    port: int
    env: Mapping[str, str]
    log: Path
    up: asyncio.Event = field(default_factory=asyncio.Event)
    killed: list[float] = field(default_factory=list)
    """When, by the monotonic clock."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises AntiphonError when it does not come up."""
        command = [sys.executable, "-m", "antiphon.gateway.cli", "serve", "--port", str(self.port)]
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it is waited for by asking it
                command, env=dict(self.env), stdout=out, stderr=subprocess.STDOUT
            )
        process, deadline = self._process, time.monotonic() + START_S
        async with httpx.AsyncClient(base_url=self.url, timeout=2) as http:
            while process is self._process:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise AntiphonError(
                        "a server of the drill did not come up",
                        hint=self.log.read_text("utf-8", "replace")[-800:],
                    )
                try:
                    if (await http.get("/ready")).is_success:
                        self.up.set()
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        """Take it down at once."""
        self.up.clear()
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.killed.append(time.monotonic())

    def stop(self) -> None:
        """Let it end in order."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a server: ours without any setting but those given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANTIPHON_")}
    return {**kept, **settings}


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def kill_at_random(
    servers: Sequence[Server],
    kills: int,
    *,
    chose: threading.Event,
    tell: Callable[[int], None],
    chance: random.Random,
) -> None:
    """Kill the servers again and again, each at its own moments; return when all are up again.

    Raises AntiphonError when one does not come up.
    """
    numbers = iter(range(1, kills + 1))

    async def live(server: Server) -> None:
        for number in numbers:
            await _moment(chose, chance)
            server.kill()
            tell(number)
            starting = asyncio.create_task(server.start())
            await asyncio.wait([starting], timeout=_patience(chance))
            if starting.done():
                await starting
        if not server.up.is_set():
            server.kill()
            await server.start()

    try:
        async with asyncio.TaskGroup() as lives:
            for server in servers:
                lives.create_task(live(server))
    except ExceptionGroup as faults:
        # The first says why; the others were called off for it.
        raise faults.exceptions[0] from None


def _patience(chance: random.Random) -> float | None:
    """Return how long a server is given to come up; None: as long as it takes."""
    return chance.uniform(0, 4) if chance.random() < EARLY else None


async def _moment(chose: threading.Event, chance: random.Random) -> None:
    """Wait for a moment to kill at: any, or one soon after a tool was chosen."""
    await asyncio.sleep(chance.uniform(0, LONGEST_LIFE_S))
    if chance.random() < AIMED:
        chose.clear()
        for _ in range(400):
            if chose.is_set():
                await asyncio.sleep(chance.uniform(0, 0.2))
                return
            await asyncio.sleep(0.005)
