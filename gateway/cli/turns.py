"""How a turn reads in a terminal: the answer, its numbered sources, and a dim line of facts."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from antiphon.gateway.cli.output import console, visible
from antiphon.tools.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from antiphon.graphs.threads import Conversations, Event
    from antiphon.graphs.turns import Turn
    from antiphon.nodes.state import Context

LONGEST_HEADING = 120
"""Characters of a source's heading that are shown."""
QUIET_S = 1.5
"""How long a message waits for its thread before a person is told."""
WAITING = (
    "Waiting: an earlier message of this thread is still being answered, or was cut off a moment"
    " ago ..."
)
CUT_OFF = "An earlier message of this thread was cut off; it is brought to its end first ..."


def read_message(text: str) -> str:
    """Return the message that `text` means: itself, or standard input for `-`.

    Raises MessageError when it is too large, not UTF-8 or empty.
    """
    from antiphon.graphs.threads import MAX_MESSAGE_BYTES

    raw = (
        sys.stdin.buffer.read(MAX_MESSAGE_BYTES + 1)
        if text == "-"
        else text.encode("utf-8", "surrogateescape")
    )
    return decode(raw)


def decode(raw: bytes) -> str:
    """Decode one message strictly. Raises MessageError as `read_message` does."""
    from antiphon.graphs.threads import MAX_MESSAGE_BYTES

    if len(raw) > MAX_MESSAGE_BYTES:
        raise MessageError(
            f"the message is larger than {MAX_MESSAGE_BYTES:,} bytes",
            hint="Long texts belong in the knowledge: `antiphon ingest PATH`.",
        )
    try:
        message = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MessageError(
            f"the message is not UTF-8: byte {error.start} is 0x{raw[error.start]:02x}",
            hint="Save or convert the text as UTF-8.",
        ) from error
    if not message.strip():
        raise MessageError("the message is empty", hint='Try `antiphon ask "your question"`.')
    return message


async def announced(
    events: AsyncIterator[Event], talk: Conversations, context: Context
) -> AsyncIterator[Event]:
    """Yield a turn's events; standard error hears what it waits for and what was made up for."""
    import asyncio

    from antiphon.graphs.turning import outcome

    cut: list[str] = []
    note: asyncio.TimerHandle | None = None
    try:
        async for event in events:
            if note is not None:
                note.cancel()
            if event.kind == "waiting":
                note = asyncio.get_running_loop().call_later(QUIET_S, _note, WAITING)
            elif event.kind == "resumed":
                _note(CUT_OFF)
                cut.append(event.text)
            elif event.turn is not None:
                for name in cut:
                    if name == event.turn.turn_id:
                        continue
                    thread = event.turn.thread_id
                    late = await talk.follow(context=context, thread=thread, turn=name)
                    earlier = await outcome(late.follow())
                    _note(f"The message that was cut off: {earlier.answer or earlier.outcome}")
            yield event
    finally:
        if note is not None:
            note.cancel()


def _note(text: str) -> None:
    console(error=True).print(visible(text), style="dim")


def show_turn(turn: Turn, *, flags: Mapping[str, str], answer: bool = True) -> None:
    """Print a turn for a person; `flags` are the options a follow-up command must repeat."""
    out = console()
    if answer and turn.answer:
        out.print(visible(turn.answer))
    if turn.citations:
        out.print("\nSources", style="bold")
    for place, citation in enumerate(turn.citations, 1):
        label = citation.get("id", place)
        under = str(citation.get("heading") or "")[:LONGEST_HEADING]
        head = f"[{label}] {' > '.join(filter(None, [str(citation['title']), under]))}"
        out.print(f"{visible(head)}  {visible(citation['source'])}")
        out.print(f'    "{visible(_one_line(str(citation["quote"])))}"', style="dim italic")
    if turn.interrupt is not None:
        show_request(turn)
        again = shlex.join(["antiphon", "ask", "--thread", turn.thread_id, *_repeated(flags)])
        out.print(f'\nDecide with:\n  {again} "yes"\n  {again} "no"')
    out.print(f"\n{facts(turn)}", style="dim")


def show_request(turn: Turn) -> None:
    """Print what waits for an approval."""
    request = turn.interrupt or {}
    out = console()
    out.print("\nWaiting for your approval", style="bold yellow")
    question = visible(request.get("question") or "")
    if question and question not in turn.answer:
        out.print(f"  {question}")
    arguments = request.get("arguments")
    filled = (
        ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        if isinstance(arguments, dict)
        else ""
    )
    out.print(f"  {visible(request.get('tool', ''))}({visible(filled)})")


def facts(turn: Turn) -> str:
    """Return the line under an answer: outcome, model, cost, latency, thread."""
    parts = [
        turn.outcome.replace("_", " "),
        turn.model,
        f"${turn.cost_usd:.4f}",
        f"{turn.latency_ms:.0f} ms",
        f"thread {turn.thread_id}",
    ]
    if turn.degraded_because:
        parts.append(f"degraded because {turn.degraded_because}")
    parts += [f"{v['guard']} {v['action']}" for v in turn.violations]
    return visible(" · ".join(part for part in parts if part))


def _repeated(flags: Mapping[str, str]) -> list[str]:
    return [word for name, value in flags.items() if value for word in (name, value)]


def _one_line(text: str) -> str:
    return " ".join(text.split())
