"""The drill's verdict can come out badly, and a short drill over real servers does not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from antiphon.evals.bench import durability
from antiphon.evals.bench.drill.assistant import MODEL
from antiphon.evals.bench.drill.clients import Sent, Story
from antiphon.evals.bench.drill.model import DONE, NOT_DONE, Seen, reply
from antiphon.evals.bench.drill.service import Entry
from antiphon.evals.bench.drill.verdict import Evidence, Stored, judge
from antiphon.tools.errors import InputError

Q = "Q00001"
SAID = DONE.format(Q)
SETTLED = {"id": "turn-1", "thread": "t", "request_key": "", "state": "done"}
PAID = {"turn": "turn-1", "model": MODEL, "output_tokens": 1, "cost_usd": 0.01, "ok": 1}


def told(kind: str = "deposit", **turn: Any) -> Story:
    sent = Sent(thread="t", reference=Q, key=f"{Q}-ask", body={}, answered=1.0)
    sent.turn = {"turn_id": "turn-1", "answer": SAID, **turn}
    return Story(kind=kind, reference=Q, thread="t", sent=[sent])


def entry(tool: str = "pay_in", key: str = "k") -> Entry:
    return Entry(tool=tool, reference=Q, key=key, at=0.0)


def thread(*said: str) -> dict[str, Mapping[str, Any]]:
    asked = {"role": "user", "content": f"Request {Q}: pay"}
    answers = [{"role": "assistant", "content": text} for text in said]
    return {"t": {"messages": [asked, *answers]}}


GOOD = Evidence(
    stories=[told()],
    entries=[entry(), entry()],
    seen=[Seen(number=1, reference=Q)],
    states=thread(SAID),
    repeated={},
    deaf=[],
    stored=Stored(turns=[SETTLED], calls=[PAID], held=[]),
)


def test_what_is_right_has_no_fault() -> None:
    """An idempotent call that came twice under one key was done once."""
    faults = judge(GOOD)
    assert (faults.lost, faults.doubled, faults.stuck, faults.unaccounted) == ([], [], [], [])


def _unanswered() -> Story:
    story = told()
    story.last.answered = 0.0
    return story


def _stored(**changed: Any) -> Evidence:
    return replace(GOOD, stored=replace(GOOD.stored, **changed))


@pytest.mark.parametrize(
    ("fault", "evidence"),
    [
        ("lost", replace(GOOD, stories=[_unanswered()])),
        ("lost", replace(GOOD, states=thread())),
        ("lost", replace(GOOD, entries=[])),
        ("doubled", replace(GOOD, entries=[entry(), entry(key="other")])),
        ("doubled", replace(GOOD, states=thread(SAID, NOT_DONE.format(Q)))),
        ("doubled", replace(GOOD, stories=[told("question")], entries=[entry()])),
        ("doubled", replace(GOOD, stories=[told("dispatch")], entries=[entry("send_parcel")])),
        ("doubled", replace(GOOD, repeated={f"{Q}-ask": {"turn_id": "2", "answer": SAID}})),
        ("stuck", replace(GOOD, deaf=["t"])),
        ("stuck", _stored(held=["t"])),
        ("stuck", _stored(turns=[{**SETTLED, "state": "queued"}])),
        ("unaccounted", replace(GOOD, seen=[*GOOD.seen, Seen(number=2, reference=Q)])),
        ("unaccounted", _stored(calls=[{**PAID, "cost_usd": 0}])),
        ("unaccounted", replace(GOOD, stories=[told(turn_id="turn-2")])),
    ],
    ids=[
        "unanswered", "vanished", "never done", "another key", "two answers", "nobody asked",
        "nobody said yes", "answered anew", "takes no message", "lease held", "still queued",
        "not on account", "free of charge", "not on record",
    ],
)  # fmt: skip
def test_each_fault_is_seen(fault: str, evidence: Evidence) -> None:
    """One thing wrong is one fault, of its kind."""
    faults = judge(evidence)
    found = {
        kind: len(getattr(faults, kind)) for kind in ("lost", "doubled", "stuck", "unaccounted")
    }
    assert found == {kind: int(kind == fault) for kind in found}


def test_an_estimate_stands_for_a_call_whose_process_died() -> None:
    """The call was seen and never came back: what was noted beforehand accounts for it."""
    noted = {**PAID, "output_tokens": 0, "ok": 0}
    stored = replace(GOOD.stored, calls=[PAID, noted])
    seen = [*GOOD.seen, Seen(number=2, reference=Q)]
    assert judge(replace(GOOD, seen=seen, stored=stored)).unaccounted == []


def test_the_model_never_calls_a_tool_quite_the_same_twice() -> None:
    """Whoever takes likeness for sameness pays in twice."""
    asked = [{"role": "user", "content": f"Request {Q}: pay money into my account"}]
    assert reply(asked, tools=True, number=1) != reply(asked, tools=True, number=2)


@pytest.mark.parametrize(
    ("backend", "said"),
    [("oracle", "no backend"), ("postgres", "needs a server")],
)
async def test_a_backend_has_to_be_there(backend: str, said: str) -> None:
    """What cannot be drilled is said before anything starts."""
    with pytest.raises(InputError, match=said):
        await durability.run(backend=backend)


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("ANTIPHON_TEST_SERVERS"),
    reason="set ANTIPHON_TEST_SERVERS=1 to start and kill `antiphon serve`",
)
async def test_a_short_drill_has_no_fault() -> None:
    """Two processes on one folder, killed six times: all is answered, done once and on account."""
    figures: Any = (await durability.run(limit=6))["figures"]
    faults = {name: figures[name] for name in ("lost", "doubled", "stuck", "unaccounted")}
    assert faults == dict.fromkeys(faults, 0)
    assert figures["kills"] == 6
    assert figures["turns"] > 0
