"""Conversations as the doors see them: ask, decide, follow, cancel, look and delete."""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace

from langchain_core.messages import AnyMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Command
from pydantic import JsonValue

from antiphon.graphs.ordered import keep_order
from antiphon.graphs.persistence import storage_errors
from antiphon.graphs.runner import Event, Given, Graph, Request, Runner, Turning
from antiphon.graphs.turning import outcome
from antiphon.graphs.turns import Turn, as_json, turn_of
from antiphon.nodes.act import request as shown
from antiphon.nodes.state import Context, Input, Said
from antiphon.tools.errors import (
    AntiphonError,
    Forbidden,
    InputError,
    MessageError,
    NotPending,
    StorageError,
    UnknownThread,
)
from antiphon.tools.toolbox import Toolbox
from antiphon.tools.turns.records import ThreadRecord, TurnEntry
from antiphon.tools.turns.sql import not_yours

__all__ = ["Conversations", "Event", "Graph", "Page"]

MAX_MESSAGE_BYTES = 262_144
"""What a door lets in at all; the assistant's `guards.max_chars` is the finer limit."""
_NAME = re.compile(r"[\w.@:-]{1,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of a caller's threads, latest first."""

    threads: tuple[ThreadRecord, ...]
    next: str
    """Give it as `before` for the next page; empty at the end."""


class Conversations:
    """The conversations of a runtime, partitioned by tenant and owned by a user.

    Open one with `antiphon.graphs.runtime.open_runtime`.
    """

    def __init__(
        self,
        runner: Runner,
        toolbox: Toolbox,
        *,
        prepare: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """Serve the runner's graph; `prepare` is awaited with the tenant before each message."""
        self.runner = runner
        self.graph = runner.graph
        self.turns = runner.turns
        self._toolbox = toolbox
        self._prepare = prepare

    async def ask(
        self, text: str, *, context: Context, thread: str = "", request_key: str = ""
    ) -> Turn:
        """Run one message to its end; a new thread is started when none is named.

        A caller that is cancelled cancels the turn. The same `request_key` again gives the same
        turn again. Raises MessageError, Forbidden (the thread is another user's), ThreadBusy,
        RequestKeyReused, StorageError.
        """
        turning = await self.start(text, context=context, thread=thread, request_key=request_key)
        return await outcome(self._followed(turning))

    async def decide(
        self,
        approved: bool,
        *,
        context: Context,
        thread: str,
        interrupt_id: str,
        arguments: dict[str, JsonValue] | None = None,
        reason: str = "",
        request_key: str = "",
    ) -> Turn:
        """Decide what waits under `interrupt_id` and run on.

        Raises UnknownThread, NotPending (something else waits, or nothing), InputError for
        arguments that the tool does not take.
        """
        turning = await self.start_decision(
            approved,
            context=context,
            thread=thread,
            interrupt_id=interrupt_id,
            arguments=arguments,
            reason=reason,
            request_key=request_key,
        )
        return await outcome(self._followed(turning))

    async def stream(
        self, text: str, *, context: Context, thread: str = "", request_key: str = ""
    ) -> AsyncIterator[Event]:
        """As `ask`, telling of each node as it finishes; leaving early cancels the turn."""
        turning = await self.start(text, context=context, thread=thread, request_key=request_key)
        async for event in self._followed(turning):
            yield event

    async def stream_decision(
        self,
        approved: bool,
        *,
        context: Context,
        thread: str,
        interrupt_id: str,
        reason: str = "",
    ) -> AsyncIterator[Event]:
        """As `decide`, as a stream."""
        turning = await self.start_decision(
            approved, context=context, thread=thread, interrupt_id=interrupt_id, reason=reason
        )
        async for event in self._followed(turning):
            yield event

    async def start(
        self,
        text: str,
        *,
        context: Context,
        thread: str = "",
        request_key: str = "",
        asked: JsonValue = None,
        earlier: Sequence[AnyMessage] = (),
    ) -> Turning:
        """Start a message's turn and return it to be followed; it runs on whoever follows.

        `asked`: what tells a retry from another request under its key, where the thread does not;
        `earlier`: judged messages from elsewhere that a new thread begins with.
        """
        arrived = time.monotonic()
        _check_message(text)
        name = _checked(context, thread or uuid.uuid4().hex[:12])
        if self._prepare is not None:
            # What fails here fails again inside the turn, where recovery answers for it.
            with suppress(AntiphonError):
                await self._prepare(context.tenant)

        async def prepare(config: RunnableConfig) -> Given:
            began = await self._adopt(config, context)
            if earlier and not began:
                said = {"messages": Said(messages=tuple(earlier))}
                # No step of the turn: one that dies right after this has not begun.
                lease = {"lease": config["metadata"]["lease"]}
                await self.graph.aupdate_state({**config, "metadata": lease}, said, "account")
            return Input(messages=[HumanMessage(content=text)])

        return await self.runner.start(
            Request(
                context=context,
                thread=name,
                kind="message",
                arrived=arrived,
                prepare=prepare,
                key=request_key,
                digest=_digest("message", asked or [thread, text]),
            )
        )

    async def start_decision(
        self,
        approved: bool,
        *,
        context: Context,
        thread: str,
        interrupt_id: str,
        arguments: dict[str, JsonValue] | None = None,
        reason: str = "",
        request_key: str = "",
    ) -> Turning:
        """Start the turn of a decision and return it to be followed."""
        await self._own(context, thread)
        value: dict[str, JsonValue] = {
            "approved": approved,
            "interrupt_id": interrupt_id,
            "arguments": arguments,
            "reason": reason,
        }

        async def prepare(config: RunnableConfig) -> Given:
            return await self._deciding(config, value)

        return await self.runner.start(
            Request(
                context=context,
                thread=thread,
                kind="decision",
                prepare=prepare,
                key=request_key,
                digest=_digest("decision", thread, value),
            )
        )

    async def follow(self, *, context: Context, thread: str, turn: str) -> Turning:
        """Return a turn to be followed, from any process. Raises UnknownThread, InputError."""
        return self.runner.attach(await self._turn(context, thread, turn))

    async def cancel(self, *, context: Context, thread: str, turn: str = "") -> None:
        """Stop a turn, or the thread's latest; one that has ended is left alone."""
        entry = await self._turn(context, thread, turn)
        if not entry.settled:
            await self.runner.cancel(entry)

    async def last(self, *, context: Context, thread: str) -> Turn:
        """Return the latest turn of a thread. Raises UnknownThread."""
        entry = await self._turn(context, thread, "")
        if entry.result is not None:
            return Turn.from_json(entry.result)
        with storage_errors():
            snapshot = await self.graph.aget_state(self.runner.config(entry, entry.token))
        own = dict(snapshot.metadata or {}).get("turn") == entry.id
        return replace(turn_of(snapshot, entry=entry, own=own), outcome=entry.state)

    async def messages(self, *, context: Context, thread: str) -> list[dict[str, str]]:
        """Return the thread's messages as role and content. Raises UnknownThread."""
        entry = await self._turn(context, thread, "")
        with storage_errors():
            snapshot = await self.graph.aget_state(self.runner.config(entry, entry.token))
        said: list[BaseMessage] = snapshot.values.get("messages", [])
        return [
            {"role": "user" if isinstance(message, HumanMessage) else "assistant",
             "content": message.text}
            for message in said
        ]  # fmt: skip

    async def threads(self, *, context: Context, limit: int = 50, before: str = "") -> Page:
        """Return the caller's threads, latest first. Raises InputError for a bad `before`."""
        _checked(context, "-")
        found = await self.turns.threads(
            context.tenant, context.user, limit=limit, before=_cursor(before)
        )
        last = found[-1] if len(found) == limit else None
        return Page(threads=tuple(found), next=f"{last.updated!r}:{last.id}" if last else "")

    async def records(self, *, context: Context, thread: str) -> dict[str, JsonValue]:
        """Return what is on record of a thread: turns with their spend, effects, decisions.

        Raises UnknownThread, Forbidden.
        """
        await self._own(context, thread)
        turns = await self.turns.turns(context.tenant, thread)
        effects = await self.turns.effects(context.tenant, thread)
        decisions = await self.turns.decisions(context.tenant, thread)
        return {
            "turns": [_turn_row(entry) for entry in turns],
            "effects": [_row(effect, "key", "turn", "tool", "arguments", "state", "result")
                        for effect in effects],
            "decisions": [
                _row(one, "interrupt_id", "turn", "tool", "arguments", "approved", "by", "reason",
                     "at")
                for one in decisions
            ],
        }  # fmt: skip

    async def delete(self, *, context: Context, thread: str) -> None:
        """Delete a thread with all that was kept of it; a turn under way is stopped for good.

        Raises UnknownThread, Forbidden.
        """
        await self._own(context, thread)
        await self.erase(context.tenant, thread)

    async def erase(self, tenant: str, thread: str) -> None:
        """Delete a thread, whoever owns it, with its checkpoints. Raises StorageError."""
        await self.runner.stop_thread(tenant, thread)
        await self.turns.delete(tenant, thread)

    async def entry(self, *, context: Context, thread: str) -> TurnEntry:
        """Return the record of a thread's latest turn. Raises UnknownThread, Forbidden."""
        return await self._turn(context, thread, "")

    async def recorded(self, *, context: Context, turn: str, thread: str = "") -> TurnEntry:
        """Return a turn's record by its id, the thread being looked up where it is not said.

        Raises UnknownThread, Forbidden.
        """
        found = thread or await self.turns.thread_of(context.tenant, turn)
        if not found:
            raise UnknownThread(
                f"there is no turn {turn[:40]!r} in tenant {context.tenant!r}",
                hint="`antiphon ask --json` names each turn: turn_id.",
            )
        return await self._turn(context, found, turn)

    def saver(self) -> BaseCheckpointSaver[str]:
        """Return the checkpointer. Raises StorageError when the graph has none."""
        saver = self.graph.checkpointer
        if not isinstance(saver, BaseCheckpointSaver):
            raise StorageError(
                "this graph keeps no threads", hint="Compile it with a checkpointer."
            )
        return saver

    async def _followed(self, turning: Turning) -> AsyncIterator[Event]:
        """Follow a turn that its only follower takes down when leaving."""
        try:
            async with aclosing(turning.follow()) as events:
                async for event in events:
                    yield event
        finally:
            await self.runner.left(turning)

    async def _own(self, context: Context, thread: str) -> None:
        """Raise UnknownThread or Forbidden unless the thread is the caller's."""
        _checked(context, thread)
        record = await self.turns.thread(context.tenant, thread)
        if record is None:
            raise UnknownThread(
                f"there is no thread {thread!r} in tenant {context.tenant!r}",
                hint="`antiphon ask` prints the id of each thread it starts.",
            )
        if record.owner != context.user:
            raise not_yours(thread)

    async def _turn(self, context: Context, thread: str, turn: str) -> TurnEntry:
        await self._own(context, thread)
        found = await self.turns.turn(context.tenant, thread, turn)
        if found is None:
            raise UnknownThread(
                f"thread {thread!r} has no turn {turn!r}" if turn
                else f"thread {thread!r} has no turn yet",
                hint="Each answer carries its turn_id.",
            )  # fmt: skip
        return found

    async def _adopt(self, config: RunnableConfig, context: Context) -> bool:
        """Refuse to take over a thread that an earlier release wrote for another user.

        Return whether anything was written in the thread before.
        """
        found = await self.saver().aget_tuple(config)
        if found is not None:
            keep_order(found.config)
        owner = dict(found.metadata).get("owner") if found is not None else None
        said = f"{context.tenant}\x1f{context.user}".encode()
        if owner is not None and owner != hashlib.sha256(said).hexdigest()[:24]:
            raise Forbidden("the thread belongs to another user", hint="Start one of your own.")
        return found is not None

    async def _deciding(self, config: RunnableConfig, value: dict[str, JsonValue]) -> Given:
        """Return what resumes the pending call, after looking that it is the one decided about."""
        snapshot = await self.graph.aget_state(config)
        keep_order(snapshot.config)
        approval = snapshot.values.get("awaiting")
        if approval is None:
            raise NotPending("nothing waits for a decision in this thread")
        if value["interrupt_id"] != approval.id:
            raise NotPending(
                f"what waits for a decision is {approval.id!r}: {approval.question}",
                hint="Decide about that, naming its interrupt_id.",
                pending=dict(shown(approval)),
            )
        arguments = value["arguments"]
        if isinstance(arguments, dict):
            plan = self._toolbox.revalidate(approval.calls[0], arguments)
            if not plan.calls:
                raise InputError(f"the edited arguments are not taken: {plan.why}")
        if "await_decision" not in snapshot.next:
            # Its turn was stopped before it came to wait: it waits now.
            await self.graph.aupdate_state(config, {"decided": None}, as_node="account")
        return Command(resume=value)


def _checked(context: Context, thread: str) -> str:
    """Return the thread's id. Raises InputError: a slash would lead out of the tenant."""
    for what, name in (("tenant", context.tenant), ("thread", thread)):
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name[:40]!r} cannot be a {what} id",
                hint="Use 1 to 128 letters, digits or any of . _ - @ :",
            )
    return thread


def _check_message(text: str) -> None:
    if not text.strip():
        raise MessageError("the message is empty", hint="Say what you need in a few words.")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise MessageError(
            "the message is not valid UTF-8", hint="Send the text in UTF-8."
        ) from error
    if size > MAX_MESSAGE_BYTES:
        raise MessageError(
            f"the message has {size:,} bytes; at most {MAX_MESSAGE_BYTES:,} are read",
            hint="Send the part that matters, or ingest the text as knowledge.",
        )


def _digest(*asked: JsonValue) -> str:
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _turn_row(entry: TurnEntry) -> dict[str, JsonValue]:
    row = _row(entry, "id", "seq", "kind", "state", "outcome", "created", "ended", "cost_usd")
    return {**row, "calls": [as_json(call) for call in entry.calls]}


def _row(record: object, *names: str) -> dict[str, JsonValue]:
    return {name: as_json(getattr(record, name)) for name in names}


def _cursor(before: str) -> tuple[float, str] | None:
    if not before:
        return None
    updated, _, name = before.partition(":")
    try:
        return float(updated), name
    except ValueError as error:
        raise InputError(
            f"{before[:40]!r} is no page", hint="Give what `next` said, or nothing."
        ) from error
