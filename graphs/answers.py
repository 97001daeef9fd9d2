"""Where cached answers live: a SQLite file, or Redis by a setting."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from langgraph.cache.base import BaseCache, FullKey, Namespace
from langgraph.checkpoint.serde.base import SerializerProtocol

from antiphon.graphs.persistence import (
    make_file,
    serializer,
    storage_errors,
)
from antiphon.graphs.settings import Settings
from antiphon.tools.cache import CachedAnswer
from antiphon.tools.errors import SettingsError
from antiphon.tools.turns.database import BUSY_S, PAUSES

if TYPE_CHECKING:
    from redis.asyncio import Redis

ANSWERS = "answers.db"
VARIABLE = "ANTIPHON_REDIS_URL"
PREFIX = "antiphon:answers:"
SOCKET_S = 0.5
"""How long Redis may take to connect or answer: what it saves is worth no more."""
BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What a sweep removed."""

    answers: int
    freed_bytes: int


class RedisAnswers(BaseCache[CachedAnswer]):
    """Answers in Redis, which forgets them by itself when their time is up.

    Asynchronous only: a synchronous call would hold up every other turn of the process.
    """

    def __init__(self, client: Redis, *, serde: SerializerProtocol) -> None:
        super().__init__(serde=serde)
        self._client = client

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, CachedAnswer]:
        """Return what is kept under the keys. Raises what the driver raises."""
        if not keys:
            return {}
        found = await self._client.mget([_name(key) for key in keys])
        return {key: self._read(raw) for key, raw in zip(keys, found, strict=True) if raw}

    async def aset(self, pairs: Mapping[FullKey, tuple[CachedAnswer, int | None]]) -> None:
        """Keep answers, each for so many seconds."""
        async with self._client.pipeline(transaction=False) as pipe:
            for key, (answer, ttl_s) in pairs.items():
                kind, packed = self.serde.dumps_typed(answer)
                pipe.set(_name(key), kind.encode() + b":" + packed, ex=ttl_s)
            await pipe.execute()

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Forget the answers of these tenants, or all."""
        patterns = [f"{_name((space, ''))}*" for space in namespaces or [()]]
        for pattern in patterns:
            batch: list[bytes] = []
            async for name in self._client.scan_iter(match=pattern, count=BATCH):
                batch.append(name)
                if len(batch) == BATCH:
                    await self._client.unlink(*batch)
                    batch.clear()
            if batch:
                await self._client.unlink(*batch)

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, CachedAnswer]:
        """Refuse."""
        raise NotImplementedError("use aget")

    def set(self, pairs: Mapping[FullKey, tuple[CachedAnswer, int | None]]) -> None:
        """Refuse."""
        raise NotImplementedError("use aset")

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Refuse."""
        raise NotImplementedError("use aclear")

    def _read(self, raw: bytes) -> CachedAnswer:
        kind, _, packed = raw.partition(b":")
        answer: CachedAnswer = self.serde.loads_typed((kind.decode(), packed))
        return answer


def open_cache(settings: Settings, folder: Path) -> BaseCache[CachedAnswer]:
    """Return the response cache: Redis when configured, else a SQLite file in the data folder.

    Blocking: opens a file. Raises SettingsError, StorageError.
    """
    url = settings.redis_url.get_secret_value()
    if url:
        return RedisAnswers(_client(url), serde=serializer())
    from langgraph.cache.sqlite import SqliteCache

    path = folder / ANSWERS
    make_file(path)
    for pause in PAUSES:
        try:
            cache = SqliteCache[CachedAnswer](path=str(path), serde=serializer())
            cache.get([(("",), "")])
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                break
            time.sleep(pause)
        except sqlite3.DatabaseError:
            # Every answer in it can be given again; the damaged file is kept for whoever wonders.
            with suppress(OSError):
                path.replace(path.with_name(f"{ANSWERS}.damaged"))
            make_file(path)
            break
        else:
            return cache
    with storage_errors(ANSWERS):
        return SqliteCache(path=str(path), serde=serializer())


async def prune_answers(folder: Path, *, dry_run: bool = False) -> Pruned:
    """Delete the answers in `folder` whose time is up, and give their room back to the disk.

    Redis does so by itself. Raises StorageError.
    """
    return await asyncio.to_thread(_prune, folder / ANSWERS, dry_run=dry_run)


def _prune(path: Path, *, dry_run: bool) -> Pruned:
    if not path.is_file():
        return Pruned(answers=0, freed_bytes=0)
    before = _size(path)
    now = time.time()
    with (
        storage_errors(ANSWERS),
        closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as db,
    ):
        if not db.execute("select 1 from sqlite_master where name = 'cache'").fetchone():
            return Pruned(answers=0, freed_bytes=0)
        gone, weigh = db.execute(
            "select count(*), coalesce(sum(length(val)), 0) from cache where expiry < ?", (now,)
        ).fetchone()
        if dry_run or not gone:
            return Pruned(answers=gone, freed_bytes=weigh)
        db.execute("delete from cache where expiry < ?", (now,))
        # Another process at work on the file keeps its size, not its rows.
        with suppress(sqlite3.OperationalError):
            db.execute("vacuum")
        # The file itself shrinks only when what stands in the log has been moved over.
        db.execute("pragma wal_checkpoint(truncate)")
    return Pruned(answers=gone, freed_bytes=max(0, before - _size(path)))


def _size(path: Path) -> int:
    """Return what a database takes up, with the log beside it."""
    log = path.with_name(f"{path.name}-wal")
    return sum(part.stat().st_size for part in (path, log) if part.exists())


def _client(url: str) -> Redis:
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise SettingsError(
            f"{VARIABLE} is set but the Redis driver is not installed",
            hint="pip install 'antiphon[redis]'",
        ) from error
    try:
        return Redis.from_url(
            url,
            socket_timeout=SOCKET_S,
            socket_connect_timeout=SOCKET_S,
            # Once: a connection that a restarted server no longer knows is made anew.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError:
        # The driver's own words may hold the password.
        raise SettingsError(
            f"{VARIABLE} cannot be read", hint="redis://[user:password@]host:port/number"
        ) from None


def _name(key: FullKey) -> str:
    """Return the name of a key; a tenant's id holds no slash."""
    space, digest = key
    return f"{PREFIX}{'/'.join(space)}{'/' if space else ''}{digest}"
