"""/v1/chat/completions, so that any OpenAI client or chat interface can talk to the conversation.

Such clients send the whole history each time and name no thread. What was said before, as the
client shows it, finds the thread again: so a conversation goes on, and a question that waits for
a yes gets it. A history that no thread knows begins one with the user's part of it, passed through
the input rail. A client may also name its thread (`x-thread-id`). A client that leaves a stream
stops its turn.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress

from langchain_core.messages import AnyMessage, HumanMessage
from pydantic import JsonValue
from sse_starlette import EventSourceResponse
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from antiphon.gateway.threads import begun
from antiphon.gateway.validation import ChatForm, Knobs, Message, read, request_key
from antiphon.graphs.runner import Event, Turning
from antiphon.graphs.runtime import Runtime
from antiphon.graphs.turning import outcome
from antiphon.graphs.turns import Turn
from antiphon.nodes.state import Context
from antiphon.tools.errors import AntiphonError, MessageError, StorageError
from antiphon.tools.guards import Subject

NAME = "antiphon"
"""The model name that clients see; the router chooses the real one."""
MOST_EARLIER = 40
"""Messages of an unknown history that are read, the latest; a known one is not read again."""
MOST_EARLIER_CHARS = 64_000
Closing = Callable[[Turn], Awaitable[None]]
SPEAKERS = {"user": "user", "human": "user", "assistant": "assistant", "ai": "assistant"}


async def models(request: Request) -> Response:
    """GET /v1/models: the one conversation."""
    return JSONResponse({"object": "list", "data": [{"id": NAME, "object": "model"}]})


async def completions(request: Request) -> Response:
    """POST /v1/chat/completions: one turn, whole or streamed after its guards."""
    form = await read(request, ChatForm)
    runtime: Runtime = request.app.state.runtime
    talk = runtime.conversations
    wanted = "" if form.model in ("", NAME) else form.model
    context = Knobs(model=wanted).context(request.state.principal)
    said = [message for message in form.messages if message.role in SPEAKERS]
    if not said or SPEAKERS[form.messages[-1].role] != "user":
        raise MessageError("the last message must be the user's", hint="End with role user.")
    last, earlier = said[-1], said[:-1]
    thread = request.headers.get("x-thread-id", "")
    named = bool(thread)
    before: list[AnyMessage] = []
    if not named:
        thread = await _known(runtime, earlier, form, context)
        before = [] if thread else await _screened(runtime, earlier, context)
    turning = await talk.start(
        last.text,
        context=context,
        thread=thread,
        request_key=request_key(request),
        # A retry brings the same history, of which the thread has heard more by then.
        asked=None if named else _head(said, form),
        earlier=before,
    )
    name = f"chatcmpl-{turning.entry.id}"
    headers = {"x-thread-id": turning.entry.thread, "x-turn-id": turning.entry.id}

    async def close(turn: Turn) -> None:
        if not named:
            head = _head([*said, Message(role="assistant", content=turn.answer)], form)
            # The answer is there; without this only the next message begins a thread of its own.
            with suppress(StorageError):
                await talk.turns.note_head(context.tenant, turn.thread_id, head)

    if form.stream:
        events = await begun(turning)
        return EventSourceResponse(
            _chunks(runtime, turning, events, name, close), sep="\n", headers=headers
        )
    turn = await outcome(turning.follow())
    await close(turn)
    return JSONResponse(_whole(turn, name), headers=headers)


async def _known(
    runtime: Runtime, earlier: Sequence[Message], form: ChatForm, context: Context
) -> str:
    """Return the thread that this history is of, if any."""
    if not earlier:
        return ""
    turns = runtime.conversations.turns
    return await turns.claim_head(context.tenant, context.user, _head(earlier, form))


def _head(said: Sequence[Message], form: ChatForm) -> str:
    """Name a conversation by all that was said in it, and by the client's own name of its user."""
    whole = [form.user, *((SPEAKERS[one.role], one.text.strip()) for one in said)]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


async def _screened(
    runtime: Runtime, messages: Sequence[Message], context: Context
) -> list[AnyMessage]:
    """Return the user's latest earlier messages, masked; what a guard blocks is left out."""
    kept: list[AnyMessage] = []
    left = MOST_EARLIER_CHARS
    for message in reversed(messages[-MOST_EARLIER:]):
        left -= len(message.text)
        if left < 0:
            break
        # Only a person's words: nobody else may say what the assistant said.
        if SPEAKERS[message.role] != "user" or not message.text.strip():
            continue
        verdict = await runtime.services.input_rail.judge(
            message.text, Subject(tenant=context.tenant)
        )
        if verdict.allowed:
            kept.append(HumanMessage(content=verdict.text, id=uuid.uuid4().hex))
    return kept[::-1]


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


async def _chunks(
    runtime: Runtime,
    turning: Turning,
    events: AsyncGenerator[Event, None],
    name: str,
    close: Closing,
) -> AsyncIterator[str]:
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

    stopped = False
    try:
        yield chunk({"role": "assistant", "content": ""})
        async for event in events:
            if event.kind == "answer":
                yield chunk({"content": event.text})
            elif event.turn is not None:
                stopped = event.turn.outcome == "cancelled"
                await close(event.turn)
        if stopped:
            yield json.dumps({"error": {"code": "cancelled", "message": "the turn was stopped"}})
        else:
            yield chunk({}, finish="stop")
    except AntiphonError as error:
        # No finish: the answer is not whole, and a client must not take it for one.
        yield json.dumps({"error": {"code": error.code, "message": error.message}})
    finally:
        # Another connection may follow the same turn.
        await events.aclose()
        await runtime.conversations.runner.left(turning)
    yield "[DONE]"
