"""What operations ask for: is it alive, may it get traffic, what are the figures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from antiphon.gateway.validation import limit_of
from antiphon.graphs.declared import DeclaredKnowledge
from antiphon.graphs.runtime import Runtime
from antiphon.tools.errors import AntiphonError
from antiphon.tools.retrieval import Knowledge
from antiphon.tools.telemetry.incidents import INCIDENTS, IncidentLog
from antiphon.tools.telemetry.metrics import Metrics

READY_S = 3.0
NOBODY = "readiness-probe"
MOST_INCIDENTS = 1000


async def health(request: Request) -> Response:
    """GET /health: the process answers."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """GET /ready: threads and knowledge answer too; 503 names what does not."""
    runtime: Runtime = request.app.state.runtime
    checks = {
        "threads": runtime.persistence.ping(),
        "knowledge": _searchable(runtime.services.knowledge),
    }
    said = dict(zip(checks, await asyncio.gather(*map(_said, checks.values())), strict=True))
    ok = all(said[name] == "ok" for name in said)
    return JSONResponse({"ready": ok, **said}, status_code=200 if ok else 503)


async def metrics(request: Request) -> Response:
    """GET /metrics: Prometheus's text form."""
    body, kind = await asyncio.to_thread(Metrics().page)
    return Response(body, media_type=kind)


async def incidents(request: Request) -> Response:
    """GET /incidents?limit=N: the latest, newest first."""
    runtime: Runtime = request.app.state.runtime
    limit = limit_of(request, default=20, most=MOST_INCIDENTS)
    found = await IncidentLog(runtime.folder / INCIDENTS).read(limit=limit)
    return JSONResponse({"incidents": [incident.summary() for incident in found]})


async def _searchable(knowledge: Knowledge) -> None:
    if isinstance(knowledge, DeclaredKnowledge):
        await knowledge.ready("default")
        knowledge = knowledge.stored
    # Of a tenant that has nothing: the server or file answers, and no passage is counted.
    await knowledge.inventory(tenant=NOBODY)


async def _said(check: Awaitable[object]) -> str:
    """Return `ok`, or what is wrong in a word."""
    asked = asyncio.ensure_future(check)
    # Not a timeout around it: a driver may take seconds more to call off what it began.
    await asyncio.wait({asked}, timeout=READY_S)
    if not asked.done():
        asked.cancel()
        return "timeout"
    error = asked.exception()
    if error is None:
        return "ok"
    return error.code if isinstance(error, AntiphonError) else "internal"
