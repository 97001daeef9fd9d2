"""A golden set put to the assistant: each example in a thread of its own, then judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

from langgraph.cache.base import FullKey
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from antiphon.evals.fingerprint import Fingerprint, fingerprint
from antiphon.evals.golden import Example
from antiphon.evals.judges import jury_of, said_of
from antiphon.evals.metrics import Deed, Evaluator, Sample
from antiphon.evals.report import Report, Row, Took, summarise
from antiphon.evals.retrieved import Reading, cited, figures, retrieved
from antiphon.evals.score import WEIGHTS, evaluate
from antiphon.graphs.persistence import Persistence, serializer, storage_errors
from antiphon.graphs.runtime import Runtime, converse
from antiphon.graphs.services import Services
from antiphon.graphs.threads import Conversations
from antiphon.graphs.turns import Turn
from antiphon.nodes.state import Context
from antiphon.tools.cache import CachedAnswer
from antiphon.tools.errors import AntiphonError, InputError
from antiphon.tools.telemetry import Alert, Telemetry, TurnRecord
from antiphon.tools.turns.database import SqliteDatabase
from antiphon.tools.turns.store import SqlTurns

Progress = Callable[[int, int], None]
"""Called with how many examples are done, of how many."""


async def run_golden(
    runtime: Runtime,
    examples: Sequence[Example],
    *,
    tenant: str = "default",
    repeat: int = 1,
    concurrency: int = 2,
    progress: Progress | None = None,
    admit: Callable[[Fingerprint], None] | None = None,
) -> Report:
    """Ask every example in a rehearsal of the running assistant and judge the last answers.

    `admit` may raise: it sees what will be judged before the first question costs anything.
    """
    services = runtime.services
    # The first search of all ingests the knowledge, which must not run under one turn's deadline;
    # what is wrong with it will show in the examples.
    with suppress(AntiphonError):
        await services.knowledge.search("anything", tenant=tenant, limit=1)
    declared = jury_of(runtime.settings, services)
    agreements = said_of(declared, services.assistant.folder)
    jury = [each.evaluator if each.name in WEIGHTS else each for each in declared]
    made_with = await fingerprint(services, examples, jury=jury, tenant=tenant)
    if admit is not None:
        admit(made_with)
    talk, context = rehearsal(services), Context(tenant=tenant)
    report = await judge(
        talk,
        examples,
        jury=jury,
        context=context,
        repeat=repeat,
        concurrency=concurrency,
        progress=progress,
        read=lambda turn: retrieved(talk, turn, context),
    )
    return replace(report, fingerprint=made_with, evaluators=agreements)


def rehearsal(services: Services) -> Conversations:
    """Return the same conversation over the same services, leaving no trace and heeding none."""
    return converse(
        quiet(services),
        Persistence(
            saver=InMemorySaver(serde=serializer()),
            store=InMemoryStore(),
            turns=SqlTurns(SqliteDatabase(":memory:"), errors=storage_errors),
        ),
    )


def quiet(services: Services) -> Services:
    """Return the services for judging: nothing cached, nothing counted, nothing mitigated.

    An old answer must not stand for today's code; and a golden set holds attacks and failures on
    purpose, which must neither alarm anyone nor change how the examples after them are answered.
    """
    return replace(
        services,
        cache=_Forgetful(),
        telemetry=_Unwatched(services.telemetry),
        respond_to=_do_nothing,
    )


class _Forgetful(InMemoryCache[CachedAnswer]):
    """A cache that never has anything."""

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, CachedAnswer]:
        del keys
        return {}


class _Unwatched:
    """Telemetry that hashes and reports nothing."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.hash = telemetry.hash

    async def record(self, turn: TurnRecord) -> Sequence[Alert]:
        del turn
        return ()


async def _do_nothing(alerts: Sequence[Alert]) -> None:
    del alerts


async def judge(
    conversations: Conversations,
    examples: Sequence[Example],
    *,
    jury: Sequence[Evaluator],
    context: Context,
    repeat: int = 1,
    concurrency: int = 2,
    progress: Progress | None = None,
    read: Reading = cited,
) -> Report:
    """Ask every example, `repeat` times over in threads of their own, and judge its last answer.

    `read` tells which sources a turn could read from; without it, those that it cites. An example
    that cannot be answered at all is a row with an error and an overall score of 0.
    """
    began = time.perf_counter()
    places = asyncio.Semaphore(concurrency)
    done = 0

    async def one(example: Example, number: int) -> Row:
        nonlocal done
        async with places:
            row = await _row(conversations, example, jury, context, read)
        done += 1
        if progress is not None:
            progress(done, len(examples) * repeat)
        return replace(row, repeat=number)

    rows = await asyncio.gather(
        *(one(each, number) for number in range(1, repeat + 1) for each in examples)
    )
    return summarise(rows, seconds=time.perf_counter() - began)


async def _row(
    conversations: Conversations,
    example: Example,
    jury: Sequence[Evaluator],
    context: Context,
    read: Reading,
) -> Row:
    started = round(time.time(), 3)
    try:
        asked = await ask(conversations, example.questions, context)
        sources = await read(asked.turn)
        done = await deeds(conversations, example, asked.turn, context)
    except AntiphonError as error:
        return Row.failed(example, f"{error.code}: {error.message}", started=started)
    evaluation = await evaluate(sample_of(example, asked.turn, effects=done), jury)
    return Row.of(
        example,
        asked.turn,
        evaluation,
        started=asked.started,
        steps=asked.steps,
        retrieval=figures(example.expected.sources, sources),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The last of some questions' turns, and when it ran."""

    turn: Turn
    started: float
    """Seconds since 1970."""
    steps: tuple[Took, ...]


async def ask(
    conversations: Conversations, questions: Sequence[str], context: Context, thread: str = ""
) -> Asked:
    """Ask the questions one after the other in one thread. Raises AntiphonError."""
    asked: Asked | None = None
    for question in questions:
        asked = await _ask(conversations, question, context, thread)
        thread = asked.turn.thread_id
    if asked is None:
        raise InputError("there is no question to ask")
    return asked


async def _ask(conversations: Conversations, question: str, context: Context, thread: str) -> Asked:
    started, steps, turn = time.time(), list[Took](), None
    async for event in conversations.stream(question, context=context, thread=thread):
        turn = event.turn or turn
        if event.kind == "node":
            ended_ms = (time.time() - started) * 1000
            at_ms = round(max(0.0, ended_ms - event.ms), 1)
            steps.append(Took(node=event.node, at_ms=at_ms, ms=round(event.ms, 1)))
    if turn is None:
        raise AntiphonError("the turn was stopped")
    return Asked(turn=turn, started=round(started, 3), steps=tuple(steps))


async def deeds(
    conversations: Conversations, example: Example, turn: Turn, context: Context
) -> tuple[Deed, ...]:
    """Return the calls on record of a thread that came to a good end, where any is expected."""
    if not example.expected.effects:
        return ()
    kept = await conversations.records(context=context, thread=turn.thread_id)
    rows = cast("list[dict[str, Any]]", kept["effects"])
    return tuple(
        Deed(tool=str(row["tool"]), arguments=row["arguments"])
        for row in rows
        if row["state"] == "done" and (row["result"] or {}).get("ok")
    )


def sample_of(example: Example, turn: Turn, *, effects: tuple[Deed, ...] = ()) -> Sample:
    """Return what the evaluators see of a turn."""
    return Sample(
        question=example.questions[-1],
        answer=turn.answer,
        outcome=turn.outcome,
        expected=example.expected,
        reference=example.reference,
        evidence=tuple(str(each["quote"]) for each in turn.citations),
        sources=tuple(str(each["source"]) for each in turn.citations),
        markers=tuple(int(str(each["id"])) for each in turn.citations),
        path=turn.path,
        effects=effects,
    )
