"""What operations ask for: is it alive, may it get traffic, what are the figures."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from antiphon.graphs.assembly import INCIDENTS, Runtime
from antiphon.nodes.state import Context
from antiphon.tools.errors import AntiphonError, InputError
from antiphon.tools.telemetry.incidents import IncidentLog
from antiphon.tools.telemetry.metrics import Metrics

READY_S = 3.0
MOST_INCIDENTS = 1000


async def health(request: Request) -> Response:
    """GET /health: the process answers."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """GET /ready: threads and knowledge answer too; 503 names what does not."""
    runtime: Runtime = request.app.state.runtime
    checks = {"threads": _threads(runtime), "knowledge": _knowledge(runtime)}
    said = dict(zip(checks, await asyncio.gather(*checks.values()), strict=True))
    ok = all(said[name] == "ok" for name in said)
    return JSONResponse({"ready": ok, **said}, status_code=200 if ok else 503)


async def metrics(request: Request) -> Response:
    """GET /metrics: Prometheus's text form."""
    body, kind = Metrics().page()
    return Response(body, media_type=kind)


async def incidents(request: Request) -> Response:
    """GET /incidents?limit=N: the latest, newest first."""
    runtime: Runtime = request.app.state.runtime
    asked = request.query_params.get("limit", "20")
    if not asked.isdecimal() or not 1 <= int(asked) <= MOST_INCIDENTS:
        raise InputError(f"limit cannot be {asked[:20]!r}", hint=f"1 to {MOST_INCIDENTS}.")
    found = await IncidentLog(runtime.folder / INCIDENTS).read(limit=int(asked))
    return JSONResponse({"incidents": [incident.summary() for incident in found]})


async def _threads(runtime: Runtime) -> str:
    try:
        async with asyncio.timeout(READY_S):
            await runtime.conversations.threads(context=Context(tenant="readiness-probe"))
    except (AntiphonError, TimeoutError) as error:
        return getattr(error, "code", "timeout")
    return "ok"


async def _knowledge(runtime: Runtime) -> str:
    try:
        async with asyncio.timeout(READY_S):
            await runtime.services.knowledge.inventory(tenant="default")
    except (AntiphonError, TimeoutError) as error:
        return getattr(error, "code", "timeout")
    return "ok"
