"""A turn over HTTP: run once, decided by name, followed, left, cancelled, deleted."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from doors import calling, client, events, numbered, served
from fakes import (
    ACTION,
    KNOWLEDGE,
    FakeIntents,
    FakeRail,
    FakeToolbox,
    fake_services,
)
from starlette.applications import Starlette
from starlette.types import Message

from antiphon.graphs.runner import Pace
from antiphon.graphs.runtime import Runtime
from antiphon.graphs.services import Services
from antiphon.nodes.state import Context
from antiphon.tools.errors import UnknownThread
from antiphon.tools.guards import Subject, Verdict
from antiphon.tools.toolbox import Caller, ToolCall, ToolResult

QUESTION = "How long can I take to return a lamp?"
KEYS = "k-alice=acme/alice,k-bob=acme/bob"
RUN = "/v1/threads/t/runs/wait"
STREAM = "/v1/threads/t/runs/stream"


def waits(**given: object) -> tuple[FakeToolbox, Services]:
    """Return services whose first message asks for a call that needs a yes."""
    box = FakeToolbox(approval=True)
    return box, fake_services(
        **{"intents": FakeIntents([ACTION, KNOWLEDGE]), "toolbox": box, **given}
    )


async def waiting(http: httpx.AsyncClient) -> dict[str, object]:
    """Ask for the call; return what waits."""
    turn = (await http.post(RUN, json={"message": "send back LL-10001"})).json()
    assert turn["outcome"] == "awaiting_approval"
    found: dict[str, object] = turn["interrupt"]
    return found


def yes(interrupt: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "command": {"resume": {"approved": True, "interrupt_id": interrupt["interrupt_id"], **more}}
    }


class Slow(FakeRail):
    """An output rail that waits to be let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    async def judge(self, text: str, subject: Subject) -> Verdict:
        self.reached.set()
        await self.go.wait()
        return await super().judge(text, subject)


# --- once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "at once"])
async def test_a_request_that_is_sent_again_is_the_same_turn(
    tmp_path: Path, *, at_once: bool
) -> None:
    """A client that retries after a timeout neither asks twice nor acts twice."""
    box = FakeToolbox()
    services = fake_services(intents=FakeIntents([ACTION]), toolbox=box)
    head = {"idempotency-key": "r1"}
    async with client(tmp_path, services) as http:
        calls = [http.post(RUN, json={"message": "send it back"}, headers=head) for _ in range(3)]
        replies = await asyncio.gather(*calls) if at_once else [await call for call in calls]
        state = (await http.get("/v1/threads/t/state")).json()
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.json()["turn_id"] for reply in replies}) == 1
    assert len({reply.json()["answer"] for reply in replies}) == 1
    assert len(state["messages"]) == 2
    assert len(box.ran) == 1


async def test_a_stream_that_is_sent_again_tells_the_same_turn(tmp_path: Path) -> None:
    """A retry of a stream gets the answer of the first."""
    head = {"idempotency-key": "r1"}
    async with client(tmp_path) as http:
        first = await http.post(STREAM, json={"message": QUESTION}, headers=head)
        again = await http.post(STREAM, json={"message": QUESTION}, headers=head)
    assert first.headers["x-turn-id"] == again.headers["x-turn-id"]
    assert events(first.text)[-1] == events(again.text)[-1]


async def test_a_key_with_another_request_is_a_conflict(tmp_path: Path) -> None:
    """Another message, another thread or a decision under a key that was used: 409."""
    _, services = waits()
    head = {"idempotency-key": "r1"}
    async with client(tmp_path, services) as http:
        interrupt = await waiting(http)
        await http.post(RUN, json={"message": QUESTION}, headers=head)
        for path, body in (
            (RUN, {"message": "And a rug?"}),
            ("/v1/threads/other/runs/wait", {"message": QUESTION}),
            (RUN, yes(interrupt)),
        ):
            reply = await http.post(path, json=body, headers=head)
            assert (reply.status_code, reply.json()["error"]["code"]) == (409, "request_key_reused")


async def test_a_key_is_its_callers_own(tmp_path: Path) -> None:
    """Two callers that happen to choose one key each get a turn."""
    head = {"idempotency-key": "r1"}
    async with served(tmp_path, keys=KEYS) as app:
        turns = []
        for key, thread in (("k-alice", "a"), ("k-bob", "b")):
            async with calling(app, key) as http:
                body = {"message": QUESTION}
                reply = await http.post(f"/v1/threads/{thread}/runs/wait", json=body, headers=head)
                turns.append(reply.json()["turn_id"])
    assert len(set(turns)) == 2


async def test_a_decision_that_is_sent_again_is_the_same_turn(tmp_path: Path) -> None:
    """Though by then nothing waits any more."""
    box, services = waits()
    head = {"idempotency-key": "d1"}
    async with client(tmp_path, services) as http:
        body = yes(await waiting(http))
        first = await http.post(RUN, json=body, headers=head)
        again = await http.post(RUN, json=body, headers=head)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json()["turn_id"] == again.json()["turn_id"]
    assert len(box.ran) == 1


# --- decisions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [RUN, STREAM], ids=["wait", "stream"])
async def test_an_approval_is_shown_and_resumed(tmp_path: Path, path: str) -> None:
    """A call that needs a yes waits, runs once when approved, and cannot be approved again."""
    box, services = waits()
    async with client(tmp_path, services) as http:
        interrupt = await waiting(http)
        assert interrupt["tool"] == "note_return"
        assert box.ran == []
        done = await http.post(path, json=yes(interrupt))
        turn = done.json() if path == RUN else events(done.text)[-1][1]
        assert turn["outcome"] == "answered"
        again = await http.post(path, json=yes(interrupt))
    assert (again.status_code, again.json()["error"]["code"]) == (409, "not_pending")
    assert "interrupt" not in again.json()
    assert len(box.ran) == 1


async def test_a_refusal_runs_nothing(tmp_path: Path) -> None:
    """Approved: false ends the turn without the call."""
    box, services = waits()
    async with client(tmp_path, services) as http:
        interrupt = await waiting(http)
        body = yes(interrupt, approved=False, reason="changed my mind")
        done = await http.post(STREAM, json=body)
    assert events(done.text)[-1][0] == "turn"
    assert box.ran == []


@pytest.mark.parametrize("path", [RUN, STREAM], ids=["wait", "stream"])
async def test_a_decision_about_something_else_is_told_what_waits(
    tmp_path: Path, path: str
) -> None:
    """409 with the pending call, so that a stale page can show it."""
    box, services = waits()
    async with client(tmp_path, services) as http:
        interrupt = await waiting(http)
        stale = await http.post(path, json=yes({"interrupt_id": "stale"}))
        assert (stale.status_code, stale.json()["interrupt"]) == (409, interrupt)
        bad = await http.post(path, json=yes(interrupt, arguments={"to": "mallory"}))
        assert (bad.status_code, bad.json()["error"]["code"]) == (400, "bad_input")
        state = (await http.get("/v1/threads/t/state")).json()
    assert (state["interrupt"], box.ran) == (interrupt, [])


@dataclass
class TwoSteps(FakeToolbox):
    """Two calls that each need a yes, planned at once."""

    approval: bool = True

    async def choose(self, text: str, **given: object) -> object:  # type: ignore[override]
        plan = self.validate("note_return", {"order_id": "LL-1"}, turn=str(given["turn"]))
        second = ToolCall(
            id="second", name="note_return", arguments={"order_id": "LL-2"},
            idempotency_key=f"second-{given['turn']}",
        )  # fmt: skip
        return type(plan)(calls=(*plan.calls, second))

    async def execute(self, call: ToolCall, *, caller: Caller) -> ToolResult:
        await asyncio.sleep(0.1)
        return await super().execute(call, caller=caller)


@pytest.mark.parametrize("clicks", [2, 5])
async def test_a_double_click_runs_the_call_that_was_seen_and_no_other(
    tmp_path: Path, clicks: int
) -> None:
    """The later clicks find that something else waits by now, and are told."""
    box = TwoSteps()
    _, services = waits(toolbox=box)
    async with client(tmp_path, services) as http:
        interrupt = await waiting(http)
        replies = await asyncio.gather(
            *(http.post(RUN, json=yes(interrupt)) for _ in range(clicks))
        )
    assert [call.arguments["order_id"] for call in box.ran] == ["LL-1"]
    assert sorted(reply.status_code for reply in replies) == [200, *[409] * (clicks - 1)]
    for reply in replies:
        shown = reply.json()["interrupt"]
        assert shown["arguments"] == {"order_id": "LL-2"}


async def test_yes_and_no_at_once_are_one_decision(tmp_path: Path) -> None:
    """Whichever comes first counts; the other is told that nothing waits any more."""
    box, services = waits()
    async with client(tmp_path, services) as http:
        interrupt = await waiting(http)
        bodies = [yes(interrupt), yes(interrupt, approved=False)]
        replies = await asyncio.gather(*(http.post(RUN, json=body) for body in bodies))
    statuses = [reply.status_code for reply in replies]
    assert sorted(statuses) == [200, 409]
    assert len(box.ran) == (1 if statuses[0] == 200 else 0)


# --- whose it is --------------------------------------------------------------------------------


async def test_a_thread_cannot_be_taken_over_as_it_is_born(tmp_path: Path) -> None:
    """Two users who post to one new thread at once: one owns it, the other is turned away."""
    said = {"k-alice": "my card PIN is in the blue folder", "k-bob": "what did she say?"}
    async with served(tmp_path, keys=KEYS) as app:
        replies = await asyncio.gather(*(post(app, key, text) for key, text in said.items()))
        assert sorted(reply.status_code for reply in replies) == [200, 403]
        for key, reply in zip(said, replies, strict=True):
            async with calling(app, key) as http:
                state = await http.get("/v1/threads/t/state")
            assert state.status_code == reply.status_code
            others = [text for name, text in said.items() if name != key]
            assert others[0] not in state.text


async def post(app: Starlette, key: str, text: str) -> httpx.Response:
    async with calling(app, key) as http:
        return await http.post(RUN, json={"message": text})


# --- leaving, following, stopping ---------------------------------------------------------------


class Reader:
    """A client that reads a stream as slowly as it likes, and may leave."""

    def __init__(self, app: Starlette, path: str, body: dict[str, object]) -> None:
        self._app, self._path, self._body = app, path, json.dumps(body).encode()
        self.told: list[str] = []
        self.reads = asyncio.Semaphore(0)
        """Released once for each piece that is read."""
        self.leaves = asyncio.Event()

    async def run(self) -> None:
        """Send the request; return when the stream has ended."""
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "scheme": "http", "path": self._path, "raw_path": self._path.encode(),
            "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
            "server": ("localhost", 80),
        }  # fmt: skip
        sent = iter([{"type": "http.request", "body": self._body}])

        async def receive() -> Message:
            for message in sent:
                return message
            await self.leaves.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await self.reads.acquire()
            self.told.append(message.get("body", b"").decode())

        await self._app(scope, receive, send)


async def test_a_slow_reader_does_not_hold_the_thread(tmp_path: Path) -> None:
    """A stream of which nothing is read ends on record, and the next message is answered."""
    async with served(tmp_path, pace=Pace(patience=3)) as app, calling(app) as http:
        slow = Reader(app, STREAM, {"message": QUESTION})
        reading = asyncio.create_task(slow.run())
        for _ in range(200):
            if (await http.get("/v1/threads/t/state")).json().get("answer"):
                break
            await asyncio.sleep(0.02)
        assert slow.told == []
        second = await http.post(RUN, json={"message": "And a rug?"})
        assert (second.status_code, second.json()["outcome"]) == (200, "answered")
        for _ in range(200):
            slow.reads.release()
        await asyncio.wait_for(reading, 5)
    assert events("".join(slow.told))[-1][0] == "turn"


async def test_a_client_that_comes_back_goes_on_after_what_it_saw(tmp_path: Path) -> None:
    """The turn runs on without it; with Last-Event-ID nothing is missed and nothing told twice."""
    rail = Slow()
    async with served(tmp_path, fake_services(output_rail=rail)) as app, calling(app) as http:
        reader = Reader(app, STREAM, {"message": QUESTION})
        for _ in range(100):
            reader.reads.release()
        reading = asyncio.create_task(reader.run())
        await rail.reached.wait()
        await asyncio.sleep(0.1)
        reader.leaves.set()
        await asyncio.wait_for(reading, 5)
        seen = numbered("".join(reader.told))
        runtime: Runtime = app.state.runtime
        (running,) = await runtime.conversations.turns.turns("default", "t")
        assert (running.state, seen[-1][1]) == ("running", "node")
        rail.go.set()
        url = f"/v1/threads/t/runs/{running.id}/stream"
        rest = await http.get(url, headers={"last-event-id": str(seen[-1][0])})
        whole = await http.get(url)
    told = numbered(rest.text)
    assert [number for number, _, _ in (*seen, *told)] == list(range(1, len(seen) + len(told) + 1))
    assert told[-1][1] == "turn"
    assert numbered(whole.text)[-1][2] == told[-1][2]


@pytest.mark.parametrize("last", ["x", "-1", "1.5"])
async def test_a_last_event_id_that_is_none_is_refused(tmp_path: Path, last: str) -> None:
    """It is a number that was sent before."""
    async with client(tmp_path) as http:
        turn = (await http.post(RUN, json={"message": QUESTION})).json()
        url = f"/v1/threads/t/runs/{turn['turn_id']}/stream"
        reply = await http.get(url, headers={"last-event-id": last})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_input")


async def test_a_turn_of_another_user_is_neither_followed_nor_stopped(tmp_path: Path) -> None:
    """Knowing a turn's id is not enough."""
    async with served(tmp_path, keys=KEYS) as app:
        async with calling(app, "k-alice") as alice:
            turn = (await alice.post(RUN, json={"message": QUESTION})).json()["turn_id"]
            assert (await alice.get("/v1/threads/t/runs/none/stream")).status_code == 404
        async with calling(app, "k-bob") as bob:
            followed = await bob.get(f"/v1/threads/t/runs/{turn}/stream")
            stopped = await bob.post(f"/v1/threads/t/runs/{turn}/cancel")
    assert (followed.status_code, stopped.status_code) == (403, 403)


async def test_a_turn_is_stopped_on_request(tmp_path: Path) -> None:
    """Cancel ends it at once, for whoever waits too; the thread goes on as before."""
    rail = Slow()
    async with served(tmp_path, fake_services(output_rail=rail)) as app, calling(app) as http:
        asked = asyncio.create_task(http.post(RUN, json={"message": QUESTION}))
        await rail.reached.wait()
        runtime: Runtime = app.state.runtime
        (running,) = await runtime.conversations.turns.turns("default", "t")
        stop = await http.post(f"/v1/threads/t/runs/{running.id}/cancel")
        stopped = await asyncio.wait_for(asked, 5)
        again = await http.post(f"/v1/threads/t/runs/{running.id}/cancel")
        rail.go.set()
        turn = (await http.post(RUN, json={"message": QUESTION})).json()
    assert (stop.status_code, again.status_code) == (204, 204)
    assert (stopped.status_code, stopped.json()["outcome"]) == (200, "cancelled")
    assert turn["outcome"] == "answered"


async def test_a_thread_deleted_during_a_turn_is_gone_for_good(tmp_path: Path) -> None:
    """The turn is stopped, and nothing of what was said is written again."""
    rail = Slow()
    async with served(tmp_path, fake_services(output_rail=rail)) as app, calling(app) as http:
        asked = asyncio.create_task(http.post(RUN, json={"message": "erase me please"}))
        await rail.reached.wait()
        assert (await http.delete("/v1/threads/t")).status_code == 204
        rail.go.set()
        reply = await asyncio.wait_for(asked, 5)
        assert "erase me" not in reply.text
        assert (await http.get("/v1/threads/t/state")).status_code == 404
        assert (await http.get("/v1/threads")).json()["threads"] == []
        runtime: Runtime = app.state.runtime
        with pytest.raises(UnknownThread):
            await runtime.conversations.messages(context=Context(), thread="t")
    with closing(sqlite3.connect(tmp_path / "threads.db")) as db:
        kept = "\n".join(db.iterdump())
    assert "antiphon_threads" in kept
    assert "erase me" not in kept
    assert b"erase me".hex().upper() not in kept


async def test_a_thread_that_is_busy_says_so(tmp_path: Path) -> None:
    """After a bounded wait a message is told to come again, by a status, also for a stream."""
    rail = Slow()
    services = fake_services(output_rail=rail)
    async with served(tmp_path, services, pace=Pace(patience=0.2)) as app, calling(app) as http:
        asked = asyncio.create_task(http.post(RUN, json={"message": QUESTION}))
        await rail.reached.wait()
        for path in (RUN, STREAM):
            busy = await http.post(path, json={"message": "And a rug?"})
            assert (busy.status_code, busy.json()["error"]["code"]) == (409, "thread_busy")
            assert busy.headers["retry-after"] == "1"
        rail.go.set()
        assert (await asked).status_code == 200
        state = (await http.get("/v1/threads/t/state")).json()
    assert len(state["messages"]) == 2
