from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from antiphon.gateway.cli import turns as cli_turns
from antiphon.gateway.cli.chat import Chat
from antiphon.gateway.cli.turns import show_turn
from antiphon.graphs.threads import Event
from antiphon.graphs.turning import Turning
from antiphon.graphs.turns import Turn
from antiphon.nodes.state import Context
from antiphon.tools.errors import MessageError

ANSWER = Turn(
    answer="Refunds take five days [1].",
    outcome="answered",
    citations=(
        {
            "id": 1,
            "source": "refunds.md",
            "title": "Refunds",
            "quote": "Refunds take\nfive days.",
            "start": 0,
            "end": 23,
        },
    ),
    confidence={"retrieval": 0.9, "support": 1.0},
    phase="completed",
    path=("guard_input", "respond"),
    model="extractive",
    usage={"input_tokens": 5, "output_tokens": 6},
    cost_usd=0.0,
    latency_ms=12.4,
    violations=(),
    interrupt=None,
    thread_id="t1",
    degraded_because=None,
    steps_ms={"guard_input": 1.0, "respond": 8.0},
)
WAITING = replace(
    ANSWER,
    answer="Cancel order LL-1?",
    outcome="awaiting_approval",
    citations=(),
    interrupt={
        "interrupt_id": "i1",
        "id": "c1",
        "tool": "cancel_order",
        "arguments": {"order": "LL-1"},
        "question": "Cancel order LL-1?",
    },
)


@dataclass
class Talks:
    """Conversations that answer from a script."""

    turns: list[Turn]
    waits_s: float | None = None
    asked: list[str] = field(default_factory=list)
    decided: list[tuple[bool, str]] = field(default_factory=list)

    async def stream(
        self, text: str, *, context: Context, thread: str = ""
    ) -> AsyncIterator[Event]:
        self.asked.append(text)
        if text == "stop me":
            raise KeyboardInterrupt
        if text == "bad":
            raise MessageError("no", hint="Say more.")
        async for event in self._events():
            yield event

    async def stream_decision(
        self, approved: bool, *, context: Context, thread: str, interrupt_id: str, reason: str = ""
    ) -> AsyncIterator[Event]:
        self.decided.append((approved, interrupt_id))
        async for event in self._events():
            yield event

    async def _events(self) -> AsyncIterator[Event]:
        turn = self.turns.pop(0)
        if self.waits_s is not None:
            yield Event(kind="waiting")
            await asyncio.sleep(self.waits_s)
            yield Event(kind="resumed", text="cut")
        yield Event(kind="node", node="respond")
        yield Event(kind="answer", text=turn.answer)
        yield Event(kind="turn", turn=turn)

    async def follow(self, *, context: Context, thread: str, turn: str) -> Turning:
        """Return the turn that was cut off, brought to its end."""
        entry: Any = None
        turning = Turning(entry=entry)
        turning.tell_turn(replace(ANSWER, answer="Yes, it is.", turn_id=turn))
        turning.end()
        return turning

    async def messages(self, *, context: Context, thread: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": text} for text in self.asked]


Lines = Callable[..., Talks]


@pytest.fixture
def say() -> Lines:
    """Type lines into a chat that answers with the given turns."""

    def run(
        *lines: str,
        turns: tuple[Turn, ...] = (),
        as_json: bool = False,
        waits_s: float | None = None,
    ) -> Talks:
        waiting: Iterator[str] = iter(lines)

        def read(prompt: str) -> str:
            try:
                return next(waiting)
            except StopIteration:
                raise EOFError from None

        talks = Talks(list(turns), waits_s)
        Chat(
            conversations=talks,  # type: ignore[arg-type]  # a fake of the part that is used
            context=Context(),
            run=asyncio.run,
            thread="t1",
            as_json=as_json,
            read=read,
        ).loop()
        return talks

    return run


@pytest.mark.parametrize("as_json", [False, True])
def test_what_a_message_waits_for_is_told(
    say: Lines,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    as_json: bool,
) -> None:
    """A wait that lasts, a message that was cut off, and its answer; beside standard output."""
    monkeypatch.setattr(cli_turns, "QUIET_S", 0.01)
    say("How long?", turns=(ANSWER,), waits_s=0.05, as_json=as_json)
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in err.splitlines() if "respond" not in line] == [
        "Waiting:",
        "An",
        "The",
    ]
    assert err.rstrip().endswith("Yes, it is.")
    assert "cut off" not in out
    say("How long?", turns=(ANSWER,), waits_s=0.0, as_json=as_json)
    assert "Waiting:" not in capsys.readouterr().err


def test_a_turn_shows_nodes_answer_and_sources(
    say: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each node is named as it finishes, then come the answer, its sources and the facts."""
    talks = say("How long?", "/quit", "never", turns=(ANSWER,))
    assert talks.asked == ["How long?"]
    shown = capsys.readouterr().out
    order = ["  respond  ", "Refunds take five days [1].", "[1] Refunds  refunds.md", "thread t1"]
    assert order == sorted(order, key=shown.index)
    assert shown.count("Refunds take five days [1].") == 1


@pytest.mark.parametrize(("word", "approved"), [("y", True), ("Yes", True), ("n", False)])
def test_an_approval_is_asked_for_in_place(
    word: str, approved: bool, say: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    """What waits is shown and a plain yes or no decides it, by its name."""
    talks = say("cancel it", word, turns=(WAITING, ANSWER))
    assert talks.decided == [(approved, "i1")]
    assert "cancel_order(order='LL-1')" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["maybe", "ok, cancel that", "yes, but which order is it?"])
def test_anything_but_a_plain_yes_or_no_is_a_message(word: str, say: Lines) -> None:
    """It is asked like any other, nothing is decided, and what still waits is asked for again."""
    talks = say("cancel it", word, "y", turns=(WAITING, WAITING, ANSWER))
    assert talks.asked == ["cancel it", word]
    assert talks.decided == [(True, "i1")]


def test_an_empty_line_decides_nothing(say: Lines) -> None:
    """Return alone leaves the call waiting, and the next line is a message."""
    talks = say("cancel it", "", "How long?", turns=(WAITING, ANSWER))
    assert (talks.asked, talks.decided) == (["cancel it", "How long?"], [])


def test_interrupting_an_answer_keeps_the_chat(
    say: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in the middle of an answer stops that answer, and the next message is taken."""
    talks = say("stop me", "How long?", turns=(ANSWER,))
    assert talks.asked == ["stop me", "How long?"]
    assert "stopped; the thread is kept" in capsys.readouterr().out


def test_a_refused_message_does_not_end_the_chat(
    say: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error is told and the conversation goes on."""
    talks = say("bad", "How long?", turns=(ANSWER,))
    assert talks.asked == ["bad", "How long?"]
    assert capsys.readouterr().err == "error: no\nhint: Say more.\n"


def test_slash_commands(say: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    """/graph tells the last path with times, /history the messages; unknown ones are named."""
    say("/graph", "How long?", "/graph", "/history", "/fly", turns=(ANSWER,))
    shown = capsys.readouterr().out
    assert "nothing was asked yet" in shown
    assert "guard_input (1 ms) → respond (8 ms)" in shown
    assert "user: How long?" in shown
    assert "unknown command /fly" in shown


def test_json_prints_one_object_a_turn(say: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json standard output holds nothing but the turn."""
    say("How long?", turns=(ANSWER,), as_json=True)
    assert json.loads(capsys.readouterr().out)["thread_id"] == "t1"


def test_a_waiting_turn_says_how_to_decide(capsys: pytest.CaptureFixture[str]) -> None:
    """`ask` prints the command that approves, with the options it needs again."""
    show_turn(WAITING, flags={"--tenant": "", "--user": "ada l"})
    shown = capsys.readouterr().out
    assert "antiphon ask --thread t1 --user 'ada l' \"yes\"" in shown


def test_quotes_are_shown_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A quote keeps its words, not its line breaks."""
    show_turn(ANSWER, flags={})
    assert '"Refunds take five days."' in capsys.readouterr().out
