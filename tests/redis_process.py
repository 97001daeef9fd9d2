"""A real Redis server as a process of the tests' own, to be stopped, frozen and started again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from processes import ServerProcess, await_ready, free_ports

READY_S = 15.0


@dataclass(slots=True, kw_only=True)
class Redis(ServerProcess):
    """A server that keeps nothing on disk."""

    binary: str
    folder: Path
    port: int

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

        def ready() -> bool:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(5) == b"+PONG"

        await_ready(ready, self.process, log, within_s=READY_S)

    def stop(self) -> None:
        """Kill it, frozen or not."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


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
