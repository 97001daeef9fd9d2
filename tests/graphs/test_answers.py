"""Where cached answers live: Redis that is truly asynchronous, a file that is swept."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from fakes import fake_services
from langchain_core.messages import HumanMessage
from langgraph.cache.base import BaseCache
from processes import free_ports
from redis_process import Redis

from antiphon.graphs.answers import ANSWERS, Pruned, RedisAnswers, open_cache, prune_answers
from antiphon.graphs.compiled import compile_conversation
from antiphon.graphs.settings import Settings
from antiphon.nodes.state import Context, Input
from antiphon.tools.cache import CachedAnswer
from antiphon.tools.errors import SettingsError, StorageError

QUESTION = "How long can I take to return a lamp?"
KEY = (("acme",), "k1")
ANSWER = CachedAnswer(
    answer="Within 30 days.",
    citations=[],  # type: ignore[arg-type]  # as the serialiser brings it back
    model="extractive",
    retrieval_confidence=0.9,
    support=1.0,
    intent="help",
)


@asynccontextmanager
async def answers(url: str, folder: Path) -> AsyncIterator[RedisAnswers]:
    cache = await asyncio.to_thread(open_cache, Settings(redis_url=url), folder)
    assert isinstance(cache, RedisAnswers)
    try:
        yield cache
    finally:
        await cache.close()


async def turn(cache: BaseCache[CachedAnswer]) -> tuple[bool, str, list[str]]:
    graph = compile_conversation(fake_services(cache=cache))
    given: Input = {"messages": [HumanMessage(content=QUESTION)]}
    said = await graph.ainvoke(
        given,
        context=Context(tenant="acme"),
        output_keys=["cached", "outcome", "trail"],
    )
    return said["cached"], said["outcome"], [step["node"] for step in said["trail"]]


@pytest.mark.redis
async def test_redis_keeps_answers_and_forgets_them(redis: Redis, tmp_path: Path) -> None:
    """An answer comes back with its types, for its tenant, until its time is up."""
    async with answers(redis.url, tmp_path / "data") as cache:
        other = (("rival",), "k1")
        await cache.aset({KEY: (ANSWER, 60), other: (ANSWER, 1)})
        assert await cache.aget([KEY, (("acme",), "k2")]) == {KEY: ANSWER}
        assert await cache.aget([]) == {}
        await asyncio.sleep(1.1)
        assert await cache.aget([other]) == {}
        await cache.aset({other: (ANSWER, 60)})
        await cache.aclear([("acme",)])
        assert await cache.aget([KEY, other]) == {other: ANSWER}
        await cache.aclear()
        assert await cache.aget([other]) == {}
    assert not (tmp_path / "data").exists()


@pytest.mark.redis
async def test_a_frozen_redis_holds_up_neither_the_loop_nor_the_turn(
    redis: Redis, tmp_path: Path
) -> None:
    """Look-ups become misses within a second, and other work goes on meanwhile."""
    gaps: list[float] = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            gaps.append(time.perf_counter() - before)

    async with answers(redis.url, tmp_path) as cache:
        await turn(cache)
        watching = asyncio.create_task(watch())
        redis.freeze()
        began = time.perf_counter()
        cached, outcome, _ = await turn(cache)
        took = time.perf_counter() - began
        redis.thaw()
        watching.cancel()
        assert (cached, outcome) == (False, "answered")
        assert took < 2.5
        assert max(gaps) < 0.4
        assert (await turn(cache))[0]


@pytest.mark.redis
async def test_a_restarted_redis_is_used_again(redis: Redis, tmp_path: Path) -> None:
    """A server that is gone means misses and whole turns; one that is back is used."""
    async with answers(redis.url, tmp_path) as cache:
        await cache.aclear()
        assert [(await turn(cache))[0] for _ in range(2)] == [False, True]
        redis.stop()
        cached, outcome, path = await turn(cache)
        assert (cached, outcome, "recover" in path) == (False, "answered", False)
        redis.start()
        assert [(await turn(cache))[0] for _ in range(2)] == [False, True]


async def test_no_redis_at_all(tmp_path: Path) -> None:
    """A server that never was costs the cache and not the turn."""
    async with answers(f"redis://127.0.0.1:{free_ports(1)[0]}/0", tmp_path) as cache:
        cached, outcome, path = await turn(cache)
    assert (cached, outcome, "recover" in path) == (False, "answered", False)


@pytest.mark.parametrize("url", ["http://u:hunter2@h", "redis://u:hunter2@h:port/0"])
def test_a_redis_url_that_cannot_be_read(tmp_path: Path, url: str) -> None:
    """A slip is an error of ours that names the variable and repeats no password."""
    with pytest.raises(SettingsError, match="ANTIPHON_REDIS_URL") as error:
        open_cache(Settings(redis_url=url), tmp_path)
    assert "hunter2" not in f"{error.value}{error.value.hint}"
    assert error.value.__suppress_context__


async def test_the_file_does_not_hold_up_the_loop(tmp_path: Path) -> None:
    """While another process holds answers.db, the loop goes on."""
    cache = open_cache(Settings(), tmp_path)
    with closing(sqlite3.connect(tmp_path / ANSWERS, isolation_level=None)) as other:
        other.execute("begin exclusive")
        keeping = asyncio.create_task(cache.aset({KEY: (ANSWER, 60)}))
        began = time.perf_counter()
        await asyncio.sleep(0.05)
        assert time.perf_counter() - began < 0.3
        assert not keeping.done()
        other.execute("rollback")
        await keeping
    assert await cache.aget([KEY]) == {KEY: ANSWER}


async def test_expired_answers_are_swept(tmp_path: Path) -> None:
    """Rows whose time is up go, without anyone asking for them again, and the file shrinks."""
    cache = open_cache(Settings(), tmp_path)
    long = CachedAnswer(**{**ANSWER._asdict(), "answer": "word " * 2000})  # type: ignore[arg-type]
    await cache.aset({(("acme",), f"old{n}"): (long, 0) for n in range(200)})
    await cache.aset({KEY: (ANSWER, 60), (("acme",), "for ever"): (ANSWER, None)})
    await asyncio.sleep(0.01)
    would = await prune_answers(tmp_path, dry_run=True)
    assert (would.answers, would.freed_bytes > 1_000_000) == (200, True)
    done = await prune_answers(tmp_path)
    assert done.answers == 200
    assert done.freed_bytes > 1_000_000
    assert await cache.aget([KEY]) == {KEY: ANSWER}
    with closing(sqlite3.connect(tmp_path / ANSWERS)) as db:
        assert db.execute("select count(*) from cache").fetchone() == (2,)
    assert await prune_answers(tmp_path) == Pruned(answers=0, freed_bytes=0)


async def test_nothing_to_sweep(tmp_path: Path) -> None:
    """No file, or one that nothing was ever written to, is swept in no time."""
    assert (await prune_answers(tmp_path)).answers == 0
    (tmp_path / ANSWERS).touch()
    assert (await prune_answers(tmp_path)).answers == 0
    (tmp_path / ANSWERS).write_bytes(b"this was a database once " * 400)
    with pytest.raises(StorageError):
        await prune_answers(tmp_path)
