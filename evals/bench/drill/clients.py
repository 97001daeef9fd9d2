"""Clients as they should be: each request has a key, and is sent again until it is answered."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from antiphon.evals.bench.drill.assistant import ASKS
from antiphon.evals.bench.drill.processes import Server
from antiphon.evals.bench.drill.service import entries, ledger_of

PATIENCE_S = 180.0
"""How long a client goes on until it takes its request for lost."""
READ_S = 45.0
"""How long it waits for one try."""
THREADS = 30
TALKS = 20
"""Requests on a thread before it makes room for a new one."""
APPROVED = 0.8
"""Share of the questions that are answered with a yes."""
AGAIN = "-again-"
"""Ends the id of a question about a call that went out with nobody knowing what came of it."""


@dataclass(slots=True, kw_only=True)
class Sent:
    """One request and what came of it."""

    thread: str
    reference: str
    key: str
    body: Mapping[str, object]
    tries: int = 0
    cuts: list[float] = field(default_factory=list)
    """When servers were killed that had it."""
    answered: float = 0.0
    status: int = 0
    turn: dict[str, Any] = field(default_factory=dict)
    """The turn as it was answered, or the error."""


@dataclass(slots=True, kw_only=True)
class Story:
    """A message with every decision that it led to."""

    kind: str
    reference: str
    thread: str
    sent: list[Sent] = field(default_factory=list)
    approved: bool = False
    """Whether a person said yes, ever."""
    asked_again: int = 0

    @property
    def last(self) -> Sent:
        """The latest request."""
        return self.sent[-1]


class Clients:
    """Several people who talk to either server, some on the same thread at once."""

    def __init__(
        self,
        servers: Sequence[Server],
        data_dir: Path,
        *,
        key: str,
        chance: random.Random,
    ) -> None:
        self.stories: list[Story] = []
        self.stopping = False
        self._servers = servers
        self._ledger = ledger_of(data_dir)
        self._key = key
        self._chance = chance
        self._numbers = count(1)
        self._names = count(1)
        self._threads = [self._named() for _ in range(THREADS)]
        self._talks = dict.fromkeys(self._threads, 0)

    async def talk(self) -> None:
        """Send one message after the other until told to stop."""
        while not self.stopping:
            await self.tell(self._chance.choice(tuple(ASKS)), self._thread())

    async def tell(self, kind: str, thread: str) -> Story:
        """Send a message and decide what it asks for, to the end."""
        reference = f"Q{next(self._numbers):05}"
        story = Story(kind=kind, reference=reference, thread=thread)
        self.stories.append(story)
        turn = await self._answered(story, "ask", {"message": ASKS[kind].format(reference)})
        numbers = count(1)
        while (waits := _waiting(turn, reference)) is not None:
            await asyncio.sleep(self._chance.uniform(0, 0.5))
            approved = self._says_yes(story, again=AGAIN in waits["interrupt_id"])
            resume = {"approved": approved, "interrupt_id": waits["interrupt_id"]}
            body = {"command": {"resume": resume}}
            turn = await self._answered(story, f"say{next(numbers)}", body)
        return story

    async def state(self, thread: str) -> dict[str, Any]:
        """Return what a thread says of itself."""
        found = await self._get(f"/v1/threads/{thread}/state")
        return found if isinstance(found, dict) else {}

    async def once_more(self, sent: Sent) -> dict[str, Any]:
        """Send a request that was answered again, and return what it is answered now."""
        again = Sent(thread=sent.thread, reference=sent.reference, key=sent.key, body=sent.body)
        return await self._sent(again)

    def threads(self) -> list[str]:
        """Return every thread that was talked on."""
        return sorted({story.thread for story in self.stories})

    def _says_yes(self, story: Story, *, again: bool) -> bool:
        """Decide as a person would: asked again, they look whether it was done."""
        if again:
            story.asked_again += 1
            done = any(entry.reference == story.reference for entry in entries(self._ledger))
            return story.approved and not done
        story.approved = story.approved or self._chance.random() < APPROVED
        return story.approved

    def _thread(self) -> str:
        place = self._chance.randrange(THREADS)
        thread = self._threads[place]
        self._talks[thread] = self._talks.get(thread, 0) + 1
        if self._talks[thread] >= TALKS:
            self._threads[place] = self._named()
        return thread

    def _named(self) -> str:
        return f"talk-{next(self._names)}"

    async def _answered(
        self, story: Story, what: str, body: Mapping[str, object]
    ) -> dict[str, Any]:
        sent = Sent(
            thread=story.thread,
            reference=story.reference,
            key=f"{story.reference}-{what}",
            body=body,
        )
        story.sent.append(sent)
        return await self._sent(sent)

    async def _sent(self, sent: Sent) -> dict[str, Any]:
        """Send a request to either server until one answers it."""
        began = time.monotonic()
        path = f"/v1/threads/{sent.thread}/runs/wait"
        headers = {"x-api-key": self._key, "idempotency-key": sent.key}
        while time.monotonic() - began < PATIENCE_S:
            server = self._chance.choice(self._servers)
            if not server.up.is_set():
                await asyncio.sleep(0.05)
                continue
            sent.tries, tried = sent.tries + 1, time.monotonic()
            try:
                async with httpx.AsyncClient(timeout=READ_S, headers=headers) as http:
                    said = await http.post(server.url + path, json=dict(sent.body))
                told = said.json()
            except (httpx.HTTPError, ValueError):
                await asyncio.sleep(0.05)
                if server.killed and server.killed[-1] >= tried:
                    sent.cuts.append(server.killed[-1])
                continue
            sent.status = said.status_code
            if said.is_success or _final(said, told):
                sent.turn, sent.answered = told, time.monotonic()
                return sent.turn
            await asyncio.sleep(0.2)
        return {}

    async def _get(self, path: str) -> object:
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE_S:
            server = self._chance.choice(self._servers)
            try:
                async with httpx.AsyncClient(
                    timeout=READ_S, headers={"x-api-key": self._key}
                ) as http:
                    said = await http.get(server.url + path)
                if said.is_success:
                    return said.json()
            except (httpx.HTTPError, ValueError):
                pass
            await asyncio.sleep(0.2)
        return None


def _waiting(turn: Mapping[str, Any], reference: str) -> dict[str, Any] | None:
    """Return the call that waits for a person, if it is this request's."""
    waits: dict[str, Any] = turn.get("interrupt") or {}
    return waits if waits.get("arguments", {}).get("reference") == reference else None


def _final(said: httpx.Response, told: Mapping[str, Any]) -> bool:
    """Say whether trying again cannot help: what was sent is wrong, or no longer asked for."""
    busy = said.status_code == httpx.codes.CONFLICT
    return said.is_client_error and (not busy or told.get("error", {}).get("code") == "not_pending")
