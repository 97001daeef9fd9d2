"""Real servers as processes of the tests' own."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest


@dataclass(slots=True, kw_only=True)
class ServerProcess:
    """A server that can be stopped, frozen and started again at the same place."""

    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        raise NotImplementedError

    def freeze(self) -> None:
        """Let it hold its connections and answer nothing."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def recover(self) -> None:
        """Have it run, whatever a test did to it."""
        if self.process is None:
            self.start()
        self.thaw()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)


def await_ready(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    log: Path,
    *,
    within_s: float,
    every_s: float = 0.1,
) -> None:
    """Return when the server is ready; fail with its log when it dies or takes too long."""
    until = time.monotonic() + within_s
    while time.monotonic() < until and process.poll() is None:
        try:
            if ready():
                return
        except (OSError, httpx.HTTPError):
            pass
        time.sleep(every_s)
    pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")


def free_ports(count: int) -> list[int]:
    """Return ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
