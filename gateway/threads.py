"""Threads and runs over HTTP: a subset of the Agent Protocol, streaming by server-sent events.

A turn runs on when its client leaves: whoever comes back follows it by its id, or sends the same
`Idempotency-Key` again. A client that wants its turn stopped says so, at once (`cancel`) or
beforehand (`on_disconnect: cancel`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator

from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from antiphon.gateway.auth import DEBUG
from antiphon.gateway.validation import RunForm, limit_of, read, request_key
from antiphon.graphs.history import History
from antiphon.graphs.runner import Event, Turning
from antiphon.graphs.threads import Conversations
from antiphon.graphs.turning import outcome
from antiphon.nodes.state import Context
from antiphon.tools.errors import AntiphonError, Forbidden, InputError

MOST_THREADS = 200
MOST_DIGITS = 12


async def create(request: Request) -> Response:
    """POST /v1/threads: name a thread; it exists once its first run starts."""
    return JSONResponse({"thread_id": uuid.uuid4().hex[:12]}, status_code=201)


async def wait(request: Request) -> Response:
    """POST /v1/threads/{thread}/runs/wait: run a message or a decision and return the turn."""
    turning, _ = await _started(request)
    return JSONResponse((await outcome(turning.follow())).as_json())


async def stream(request: Request) -> Response:
    """POST /v1/threads/{thread}/runs/stream: as wait, telling of each node and the answer."""
    turning, form = await _started(request)
    talk, _, _ = _who(request)
    return await _streamed(talk, turning, 0, cancel=form.on_disconnect == "cancel")


async def follow(request: Request) -> Response:
    """GET /v1/threads/{thread}/runs/{turn}/stream: go on following, after Last-Event-ID."""
    talk, context, thread = _who(request)
    last = request.headers.get("last-event-id", "0")
    if not last.isdecimal() or len(last) > MOST_DIGITS:
        raise InputError(f"Last-Event-ID cannot be {last[:20]!r}", hint="Send the last id seen.")
    turn = str(request.path_params["turn"])
    turning = await talk.follow(context=context, thread=thread, turn=turn)
    return await _streamed(talk, turning, int(last), cancel=False)


async def cancel(request: Request) -> Response:
    """POST /v1/threads/{thread}/runs/{turn}/cancel: stop a turn, wherever it runs."""
    talk, context, thread = _who(request)
    await talk.cancel(context=context, thread=thread, turn=str(request.path_params["turn"]))
    return Response(status_code=204)


async def state(request: Request) -> Response:
    """GET /v1/threads/{thread}/state: the latest turn and the messages."""
    talk, context, thread = _who(request)
    turn = await talk.last(context=context, thread=thread)
    messages = await talk.messages(context=context, thread=thread)
    return JSONResponse({**turn.as_json(), "messages": messages})


async def history(request: Request) -> Response:
    """GET /v1/threads/{thread}/history: the steps, turns, effects and decisions (scope debug)."""
    talk, context, thread = _who(request)
    if DEBUG not in request.state.principal.scopes:
        raise Forbidden(
            "the steps of a turn need the scope debug",
            hint="ANTIPHON_API_KEYS=key=tenant/user+debug gives it to a key.",
        )
    steps = await History(talk).steps(context=context, thread=thread)
    records = await talk.records(context=context, thread=thread)
    return JSONResponse(
        {
            **records,
            "steps": [
                {
                    "step": step.step,
                    "checkpoint_id": step.checkpoint_id,
                    "node": step.node,
                    "next": list(step.next),
                    "changed": {name: list(pair) for name, pair in step.changed.items()},
                    "ms": step.ms,
                }
                for step in steps
            ],
        }
    )


async def listed(request: Request) -> Response:
    """GET /v1/threads?limit=N&before=PAGE: the caller's threads, latest first."""
    talk, context, _ = _who(request)
    limit = limit_of(request, default=50, most=MOST_THREADS)
    before = request.query_params.get("before", "")
    page = await talk.threads(context=context, limit=limit, before=before)
    return JSONResponse(
        {
            "threads": [record.id for record in page.threads],
            "records": [
                {
                    "thread_id": record.id,
                    "title": record.title,
                    "created": record.created,
                    "updated": record.updated,
                    "waiting": record.waiting,
                }
                for record in page.threads
            ],
            "next": page.next,
        }
    )


async def delete(request: Request) -> Response:
    """DELETE /v1/threads/{thread}: forget a thread and all that was kept of it."""
    talk, context, thread = _who(request)
    await talk.delete(context=context, thread=thread)
    return Response(status_code=204)


async def begun(turning: Turning, after: int = 0) -> AsyncGenerator[Event, None]:
    """Wait for the first event: what is refused before anything runs is refused by a status."""
    events = turning.follow(after)
    first = await anext(events, None)
    while first is not None and first.kind == "waiting":
        first = await anext(events, None)

    async def whole() -> AsyncGenerator[Event, None]:
        try:
            if first is not None:
                yield first
            async for event in events:
                yield event
        finally:
            await events.aclose()

    return whole()


def _who(request: Request) -> tuple[Conversations, Context, str]:
    principal = request.state.principal
    context = Context(tenant=principal.tenant, user=principal.user)
    thread = str(request.path_params.get("thread", ""))
    return request.app.state.runtime.conversations, context, thread


async def _started(request: Request) -> tuple[Turning, RunForm]:
    form = await read(request, RunForm)
    talk, _, thread = _who(request)
    context = form.context.context(request.state.principal)
    key, decided = request_key(request), form.decision()
    if decided is None:
        turning = await talk.start(form.text(), context=context, thread=thread, request_key=key)
        return turning, form
    turning = await talk.start_decision(
        decided.approved,
        context=context,
        thread=thread,
        interrupt_id=decided.interrupt_id,
        arguments=decided.arguments,
        reason=decided.reason,
        request_key=key,
    )
    return turning, form


async def _streamed(talk: Conversations, turning: Turning, after: int, *, cancel: bool) -> Response:
    events = await begun(turning, after)

    async def told() -> AsyncIterator[dict[str, str]]:
        try:
            async for event in events:
                yield _sse(event)
        except AntiphonError as error:
            # The status line is long sent: the stream itself has to say what went wrong.
            body = {"code": error.code, "message": error.message, "hint": error.hint}
            yield {"event": "error", "data": json.dumps(body, ensure_ascii=False)}
        finally:
            await events.aclose()
            if cancel:
                # Another connection may follow the same turn.
                await talk.runner.left(turning)

    return EventSourceResponse(told(), sep="\n", headers={"x-turn-id": turning.entry.id})


def _sse(event: Event) -> dict[str, str]:
    data: object
    if event.kind == "node":
        data = {"node": event.node, "ms": event.ms}
    elif event.kind == "turn" and event.turn is not None:
        data = event.turn.as_json()
    elif event.kind == "resumed":
        data = {"turn_id": event.text}
    else:
        data = {"text": event.text}
    return {"id": str(event.id), "event": event.kind, "data": json.dumps(data, ensure_ascii=False)}
