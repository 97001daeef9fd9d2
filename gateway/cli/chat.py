"""`antiphon chat`: a conversation in the terminal, with every node shown as it runs.

The event loop runs only while something is answered; between turns plain `input()` waits, so that
Ctrl-C and Ctrl-D do in the prompt what they do everywhere else.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from antiphon.gateway.cli.opening import known_model, opened
from antiphon.gateway.cli.options import (
    AsJson,
    AssistantFolder,
    Locale,
    Model,
    Tenant,
    Thread,
    User,
)
from antiphon.gateway.cli.output import console, emit, fail, visible
from antiphon.gateway.cli.turns import announced, decode, show_request, show_turn
from antiphon.tools.errors import AntiphonError
from antiphon.tools.locales import language_tag

if TYPE_CHECKING:
    from pydantic import JsonValue

    from antiphon.graphs.threads import Conversations, Event
    from antiphon.graphs.turns import Turn
    from antiphon.nodes.state import Context

HELP = "/quit leaves · /history shows the thread · /graph the last turn's path · /new starts afresh"


def chat(
    thread: Thread = "",
    tenant: Tenant = "default",
    user: User = "",
    locale: Locale = "en",
    model: Model = "",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Talk with the assistant in the terminal.

    /quit or Ctrl-D leaves, Ctrl-C stops an answer.
    """
    import asyncio

    from antiphon.nodes.state import Context

    context = Context(tenant=tenant, user=user, locale=language_tag(locale), model=model)
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        runtime = runner.run(stack.enter_async_context(opened(assistant)))
        try:
            known_model(runtime, model)
            Chat(
                conversations=runtime.conversations,
                context=context,
                run=runner.run,
                thread=thread or new_thread(),
                as_json=as_json,
                read=read_line,
            ).loop()
        finally:
            runner.run(stack.aclose())


@dataclass(slots=True, kw_only=True)
class Chat:
    """One terminal conversation."""

    conversations: Conversations
    context: Context
    run: Callable[..., object]
    """Runs a coroutine to its end, raising KeyboardInterrupt when it was interrupted."""
    thread: str
    read: Callable[[str], str]
    """Asks for a line, given the prompt; raises EOFError at the end."""
    as_json: bool = False
    last: Turn | None = None

    def loop(self) -> None:
        """Read and answer until the end of the input."""
        if sys.stdin.isatty():
            self._say(HELP)
        while True:
            try:
                line = self.read("you> ").strip()
                if line in {"/quit", "/exit"}:
                    return
                if line:
                    self._take(line)
            except EOFError:
                return
            except AntiphonError as error:
                fail(error.code, error.message, error.hint, as_json=self.as_json)

    def _take(self, line: str) -> None:
        commands: dict[str, Callable[[], None]] = {
            "/history": self._history,
            "/graph": self._graph,
            "/new": self._new,
            "/help": lambda: self._say(HELP),
        }
        if line in commands:
            commands[line]()
        elif line.startswith("/") and " " not in line:
            self._say(f"unknown command {line}: {HELP}")
        else:
            self._answer(self.conversations.stream(line, context=self.context, thread=self.thread))

    def _answer(self, events: AsyncIterator[Event]) -> None:
        try:
            self.run(self._follow(events))
        except KeyboardInterrupt:
            self._say("\nstopped; the thread is kept")
            return
        if self.last is not None and self.last.interrupt is not None:
            self._decide(self.last.interrupt)

    def _decide(self, waiting: Mapping[str, JsonValue]) -> None:
        from antiphon.tools.toolbox.approval import decision

        forget_typed()
        line = self.read("approve? [y/n] ").strip()
        approved = decision(line)
        if approved is None:
            # Anything but a plain yes or no is a message like any other; the call goes on waiting.
            if line:
                self._take(line)
            return
        self._answer(
            self.conversations.stream_decision(
                approved,
                context=self.context,
                thread=self.thread,
                interrupt_id=str(waiting.get("interrupt_id", "")),
            )
        )

    async def _follow(self, events: AsyncIterator[Event]) -> None:
        """Show events as they come; piece by piece where the answer is streamed."""
        said, since = "", perf_counter()
        async for event in announced(events, self.conversations, self.context):
            if event.kind == "answer":
                said += event.text
                self._piece(event.text)
            elif event.kind == "node":
                since, began = perf_counter(), since
                self._say(f"  {event.node}  {(since - began) * 1000:.0f} ms")
            elif event.kind == "turn" and event.turn is not None:
                self._close(event.turn, said)

    def _close(self, turn: Turn, said: str) -> None:
        self.last, self.thread = turn, turn.thread_id
        if self.as_json:
            emit(turn.as_json())
            return
        if said:
            print()
        if turn.interrupt is None:
            show_turn(turn, flags={}, answer=not said)
        else:
            if not said:
                console().print(visible(turn.answer))
            show_request(turn)

    def _history(self) -> None:
        self.run(self._show_history())

    async def _show_history(self) -> None:
        for message in await self.conversations.messages(context=self.context, thread=self.thread):
            console().print(f"{message['role']}: {visible(message['content'])}")

    def _graph(self) -> None:
        if self.last is None:
            self._say("nothing was asked yet")
            return
        times = self.last.steps_ms or {}
        steps = (f"{n} ({times[n]:.0f} ms)" if n in times else n for n in self.last.path)
        self._say(" → ".join(steps))

    def _new(self) -> None:
        self.thread, self.last = new_thread(), None
        self._say(f"new thread {self.thread}")

    def _piece(self, text: str) -> None:
        if not self.as_json:
            console().print(visible(text), end="")

    def _say(self, text: str) -> None:
        console(error=self.as_json).print(visible(text), style="dim")


def new_thread() -> str:
    """Return an id that no thread has, known before the first answer so that it can be stopped."""
    from uuid import uuid4

    return uuid4().hex


def forget_typed() -> None:
    """Drop what was typed before the question stood there: nobody says yes to it unseen."""
    if not sys.stdin.isatty():
        return
    try:
        import termios
    except ImportError:
        return
    with suppress(termios.error, ValueError):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def read_line(prompt: str) -> str:
    """Read one line from the terminal, or from a pipe with the line echoed.

    Raises EOFError at the end and MessageError for a line that is not UTF-8.
    """
    if sys.stdin.isatty():
        return input(prompt)
    raw = sys.stdin.buffer.readline()
    if not raw:
        raise EOFError
    return decode(raw) if raw.strip() else ""
