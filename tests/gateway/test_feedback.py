"""A user's word on an answer over HTTP: his own turns only, masked, gone with the thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from doors import calling, client, served
from fakes import ACTION, FakeIntents, FakeToolbox, fake_services
from starlette.applications import Starlette

from antiphon.tools.turns.candidates import Candidate

KEYS = "k-alice=acme/alice,k-bob=acme/bob,k-eve=other/alice"
RUN = "/v1/threads/t/runs/wait"


async def asked(http: httpx.AsyncClient, question: str = "How long can I take?") -> dict[str, Any]:
    """Ask in thread t; return the turn."""
    turn: dict[str, Any] = (await http.post(RUN, json={"message": question})).json()
    return turn


def place(turn: dict[str, Any], thread: str = "t") -> str:
    """Return where feedback on a turn goes."""
    return f"/v1/threads/{thread}/runs/{turn['turn_id']}/feedback"


async def kept(app: Starlette, tenant: str = "acme") -> list[Candidate]:
    """Return all candidates of a tenant."""
    found: list[Candidate] = await app.state.runtime.persistence.turns.candidates(tenant, state="")
    return found


async def test_a_thumb_becomes_a_candidate_with_question_answer_and_source(tmp_path: Path) -> None:
    """What was asked, answered and cited is there for a person to accept; its path as landmarks."""
    async with served(tmp_path, keys=KEYS) as app, calling(app, "k-alice") as http:
        turn = await asked(http, "How long can I take? I am dana@mail.example")
        reply = await http.post(
            place(turn), json={"rating": "up", "comment": "ask +1 202 555 0143"}
        )
        assert reply.status_code == 200
        said = "ask <PHONE_1>"
        assert reply.json() == {"turn_id": turn["turn_id"], "rating": "up", "comment": said}

        [one] = await kept(app)
    assert (one.by, one.thread, one.turn) == ("alice", "t", turn["turn_id"])
    assert (one.rating, one.comment, one.origin, one.state) == (1, said, "feedback", "proposed")
    assert one.example["messages"] == ["How long can I take? I am <EMAIL_1>"]
    expected: Any = one.example["expected"]
    assert expected["outcome"] == "answered"
    assert expected["sources"] == [each["source"] for each in turn["citations"]]
    assert expected["path"][0] == "guard_input"
    assert "[1]" in one.answer
    assert "[1]" not in str(one.example["reference"])


async def test_a_thumb_down_proposes_no_reference(tmp_path: Path) -> None:
    """What its user calls wrong is shown as the answer, never offered as what to expect."""
    async with served(tmp_path, keys=KEYS) as app, calling(app, "k-alice") as http:
        turn = await asked(http)
        await http.post(place(turn), json={"rating": "up"})
        await http.post(place(turn), json={"rating": "down", "comment": "it is 14 days"})
        [one] = await kept(app)
    assert (one.rating, one.comment, one.answer) == (-1, "it is 14 days", turn["answer"])
    assert set(one.example) == {"id", "kind", "messages"}


@pytest.mark.parametrize(
    ("key", "thread", "status"),
    [("k-bob", "t", 403), ("k-eve", "t", 404), ("k-alice", "u", 404), ("", "t", 401)],
)
async def test_nobody_speaks_of_anothers_turn(
    tmp_path: Path, key: str, thread: str, status: int
) -> None:
    """Not another user of the tenant, nor a namesake of another one, nor by another thread."""
    async with served(tmp_path, keys=KEYS) as app, calling(app, "k-alice") as http:
        turn = await asked(http)
        await http.post("/v1/threads/u/runs/wait", json={"message": "Hello?"})
        async with calling(app, key) as stranger:
            reply = await stranger.post(place(turn, thread), json={"rating": "down"})
        assert reply.status_code == status
        assert await kept(app) == await kept(app, "other") == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rating": "sideways"},
        {"rating": 1},
        {"rating": "up", "comment": "x" * 2001},
        {"rating": "up", "user": "bob"},
        {"rating": "up", "tenant": "other"},
    ],
)
async def test_a_body_of_another_shape_is_refused(tmp_path: Path, body: dict[str, object]) -> None:
    """Who speaks comes from the credential alone: naming somebody else is a mistake."""
    async with client(tmp_path, keys=KEYS, key="k-alice") as http:
        turn = await asked(http)
        assert (await http.post(place(turn), json=body)).status_code == 400


async def test_it_goes_with_its_thread(tmp_path: Path) -> None:
    """Who deletes a thread deletes what was said of its turns; nothing is kept afterwards."""
    async with served(tmp_path, keys=KEYS) as app, calling(app, "k-alice") as http:
        turn = await asked(http)
        await http.post(place(turn), json={"rating": "up"})
        assert len(await kept(app)) == 1
        assert (await http.delete("/v1/threads/t")).status_code == 204
        assert await kept(app) == []
        assert (await http.post(place(turn), json={"rating": "up"})).status_code == 404
        assert await kept(app) == []


async def test_a_turn_of_the_middle_asks_what_was_asked_by_then(tmp_path: Path) -> None:
    """A follow-up is proposed with what came before it, and without what came after."""
    async with served(tmp_path, keys=KEYS) as app, calling(app, "k-alice") as http:
        await asked(http, "First?")
        turn = await asked(http, "Second?")
        await asked(http, "Third?")
        await http.post(place(turn), json={"rating": "up"})
        [one] = await kept(app)
    assert one.example["messages"] == ["First?", "Second?"]
    assert one.example["kind"] == "multi_turn"


async def test_an_approval_that_waits_can_be_spoken_of(tmp_path: Path) -> None:
    """A call that should not have been proposed is feedback too."""
    services = fake_services(intents=FakeIntents([ACTION]), toolbox=FakeToolbox(approval=True))
    async with served(tmp_path, services, keys=KEYS) as app, calling(app, "k-alice") as http:
        turn = await asked(http, "send back LL-10001")
        assert turn["outcome"] == "awaiting_approval"
        assert (await http.post(place(turn), json={"rating": "up"})).status_code == 200
        [one] = await kept(app)
    assert one.example["kind"] == "tool"
