"""Threads: whose they are, what they hold, how they are stepped, replayed and forked."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import ACTION, FakeIntents, FakeKnowledge, FakeToolbox, Opened, fake_services

from antiphon.graphs.history import History
from antiphon.graphs.threads import Conversations
from antiphon.nodes.state import Context
from antiphon.tools.errors import (
    Forbidden,
    InputError,
    MessageError,
    StorageCorrupt,
    StorageUnwritable,
    UnknownThread,
)
from antiphon.tools.retrieval import Where
from antiphon.tools.turns.store import SqlTurns

QUESTION = "How long can I take to return a lamp?"
ME = Context(tenant="acme", user="alice")


async def listed(talk: Conversations, context: Context) -> list[str]:
    return [record.id for record in (await talk.threads(context=context)).threads]


async def test_a_thread_goes_on_after_a_restart(tmp_path: Path) -> None:
    """A second process finds the messages of the first."""
    async with Opened(tmp_path) as talk:
        await talk.ask(QUESTION, context=ME, thread="t")
    async with Opened(tmp_path) as talk:
        await talk.ask("And a rug?", context=ME, thread="t")
        said = await talk.messages(context=ME, thread="t")
    assert [message["role"] for message in said] == ["user", "assistant"] * 2


async def test_an_approval_survives_a_restart_and_runs_once(tmp_path: Path) -> None:
    """What waits for a yes still waits after a restart."""
    box = FakeToolbox(approval=True)
    services = fake_services(intents=FakeIntents([ACTION]), toolbox=box)
    async with Opened(tmp_path, services) as talk:
        await talk.ask("send it back", context=ME, thread="t")
    async with Opened(tmp_path, services) as talk:
        waiting = await talk.last(context=ME, thread="t")
        assert waiting.outcome == "awaiting_approval"
        assert waiting.interrupt is not None
        name = str(waiting.interrupt["interrupt_id"])
        done = await talk.decide(True, context=ME, thread="t", interrupt_id=name)
    assert done.outcome == "answered"
    assert len(box.ran) == 1


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (Context(tenant="rival", user="alice"), UnknownThread),
        (Context(tenant="acme", user="bob"), Forbidden),
        (Context(tenant="acme"), Forbidden),
    ],
    ids=["another tenant", "another user", "nobody"],
)
async def test_a_thread_is_shown_to_its_owner_only(
    tmp_path: Path, other: Context, error: type[InputError]
) -> None:
    """Neither another tenant nor another user can read, step, fork or delete a thread."""
    async with Opened(tmp_path) as talk:
        await talk.ask(QUESTION, context=ME, thread="t")
        for call in (
            talk.last(context=other, thread="t"),
            talk.messages(context=other, thread="t"),
            History(talk).steps(context=other, thread="t"),
            History(talk).fork(context=other, thread="t", step=1, changes={}),
            talk.delete(context=other, thread="t"),
        ):
            with pytest.raises(error):
                await call
        assert await listed(talk, other) == []
        assert await listed(talk, ME) == ["t"]


async def test_another_tenants_message_to_the_same_id_is_a_thread_of_its_own(
    tmp_path: Path,
) -> None:
    """Two tenants may use one thread id and never meet."""
    async with Opened(tmp_path) as talk:
        await talk.ask(QUESTION, context=ME, thread="t")
        rival = Context(tenant="rival")
        await talk.ask("Hello there friend", context=rival, thread="t")
        said = await talk.messages(context=rival, thread="t")
    assert said[0]["content"] == "Hello there friend"


@pytest.mark.parametrize("text", ["", "   \n\t", "x" * 300_000, "\ud800"])
async def test_an_unreadable_message_is_turned_away_before_anything_is_written(
    tmp_path: Path, text: str
) -> None:
    """Empty, too large or not text: a clear error, and no thread is made."""
    async with Opened(tmp_path) as talk:
        with pytest.raises(MessageError):
            await talk.ask(text, context=ME, thread="t")
        assert await listed(talk, ME) == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", "x" * 200, "with space"])
async def test_a_tenant_id_cannot_reach_into_another(tmp_path: Path, name: str) -> None:
    """Ids that could escape their partition are refused."""
    async with Opened(tmp_path) as talk:
        with pytest.raises(InputError):
            await talk.ask(QUESTION, context=Context(tenant=name), thread="t")


async def test_steps_tell_what_each_node_changed(tmp_path: Path) -> None:
    """Each checkpoint names the node, what comes next, and fields before and after."""
    async with Opened(tmp_path) as talk:
        turn = await talk.ask(QUESTION, context=ME, thread="t")
        steps = await History(talk).steps(context=ME, thread="t")
    ran = [step.node for step in steps if step.node != "__start__"]
    assert tuple(ran) == turn.path
    respond = next(step for step in steps if step.node == "respond")
    assert respond.changed["draft"][0] == ""
    assert "30 days" in str(respond.changed["draft"][1])
    assert respond.next == ("guard_output",)


async def test_a_fork_with_edited_state_takes_another_way(tmp_path: Path) -> None:
    """Lowering the retrieval confidence at its step turns the answer into an "I don't know"."""
    async with Opened(tmp_path) as talk:
        await talk.ask(QUESTION, context=ME, thread="t")
        steps = await History(talk).steps(context=ME, thread="t")
        at = next(step.step for step in steps if step.node == "retrieve_context")
        same = await History(talk).replay(context=ME, thread="t", step=at)
        forked = await History(talk).fork(
            context=ME, thread="t", step=at, changes={"retrieval_confidence": 0.0}
        )
        first = await talk.last(context=ME, thread="t")
    assert same.outcome == "answered"
    assert forked.outcome == "abstained"
    assert forked.thread_id.startswith("t-fork-")
    assert first.outcome == "answered"


async def test_replaying_from_the_start_runs_the_message_again(tmp_path: Path) -> None:
    """The first step can be replayed too: the whole turn runs on a fresh thread."""
    knowledge = FakeKnowledge()
    async with Opened(tmp_path, fake_services(knowledge=knowledge)) as talk:
        await talk.ask(QUESTION, context=ME, thread="t")
        steps = await History(talk).steps(context=ME, thread="t")
        turn = await History(talk).replay(context=ME, thread="t", step=steps[0].step)
    assert turn.answer
    assert turn.path[0] == "guard_input"


@pytest.mark.parametrize(
    ("step", "changes", "said"),
    [
        (99, {}, "no step 99"),
        (1, {"nonsense": 1}, "no field 'nonsense'"),
        (1, {"outcome": "splendid"}, "'outcome' cannot be"),
    ],
)
async def test_a_wrong_fork_says_what_is_wrong(
    tmp_path: Path, step: int, changes: dict[str, str | int], said: str
) -> None:
    """An unknown step, field or value is named."""
    async with Opened(tmp_path) as talk:
        await talk.ask(QUESTION, context=ME, thread="t")
        with pytest.raises(InputError, match=said):
            await History(talk).fork(context=ME, thread="t", step=step, changes=changes)


async def test_a_deleted_thread_is_gone(tmp_path: Path) -> None:
    """Deleting removes every checkpoint."""
    async with Opened(tmp_path) as talk:
        await talk.ask(QUESTION, context=ME, thread="t")
        await talk.delete(context=ME, thread="t")
        with pytest.raises(UnknownThread):
            await talk.last(context=ME, thread="t")
    with sqlite3.connect(tmp_path / "threads.db") as db:
        assert db.execute("SELECT count(*) FROM checkpoints").fetchone() == (0,)


async def test_a_corrupt_database_is_named_and_left_alone(tmp_path: Path) -> None:
    """A damaged file gives a clear error and is not overwritten."""
    damaged = b"this is not a database" * 100
    (tmp_path / "threads.db").write_bytes(damaged)
    with pytest.raises(StorageCorrupt, match="damaged"):
        async with Opened(tmp_path):
            pass
    assert (tmp_path / "threads.db").read_bytes() == damaged


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file where the data folder should be: a clear error."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnwritable):
        async with Opened(tmp_path / "file" / "data"):
            pass


async def test_two_messages_at_once_take_turns(tmp_path: Path) -> None:
    """A double click loses neither message nor answer."""
    async with Opened(tmp_path) as talk:
        turns = await asyncio.gather(
            *(talk.ask(f"{QUESTION} ({n})", context=ME, thread="t") for n in range(3))
        )
        said = await talk.messages(context=ME, thread="t")
    assert {turn.outcome for turn in turns} == {"answered"}
    assert [message["role"] for message in said] == ["user", "assistant"] * 3


async def test_a_cancelled_turn_leaves_the_thread_usable(tmp_path: Path) -> None:
    """Stopping in the middle of an answer loses nothing that was said before."""

    class Slow(FakeKnowledge):
        async def search(
            self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
        ) -> tuple[()]:
            await asyncio.sleep(30)
            return ()

    async with Opened(tmp_path) as talk:
        await talk.ask(QUESTION, context=ME, thread="t")
    async with Opened(tmp_path, fake_services(knowledge=Slow())) as talk:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await talk.ask("And a very slow one?", context=ME, thread="t")
    async with Opened(tmp_path) as talk:
        turn = await talk.ask(QUESTION, context=ME, thread="t")
        said = await talk.messages(context=ME, thread="t")
    assert turn.outcome == "answered"
    assert said[0]["content"] == QUESTION


async def test_a_turn_that_is_stopped_as_it_ends_has_ended(tmp_path: Path) -> None:
    """Stopped while it is being closed, it is closed all the same and its thread is free."""
    closing, go = asyncio.Event(), asyncio.Event()

    class Closing(SqlTurns):
        async def settle(self, *given: Any, **named: Any) -> None:
            closing.set()
            await go.wait()
            await super().settle(*given, **named)

    async with Opened(tmp_path) as talk:
        turns = Closing(talk.runner.turns.database)  # type: ignore[attr-defined]
        talk.runner._settlement = replace(talk.runner._settlement, turns=turns)
        turning = await talk.start(QUESTION, context=ME, thread="t")
        await closing.wait()
        stopping = asyncio.create_task(talk.cancel(context=ME, thread="t"))
        await asyncio.sleep(0.05)
        go.set()
        await stopping
        told = [event async for event in turning.follow()]
        assert told[-1].turn is not None
        assert told[-1].turn.outcome == "answered"
        async with asyncio.timeout(2):
            again = await talk.ask("And a rug?", context=ME, thread="t")
        states = [entry.state for entry in await talk.turns.turns("acme", "t")]
    assert (again.outcome, states) == ("answered", ["done", "done"])


async def test_a_message_that_is_stopped_as_it_gets_its_thread_gives_it_back(
    tmp_path: Path,
) -> None:
    """The lease was granted, and nobody hears of it: the next message need not wait it out."""
    granted = asyncio.Event()

    class Granting(SqlTurns):
        async def acquire(self, *given: Any, **named: Any) -> Any:
            lease = await super().acquire(*given, **named)
            if lease is not None:
                granted.set()
                await asyncio.sleep(0.2)
            return lease

    async with Opened(tmp_path) as talk:
        first = await talk.start(QUESTION, context=ME, thread="t")
        talk.runner.turns = Granting(talk.runner.turns.database)  # type: ignore[attr-defined]
        second = await talk.start("And a rug?", context=ME, thread="t")
        await granted.wait()
        await talk.runner.cancel(second.entry)
        talk.runner.turns = talk.turns
        async with asyncio.timeout(2):
            turn = await talk.ask("And a clock?", context=ME, thread="t")
        said = await talk.messages(context=ME, thread="t")
    assert (first.ended, turn.outcome) == (True, "answered")
    assert [one["content"] for one in said if one["role"] == "user"] == [QUESTION, "And a clock?"]
