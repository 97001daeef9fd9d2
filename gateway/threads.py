"""Threads and runs over HTTP: a subset of the Agent Protocol, streaming by server-sent events."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from antiphon.gateway.validation import RunForm, read
from antiphon.graphs.threads import Conversations, Event
from antiphon.nodes.state import Context
from antiphon.tools.errors import AntiphonError


async def create(request: Request) -> Response:
    """POST /v1/threads: name a thread; it exists once its first run starts."""
    return JSONResponse({"thread_id": uuid.uuid4().hex[:12]}, status_code=201)


async def wait(request: Request) -> Response:
    """POST /v1/threads/{thread}/runs/wait: run a message or a decision and return the turn."""
    events = await _run(request)
    turn = None
    async for event in events:
        turn = event.turn or turn
    return JSONResponse(turn.as_json() if turn else None)


async def stream(request: Request) -> Response:
    """POST /v1/threads/{thread}/runs/stream: as wait, telling of each node and the answer."""
    return EventSourceResponse(_told(await begun(await _run(request))), sep="\n")


async def state(request: Request) -> Response:
    """GET /v1/threads/{thread}/state: the latest turn and the messages."""
    talk, context, thread = _who(request)
    turn = await talk.last(context=context, thread=thread)
    messages = await talk.messages(context=context, thread=thread)
    return JSONResponse({**turn.as_json(), "messages": messages})


async def history(request: Request) -> Response:
    """GET /v1/threads/{thread}/history: every checkpoint and what it changed."""
    talk, context, thread = _who(request)
    steps = await talk.steps(context=context, thread=thread)
    return JSONResponse(
        {
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
            ]
        }
    )


async def listed(request: Request) -> Response:
    """GET /v1/threads: the caller's threads."""
    talk, context, _ = _who(request)
    return JSONResponse({"threads": await talk.threads(context=context)})


async def delete(request: Request) -> Response:
    """DELETE /v1/threads/{thread}: forget a thread and all its checkpoints."""
    talk, context, thread = _who(request)
    await talk.delete(context=context, thread=thread)
    return Response(status_code=204)


async def begun(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    """Wait for the first event: what is refused before anything runs is refused by a status."""
    first = await anext(events)

    async def whole() -> AsyncIterator[Event]:
        yield first
        async for event in events:
            yield event

    return whole()


def _who(request: Request) -> tuple[Conversations, Context, str]:
    principal = request.state.principal
    context = Context(tenant=principal.tenant, user=principal.user)
    thread = str(request.path_params.get("thread", ""))
    return request.app.state.runtime.conversations, context, thread


async def _run(request: Request) -> AsyncIterator[Event]:
    form = await read(request, RunForm)
    talk, _, thread = _who(request)
    context = form.context.context(request.state.principal)
    decided = form.decision()
    if decided is not None:
        return talk.stream_decision(
            decided.approved, context=context, thread=thread, reason=decided.reason
        )
    return talk.stream(form.text(), context=context, thread=thread)


async def _told(events: AsyncIterator[Event]) -> AsyncIterator[dict[str, str]]:
    try:
        async for event in events:
            if event.kind == "node":
                yield _sse("node", {"node": event.node, "ms": event.ms})
            elif event.kind == "answer":
                yield _sse("answer", {"text": event.text})
            elif event.turn is not None:
                yield _sse("turn", event.turn.as_json())
    except AntiphonError as error:
        # The status line is long sent: the stream itself has to say what went wrong.
        yield _sse("error", {"code": error.code, "message": error.message, "hint": error.hint})


def _sse(kind: str, data: object) -> dict[str, str]:
    return {"event": kind, "data": json.dumps(data, ensure_ascii=False)}
