"""/v1/chat/completions, so that any OpenAI client or chat interface can talk to the conversation.

Such clients send the whole history each time. A client that names its thread (`x-thread-id`) is
continued; for one that does not, a thread is made, with the earlier messages passed through the
input rail first.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from pydantic import JsonValue
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from antiphon.gateway.threads import begun
from antiphon.gateway.validation import ChatForm, Knobs, Message, read
from antiphon.graphs.assembly import Runtime
from antiphon.graphs.threads import Event
from antiphon.graphs.turns import Turn
from antiphon.nodes.state import Context
from antiphon.tools.errors import AntiphonError, MessageError
from antiphon.tools.guards import Subject

NAME = "antiphon"
"""The model name that clients see; the router chooses the real one."""


async def models(request: Request) -> Response:
    """GET /v1/models: the one conversation."""
    return JSONResponse({"object": "list", "data": [{"id": NAME, "object": "model"}]})


async def completions(request: Request) -> Response:
    """POST /v1/chat/completions: one turn, whole or streamed after its guards."""
    form = await read(request, ChatForm)
    runtime: Runtime = request.app.state.runtime
    wanted = "" if form.model in ("", NAME) else form.model
    context = Knobs(model=wanted).context(request.state.principal)
    last = form.messages[-1]
    if last.role not in ("user", "human"):
        raise MessageError("the last message must be the user's", hint="End with role user.")
    thread = request.headers.get("x-thread-id", "")
    if not thread:
        thread = uuid.uuid4().hex[:12]
        earlier = await _screened(runtime, form.messages[:-1], context)
        if earlier:
            await runtime.conversations.seed(earlier, context=context, thread=thread)
    events = runtime.conversations.stream(last.text, context=context, thread=thread)
    name = f"chatcmpl-{uuid.uuid4().hex}"
    if form.stream:
        return EventSourceResponse(
            _chunks(await begun(events), name), sep="\n", headers={"x-thread-id": thread}
        )
    turn = None
    async for event in events:
        turn = event.turn or turn
    assert turn is not None, "a stream always ends in its turn"  # noqa: S101
    return JSONResponse(_whole(turn, name), headers={"x-thread-id": thread})


async def _screened(
    runtime: Runtime, messages: Sequence[Message], context: Context
) -> list[AnyMessage]:
    """Return the earlier messages, masked; those that a guard blocks are left out."""
    kept: list[AnyMessage] = []
    for message in messages:
        if message.role not in ("user", "human", "assistant", "ai") or not message.text.strip():
            continue
        verdict = await runtime.services.input_rail.judge(
            message.text, Subject(tenant=context.tenant)
        )
        kind = HumanMessage if message.role in ("user", "human") else AIMessage
        if verdict.allowed:
            kept.append(kind(content=verdict.text))
    return kept


def _whole(turn: Turn, name: str) -> dict[str, JsonValue]:
    spent = turn.usage
    return {
        "id": name,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": turn.model or NAME,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": turn.answer},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": spent["input_tokens"],
            "completion_tokens": spent["output_tokens"],
            "total_tokens": spent["input_tokens"] + spent["output_tokens"],
        },
        "antiphon": turn.as_json(),
    }


async def _chunks(events: AsyncIterator[Event], name: str) -> AsyncIterator[str]:
    def chunk(delta: dict[str, JsonValue], *, finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return json.dumps(
            {
                "id": name,
                "object": "chat.completion.chunk",
                "created": int(time.time()),
                "model": NAME,
                "choices": [choice],
            },
            ensure_ascii=False,
        )

    yield chunk({"role": "assistant", "content": ""})
    try:
        async for event in events:
            if event.kind == "answer":
                yield chunk({"content": event.text})
    except AntiphonError as error:
        yield json.dumps({"error": {"code": error.code, "message": error.message}})
    yield chunk({}, finish="stop")
    yield "[DONE]"
