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
LONGEST_PAUSE_S = 3.0
AIMED = 0.5
"""Share of the kills that wait until a tool was chosen, so that many land around its call."""
CALM = 0.9
"""Share of the kills that take a server which is up; the others any."""


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
            self._process = subprocess.Popen(
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
                    if (await http.get("/ready")).status_code == 200:
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
    """Kill one of the servers again and again, starting each anew; return when all are up.

    Now and then it is one that has not come up yet. Raises AntiphonError when one does not.
    """
    async with asyncio.TaskGroup() as starting:
        for number in range(1, kills + 1):
            while not any(server.up.is_set() for server in servers):
                await asyncio.sleep(0.02)
            await _pause(chose, chance)
            ready = [server for server in servers if server.up.is_set()]
            victim = chance.choice(ready if ready and chance.random() < CALM else servers)
            victim.kill()
            starting.create_task(victim.start())
            tell(number)


async def _pause(chose: threading.Event, chance: random.Random) -> None:
    """Wait for the next kill: some moment, or one soon after a tool was chosen."""
    await asyncio.sleep(chance.uniform(0, LONGEST_PAUSE_S))
    if chance.random() < AIMED:
        chose.clear()
        for _ in range(200):
            if chose.is_set():
                await asyncio.sleep(chance.uniform(0, 0.2))
                return
            await asyncio.sleep(0.005)
