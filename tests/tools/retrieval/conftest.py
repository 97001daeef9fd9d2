"""A real Weaviate server for the tests marked `weaviate`, where its binary is at hand."""

from __future__ import annotations

import os
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a started server listens."""

    url: str
    grpc_port: int
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="session")
def weaviate_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start the server named by the environment on free ports, or skip saying why."""
    binary = os.environ.get(BINARY, "")
    if not binary:
        pytest.skip(f"{BINARY} is not set")
    if not Path(binary).is_file():
        pytest.skip(f"{BINARY}={binary} does not exist")
    folder = tmp_path_factory.mktemp("weaviate")
    ports = free_ports(6)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "--host", "127.0.0.1", "--port", str(ports[0]), "--scheme", "http"],
            env=environment(folder / "data", ports),
            stdout=log,
            stderr=log,
        )
        try:
            url = f"http://127.0.0.1:{ports[0]}"
            wait(url, process, folder / "log")
            yield Server(url=url, grpc_port=ports[1], process=process)
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


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
