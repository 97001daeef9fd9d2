"""Conversations as the doors see them: ask, decide, look back, replay, fork; for one caller."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, get_type_hints
from weakref import WeakValueDictionary

from langchain_core.messages import AnyMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StateSnapshot
from pydantic import JsonValue, TypeAdapter, ValidationError

from antiphon.graphs.persistence import storage_errors
from antiphon.graphs.turns import Turn, as_json, turn_of
from antiphon.nodes.state import Context, Input, Output, State
from antiphon.tools.errors import (
    AntiphonError,
    Forbidden,
    InputError,
    MessageError,
    StorageError,
    UnknownThread,
)
from antiphon.tools.toolbox.approval import decision

MAX_MESSAGE_BYTES = 262_144
"""What a door lets in at all; the assistant's `guards.max_chars` is the finer limit."""
MOST_STEPS = 60
"""Node runs within one turn; every loop in the table is bounded well below it."""
_NAME = re.compile(r"[\w.@:-]{1,128}")

Graph = CompiledStateGraph[State, Context, Input, Output]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened while a turn ran."""

    kind: Literal["node", "answer", "turn"]
    """node: a node finished; answer: a piece of the guarded answer; turn: the end."""
    node: str = ""
    ms: float = 0.0
    text: str = ""
    turn: Turn | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One checkpoint of a thread."""

    step: int
    checkpoint_id: str
    node: str
    """The node that ran to reach it."""
    next: tuple[str, ...]
    changed: dict[str, tuple[JsonValue, JsonValue]]
    """Per field: before and after."""
    ms: float


class Conversations:
    """The compiled conversation with its checkpointer, partitioned by tenant.

    Open one with `antiphon.graphs.assembly.open_runtime`.
    """

    def __init__(
        self, graph: Graph, *, prepare: Callable[[str], Awaitable[None]] | None = None
    ) -> None:
        """Serve `graph`; `prepare` is awaited with the tenant before each message."""
        self.graph = graph
        self._prepare = prepare
        self._busy: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ask(self, text: str, *, context: Context, thread: str = "") -> Turn:
        """Run one message; a new thread is started when none is named.

        A message to a thread that waits for an approval is read as the decision when it is a plain
        yes or no; any other message declines and is then answered.

        Raises MessageError, Forbidden (the thread is another user's), StorageError.
        """
        return await _last(self.stream(text, context=context, thread=thread))

    async def decide(
        self, approved: bool, *, context: Context, thread: str, reason: str = ""
    ) -> Turn:
        """Answer what waits for approval and run on. Raises UnknownThread, InputError."""
        return await _last(
            self.stream_decision(approved, context=context, thread=thread, reason=reason)
        )

    async def stream(
        self, text: str, *, context: Context, thread: str = ""
    ) -> AsyncIterator[Event]:
        """As `ask`, telling of each node as it finishes; the answer comes after its guards."""
        _check_message(text)
        config = self._config(context, thread or uuid.uuid4().hex[:12])
        if self._prepare is not None:
            # What fails here fails again inside the turn, where recovery answers for it.
            with suppress(AntiphonError):
                await self._prepare(context.tenant)
        with storage_errors():
            waiting = thread and (await self._own(config, context, must_exist=False)).interrupts
            given: Input | Command[str] = {"messages": [HumanMessage(content=text)]}
            if waiting:
                answer = decision(text)
                if answer is None:
                    await self.graph.ainvoke(_resume(approved=False), config, context=context)
                else:
                    given = _resume(approved=answer)
            async for event in self._run(given, config, context):
                yield event

    async def stream_decision(
        self, approved: bool, *, context: Context, thread: str, reason: str = ""
    ) -> AsyncIterator[Event]:
        """Answer what waits for approval and run on, as a stream."""
        config = self._config(context, thread)
        with storage_errors():
            if not (await self._own(config, context)).interrupts:
                raise InputError(
                    f"nothing waits for approval in thread {thread!r}",
                    hint=f"`antiphon debug {thread}` shows where it stands.",
                )
            given = _resume(approved=approved, reason=reason)
            async for event in self._run(given, config, context):
                yield event

    async def seed(self, messages: Sequence[AnyMessage], *, context: Context, thread: str) -> None:
        """Begin a thread with a history from elsewhere. Raises InputError when it exists."""
        config = self._config(context, thread)
        with storage_errors():
            if (await self._own(config, context, must_exist=False)).metadata:
                raise InputError(f"thread {thread!r} exists already", hint="Choose another id.")
            await self.graph.aupdate_state(config, {"messages": list(messages)}, as_node="account")

    async def last(self, *, context: Context, thread: str) -> Turn:
        """Return the latest turn of a thread. Raises UnknownThread."""
        config = self._config(context, thread)
        with storage_errors():
            return turn_of(await self._own(config, context), thread=thread, latency_ms=0.0)

    async def messages(self, *, context: Context, thread: str) -> list[dict[str, str]]:
        """Return the thread's messages as role and content. Raises UnknownThread."""
        config = self._config(context, thread)
        with storage_errors():
            snapshot = await self._own(config, context)
        said: list[BaseMessage] = snapshot.values.get("messages", [])
        return [
            {"role": "user" if isinstance(message, HumanMessage) else "assistant",
             "content": message.text}
            for message in said
        ]  # fmt: skip

    async def steps(self, *, context: Context, thread: str) -> list[StepRecord]:
        """Return every checkpoint, oldest first. Raises UnknownThread."""
        config = self._config(context, thread)
        with storage_errors():
            await self._own(config, context)
            snapshots = [item async for item in self.graph.aget_state_history(config)][::-1]
        records: list[StepRecord] = []
        before: dict[str, JsonValue] = {}
        ran = ""
        for snapshot in snapshots:
            after = {name: as_json(value) for name, value in snapshot.values.items()}
            trail = snapshot.values.get("trail") or ()
            records.append(
                StepRecord(
                    step=_step(snapshot),
                    checkpoint_id=snapshot.config["configurable"]["checkpoint_id"],
                    node=ran
                    if ran and dict(snapshot.metadata or {}).get("source") == "loop"
                    else START,
                    next=snapshot.next,
                    changed={
                        name: (before.get(name), value)
                        for name, value in after.items()
                        if before.get(name) != value
                    },
                    ms=trail[-1]["ms"] if trail and trail[-1]["node"] == ran else 0.0,
                )
            )
            before, ran = after, snapshot.next[0] if snapshot.next else ""
        return records

    async def replay(self, *, context: Context, thread: str, step: int) -> Turn:
        """Run on from a step, in a new thread. Raises UnknownThread, InputError for a bad step."""
        return await self.fork(context=context, thread=thread, step=step, changes={})

    async def fork(
        self, *, context: Context, thread: str, step: int, changes: Mapping[str, JsonValue]
    ) -> Turn:
        """As `replay`, with fields of the state changed first. Raises InputError for bad fields."""
        changed = _checked(changes)
        known = await self.steps(context=context, thread=thread)
        record = next((item for item in known if item.step == step), None)
        if record is None:
            raise InputError(
                f"thread {thread!r} has no step {step}",
                hint=f"It has steps {known[0].step} to {known[-1].step}.",
            )
        if not record.next:
            raise InputError(
                f"step {step} of thread {thread!r} is the end of a turn: nothing runs from there",
                hint="Choose an earlier step; `antiphon debug THREAD` lists them.",
            )
        source = self._config(context, thread)
        source["configurable"]["checkpoint_id"] = record.checkpoint_id
        fresh = f"{thread}-fork-{uuid.uuid4().hex[:6]}"
        config = self._config(context, fresh)
        with storage_errors():
            snapshot = await self.graph.aget_state(source)
            values = {**snapshot.values, **changed}
            if record.node == START:
                given: Input = {"messages": values["messages"] or _given(snapshot)}
                return await _last(self._run(given, config, context))
            await self.graph.aupdate_state(config, values, as_node=record.node)
            return await _last(self._run(None, config, context))

    async def threads(self, *, context: Context) -> list[str]:
        """Return the caller's thread ids, latest first."""
        saver, prefix = self._saver(), f"{context.tenant}/"
        names: dict[str, None] = {}
        with storage_errors():
            async for item in saver.alist(None, filter={"owner": _owner(context)}):
                name = str(item.config["configurable"]["thread_id"])
                if name.startswith(prefix):
                    names[name.removeprefix(prefix)] = None
        return list(names)

    async def delete(self, *, context: Context, thread: str) -> None:
        """Delete a thread and its checkpoints. Raises UnknownThread."""
        config = self._config(context, thread)
        with storage_errors():
            await self._own(config, context)
            await self._saver().adelete_thread(config["configurable"]["thread_id"])

    def _alone(self, config: RunnableConfig) -> asyncio.Lock:
        """Return the thread's lock in this process, kept as long as someone holds or awaits it."""
        return self._busy.setdefault(str(config["configurable"]["thread_id"]), asyncio.Lock())

    def _saver(self) -> BaseCheckpointSaver[str]:
        saver = self.graph.checkpointer
        if not isinstance(saver, BaseCheckpointSaver):
            raise StorageError(
                "this graph keeps no threads", hint="Compile it with a checkpointer."
            )
        return saver

    def _config(self, context: Context, thread: str) -> RunnableConfig:
        """Return the run's config; the storage key of a thread begins with its tenant."""
        for what, name in (("tenant", context.tenant), ("thread", thread)):
            if not _NAME.fullmatch(name):
                raise InputError(
                    f"{name[:40]!r} cannot be a {what} id",
                    hint="Use 1 to 128 letters, digits or any of . _ - @ :",
                )
        return {
            "configurable": {"thread_id": f"{context.tenant}/{thread}"},
            "metadata": {"owner": _owner(context)},
            "recursion_limit": MOST_STEPS,
        }

    async def _own(
        self, config: RunnableConfig, context: Context, *, must_exist: bool = True
    ) -> StateSnapshot:
        """Return the thread's state after checking that it is the caller's."""
        snapshot = await self.graph.aget_state(config)
        thread = str(config["configurable"]["thread_id"]).removeprefix(f"{context.tenant}/")
        if not snapshot.metadata:
            if must_exist:
                raise UnknownThread(
                    f"there is no thread {thread!r} in tenant {context.tenant!r}",
                    hint="`antiphon ask` prints the id of each thread it starts.",
                )
        elif dict(snapshot.metadata).get("owner", _owner(context)) != _owner(context):
            raise Forbidden(
                f"thread {thread!r} belongs to another user",
                hint="Name its user with --user, or start a thread of your own.",
            )
        return snapshot

    async def _run(
        self, given: Input | Command[str] | None, config: RunnableConfig, context: Context
    ) -> AsyncIterator[Event]:
        began = time.perf_counter()
        # Two messages to one thread at once take turns: else one would write over the other.
        async with self._alone(config):
            async for update in self.graph.astream(
                given, config, context=context, stream_mode="updates"
            ):
                for node, changed in update.items():
                    trail = changed.get("trail") if isinstance(changed, dict) else None
                    if trail:
                        yield Event(kind="node", node=node, ms=trail[-1]["ms"])
            snapshot = await self.graph.aget_state(config)
        thread = str(config["configurable"]["thread_id"]).removeprefix(f"{context.tenant}/")
        took = (time.perf_counter() - began) * 1000
        turn = turn_of(snapshot, thread=thread, latency_ms=round(took, 1))
        for piece in re.findall(r"\S+\s*", turn.answer):
            yield Event(kind="answer", text=piece)
        yield Event(kind="turn", turn=turn)


async def _last(events: AsyncIterator[Event]) -> Turn:
    turn: Turn | None = None
    async for event in events:
        turn = event.turn or turn
    assert turn is not None, "a stream always ends in its turn"  # noqa: S101
    return turn


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


def _owner(context: Context) -> str:
    """Name a thread's owner without naming the person: metadata is stored in the clear."""
    said = f"{context.tenant}\x1f{context.user}".encode()
    return hashlib.sha256(said).hexdigest()[:24]


def _resume(*, approved: bool, reason: str = "") -> Command[str]:
    return Command(resume={"approved": approved, "reason": reason})


def _step(snapshot: StateSnapshot) -> int:
    return int((snapshot.metadata or {}).get("step", 0))


def _given(snapshot: StateSnapshot) -> list[AnyMessage]:
    """Return the message that a start checkpoint was about to take in."""
    task = next(iter(snapshot.tasks), None)
    given = task.result if task is not None else None
    return list(given.get("messages", [])) if isinstance(given, dict) else []


def _checked(changes: Mapping[str, JsonValue]) -> dict[str, object]:
    """Return the changes as typed values of the state."""
    kinds = get_type_hints(State, include_extras=False)
    typed: dict[str, object] = {}
    for name, value in changes.items():
        if name not in kinds:
            raise InputError(
                f"the state has no field {name!r}", hint=f"Fields: {', '.join(sorted(kinds))}."
            )
        try:
            typed[name] = TypeAdapter(kinds[name]).validate_python(value)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(
                f"{name!r} cannot be {value!r}: {first['msg']}",
                hint="Give the field's JSON form, as `antiphon debug THREAD --json` shows it.",
            ) from error
    return typed
