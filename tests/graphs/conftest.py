"""Real servers for the tests marked `postgres` and `redis`, where their programs are at hand."""

from __future__ import annotations

from collections.abc import Iterator

import postgres_process
import pytest
import redis_process
from postgres_process import Postgres
from redis_process import Redis


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """Start a server on a free port, or skip saying why; each test makes a database in it."""
    yield from postgres_process.running()


@pytest.fixture
def postgres(postgres_server: Postgres) -> Iterator[Postgres]:
    """Give the server to a test that may stop or freeze it, running."""
    yield postgres_server
    if postgres_server.process is None:
        postgres_server.start()
    postgres_server.thaw()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """Start a server on a free port, or skip saying why."""
    yield from redis_process.running(tmp_path_factory)


@pytest.fixture
def redis(redis_server: Redis) -> Iterator[Redis]:
    """Give the server to a test that may stop or freeze it, running."""
    yield redis_server
    if redis_server.process is None:
        redis_server.start()
    redis_server.thaw()
