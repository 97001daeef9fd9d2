"""The gateway over real SQLite files and services that are fakes, and clients of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
from fakes import fake_services
from starlette.applications import Starlette

from antiphon.gateway.app import create_app
from antiphon.graphs.oncall import OnCall
from antiphon.graphs.persistence import open_persistence, storage_errors
from antiphon.graphs.runner import DEFAULT_PACE, Pace
from antiphon.graphs.runtime import Runtime, converse
from antiphon.graphs.services import Services
from antiphon.graphs.settings import Settings
from antiphon.tools.turns.store import SqlTurns


@asynccontextmanager
async def served(
    folder: Path,
    services: Services | None = None,
    *,
    keys: str = "",
    hosts: str = "",
    turns: type[SqlTurns] = SqlTurns,
    pace: Pace = DEFAULT_PACE,
) -> AsyncIterator[Starlette]:
    """The app; `turns` takes the place of the store of turns."""
    settings = Settings(data_dir=folder, api_keys=keys, allowed_hosts=hosts)
    used = services or fake_services()
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(open_persistence(settings, folder))
        persistence = replace(opened, turns=turns(opened.turns.database, errors=storage_errors))
        conversations = converse(used, persistence, pace=pace)
        stack.push_async_callback(conversations.runner.close)
        runtime = Runtime(
            settings=settings,
            services=used,
            conversations=conversations,
            folder=folder,
            on_call=OnCall(settings, used, folder),
            persistence=persistence,
        )
        app = create_app(settings, runtime=runtime)
        await stack.enter_async_context(app.router.lifespan_context(app))
        yield app


@asynccontextmanager
async def client(
    folder: Path,
    services: Services | None = None,
    *,
    keys: str = "",
    key: str = "",
    hosts: str = "",
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app of its own."""
    async with served(folder, services, keys=keys, hosts=hosts) as app, calling(app, key) as http:
        yield http


def calling(app: Starlette, key: str = "") -> httpx.AsyncClient:
    """Return a client of the app; errors come as responses, as over a socket."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
        base_url="http://localhost",
        headers={"x-api-key": key} if key else {},
    )


def events(body: str) -> list[tuple[str, dict[str, object]]]:
    """Parse server-sent events."""
    return [(kind, data) for _, kind, data in numbered(body)]


def numbered(body: str) -> list[tuple[int, str, dict[str, object]]]:
    """Parse server-sent events with their ids; one without an id has 0."""
    parsed = []
    for block in body.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if lines:
            parsed.append((int(lines.get("id", 0)), lines["event"], json.loads(lines["data"])))
    return parsed
