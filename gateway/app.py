"""The ASGI app: every route and every piece of middleware in one list."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from antiphon.gateway import feedback, openai, ops, threads
from antiphon.gateway.auth import Keys, keys_of, stranger
from antiphon.graphs.declared import PATIENCE_S, prepared
from antiphon.graphs.runtime import Runtime, open_runtime
from antiphon.graphs.settings import Settings, read_settings
from antiphon.graphs.tending import tend
from antiphon.tools.errors import (
    AntiphonError,
    Conflict,
    Forbidden,
    InputError,
    KnowledgeError,
    LeaseLost,
    ModelError,
    NotPending,
    StorageError,
    UnknownThread,
)

Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(
    settings: Settings | None = None,
    assistant: Path | None = None,
    *,
    runtime: Runtime | None = None,
) -> Starlette:
    """Return the gateway; `runtime` serves one that is already open (tests)."""
    configured = settings or read_settings()
    keys = keys_of(configured)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if runtime is not None:
            app.state.runtime = runtime
            yield
            return
        async with open_runtime(configured, assistant=assistant, patience_s=PATIENCE_S) as opened:
            app.state.runtime = opened
            # Everything slow happens before the first request: knowledge, embedder. What fails
            # is tried again by each turn, and /ready names it meanwhile.
            with suppress(AntiphonError):
                await prepared(opened.services.knowledge, "default")
            tending = asyncio.create_task(tend(opened))
            try:
                yield
            finally:
                tending.cancel()

    guarded = _guard(keys)
    hosts = [host.strip() for host in configured.allowed_hosts.split(",") if host.strip()]
    thread = "/v1/threads/{thread}"
    return Starlette(
        routes=[
            Route("/v1/threads", guarded(threads.create), methods=["POST"]),
            Route("/v1/threads", guarded(threads.listed), methods=["GET"]),
            Route(thread, guarded(threads.delete), methods=["DELETE"]),
            Route(f"{thread}/runs/wait", guarded(threads.wait), methods=["POST"]),
            Route(f"{thread}/runs/stream", guarded(threads.stream), methods=["POST"]),
            Route(f"{thread}/runs/{{turn}}/stream", guarded(threads.follow), methods=["GET"]),
            Route(f"{thread}/runs/{{turn}}/cancel", guarded(threads.cancel), methods=["POST"]),
            Route(f"{thread}/runs/{{turn}}/feedback", guarded(feedback.give), methods=["POST"]),
            Route(f"{thread}/state", guarded(threads.state), methods=["GET"]),
            Route(f"{thread}/history", guarded(threads.history), methods=["GET"]),
            Route("/v1/models", guarded(openai.models), methods=["GET"]),
            Route("/v1/chat/completions", guarded(openai.completions), methods=["POST"]),
            Route("/health", ops.health, methods=["GET"]),
            Route("/ready", ops.ready, methods=["GET"]),
            Route("/metrics", ops.metrics, methods=["GET"]),
            Route("/incidents", guarded(ops.incidents), methods=["GET"]),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts or ["*"], www_redirect=False)
            if keys
            else Middleware(ThisMachineOnly)
        ],
        lifespan=lifespan,
        exception_handlers={AntiphonError: _told, HTTPException: _http, Exception: _unforeseen},
    )


class ThisMachineOnly:
    """Lets nobody else in where no key is asked for, nor a web page that this machine shows."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or answer it with 403."""
        if scope["type"] == "http":
            why = stranger(HTTPConnection(scope))
            if why:
                reply = _error(
                    403, "forbidden", f"the request is refused: {why}",
                    "Without API keys only this machine is served, as localhost and without a "
                    "proxy. Set ANTIPHON_API_KEYS to serve others.",
                )  # fmt: skip
                await reply(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _guard(keys: Keys) -> Callable[[Endpoint], Endpoint]:
    """Let only verified callers through; with no key configured everyone is the default tenant."""

    def guarded(endpoint: Endpoint) -> Endpoint:
        async def admit(request: Request) -> Response:
            principal = keys.identify(request.headers)
            if principal is None:
                reply = _error(
                    401, "unauthorised", "a valid API key is needed",
                    "Send Authorization: Bearer KEY or x-api-key.",
                )  # fmt: skip
                reply.headers["www-authenticate"] = "Bearer"
                return reply
            request.state.principal = principal
            return await endpoint(request)

        return admit

    return guarded


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, AntiphonError)  # noqa: S101
    status = 500
    for kind, code in _STATUS.items():
        if isinstance(error, kind):
            status = code
            break
    waits = error.pending if isinstance(error, NotPending) else None
    more = {"interrupt": waits} if waits else {}
    reply = _error(status, error.code, error.message, error.hint, **more)
    if error.retryable:
        reply.headers["retry-after"] = "1"
    return reply


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    code = _CODES.get(error.status_code, "http")
    return _error(error.status_code, code, str(error.detail), "")


async def _unforeseen(request: Request, error: Exception) -> Response:
    return _error(500, "internal", f"an unexpected {type(error).__name__} was raised", "")


def _error(status: int, code: str, message: str, hint: str, **more: object) -> Response:
    body = {"error": {"code": code, "message": message, "hint": hint}, **more}
    return JSONResponse(body, status_code=status)


_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}
_STATUS: dict[type[AntiphonError], int] = {
    UnknownThread: 404,
    Forbidden: 403,
    Conflict: 409,
    InputError: 400,
    LeaseLost: 409,
    StorageError: 503,
    KnowledgeError: 503,
    ModelError: 502,
}
"""First match wins: narrower kinds stand first."""
