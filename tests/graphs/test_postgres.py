"""Threads and memory on a real PostgreSQL server: starting together, restarts, outages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fakes import fake_services
from postgres_process import PASSWORD, Postgres

from antiphon.gateway.app import create_app
from antiphon.graphs.oncall import OnCall
from antiphon.graphs.persistence import Persistence, open_persistence
from antiphon.graphs.runtime import Runtime, converse
from antiphon.graphs.settings import Settings
from antiphon.graphs.threads import Conversations
from antiphon.nodes.state import Context
from antiphon.tools.errors import AntiphonError, SettingsError, StorageError, StorageUnavailable

pytestmark = pytest.mark.postgres
ALICE = Context(tenant="acme", user="alice")


@asynccontextmanager
async def opened(url: str, folder: Path) -> AsyncIterator[Persistence]:
    async with open_persistence(Settings(postgres_url=url), folder) as persistence:
        yield persistence


def conversations(persistence: Persistence) -> Conversations:
    return converse(fake_services(), persistence)


async def test_a_thread_outlives_its_process(postgres: Postgres, tmp_path: Path) -> None:
    """What one opening wrote the next one reads, and nothing lands in the data folder."""
    url = postgres.database()
    async with opened(url, tmp_path / "data") as one:
        await conversations(one).ask("How long can I take?", context=ALICE, thread="t")
        await one.store.aput(("acme", "alice"), "city", {"text": "Marrowick"})
    async with opened(url, tmp_path / "data") as two:
        said = await conversations(two).messages(context=ALICE, thread="t")
        kept = await two.store.aget(("acme", "alice"), "city")
    assert [message["role"] for message in said] == ["user", "assistant"]
    assert kept is not None
    assert kept.value == {"text": "Marrowick"}
    assert not (tmp_path / "data").exists()


async def test_replicas_that_start_together(postgres: Postgres, tmp_path: Path) -> None:
    """Any number may bring an empty database up to date at once: none fails or waits for ever."""
    url = postgres.database()

    async def start() -> None:
        async with opened(url, tmp_path) as persistence:
            await persistence.ping()

    async with asyncio.timeout(40):
        await asyncio.gather(*(start() for _ in range(4)))
    async with opened(url, tmp_path) as persistence:
        assert persistence.pool is not None
        async with persistence.pool.connection() as connection:
            rows = await connection.execute("select v from checkpoint_migrations order by v")
            versions = [row["v"] for row in await rows.fetchall()]
            locks = await connection.execute(
                "select count(*) as held from pg_locks where locktype = 'advisory'"
            )
            assert (await locks.fetchone())["held"] == 0
    assert versions == [*range(len(versions))]


async def test_turns_at_once_do_not_queue_on_one_connection(
    postgres: Postgres, tmp_path: Path
) -> None:
    """A statement that takes long holds up itself, not the other threads' checkpoints."""
    async with opened(postgres.database(), tmp_path) as persistence:
        assert persistence.pool is not None

        async def slow() -> None:
            assert persistence.pool is not None
            async with persistence.saver._cursor() as cursor:  # type: ignore[attr-defined]
                await cursor.execute("select pg_sleep(3)")

        sleeping = asyncio.create_task(slow())
        await asyncio.sleep(0.3)
        began = time.perf_counter()
        await conversations(persistence).ask("How long?", context=ALICE, thread="t")
        took = time.perf_counter() - began
        await sleeping
    assert took < 2.5


async def test_a_restarted_server_needs_no_restarted_process(
    postgres: Postgres, tmp_path: Path
) -> None:
    """The connections of before the restart are replaced; threads and memory go on."""
    async with opened(postgres.database(), tmp_path) as persistence:
        threads = conversations(persistence)
        await threads.ask("How long can I take?", context=ALICE, thread="t")
        await asyncio.to_thread(postgres.stop)
        with pytest.raises(StorageUnavailable) as down:
            await threads.ask("And now?", context=ALICE, thread="t")
        with pytest.raises(StorageUnavailable):
            await persistence.ping()
        await asyncio.to_thread(postgres.start)
        await persistence.ping()
        turn = await threads.ask("And again?", context=ALICE, thread="t")
        assert await persistence.store.aget(("acme", "alice"), "city") is None
    assert down.value.retryable
    assert "ANTIPHON_POSTGRES_URL" in down.value.hint
    assert turn.outcome == "answered"


async def test_readiness_follows_the_server(postgres: Postgres, tmp_path: Path) -> None:
    """/ready is 503 while the server is away and names what is out; then it is 200 again."""
    settings = Settings(data_dir=tmp_path, postgres_url=postgres.database())
    services = fake_services()
    async with opened(settings.postgres_url.get_secret_value(), tmp_path) as persistence:
        runtime = Runtime(
            settings=settings,
            services=services,
            conversations=conversations(persistence),
            persistence=persistence,
            folder=tmp_path,
            on_call=OnCall(settings, services, tmp_path),
        )
        app = create_app(settings, runtime=runtime)
        app.state.runtime = runtime
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            assert (await http.get("/ready")).status_code == 200
            await asyncio.to_thread(postgres.stop)
            reply = await http.get("/ready")
            assert (reply.status_code, reply.json()["knowledge"]) == (503, "ok")
            assert reply.json()["threads"] in {"storage_unavailable", "timeout"}
            await asyncio.to_thread(postgres.start)
            await persistence.ping()
            assert (await http.get("/ready")).status_code == 200


async def test_a_frozen_server_is_told_in_seconds(postgres: Postgres, tmp_path: Path) -> None:
    """A server that takes connections and answers nothing is unavailable, not waited for."""
    async with opened(postgres.database(), tmp_path) as persistence:
        await persistence.ping()
        await asyncio.to_thread(postgres.freeze)
        began = time.perf_counter()
        try:
            with pytest.raises(StorageUnavailable):
                await persistence.ping()
            took = time.perf_counter() - began
        finally:
            await asyncio.to_thread(postgres.thaw)
        assert took < 20
        await persistence.ping()


@pytest.mark.parametrize("case", ["down", "password", "database", "frozen"])
async def test_a_server_that_cannot_be_used(postgres: Postgres, tmp_path: Path, case: str) -> None:
    """Starting says within seconds what is wrong and what to do, never the password."""
    url = postgres.database()
    if case == "down":
        await asyncio.to_thread(postgres.stop)
    if case == "frozen":
        await asyncio.to_thread(postgres.freeze)
    if case == "password":
        url = url.replace(PASSWORD, f"{PASSWORD}-wrong")
    if case == "database":
        url = postgres.url("nowhere")
    began = time.perf_counter()
    with pytest.raises(StorageError) as error:
        async with opened(url, tmp_path):
            pass
    assert time.perf_counter() - began < 20
    assert "ANTIPHON_POSTGRES_URL" in error.value.hint
    _tells_no_secret(error.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgres//antiphon:{PASSWORD}@127.0.0.1/x",
        f"postgresql://antiphon:{PASSWORD}@127.0.0.1:port/x",
        f"postgresql://antiphon:{PASSWORD}@127.0.0.1/x?nonsense={PASSWORD}",
        f"postgresql://antiphon:{PASSWORD}@127.0.0.1:1/x",
        f"password={PASSWORD} host=127.0.0.1 port=1 x",
    ],
)
async def test_a_url_that_cannot_be_read(tmp_path: Path, url: str) -> None:
    """A slip in the URL is an error of ours that names the variable and repeats nothing of it."""
    with pytest.raises((SettingsError, StorageError)) as error:
        async with opened(url, tmp_path):
            pass
    assert "ANTIPHON_POSTGRES_URL" in error.value.message + error.value.hint
    _tells_no_secret(error.value)


def _tells_no_secret(error: AntiphonError) -> None:
    """The whole chain of what a traceback would print."""
    seen: BaseException | None = error
    while seen is not None:
        assert PASSWORD not in f"{seen!r} {seen} {getattr(seen, 'hint', '')}"
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
