"""A process that runs one turn and dies, or hangs, at the place it is told to.

`python mortal.py FOLDER PLACE [KEY]` asks one message of thread `t`, over fakes; each call of the
tool is a line in `ran.txt`. Printed at the end: outcome and how many turns were recorded.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakes import (
    ACTION,
    KNOWLEDGE,
    FakeIntents,
    FakeKnowledge,
    FakeModels,
    FakeTelemetry,
    FakeToolbox,
    Opened,
    PaidModels,
    fake_services,
)
from langchain_core.messages import BaseMessage
from langchain_core.tools import BaseTool

from antiphon.graphs.runner import Pace
from antiphon.graphs.services import Services
from antiphon.nodes.state import Context
from antiphon.tools.errors import AntiphonError
from antiphon.tools.models import Reply, Selection
from antiphon.tools.retrieval import Hit, Where
from antiphon.tools.toolbox import Caller, ToolCall, ToolResult

PACE = Pace(lease=1.0, beat=0.1, patience=6.0)
ME = Context(tenant="acme", user="alice")
QUESTION = "How long can I take to return a lamp?"


def die() -> None:
    """End as a killed process does: nothing is closed, nothing is written any more."""
    os._exit(9)


@dataclass
class MortalKnowledge(FakeKnowledge):
    """Dies or hangs in the middle of a search."""

    folder: Path = Path()
    place: str = ""

    async def search(
        self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
    ) -> tuple[Hit, ...]:
        if self.place == "node":
            die()
        if self.place == "hang":
            (self.folder / "hangs").touch()
            while not (self.folder / "go").exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.02)
        return await super().search(query, tenant=tenant, limit=limit, where=where)


@dataclass
class MortalModels(PaidModels):
    """A paid model; the process dies while it thinks."""

    place: str = ""

    async def reply(
        self,
        selection: Selection,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[BaseTool] = (),
    ) -> Reply:
        if self.place == "model" and not tools:
            die()
        return await super().reply(selection, messages, tools=tools)


@dataclass
class MortalToolbox(FakeToolbox):
    """Writes each call down; the process dies before, in or after it."""

    folder: Path = Path()
    place: str = ""

    async def execute(self, call: ToolCall, *, caller: Caller) -> ToolResult:
        if self.place == "before the tool":
            die()
        with (self.folder / "ran.txt").open("a") as ran:
            ran.write(f"{call.idempotency_key}\n")
        if self.place == "tool":
            die()
        return await super().execute(call, caller=caller)


def services(
    folder: Path, place: str = "", *, telemetry: FakeTelemetry | None = None, **box: Any
) -> Services:
    """Return fakes over the folder; an action when the place has to do with the tool."""
    acts = "tool" in place or box.pop("acts", False)
    return fake_services(
        knowledge=MortalKnowledge(folder=folder, place=place),
        models=FakeModels() if acts else MortalModels(place=place),
        toolbox=MortalToolbox(folder=folder, place=place, **box),
        intents=FakeIntents([ACTION if acts else KNOWLEDGE]),
        telemetry=telemetry or FakeTelemetry(),
    )


async def _main(folder: Path, place: str, key: str, idempotent: bool) -> None:
    telemetry = FakeTelemetry()
    parts = services(folder, place, telemetry=telemetry, idempotent=idempotent)
    async with Opened(folder, parts, PACE) as talk:
        turns: Any = talk.turns

        async def dying(*_: object, **__: object) -> None:
            die()

        if place.startswith("settle"):
            turns.settle = dying
        if place == "after the tool":
            turns.finish = dying
        said: dict[str, object] = {}
        try:
            turn = await talk.ask(QUESTION, context=ME, thread="t", request_key=key)
            said = {"outcome": turn.outcome, "turn": turn.turn_id}
        except AntiphonError as error:
            said = {"error": error.code}
        sys.stdout.write(json.dumps({**said, "recorded": len(telemetry.turns)}))


if __name__ == "__main__":
    place, *rest = sys.argv[2:]
    asyncio.run(_main(Path(sys.argv[1]), place, rest[0] if rest else "", "once" not in rest))
