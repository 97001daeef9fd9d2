"""A golden set put to the running assistant: each example in a thread of its own, then judged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from langgraph.cache.memory import InMemoryCache

from antiphon.evals.golden import Example
from antiphon.evals.metrics import Evaluator, Sample, five
from antiphon.evals.report import Report, Row, summarise
from antiphon.evals.score import evaluate
from antiphon.graphs.assembly import Runtime
from antiphon.graphs.services import Services
from antiphon.graphs.threads import Conversations
from antiphon.graphs.turns import Turn
from antiphon.nodes.state import Context
from antiphon.tools.errors import AntiphonError
from antiphon.tools.privacy.detect import PatternDetector
from antiphon.tools.telemetry import Alert

Progress = Callable[[int, int], None]
"""Called with how many examples are done, of how many."""


async def run_golden(
    runtime: Runtime,
    examples: Sequence[Example],
    *,
    tenant: str = "default",
    concurrency: int = 2,
    progress: Progress | None = None,
) -> Report:
    """Ask every example and judge its last answer; open the runtime with `quiet` services.

    An example that cannot be answered at all is a row with an error and an overall score of 0.
    """
    services = runtime.services
    jury = five(
        services.embedder,
        PatternDetector(),
        allowed_links=services.assistant.guards.allowed_links,
    )
    began = time.perf_counter()
    gate = asyncio.Semaphore(concurrency)
    done = 0

    async def one(example: Example) -> Row:
        nonlocal done
        async with gate:
            row = await _row(runtime.conversations, example, jury, Context(tenant=tenant))
        done += 1
        if progress is not None:
            progress(done, len(examples))
        return row

    rows = await asyncio.gather(*(one(example) for example in examples))
    return summarise(rows, seconds=time.perf_counter() - began)


def quiet(services: Services) -> Services:
    """Return the services for judging: no cached answers, no mitigation in the middle of a run.

    A golden set holds attacks and slow questions on purpose; what they would set off must not
    change how the examples after them are answered, nor an old answer stand for today's code.
    """
    return replace(services, cache=InMemoryCache(), respond_to=_nothing)


async def _nothing(alerts: Sequence[Alert]) -> None:
    del alerts


async def _row(
    conversations: Conversations, example: Example, jury: Sequence[Evaluator], context: Context
) -> Row:
    try:
        turn = await _ask(conversations, example, context)
    except AntiphonError as error:
        return Row.failed(example, f"{error.code}: {error.message}")
    evaluation = await evaluate(sample_of(example, turn), jury)
    return Row.of(example, turn, evaluation)


async def _ask(conversations: Conversations, example: Example, context: Context) -> Turn:
    """Send the example's messages in one thread, which is forgotten afterwards."""
    first, *others = example.questions
    turn = await conversations.ask(first, context=context)
    try:
        for question in others:
            turn = await conversations.ask(question, context=context, thread=turn.thread_id)
    finally:
        # The answers are what counts; a thread that stays behind does no harm.
        with suppress(AntiphonError):
            await conversations.delete(context=context, thread=turn.thread_id)
    return turn


def sample_of(example: Example, turn: Turn) -> Sample:
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
    )
