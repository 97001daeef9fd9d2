"""Proposals for a golden set: one per thing, a person's word stands, gone with their thread."""

from __future__ import annotations

from turn_stores import Open, let_in

from antiphon.tools.turns.candidates import Candidate
from antiphon.tools.turns.store import SqlTurns


def about(turn: str, thread: str = "t", **given: object) -> Candidate:
    """Return a user's word on a turn of Alice's."""
    told = {"tenant": "acme", "origin": "feedback", "example": {"messages": ["How long?"]}, **given}
    return Candidate(key=f"turn:{turn}", turn=turn, thread=thread, **told)  # type: ignore[arg-type]


async def test_a_turn_has_one_candidate_however_often_its_user_speaks(opening: Open) -> None:
    """The last word counts, and is not lost when somebody else picks the same turn."""
    store = SqlTurns(await opening())
    turn = (await let_in(store)).turn.id
    assert await store.propose(about(turn, rating=1))
    assert await store.propose(about(turn, rating=-1, comment="wrong"))
    assert await store.propose(about(turn, origin="turn", example={"messages": ["How?"]}))

    [kept] = await store.candidates("acme")
    assert (kept.rating, kept.comment, kept.origin) == (-1, "wrong", "feedback")
    assert kept.example == {"messages": ["How?"]}
    assert kept.created > 0


async def test_what_a_person_decided_stands(opening: Open) -> None:
    """A rejected proposal does not come back, nor does an accepted one; only once is decided."""
    store = SqlTurns(await opening())
    turn = (await let_in(store)).turn.id
    one = about(turn)
    await store.propose(one)
    assert await store.rule("acme", one.id, "rejected")
    assert not await store.rule("acme", one.id, "accepted")
    kept = await store.propose(about(turn, rating=1, example={"messages": ["Else?"]}))

    assert await store.candidates("acme") == []
    assert [kept] == await store.candidates("acme", state="")
    assert kept is not None
    assert (kept.state, kept.rating) == ("rejected", 1)
    assert kept.example == {"messages": ["How long?"]}


async def test_another_tenant_sees_and_decides_nothing(opening: Open) -> None:
    """Candidates are keyed by tenant, like all else: the same key of two tenants is two."""
    store = SqlTurns(await opening())
    one = about("x", thread="")
    await store.propose(one)
    assert await store.candidates("other") == []
    assert await store.candidate("other", one.id) is None
    assert not await store.rule("other", one.id, "accepted")
    assert await store.propose(about("x", thread="", tenant="other"))
    assert [each.tenant for each in await store.candidates("acme")] == ["acme"]


async def test_they_go_with_their_thread(opening: Open) -> None:
    """A deleted thread takes its candidates along, and none is written for it afterwards."""
    store = SqlTurns(await opening())
    gone, stays = (await let_in(store, "a")).turn.id, (await let_in(store, "b")).turn.id
    await store.propose(about(gone, thread="a"))
    await store.propose(about(stays, thread="b"))
    await store.propose(about("page", thread=""))
    await store.delete("acme", "a")

    assert await store.propose(about(gone, thread="a")) is None
    assert {each.turn for each in await store.candidates("acme", state="")} == {stays, "page"}


async def test_the_thread_of_a_turn_is_found_within_its_tenant(opening: Open) -> None:
    """A turn's id leads to its thread, but for nobody of another tenant."""
    store = SqlTurns(await opening())
    turn = (await let_in(store, "a")).turn.id
    assert await store.thread_of("acme", turn) == "a"
    assert await store.thread_of("other", turn) == ""
    assert await store.thread_of("acme", turn[:-1]) == ""
