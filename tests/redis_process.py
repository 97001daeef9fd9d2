"""A real Redis server as a process of the tests' own, to be stopped, frozen and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from weaviate_process import free_ports

READY_S = 15.0


@dataclass(slots=True, kw_only=True)
class Redis:
    """A server that keeps nothing on disk."""

    binary: str
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        log = self.folder / "log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [
                    self.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                    "--appendonly", "no", "--dir", str(self.folder),
                ],
                stdout=out,
                stderr=out,
                env={"PATH": os.environ.get("PATH", "")},
            )  # fmt: skip
        until = time.monotonic() + READY_S
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                    probe.sendall(b"PING\r\n")
                    if probe.recv(5) == b"+PONG":
                        return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(log.read_text(errors="replace")[-2000:])

    def stop(self) -> None:
        """Kill it, frozen or not."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Let it hold its connections and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


def running(folders: pytest.TempPathFactory) -> Iterator[Redis]:
    """Yield a server that runs, and stop it afterwards."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server is installed (Debian: redis-server)")
    server = Redis(binary=binary, folder=folders.mktemp("redis"), port=free_ports(1)[0])
    try:
        server.start()
        yield server
    finally:
        server.stop()
