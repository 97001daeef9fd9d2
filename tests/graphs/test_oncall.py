"""From turn to switch and back, in one process and in several over one data folder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fakes import FakeKnowledge, FakeModels, FakeRail, fake_assistant, fake_services
from langchain_core.messages import BaseMessage
from langchain_core.tools import BaseTool

from antiphon.gateway.cli import main
from antiphon.graphs import oncall
from antiphon.graphs.assistant import IncidentsForm
from antiphon.graphs.runtime import Runtime, open_runtime
from antiphon.graphs.settings import Settings
from antiphon.nodes.state import Context
from antiphon.tools.errors import (
    AntiphonError,
    KnowledgeCorrupt,
    KnowledgeLoading,
    MessageError,
)
from antiphon.tools.guards import Violation
from antiphon.tools.models import LAST_RESORT, Reply, Selection
from antiphon.tools.resilience import Switch, Switches
from antiphon.tools.retrieval import Inventory
from antiphon.tools.telemetry.incidents import Incident, IncidentLog, stamp
from antiphon.tools.telemetry.logs import build_log
from antiphon.tools.telemetry.record import build_telemetry
from antiphon.tools.telemetry.turn import utc_now

AUTOMATIC = IncidentsForm(**dict.fromkeys(IncidentsForm.model_fields, "automatic"))
ATTACK = (Violation(guard="injection", severity="critical", action="blocked", reason="no"),)
STRICT = Switch(name="strict_guards", tenant="acme")


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Follow the log a hundred times as often."""
    monkeypatch.setattr(oncall, "FOLLOW_S", 0.01)


@asynccontextmanager
async def talking(
    folder: Path, *, policy: IncidentsForm = AUTOMATIC, **given: object
) -> AsyncIterator[Runtime]:
    """Open a runtime on fakes that responds to incidents in earnest."""
    services = fake_services(
        assistant=fake_assistant().model_copy(update={"incidents": policy}),
        telemetry=build_telemetry(
            data_dir=None, log=build_log(level="error"), hash_key=folder.name.encode()
        ),
        **given,
    )
    async with open_runtime(Settings(data_dir=folder), services=services) as runtime:
        yield runtime


async def ask(runtime: Runtime, user: str, *, tenant: str = "acme", times: int = 1) -> None:
    for _ in range(times):
        await runtime.conversations.ask("hello there", context=Context(tenant=tenant, user=user))


async def listed(runtime: Runtime) -> list[Incident]:
    return await IncidentLog(runtime.folder / "incidents.jsonl").read()


async def until(test: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await test():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def settle() -> None:
    """Let what would happen in the background happen."""
    await asyncio.sleep(0.1)


def attacked() -> FakeRail:
    """Return a rail that finds an attack in whatever it is given."""
    return FakeRail(allowed=False, blocks=ATTACK)


async def test_a_burst_of_injections_by_one_user_degrades_nobody(tmp_path: Path) -> None:
    """Under the strictest policy there is."""
    rail = FakeRail()
    async with talking(tmp_path, input_rail=rail) as runtime:
        for user in ("ann", "bob", "cid"):
            await ask(runtime, user, times=3)
        rail.allowed, rail.blocks = False, ATTACK
        await ask(runtime, "mallory", times=40)
        await settle()
        assert runtime.services.switches == Switches()
        assert await listed(runtime) == []


async def test_three_users_under_attack_make_their_tenants_guards_strict(tmp_path: Path) -> None:
    """And nobody else's, until a second tenant is hit alike."""
    async with talking(tmp_path, input_rail=attacked()) as runtime:
        switches = runtime.services.switches
        for user in ("ann", "bob", "cid"):
            await ask(runtime, user)

        async def strict() -> bool:
            return switches.strict("acme")

        await until(strict)
        assert not switches.strict("beta")
        for user in ("dan", "eve", "fay"):
            await ask(runtime, user, tenant="beta")

        async def everybody() -> bool:
            return switches.strict("gamma")

        await until(everybody)
        assert {one.tenant for one in await listed(runtime)} == {"acme", ""}


async def test_by_default_what_costs_anyone_something_is_only_advised(tmp_path: Path) -> None:
    """The incident says what to do."""
    async with talking(tmp_path, policy=IncidentsForm(), input_rail=attacked()) as runtime:
        for user in ("ann", "bob", "cid"):
            await ask(runtime, user)

        async def opened() -> bool:
            return bool(await listed(runtime))

        await until(opened)
        (incident,) = await listed(runtime)
        assert (incident.advised, incident.status) == (("strict_guards",), "investigating")
        assert runtime.services.switches == Switches()


@pytest.mark.parametrize(
    ("fault", "opened"),
    [(KnowledgeLoading("still reading"), 0), (KnowledgeCorrupt("damaged"), 1)],
    ids=["being read", "damaged"],
)
async def test_knowledge_that_fails_degrades_no_model(
    tmp_path: Path, fault: AntiphonError, opened: int
) -> None:
    """A new tenant's first turns fail by the dozen; a damaged file is told of, no more."""

    class Failing(FakeKnowledge):
        async def inventory(self, *, tenant: str) -> Inventory:
            raise fault

        async def search(self, *_: object, **__: object) -> tuple[()]:
            raise fault

    async with talking(tmp_path, knowledge=Failing()) as runtime:
        for number in range(30):
            await ask(runtime, f"u{number}")
        await settle()
        assert runtime.services.switches == Switches()
        assert len(await listed(runtime)) == opened


async def test_runs_without_a_message_degrade_nobody(tmp_path: Path) -> None:
    """As a server lets its callers send them."""

    class Empty(FakeRail):
        async def judge(self, *_: object) -> object:  # type: ignore[override]
            raise MessageError("a run needs at least one message")

    async with talking(tmp_path, input_rail=Empty()) as runtime:
        for number in range(30):
            await ask(runtime, f"u{number}")
        await settle()
        assert runtime.services.switches == Switches()
        assert await listed(runtime) == []


async def test_a_model_that_is_out_is_left_out_and_comes_back(tmp_path: Path) -> None:
    """By default, for the tenant whose callers it failed; back once it answers when asked."""

    class Ailing(FakeModels):
        well = False

        async def reply(
            self,
            selection: Selection,
            messages: Sequence[BaseMessage],
            *,
            tools: Sequence[BaseTool] = (),
        ) -> Reply:
            reply = await self.last_resort(messages)
            if self.well:
                return reply
            return replace(reply, model=LAST_RESORT, failed=("a: model_unavailable (down)",))

    models = Ailing(name="a")
    async with talking(tmp_path, policy=IncidentsForm(), models=models) as runtime:
        runtime.on_call.responder()._ping_s = 0.05
        switches = runtime.services.switches
        for user in ("ann", "bob"):
            await ask(runtime, user)
        await settle()
        assert switches == Switches()
        await ask(runtime, "cid")

        async def out() -> bool:
            return switches.disabled("a", "acme")

        await until(out)
        assert not switches.disabled("a", "beta")
        models.well = True

        async def back() -> bool:
            return not switches.disabled("a", "acme")

        await until(back)
        (incident,) = await listed(runtime)
        assert incident.resolution.endswith("the model answers again")


async def test_a_mitigation_of_one_process_holds_in_the_other(tmp_path: Path) -> None:
    """And one that starts later throws it before its first turn."""
    async with talking(tmp_path) as second:
        async with talking(tmp_path, input_rail=attacked()) as first:
            for user in ("ann", "bob", "cid"):
                await ask(first, user)

            async def both() -> bool:
                switches = (first.services.switches, second.services.switches)
                return all(one.strict("acme") for one in switches)

            await until(both)
        assert second.services.switches == Switches(thrown=frozenset({STRICT}))
        async with talking(tmp_path) as third:
            await ask(third, "ann")
            assert third.services.switches == Switches(thrown=frozenset({STRICT}))


async def test_what_a_process_left_mitigated_is_listed_as_over_and_ended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`antiphon incidents` says so at once; the next process writes it down."""
    async with talking(tmp_path) as runtime:
        log = IncidentLog(runtime.folder / "incidents.jsonl")
    began = utc_now() - timedelta(hours=1)
    await log.begin(
        Incident(
            id="left",
            type="cost_spike",
            severity="warning",
            opened=stamp(began),
            status="mitigated",
            thrown=(Switch(name="prefer_cheap", tenant="acme"),),
            until=stamp(began, plus_s=900),
        )
    )
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(tmp_path))
    assert await asyncio.to_thread(main, ["incidents", "--json"]) == 0
    (incident,) = json.loads(capsys.readouterr().out)["incidents"]
    assert (incident["status"], incident["resolved"]) == ("resolved", stamp(began, plus_s=900))
    assert [one.id for one in await log.unresolved()] == ["left"]
    async with talking(tmp_path) as runtime:
        await ask(runtime, "ann")

        async def written() -> bool:
            return await log.unresolved() == []

        await until(written)
        assert runtime.services.switches == Switches()


async def test_a_log_that_cannot_be_read_is_told_once_and_turns_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hundred glances, one line."""
    async with talking(tmp_path) as runtime:
        folder = runtime.folder
    (folder / "incidents.jsonl").mkdir()
    async with talking(tmp_path) as runtime:
        await ask(runtime, "ann")
        await settle()
    assert capsys.readouterr().err.count("incidents cannot be followed") == 1
