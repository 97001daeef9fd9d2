"""A turn as it is followed: numbered events that any number of readers take at their own pace."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Literal

from antiphon.graphs.turns import Turn
from antiphon.tools.errors import AntiphonError
from antiphon.tools.turns.records import TurnEntry

MOST_PIECES = 400
"""Into how many events an answer is cut at most."""
MOST_EVENTS = 2000
"""Events of a turn that are kept for followers; of more, the earliest go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened while a turn ran."""

    kind: Literal["waiting", "node", "resumed", "answer", "retract", "turn"]
    """waiting: another turn has the thread; node: a node finished; resumed: a turn whose process
    had died is run on, this one or one before it; answer: a piece of the checked answer; retract:
    the answer is told again from its beginning; turn: the end."""
    id: int = 0
    """Counts within the turn, from 1."""
    node: str = ""
    ms: float = 0.0
    text: str = ""
    turn: Turn | None = None


@dataclass(slots=True, kw_only=True)
class Turning:
    """A turn under way, here or elsewhere, and what it has told so far."""

    entry: TurnEntry
    told: deque[Event] = field(default_factory=lambda: deque(maxlen=MOST_EVENTS))
    task: asyncio.Task[None] | None = None
    error: AntiphonError | None = None
    ended: bool = False
    here: bool = True
    """Whether this process runs it; else it only watches the store."""
    ran: bool = False
    """Whether it was run and settled here."""
    begun: bool = False
    """Whether its task has had its first step."""
    under_way: bool = False
    """Whether the graph runs, and settles it whatever happens."""
    cancelled: bool = False
    """Whether somebody asked it to stop."""
    handed_over: bool = False
    """Whether this process ends and leaves it to the next."""
    lost: bool = False
    """Whether the lease was lost under it."""
    followers: int = 0
    _count: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, event: Event) -> None:
        """Add an event for whoever follows."""
        self._count += 1
        self.told.append(replace(event, id=self._count))
        self._wake()

    def tell_turn(self, turn: Turn) -> None:
        """Tell the answer, piece by piece, and the turn as a whole."""
        words = re.findall(r"\S+\s*", turn.answer)
        # However long an answer is, all its pieces are kept for a reader that is slow.
        size = -(-len(words) // MOST_PIECES) or 1
        for start in range(0, len(words), size):
            self.tell(Event(kind="answer", text="".join(words[start : start + size])))
        self.tell(Event(kind="turn", turn=turn))

    def end(self, error: AntiphonError | None = None) -> None:
        """Say that nothing more comes."""
        self.ended, self.error = True, error
        self._wake()

    async def follow(self, after: int = 0) -> AsyncGenerator[Event, None]:
        """Yield the events after number `after`, those to come too; raise what ended the turn."""
        self.followers += 1
        if after and not self.here:
            # The numbers of another process are not ours: what was read of the answer is taken
            # back, and all of it told again.
            after = 0
            yield Event(kind="retract")
        try:
            while True:
                news = self._news
                for event in [one for one in self.told if one.id > after]:
                    after = event.id
                    yield event
                if self.ended and after >= self._count:
                    break
                if self._news is news and not self.ended:
                    await news.wait()
        finally:
            self.followers -= 1
        if self.error is not None:
            raise self.error

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


async def outcome(events: AsyncIterator[Event]) -> Turn:
    """Read a turn's events to their end and return it; what ended it otherwise is raised."""
    turn: Turn | None = None
    async for event in events:
        turn = event.turn or turn
    if turn is None:
        raise AntiphonError("the turn was stopped")
    return turn
