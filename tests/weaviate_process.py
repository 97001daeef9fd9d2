"""A real Weaviate server as a process of the tests' own, to be stopped and frozen."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

BINARY = "ANTIPHON_TEST_WEAVIATE_BINARY"
READY_S = 60.0


@dataclass(slots=True, kw_only=True)
class Server:
    """A server that can be stopped, frozen and started again on the same ports and data."""

    binary: str
    folder: Path
    ports: list[int]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens for REST."""
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def grpc_port(self) -> int:
        """Where it listens for gRPC."""
        return self.ports[1]

    def start(self) -> None:
        """Start it and wait until it is ready."""
        log = self.folder / "log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [
                    self.binary,
                    *("--scheme", "http", "--host", "127.0.0.1", "--port", str(self.ports[0])),
                ],
                env=environment(self.folder / "data", self.ports),
                stdout=out,
                stderr=out,
            )
        wait(self.url, self.process, log)

    def stop(self) -> None:
        """Stop it, frozen or not."""
        if self.process is None:
            return
        self.thaw()
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
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


def running(folders: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server that runs, and stop it afterwards."""
    binary = os.environ.get(BINARY, "")
    if not binary:
        pytest.skip(f"{BINARY} is not set")
    if not Path(binary).is_file():
        pytest.skip(f"{BINARY}={binary} does not exist")
    server = Server(binary=binary, folder=folders.mktemp("weaviate"), ports=free_ports(6))
    try:
        server.start()
        yield server
    finally:
        server.stop()


def environment(data: Path, ports: list[int]) -> dict[str, str]:
    """Return a single node's settings; each port is its own, so servers can run side by side."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "PERSISTENCE_DATA_PATH": str(data),
        "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true",
        "CLUSTER_HOSTNAME": "node1",
        "DEFAULT_VECTORIZER_MODULE": "none",
        "DISABLE_TELEMETRY": "true",
        "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
        "CLUSTER_BIND_ADDR": "127.0.0.1",
        "RAFT_BOOTSTRAP_EXPECT": "1",
        "GOMEMLIMIT": "1GiB",
        "GRPC_PORT": str(ports[1]),
        "CLUSTER_GOSSIP_BIND_PORT": str(ports[2]),
        "CLUSTER_DATA_BIND_PORT": str(ports[3]),
        "RAFT_PORT": str(ports[4]),
        "RAFT_INTERNAL_RPC_PORT": str(ports[5]),
    }


def wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server is ready; raise with its log when it dies or takes too long."""
    until = time.monotonic() + READY_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/v1/.well-known/ready", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError(log.read_text(errors="replace")[-2000:])


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
