"""A real Weaviate server as a process of the tests' own, to be stopped and frozen."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from processes import ServerProcess, await_ready, free_ports

BINARY = "ANTIPHON_TEST_WEAVIATE_BINARY"
READY_S = 60.0


@dataclass(slots=True, kw_only=True)
class Server(ServerProcess):
    """A server that can be stopped, frozen and started again on the same ports and data."""

    binary: str
    folder: Path
    ports: list[int]

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

        def ready() -> bool:
            reply = httpx.get(f"{self.url}/v1/.well-known/ready", trust_env=False)
            return reply.status_code == 200

        await_ready(ready, self.process, log, within_s=READY_S)

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
