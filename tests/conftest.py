"""What every test shares: no network but loopback, a data folder of its own, real servers."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import postgres_process
import pytest
import redis_process
import weaviate_process
from postgres_process import Postgres
from redis_process import Redis
from weaviate_process import Server as Weaviate

if TYPE_CHECKING:
    from fakes import Opening

    from antiphon.graphs.services import Services
    from antiphon.graphs.threads import Conversations

_connect = socket.socket.connect


def _local_only(self: socket.socket, address: object) -> None:
    host = address[0] if isinstance(address, tuple) else ""
    if isinstance(host, str) and host and self.family != socket.AF_UNIX:
        try:
            local = ipaddress.ip_address(host).is_loopback
        except ValueError:
            local = host == "localhost"
        if not local:
            raise OSError(f"tests may not connect to {host!r}")
    _connect(self, address)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test reach beyond this machine."""
    monkeypatch.setattr(socket.socket, "connect", _local_only)


@pytest.fixture(autouse=True)
def _own_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give each test its own data folder and none of the caller's settings."""
    for name in [name for name in os.environ if name.startswith("ANTIPHON_")]:
        if not name.startswith("ANTIPHON_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    monkeypatch.setenv("LANGSMITH_TEST_TRACKING", "false")


@pytest.fixture
async def opening(tmp_path: Path) -> AsyncIterator[Opening]:
    """Open conversations over real files, and close them when the test ends."""
    from fakes import Opened

    places = count()
    async with AsyncExitStack() as stack:

        async def opened(services: Services | None = None) -> Conversations:
            folder = tmp_path / f"threads-{next(places)}"
            return await stack.enter_async_context(Opened(folder, services))

        yield opened


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """Start a server on a free port, or skip saying why; each test makes a database in it."""
    yield from postgres_process.running()


@pytest.fixture
def postgres(postgres_server: Postgres) -> Iterator[Postgres]:
    """Give the server to a test that may stop or freeze it, running."""
    yield postgres_server
    postgres_server.recover()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """Start a server on a free port, or skip saying why."""
    yield from redis_process.running(tmp_path_factory)


@pytest.fixture
def redis(redis_server: Redis) -> Iterator[Redis]:
    """Give the server to a test that may stop or freeze it, running."""
    yield redis_server
    redis_server.recover()


@pytest.fixture(scope="module")
def frail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weaviate]:
    """Start a Weaviate of the module's own, to be stopped and frozen; or skip saying why."""
    yield from weaviate_process.running(tmp_path_factory)
