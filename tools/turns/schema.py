"""The tables, as numbered migrations: each runs once, under a lock, on either database."""

from __future__ import annotations

import asyncio
import hashlib

from antiphon.tools.errors import StorageError
from antiphon.tools.turns.database import Database, Transaction

LOCK = 4_711_208
"""Names our migrations among PostgreSQL's advisory locks."""
FENCED = "antiphon: the lease of this thread is lost"
"""What the database says to a runner that comes too late."""

_TABLES = (
    """
    CREATE TABLE antiphon_threads (
        key TEXT PRIMARY KEY,
        tenant TEXT NOT NULL,
        id TEXT NOT NULL,
        owner TEXT NOT NULL,
        title TEXT NOT NULL DEFAULT '',
        state TEXT NOT NULL DEFAULT 'open',
        head TEXT NOT NULL DEFAULT '',
        created DOUBLE PRECISION NOT NULL,
        updated DOUBLE PRECISION NOT NULL,
        turns BIGINT NOT NULL DEFAULT 0,
        holder TEXT NOT NULL DEFAULT '',
        token BIGINT NOT NULL DEFAULT 0,
        until DOUBLE PRECISION NOT NULL DEFAULT 0,
        ttl DOUBLE PRECISION NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX antiphon_threads_listed ON antiphon_threads (tenant, owner, updated, id)",
    "CREATE INDEX antiphon_threads_held ON antiphon_threads (until) WHERE holder <> ''",
    "CREATE INDEX antiphon_threads_aged ON antiphon_threads (updated)",
    "CREATE INDEX antiphon_threads_heads ON antiphon_threads (tenant, owner, head)"
    " WHERE head <> ''",
    """
    CREATE TABLE antiphon_turns (
        id TEXT PRIMARY KEY,
        tenant TEXT NOT NULL,
        thread TEXT NOT NULL,
        owner TEXT NOT NULL,
        seq BIGINT NOT NULL,
        kind TEXT NOT NULL,
        request_key TEXT NOT NULL DEFAULT '',
        digest TEXT NOT NULL DEFAULT '',
        knobs TEXT NOT NULL DEFAULT '{}',
        state TEXT NOT NULL,
        token BIGINT NOT NULL DEFAULT 0,
        until DOUBLE PRECISION NOT NULL DEFAULT 0,
        ttl DOUBLE PRECISION NOT NULL DEFAULT 0,
        stop BIGINT NOT NULL DEFAULT 0,
        outcome TEXT NOT NULL DEFAULT '',
        result TEXT,
        checkpoint TEXT NOT NULL DEFAULT '',
        created DOUBLE PRECISION NOT NULL,
        started DOUBLE PRECISION NOT NULL DEFAULT 0,
        ended DOUBLE PRECISION NOT NULL DEFAULT 0
    )
    """,
    "CREATE UNIQUE INDEX antiphon_turns_placed ON antiphon_turns (tenant, thread, seq)",
    "CREATE INDEX antiphon_turns_states ON antiphon_turns (tenant, thread, state)",
    "CREATE UNIQUE INDEX antiphon_turns_keyed ON antiphon_turns (tenant, owner, request_key)"
    " WHERE request_key <> ''",
    """
    CREATE TABLE antiphon_calls (
        turn TEXT NOT NULL,
        token BIGINT NOT NULL,
        number BIGINT NOT NULL,
        purpose TEXT NOT NULL,
        model TEXT NOT NULL,
        input_tokens BIGINT NOT NULL,
        output_tokens BIGINT NOT NULL,
        cost_usd DOUBLE PRECISION NOT NULL,
        ok BIGINT NOT NULL,
        PRIMARY KEY (turn, token, number)
    )
    """,
    """
    CREATE TABLE antiphon_effects (
        tenant TEXT NOT NULL,
        key TEXT NOT NULL,
        thread TEXT NOT NULL,
        turn TEXT NOT NULL,
        tool TEXT NOT NULL,
        arguments TEXT NOT NULL,
        state TEXT NOT NULL,
        token BIGINT NOT NULL,
        attempts BIGINT NOT NULL DEFAULT 0,
        result TEXT,
        created DOUBLE PRECISION NOT NULL,
        updated DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (tenant, key)
    )
    """,
    "CREATE INDEX antiphon_effects_threads ON antiphon_effects (tenant, thread, created)",
    """
    CREATE TABLE antiphon_decisions (
        tenant TEXT NOT NULL,
        thread TEXT NOT NULL,
        interrupt_id TEXT NOT NULL,
        turn TEXT NOT NULL,
        tool TEXT NOT NULL,
        arguments TEXT NOT NULL,
        approved BIGINT NOT NULL,
        decided_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        decided_at DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (tenant, thread, interrupt_id, turn)
    )
    """,
)

# A checkpoint that names a lease is taken only while that lease holds, and nothing is written for
# a deleted thread: a runner that was taken for dead, or whose thread is gone, cannot write over
# what came after it.
_FENCE = {
    "sqlite": (
        f"""
        CREATE TRIGGER IF NOT EXISTS antiphon_fence BEFORE INSERT ON checkpoints
        WHEN json_extract(CAST(NEW.metadata AS TEXT), '$.lease') IS NOT NULL
        BEGIN
            SELECT RAISE(ROLLBACK, '{FENCED}') WHERE NOT EXISTS (
                SELECT 1 FROM antiphon_threads
                WHERE key = NEW.thread_id AND state <> 'deleted'
                AND token = json_extract(CAST(NEW.metadata AS TEXT), '$.lease')
            );
        END
        """,
        f"""
        CREATE TRIGGER IF NOT EXISTS antiphon_fence_writes BEFORE INSERT ON writes
        BEGIN
            SELECT RAISE(ROLLBACK, '{FENCED}') WHERE EXISTS (
                SELECT 1 FROM antiphon_threads WHERE key = NEW.thread_id AND state = 'deleted'
            );
        END
        """,
    ),
    "postgres": (
        f"""
        CREATE OR REPLACE FUNCTION antiphon_fence() RETURNS trigger AS $$
        BEGIN
            IF NOT EXISTS (
                SELECT 1 FROM antiphon_threads
                WHERE key = NEW.thread_id AND state <> 'deleted'
                AND token = (NEW.metadata->>'lease')::bigint
                FOR SHARE
            ) THEN
                RAISE EXCEPTION '{FENCED}';
            END IF;
            RETURN NEW;
        END $$ LANGUAGE plpgsql
        """,
        f"""
        CREATE OR REPLACE FUNCTION antiphon_fence_writes() RETURNS trigger AS $$
        DECLARE stands TEXT;
        BEGIN
            SELECT state INTO stands FROM antiphon_threads WHERE key = NEW.thread_id FOR SHARE;
            IF stands = 'deleted' THEN
                RAISE EXCEPTION '{FENCED}';
            END IF;
            RETURN NEW;
        END $$ LANGUAGE plpgsql
        """,
        """
        CREATE OR REPLACE TRIGGER antiphon_fence BEFORE INSERT ON checkpoints
        FOR EACH ROW WHEN (NEW.metadata->>'lease' IS NOT NULL) EXECUTE FUNCTION antiphon_fence()
        """,
        """
        CREATE OR REPLACE TRIGGER antiphon_fence_writes BEFORE INSERT ON checkpoint_writes
        FOR EACH ROW EXECUTE FUNCTION antiphon_fence_writes()
        """,
        """
        CREATE OR REPLACE TRIGGER antiphon_fence_blobs BEFORE INSERT ON checkpoint_blobs
        FOR EACH ROW EXECUTE FUNCTION antiphon_fence_writes()
        """,
    ),
}

_LINE = (
    "CREATE INDEX antiphon_turns_line ON antiphon_turns (until) WHERE state = 'queued'",
    "ALTER TABLE antiphon_turns ADD COLUMN tries BIGINT NOT NULL DEFAULT 0",
)

_CANDIDATES = (
    """
    CREATE TABLE antiphon_candidates (
        tenant TEXT NOT NULL,
        id TEXT NOT NULL,
        key TEXT NOT NULL,
        origin TEXT NOT NULL,
        thread TEXT NOT NULL,
        turn TEXT NOT NULL,
        owner TEXT NOT NULL,
        rating BIGINT NOT NULL,
        comment TEXT NOT NULL,
        answer TEXT NOT NULL,
        example TEXT NOT NULL,
        state TEXT NOT NULL,
        created DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (tenant, id)
    )
    """,
    "CREATE INDEX antiphon_candidates_threads ON antiphon_candidates (tenant, thread)",
    "CREATE INDEX antiphon_candidates_listed ON antiphon_candidates (tenant, state, created)",
)

MIGRATIONS = (_TABLES, _LINE, _CANDIDATES)
"""The statements of each version, from 1 on; what has landed is never edited."""


CHECKPOINTS = {
    "sqlite": ("checkpoints", "writes"),
    "postgres": ("checkpoints", "checkpoint_writes", "checkpoint_blobs"),
}
"""The checkpointer's tables, by dialect; a thread's rows have its key as `thread_id`."""
_TABLES_THERE = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgres": "SELECT tablename AS name FROM pg_tables"
    " WHERE schemaname = ANY(current_schemas(false))",
}


def checkpoint_tables(database: Database) -> Transaction[list[str]]:
    """Return the tables of checkpoints that lie in the same database."""
    rows = yield _TABLES_THERE[database.dialect], ()
    there = {row["name"] for row in rows}
    return [name for name in CHECKPOINTS[database.dialect] if name in there]


_STANDS = """
SELECT obj_description(to_regproc('antiphon_fence')::oid, 'pg_proc') AS digest,
    (SELECT COUNT(*) FROM pg_trigger WHERE starts_with(tgname::text, 'antiphon_fence')
        AND tgrelid IN (to_regclass('checkpoints'), to_regclass('checkpoint_writes'),
            to_regclass('checkpoint_blobs'))) AS triggers
"""
"""Which release set the fence, and on how many tables it stands."""
DEADLOCK = "40P01"
"""SQLSTATE of a transaction that was given up so that another could go on."""
PAUSES = (0.1, 0.3, 1.0, 3.0)


async def migrate(database: Database) -> int:
    """Bring the tables up to this release and return their version; safe to run at once.

    Raises StorageError for tables of a later release, and what the driver raises.
    """
    return await database.run(_migrate(database))


async def fence(database: Database) -> None:
    """Have the database itself hold runners to their leases; the checkpointer's tables must exist.

    Raises what the driver raises.
    """
    for pause in (*PAUSES, None):
        try:
            return await database.run(_fenced(database))
        except Exception as error:
            # Whoever runs turns meanwhile holds the tables in another order than triggers are set.
            if pause is None or getattr(error, "sqlstate", None) != DEADLOCK:
                raise
        await asyncio.sleep(pause)
    return None


def _fenced(database: Database) -> Transaction[None]:
    yield from _alone(database)
    statements = _FENCE[database.dialect]
    if database.dialect != "postgres":
        for statement in statements:
            yield statement, ()
        return
    # A replica that starts changes nothing that stands: to set a trigger waits for every turn.
    digest = hashlib.sha256("".join(statements).encode()).hexdigest()
    rows = yield _STANDS, ()
    standing = int(rows[0]["triggers"]) == len(CHECKPOINTS["postgres"])
    if standing and rows[0]["digest"] == digest:
        return
    for statement in statements:
        # A function is replaced beside running turns; a trigger needs the table to itself.
        if not (standing and "TRIGGER antiphon_fence" in statement):
            yield statement, ()
    yield f"COMMENT ON FUNCTION antiphon_fence() IS '{digest}'", ()


def _alone(database: Database) -> Transaction[None]:
    """Keep others from migrating meanwhile; SQLite's transactions are alone anyway."""
    if database.dialect == "postgres":
        yield f"SELECT pg_advisory_xact_lock({LOCK})", ()


def _migrate(database: Database) -> Transaction[int]:
    yield from _alone(database)
    yield (
        "CREATE TABLE IF NOT EXISTS antiphon_migrations"
        " (version BIGINT PRIMARY KEY, at DOUBLE PRECISION NOT NULL)",
        (),
    )
    rows = yield "SELECT COALESCE(MAX(version), 0) AS version FROM antiphon_migrations", ()
    version = int(rows[0]["version"])
    if version > len(MIGRATIONS):
        raise StorageError(
            f"the records of turns are of version {version}; this release reads up to"
            f" {len(MIGRATIONS)}",
            hint="Update Antiphon, or give this one a data folder or database of its own.",
        )
    for number, statements in enumerate(MIGRATIONS, start=1):
        if number <= version:
            continue
        for statement in statements:
            yield statement, ()
        yield f"INSERT INTO antiphon_migrations VALUES (?, {database.now})", (number,)
        version = number
    return version
