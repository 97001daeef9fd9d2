"""The assistant as a function from inputs to outputs, for LangSmith's `evaluate` or any other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from pydantic import JsonValue

from antiphon.tools.errors import AntiphonError, InputError

if TYPE_CHECKING:
    from antiphon.evals.run import Asked
    from antiphon.graphs.services import Services
    from antiphon.graphs.threads import Conversations

Outputs = dict[str, JsonValue]
Target = Callable[[dict[str, Any]], Coroutine[Any, Any, Outputs]]
BlockingTarget = Callable[[dict[str, Any]], Outputs]


@overload
def target(
    assistant: Path | str | None = None,
    *,
    tenant: str = "default",
    evidence: bool = False,
    steps: bool = False,
    services: Services | None = None,
    blocking: Literal[False] = False,
) -> Target: ...


@overload
def target(
    assistant: Path | str | None = None,
    *,
    tenant: str = "default",
    evidence: bool = False,
    steps: bool = False,
    services: Services | None = None,
    blocking: Literal[True],
) -> BlockingTarget: ...


def target(
    assistant: Path | str | None = None,
    *,
    tenant: str = "default",
    evidence: bool = False,
    steps: bool = False,
    services: Services | None = None,
    blocking: bool = False,
) -> Target | BlockingTarget:
    """Return a function that puts an example's inputs to the assistant: for `langsmith.aevaluate`.

    It takes `messages` (the user's are asked one after the other, in a thread of their own) or
    `question`, and returns `answer`, `outcome`, `path`, `sources`, `model`, `usage`, `cost_usd`
    and `latency_ms`. Nothing is kept or counted, as in `antiphon eval run`.

    LangSmith traces the call itself, inputs and outputs, and nothing inside. What its `evaluate`
    sends beside is its own: the machine and the git author with an experiment unless the client
    is told not to, and, in 0.15, runs even with `aevaluate(upload_results=False)`; there
    `Client(tracing_sampling_rate=0.0)` keeps them here.

    Args:
        assistant: its folder; else the settings', else the sample.
        tenant: whose knowledge.
        evidence: return the passages that the answer cites as well, as `contexts`.
        steps: add the nodes' names and times to LangSmith's run, as child runs without content.
        services: instead of those the assistant's folder describes.
        blocking: return a plain function, for `langsmith.evaluate`, instead of a coroutine's.
    """
    rehearsed = _Rehearsed(Path(assistant) if assistant else None, tenant, services)

    async def answer(inputs: dict[str, Any]) -> Outputs:
        """Answer one example."""
        return told(await asyncio.wrap_future(rehearsed.submit(questions(inputs))))

    def answer_blocking(inputs: dict[str, Any]) -> Outputs:
        """Answer one example."""
        return told(rehearsed.submit(questions(inputs)).result())

    def told(asked: Asked) -> Outputs:
        if steps:
            from antiphon.evals.langsmith import note_steps

            note_steps(asked)
        return _outputs(asked, evidence=evidence)

    return answer_blocking if blocking else answer


def questions(inputs: Mapping[str, Any]) -> list[str]:
    """Return what the user of an example says, in order. Raises InputError."""
    from antiphon.evals.pulled import messages_of

    said = [each for each in messages_of(inputs) if isinstance(each, str)]
    if not said:
        raise InputError(
            f"the inputs hold no question; they have {', '.join(map(repr, inputs)) or 'nothing'}",
            hint='Give {"messages": [{"role": "user", "content": ...}]} or {"question": ...}.',
        )
    return said


def _outputs(asked: Asked, *, evidence: bool) -> Outputs:
    turn = asked.turn
    found: Outputs = {
        "answer": turn.answer,
        "outcome": turn.outcome,
        "path": [*turn.path],
        "sources": list(dict.fromkeys(str(each["source"]) for each in turn.citations)),
        "model": turn.model,
        "usage": {**turn.usage},
        "cost_usd": turn.cost_usd,
        "latency_ms": turn.latency_ms,
    }
    if evidence:
        found["contexts"] = [str(each["quote"]) for each in turn.citations]
    return found


class _Rehearsed:
    """The conversation, opened when first asked, in a thread and an event loop of its own.

    So it outlives the loop of whoever asks: each `asyncio.run` has another.
    """

    def __init__(self, assistant: Path | None, tenant: str, services: Services | None) -> None:
        self._assistant = assistant
        self._tenant = tenant
        self._services = services
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._talk: asyncio.Task[Conversations] | None = None

    def submit(self, said: list[str]) -> Future[Asked]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=self._loop.run_forever, name="antiphon-target", daemon=True
                ).start()
        return asyncio.run_coroutine_threadsafe(self._ask(said), self._loop)

    async def _ask(self, said: list[str]) -> Asked:
        from antiphon.evals.run import ask
        from antiphon.nodes.state import Context

        if self._talk is None or (self._talk.done() and self._talk.exception()):
            self._talk = asyncio.create_task(self._open())
        talk = await asyncio.shield(self._talk)
        return await ask(talk, said, Context(tenant=self._tenant))

    async def _open(self) -> Conversations:
        from antiphon.evals.run import rehearsal

        services = self._services
        if services is None:
            services = await asyncio.to_thread(_built, self._assistant)
        # The first search of all ingests the knowledge, which must not run under a turn's deadline.
        with suppress(AntiphonError):
            await services.knowledge.search("anything", tenant=self._tenant, limit=1)
        return rehearsal(services)


def _built(assistant: Path | None) -> Services:
    from antiphon.graphs.assembly import build_services
    from antiphon.graphs.folders import chosen_assistant
    from antiphon.graphs.settings import read_settings

    settings = read_settings()
    return build_services(settings, chosen_assistant(settings, assistant))
