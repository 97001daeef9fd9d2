"""A thread step by step; a step run again as it was, or with fields changed; always apart."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointTuple
from langgraph.graph import START
from langgraph.types import StateSnapshot
from pydantic import JsonValue, TypeAdapter, ValidationError

from antiphon.graphs.ordered import keep_order
from antiphon.graphs.persistence import storage_errors
from antiphon.graphs.runner import Given, Request
from antiphon.graphs.threads import Conversations
from antiphon.graphs.turning import outcome
from antiphon.graphs.turns import Turn, as_json
from antiphon.nodes.state import Context, Input, Said, State
from antiphon.tools.errors import InputError
from antiphon.tools.turns.records import TurnEntry

MOST_STEPS_READ = 2000
LASTING = ("summary", "pending", "awaiting")
"""What lives on from turn to turn beside the messages: the first step of a turn keeps it."""


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


class History:
    """What a thread went through, and other ways it could have gone."""

    def __init__(
        self,
        conversations: Conversations,
        *,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex[:6],
    ) -> None:
        self._talk = conversations
        self._graph = conversations.graph
        self._clock = clock
        self._new_id = new_id

    async def steps(self, *, context: Context, thread: str) -> list[StepRecord]:
        """Return every checkpoint that is kept, oldest first. Raises UnknownThread."""
        snapshots = await self._snapshots(await self._talk.entry(context=context, thread=thread))
        records: list[StepRecord] = []
        before: dict[str, JsonValue] = {}
        ran = ""
        for snapshot in snapshots:
            after = {name: as_json(value) for name, value in snapshot.values.items()}
            trail = snapshot.values.get("trail") or ()
            looped = dict(snapshot.metadata or {}).get("source") == "loop"
            records.append(
                StepRecord(
                    step=_step(snapshot),
                    checkpoint_id=snapshot.config["configurable"]["checkpoint_id"],
                    node=ran if ran and looped else START,
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

    async def replay(self, *, context: Context, thread: str, step: int, live: bool = False) -> Turn:
        """Run on from a step, in a new thread. Raises UnknownThread, InputError for a bad step.

        Calls that change something are answered from the record unless `live`.
        """
        return await self.fork(context=context, thread=thread, step=step, changes={}, live=live)

    async def fork(
        self,
        *,
        context: Context,
        thread: str,
        step: int,
        changes: Mapping[str, JsonValue],
        live: bool = False,
    ) -> Turn:
        """As `replay`, with fields of the state changed first. Raises InputError for bad fields."""
        changed = _checked(changes)
        entry = await self._talk.entry(context=context, thread=thread)
        snapshots = await self._snapshots(entry)
        source = next((one for one in snapshots if _step(one) == step), None)
        if source is None:
            first, last = _step(snapshots[0]), _step(snapshots[-1])
            raise InputError(
                f"thread {thread!r} has no step {step}",
                hint=f"It has steps {first} to {last}; those of earlier turns are not kept.",
            )
        if not source.next or source.next == ("await_decision",):
            raise InputError(
                f"step {step} of thread {thread!r} is the end of a turn: nothing runs from there",
                hint="Choose an earlier step; `antiphon debug THREAD` lists them.",
            )
        # Whatever is wrong is said before anything is written.
        again = _message(source, changed) if START in source.next else None
        copied = entry.kind == "replay" and not entry.knobs.get("live")
        place = snapshots.index(source)
        ran = snapshots[place - 1].next[:1] if place else ()

        async def prepare(config: RunnableConfig) -> Given:
            if again is not None:
                await self._before(source, config, changed)
                return again
            await self._copied(source, config, changed, ran[0] if ran else "")
            return None

        turning = await self._talk.runner.start(
            Request(
                context=context,
                thread=f"{thread[:100]}-fork-{self._new_id()}",
                kind="replay",
                prepare=prepare,
                # A replay made no calls of its own: what it was answered from answers this one.
                origin=str(entry.knobs.get("origin") or thread) if copied else thread,
                live=live,
            )
        )
        return await outcome(turning.follow())

    async def _snapshots(self, entry: TurnEntry) -> list[StateSnapshot]:
        config = self._talk.runner.config(entry, entry.token)
        with storage_errors():
            found = self._graph.aget_state_history(config, limit=MOST_STEPS_READ)
            return [item async for item in found][::-1]

    async def _before(
        self, source: StateSnapshot, config: RunnableConfig, changed: Mapping[str, object]
    ) -> None:
        """Put the thread as it stood before the message, with what was changed about it."""
        kept = {**source.values, **changed}
        messages = Said(messages=tuple(source.values.get("messages", ())))
        lasting = {name: kept[name] for name in LASTING if name in kept}
        await self._graph.aupdate_state(
            config, {**lasting, "messages": messages}, as_node="account"
        )

    async def _copied(
        self,
        source: StateSnapshot,
        config: RunnableConfig,
        changed: Mapping[str, object],
        ran: str,
    ) -> None:
        """Copy a checkpoint into the new thread, so that what came next comes next again.

        With changes the edges out of its node are asked anew, unless it failed: then recovery is
        what came next, whatever the state says.
        """
        saver = self._talk.saver()
        found = await saver.aget_tuple(source.config)
        keep_order(source.config)
        assert found is not None, "its snapshot was just read"  # noqa: S101
        recovering = "recover" in source.next
        own = {**self._fresh(found, config["metadata"]["turn"]), **(changed if recovering else {})}
        checkpoint = _edited(found, own, saver.get_next_version)
        place: RunnableConfig = {
            "configurable": {**config["configurable"], "checkpoint_ns": ""},
            "metadata": config["metadata"],
        }
        # Of this turn and under its lease, whatever is written of the original's.
        metadata: Any = {**found.metadata, **config["metadata"]}
        await saver.aput(place, checkpoint, metadata, dict(checkpoint["channel_versions"]))
        if changed and not recovering and ran:
            await self._graph.aupdate_state(config, dict(changed), as_node=ran)

    def _fresh(self, found: CheckpointTuple, turn: str) -> dict[str, object]:
        """Return what must not be the original's: the clock goes on from the copied step."""
        trail = found.checkpoint["channel_values"].get("trail") or ()
        return {"turn": turn, "started": self._clock() - sum(step["ms"] for step in trail) / 1000}


def _message(source: StateSnapshot, changed: Mapping[str, object]) -> Input:
    """Return the message that a turn began with, or the question to ask instead."""
    unused = sorted(set(changed) - {*LASTING, "question"})
    if unused:
        raise InputError(
            f"the first step of a turn empties {', '.join(unused)}",
            hint="There, change question, summary or pending; others at a later step.",
        )
    question = changed.get("question")
    if isinstance(question, str) and question:
        return Input(messages=[HumanMessage(content=question)])
    task = next((one for one in source.tasks if one.name == START), None)
    given = task.result if task is not None else None
    if not isinstance(given, dict) or not given.get("messages"):
        raise InputError(
            "the message of that step is not kept any more", hint="Choose a later step."
        )
    return Input(messages=list(given["messages"]))


def _edited(
    found: CheckpointTuple, values: Mapping[str, object], next_version: Callable[..., Any]
) -> Checkpoint:
    """Return the checkpoint under a new id, with some of its values replaced."""
    before = found.checkpoint
    versions = dict(before["channel_versions"])
    newest = max(versions.values(), default=None)
    for name in values:
        versions.setdefault(name, next_version(newest, None))
    return {
        **before,
        "channel_values": {**before["channel_values"], **values},
        "channel_versions": versions,
    }


def _step(snapshot: StateSnapshot) -> int:
    return int((snapshot.metadata or {}).get("step", 0))


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
        if name == "messages":
            typed[name] = Said(messages=tuple(typed[name]))  # type: ignore[arg-type]
    return typed
