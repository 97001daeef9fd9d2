"""The incident graph: by type, written once, verified, told; and the responder around it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict

import pytest
from fakes import FakeKnowledge, FakeModels
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from prometheus_client import CollectorRegistry

from antiphon.graphs.assistant import IncidentsForm
from antiphon.graphs.incident import CompiledIncident, Responder, build_incident
from antiphon.nodes.incident import Report, answers, searchable, verify
from antiphon.tools.errors import KnowledgeMissing, KnowledgeUnavailable, ModelUnavailable
from antiphon.tools.models import Reply, Selection
from antiphon.tools.resilience import Switch, Switches
from antiphon.tools.retrieval import Hit, Where
from antiphon.tools.telemetry import Alert, AlertSeverity
from antiphon.tools.telemetry.incidents import Incident, IncidentLog
from antiphon.tools.telemetry.logs import build_log
from antiphon.tools.telemetry.metrics import Metrics
from antiphon.tools.telemetry.standing import Standing
from antiphon.tools.telemetry.turn import IncidentType, Response, Trial

AUTOMATIC: Mapping[str, Response] = dict.fromkeys(IncidentsForm.model_fields, "automatic")
CAUSES: list[tuple[Report, str, Switch, str]] = [
    (
        {"type": "high_latency", "details": {"why": "respond"}},
        "latency",
        Switch(name="prefer_fast", tenant="acme"),
        "prefer_fast",
    ),
    ({"type": "cost_spike"}, "cost", Switch(name="prefer_cheap", tenant="acme"), "prefer_cheap"),
    (
        {"type": "safety_violation"},
        "safety",
        Switch(name="strict_guards", tenant="acme"),
        "strict_guards",
    ),
    (
        {"type": "high_error_rate", "item": "weather"},
        "errors",
        Switch(name="frozen_tools", item="weather", tenant="acme"),
        "freeze_tool",
    ),
    (
        {"type": "high_error_rate", "details": {"why": "respond: model_unavailable"}},
        "errors",
        Switch(name="degraded", tenant="acme"),
        "graceful_degradation",
    ),
    (
        {"type": "model_outage", "item": "a"},
        "outage",
        Switch(name="disabled_models", item="a", tenant="acme"),
        "model_fallback",
    ),
]
IDS = ["latency", "cost", "safety", "one tool", "models fail", "outage"]


class Notices:
    """A notifier that remembers."""

    def __init__(self) -> None:
        self.sent: list[Incident] = []

    async def notify(self, incident: Incident) -> None:
        self.sent.append(incident)


class Frail(FakeKnowledge):
    """Knowledge on a server that can be taken away."""

    def __init__(self, *, away: bool = False) -> None:
        super().__init__()
        self.away = away
        self.looks = 0

    async def search(
        self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
    ) -> tuple[Hit, ...]:
        self.looks += 1
        if self.away:
            raise KnowledgeUnavailable("the server is away")
        return await super().search(query, tenant=tenant, limit=limit, where=where)


class Ailing(FakeModels):
    """A model that does not answer until it is well."""

    well = False
    asked: list[str]

    async def reply(
        self,
        selection: Selection,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[BaseTool] = (),
    ) -> Reply:
        self.asked = [*getattr(self, "asked", []), selection.model]
        if not self.well:
            raise ModelUnavailable("down")
        return await super().reply(selection, messages, tools=tools)


class Said:
    """Evidence that a test writes by hand."""

    def __init__(self) -> None:
        self.verdict: Trial = "undecided"
        self.asked: list[tuple[str, str, str, datetime]] = []

    def trial(self, incident: str, *, item: str, tenant: str, since: datetime) -> Trial:
        self.asked.append((incident, item, tenant, since))
        return self.verdict


class Time:
    """A moment that a test moves by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Desk:
    """A compiled incident graph with everything around it; several may share a folder."""

    def __init__(
        self,
        folder: Path,
        models: Sequence[str] = ("a", "b"),
        *,
        away: bool = False,
        policy: Mapping[str, Response] = AUTOMATIC,
        clock: Time | None = None,
    ) -> None:
        self.clock = clock or Time()
        self.switches = Switches()
        self.knowledge = Frail(away=away)
        self.models = Ailing(name="a")
        self.evidence = Said()
        self.metrics = Metrics(CollectorRegistry())
        self.log = IncidentLog(folder / "incidents.jsonl", clock=self.clock)
        self.standing = Standing(self.log, self.switches, clock=self.clock)
        self.notices = Notices()
        self.out = io.StringIO()
        self.graph: CompiledIncident = build_incident(
            self.standing,
            self.notices,
            policy=policy,
            models=lambda: models,
            works=searchable(self.knowledge),
        ).compile()
        self.responder = Responder(
            self.graph,
            standing=self.standing,
            notifier=self.notices,
            searches=searchable(self.knowledge),
            answers=answers(self.models),
            evidence=self.evidence,
            log=build_log(form="json", stream=self.out),
            metrics=self.metrics,
            look_s=0.01,
            ping_s=0.01,
        )

    async def run(self, report: Report) -> tuple[list[str], Incident]:
        """Return the path taken and the latest incident in the end."""
        given = Report(severity="warning", message="m", tenant="acme", details={})
        path: list[str] = []
        async for update in self.graph.astream({**given, **report}, stream_mode="updates"):
            path += update
        (incident,) = await self.log.read(limit=1)
        return path, incident

    async def glance(self, *, after_s: float = 0.0) -> list[Incident]:
        """Do what is done every second, and return how the incidents stand."""
        self.clock.pass_s(after_s)
        await self.standing.refresh()
        await self.responder.attend()
        return await self.log.read()

    async def until(self, test: Callable[[list[Incident]], bool]) -> list[Incident]:
        """Return the incidents once they are as awaited."""
        async with asyncio.timeout(5):
            while not test(found := await self.log.read()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return found

    def counted(self, kind: str = "knowledge_outage") -> dict[str, float]:
        """Return the incidents of a type by the status they reached."""
        lines = self.metrics.page()[0].decode().splitlines()
        found = [line for line in lines if line.startswith("antiphon_incidents_total{")]
        return {
            line.split('status="')[1].split('"')[0]: float(line.rpartition(" ")[2])
            for line in found
            if f'type="{kind}"' in line
        }


def an_alert(
    incident: IncidentType = "cost_spike", *, tenant: str = "acme", item: str = ""
) -> Alert:
    """Return an alert about a tenant."""
    return Alert(
        rule=incident,
        incident=incident,
        severity="high",
        message="m.",
        value=0.5,
        threshold=0.05,
        tenant=tenant,
        item=item,
    )


def an_outage(tenant: str = "acme") -> Alert:
    """Return the alert of a turn whose search failed."""
    return Alert(
        rule="knowledge_outage",
        incident="knowledge_outage",
        severity="critical",
        message="The knowledge could not be searched.",
        value=1,
        threshold=0,
        details={"tenant": tenant, "why": "retrieve_context: knowledge_unavailable"},
    )


class TestGraph:
    @pytest.mark.parametrize(("report", "node", "switch", "action"), CAUSES, ids=IDS)
    async def test_each_type_has_its_mitigation_for_its_tenant(
        self, tmp_path: Path, report: Report, node: str, switch: Switch, action: str
    ) -> None:
        """The path goes through the type's node, and exactly its switch is thrown."""
        desk = Desk(tmp_path)
        path, incident = await desk.run(report)
        assert path == ["assess", f"mitigate_{node}", "record", "verify", "notify"]
        assert desk.switches == Switches(thrown=frozenset({switch}))
        assert (incident.actions_taken, incident.status) == ((action,), "mitigated")
        assert incident.resolution
        assert await desk.log.read() == [incident]

    @pytest.mark.parametrize("cause", CAUSES, ids=IDS)
    @pytest.mark.parametrize("why", ["by policy", "not apart"])
    async def test_advice_is_recorded_and_throws_nothing(
        self, tmp_path: Path, cause: tuple[Report, str, Switch, str], why: str
    ) -> None:
        """So it is by policy, and where one person may have brought it about."""
        report, node, _, action = cause
        policy = dict.fromkeys(AUTOMATIC, "advised") if why == "by policy" else AUTOMATIC
        desk = Desk(tmp_path, policy=policy)  # type: ignore[arg-type]
        path, incident = await desk.run({**report, "severity": "high", "apart": why != "not apart"})
        assert path[1:] == [f"mitigate_{node}", "record", "verify", "notify"]
        assert desk.switches == Switches()
        assert (incident.advised, incident.actions_taken) == ((action,), ())
        assert incident.status == "investigating"
        assert f"Advised: {action}" in incident.resolution
        assert desk.notices.sent == [incident]

    @pytest.mark.parametrize(("report", "node", "switch", "action"), CAUSES, ids=IDS)
    async def test_off_is_off(
        self, tmp_path: Path, report: Report, node: str, switch: Switch, action: str
    ) -> None:
        """The alert's log line is all there is."""
        desk = Desk(tmp_path, policy=dict.fromkeys(AUTOMATIC, "off"))
        given: Report = {"severity": "critical", "message": "m", "tenant": "acme", **report}
        path = [node async for one in desk.graph.astream(given) for node in one]
        assert (path, await desk.log.read()) == (["assess"], [])
        assert (desk.switches, desk.notices.sent) == (Switches(), [])

    @pytest.mark.parametrize(
        "report",
        [
            {"type": "high_latency", "details": {"why": "retrieve_context"}},
            {"type": "high_latency", "details": {"why": "call_tools"}},
            {"type": "high_latency", "details": {"why": "several causes"}},
            {"type": "high_error_rate", "details": {"why": "retrieve_context: knowledge_corrupt"}},
            {"type": "high_error_rate", "details": {"why": "recall: storage_busy"}},
            {"type": "high_error_rate", "details": {"why": "retrieve_context: timeout"}},
            {"type": "high_error_rate", "details": {"why": "respond: KeyError"}},
            {"type": "high_error_rate"},
        ],
        ids=str,
    )
    async def test_what_no_model_brought_about_changes_nothing_of_models(
        self, tmp_path: Path, report: Report
    ) -> None:
        """Knowledge, storage, a tool or a mistake in the code: people are told where to look."""
        desk = Desk(tmp_path)
        _, incident = await desk.run(report)
        assert desk.switches == Switches()
        assert (incident.status, incident.thrown) == ("investigating", ())
        assert "no model is the cause" in incident.resolution

    async def test_a_knowledge_outage_switches_nothing(self, tmp_path: Path) -> None:
        """Answers say it; models are as well as before."""
        desk = Desk(tmp_path, away=True)
        _, incident = await desk.run({"type": "knowledge_outage"})
        assert desk.switches == Switches()
        assert (incident.actions_taken, incident.status) == (("honest_answers",), "mitigated")

    async def test_an_outage_of_the_last_model_degrades_gracefully(self, tmp_path: Path) -> None:
        """With no model left to fall back to, it is the guide's degradation."""
        desk = Desk(tmp_path, models=("a",))
        _, incident = await desk.run(Report(type="model_outage", item="a", tenant=""))
        assert desk.switches.disabled("a", "anybody")
        assert (incident.status, incident.resolution, incident.actions_taken) == (
            "mitigated",
            "Enabled graceful degradation mode",
            ("graceful_degradation",),
        )

    async def test_an_outage_counts_models_that_are_out_already(self, tmp_path: Path) -> None:
        """A disabled model is no fallback; one disabled for another tenant is."""
        desk = Desk(tmp_path)
        await desk.run(Report(type="model_outage", item="a"))
        _, other = await desk.run(Report(type="model_outage", item="b", tenant="beta"))
        desk.clock.pass_s(1)
        _, incident = await desk.run(Report(type="model_outage", item="b"))
        assert other.actions_taken == ("model_fallback",)
        assert incident.actions_taken == ("graceful_degradation",)

    async def test_an_unknown_type_is_recorded_and_throws_nothing(self, tmp_path: Path) -> None:
        """The record says which types there are."""
        desk = Desk(tmp_path)
        path, incident = await desk.run(Report(type="earthquake", severity="critical"))
        assert path == ["assess", "record", "verify", "notify"]
        assert desk.switches == Switches()
        assert incident.status == "investigating"
        assert "'earthquake'" in incident.resolution
        assert "model_outage" in incident.resolution
        assert [incident] == await desk.log.read() == desk.notices.sent

    @pytest.mark.parametrize(
        ("severity", "told"), [("warning", 0), ("high", 1), ("critical", 1)], ids=str
    )
    async def test_people_are_told_of_grave_incidents_only(
        self, tmp_path: Path, severity: AlertSeverity, told: int
    ) -> None:
        """Critical and high, as in the guide."""
        desk = Desk(tmp_path)
        await desk.run(Report(type="cost_spike", severity=severity))
        assert len(desk.notices.sent) == told

    async def test_what_is_open_is_neither_opened_nor_told_again(self, tmp_path: Path) -> None:
        """The second alert ends at the log."""
        desk = Desk(tmp_path)
        await desk.run(Report(type="cost_spike", severity="high"))
        path, _ = await desk.run(Report(type="cost_spike", severity="high"))
        assert path == ["assess", "mitigate_cost", "record"]
        assert (len(await desk.log.read()), len(desk.notices.sent)) == (1, 1)

    async def test_a_mitigation_that_did_not_hold_is_found_out(self, tmp_path: Path) -> None:
        """Verify looks at the switches, not at what was said about them."""
        desk = Desk(tmp_path)
        _, incident = await desk.run(Report(type="cost_spike"))
        desk.switches.thrown = frozenset()
        look = verify(desk.standing, searchable(desk.knowledge))
        checked = (await look({"incident": incident}))["incident"]
        assert checked.status == "investigating"
        assert checked.resolution == "Mitigation did not hold: prefer_cheap is off"
        assert await desk.log.read() == [checked]
        assert desk.switches == Switches()


class TestResponder:
    async def test_it_returns_at_once_and_drains(self, tmp_path: Path) -> None:
        """Alerts become incidents in the background, one of each matter."""
        desk = Desk(tmp_path)
        await desk.responder([an_alert(), an_alert(), an_alert(tenant="beta")])
        assert desk.switches == Switches()
        await desk.responder.drain()
        assert (desk.switches.prefer("acme"), desk.switches.prefer("gamma")) == ("cheap", "")
        assert len(await desk.log.read()) == 2
        assert desk.counted("cost_spike") == {"mitigated": 2}

    @pytest.mark.parametrize(("report", "node", "switch", "action"), CAUSES[:5], ids=IDS[:5])
    async def test_good_turns_end_a_mitigation(
        self, tmp_path: Path, report: Report, node: str, switch: Switch, action: str
    ) -> None:
        """It is lifted after a minute, and what follows says that it is over: told and counted."""
        desk = Desk(tmp_path)
        _, opened = await desk.run({**report, "severity": "high"})
        assert await desk.glance(after_s=59) == [opened]
        assert desk.switches.thrown == {switch}
        assert await desk.glance(after_s=1) == [opened]
        assert desk.switches == Switches()
        item = report.get("item", "")
        assert desk.evidence.asked == [(report["type"], item, "acme", desk.clock.now)]
        desk.evidence.verdict = "passed"
        (ended,) = await desk.glance(after_s=1)
        assert (ended.id, ended.status) == (opened.id, "resolved")
        assert ended.resolution.endswith("; undone, and turns go well")
        assert desk.notices.sent == [opened, ended]
        assert await desk.glance(after_s=1) == [ended]
        assert desk.counted(report["type"]) == {"resolved": 1}

    async def test_bad_turns_throw_it_again_for_twice_as_long(self, tmp_path: Path) -> None:
        """And time ends it at the latest, however bad they are."""
        desk = Desk(tmp_path)
        await desk.run(Report(type="cost_spike"))
        await desk.glance(after_s=60)
        desk.evidence.verdict = "failed"
        await desk.glance(after_s=5)
        assert desk.switches.prefer("acme") == "cheap"
        desk.evidence.verdict = "undecided"
        await desk.glance(after_s=119)
        assert desk.switches.prefer("acme") == "cheap"
        await desk.glance(after_s=1)
        assert desk.switches == Switches()
        desk.evidence.verdict = "failed"
        for _ in range(900):
            (incident,) = await desk.glance(after_s=1)
        assert incident.ended
        assert incident.resolution.endswith("; its time was up")
        assert desk.switches == Switches()
        assert desk.counted("cost_spike") == {"resolved": 1}

    async def test_without_evidence_time_ends_it(self, tmp_path: Path) -> None:
        """Also what was only advised."""
        desk = Desk(tmp_path, policy=dict.fromkeys(AUTOMATIC, "advised"))
        await desk.run(Report(type="cost_spike", severity="high"))
        (incident,) = await desk.glance(after_s=900)
        assert incident.ended
        assert [one.status for one in desk.notices.sent] == ["investigating", "resolved"]

    async def test_a_model_that_answers_a_trial_is_back(self, tmp_path: Path) -> None:
        """Nobody's turn pays for the trial: the model is asked by itself, alone."""
        desk = Desk(tmp_path)
        await desk.responder([an_alert("model_outage", item="a")])
        await desk.until(lambda found: len(found) == 1)
        while len(getattr(desk.models, "asked", [])) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert set(desk.models.asked) == {"a"}
        assert desk.switches.disabled("a", "acme")
        desk.models.well = True
        (ended,) = await desk.until(lambda found: found[0].ended)
        assert ended.resolution == "Switched to fallback model; the model answers again"
        await desk.standing.refresh()
        assert not desk.switches.disabled("a", "acme")
        asked = len(desk.models.asked)
        await asyncio.sleep(0.1)
        assert len(desk.models.asked) == asked
        await desk.responder.drain()

    async def test_a_model_that_never_answers_is_tried_by_turns_in_the_end(
        self, tmp_path: Path
    ) -> None:
        """Time is the upper bound here too; then the alert may come again."""
        desk = Desk(tmp_path)
        await desk.run(Report(type="model_outage", item="a"))
        (incident,) = await desk.glance(after_s=900)
        assert incident.ended
        assert desk.switches == Switches()

    async def test_an_unwritable_log_is_told_and_the_mitigation_stands(
        self, tmp_path: Path
    ) -> None:
        """A full disk does not undo what was done, nor does it keep the notice back."""
        (tmp_path / "file").write_text("")
        desk = Desk(tmp_path / "file")
        await desk.responder([an_alert()])
        await desk.responder.drain()
        assert desk.switches.prefer("acme") == "cheap"
        assert len(desk.notices.sent) == 1
        assert "incident was not recorded" in desk.out.getvalue()
        assert "incidents cannot be read" in desk.out.getvalue()
        desk.clock.pass_s(900)
        await desk.responder.attend()
        assert desk.switches == Switches()

    async def test_a_failing_response_is_logged_and_raises_nothing(self, tmp_path: Path) -> None:
        """An incident graph that breaks must not take the conversation with it."""
        desk = Desk(tmp_path)

        async def broken(incident: Incident) -> None:
            raise RuntimeError("pager on fire")

        desk.notices.notify = broken  # type: ignore[method-assign]
        await desk.responder([an_alert("safety_violation")])
        await desk.responder.drain()
        assert "pager on fire" in desk.out.getvalue()

    async def test_an_incident_started_in_a_node_is_no_part_of_the_turn(
        self, tmp_path: Path
    ) -> None:
        """The turn's checkpoints and stream show nothing of the incident."""
        desk = Desk(tmp_path)

        class Turn(TypedDict, total=False):
            done: bool

        async def account(state: Turn) -> Turn:
            await desk.responder([an_alert()])
            await desk.responder.drain()
            return {"done": True}

        saver = InMemorySaver()
        graph = (
            StateGraph(Turn)
            .add_node("account", account)
            .add_edge(START, "account")
            .add_edge("account", END)
            .compile(checkpointer=saver)
        )
        config = RunnableConfig(configurable={"thread_id": "t"})
        seen = [
            update
            async for update in graph.astream(Turn(), config, stream_mode="updates", subgraphs=True)
        ]
        assert seen == [((), {"account": {"done": True}})]
        assert desk.switches.prefer("acme") == "cheap"
        namespaces = {item.config["configurable"]["checkpoint_ns"] for item in saver.list(None)}
        assert namespaces == {""}


class TestProcesses:
    """Several responders over one folder, as workers of one server are."""

    async def test_one_opens_all_obey_one_tells(self, tmp_path: Path) -> None:
        """The same alert in two workers at once; the third saw nothing and obeys."""
        clock = Time()
        desks = [Desk(tmp_path, clock=clock) for _ in range(3)]
        for desk in desks[:2]:
            await desk.responder([an_alert()])
        for desk in desks:
            await desk.responder.drain()
            await desk.glance()
        assert [desk.switches.prefer("acme") for desk in desks] == ["cheap"] * 3
        assert sum(len(desk.notices.sent) for desk in desks) == 1
        clock.pass_s(60)
        for desk in desks:
            desk.evidence.verdict = "passed"
        await asyncio.gather(*(desk.glance() for desk in desks))
        assert [len(await desk.glance()) for desk in desks] == [1] * 3
        assert [desk.switches for desk in desks] == [Switches()] * 3
        assert sum(len(desk.notices.sent) for desk in desks) == 2

    async def test_what_a_killed_process_mitigated_the_next_ends(self, tmp_path: Path) -> None:
        """It died between throwing and lifting; nothing of it is left but the log."""
        clock = Time()
        await Desk(tmp_path, clock=clock).run(Report(type="cost_spike", severity="high"))
        heir = Desk(tmp_path, clock=clock)
        (open_,) = await heir.glance(after_s=30)
        assert (open_.status, heir.switches.prefer("acme")) == ("mitigated", "cheap")
        await heir.glance(after_s=30)
        assert heir.switches == Switches()
        heir.evidence.verdict = "passed"
        (ended,) = await heir.glance(after_s=1)
        assert (ended.id, ended.status) == (open_.id, "resolved")
        assert heir.notices.sent == [ended]

    async def test_a_model_outage_of_a_killed_process_is_looked_after(self, tmp_path: Path) -> None:
        """The next process asks the model."""
        clock = Time()
        await Desk(tmp_path, clock=clock).run(Report(type="model_outage", item="a"))
        heir = Desk(tmp_path, clock=clock)
        heir.models.well = True
        await heir.glance()
        (ended,) = await heir.until(lambda found: found[0].ended)
        assert ended.resolution.endswith("the model answers again")
        await heir.responder.drain()

    async def test_another_process_takes_an_open_knowledge_outage_up(self, tmp_path: Path) -> None:
        """A command that ended during the outage leaves it to the next; none is opened twice."""
        first = Desk(tmp_path, away=True)
        await first.responder([an_outage()])
        await first.responder.drain()
        (left,) = await first.log.read()
        assert not left.ended

        second = Desk(tmp_path, away=True, clock=first.clock)
        await second.responder([an_outage()])
        async with asyncio.timeout(5):
            while second.knowledge.looks < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert ([left], []) == (await second.log.read(), second.notices.sent)
        await second.responder.drain()

        third = Desk(tmp_path, clock=first.clock)
        await third.glance()
        await third.responder.drain()
        (ended,) = await third.log.read()
        assert (ended.id, ended.status) == (left.id, "resolved")


class TestKnowledgeOutage:
    async def test_it_is_one_incident_until_a_search_works(self, tmp_path: Path) -> None:
        """Turn after turn fails, one incident is open; it ends with its time, told and counted."""
        desk = Desk(tmp_path, away=True)
        for tenant in ("acme", "acme", "other"):
            await desk.responder([an_outage(tenant)])
        (open_,) = await desk.until(bool)
        assert (open_.type, open_.severity, open_.status) == (
            "knowledge_outage",
            "critical",
            "mitigated",
        )
        assert "cannot be reached" in open_.resolution
        assert desk.switches == Switches()
        looks = desk.knowledge.looks
        await desk.until(lambda _: desk.knowledge.looks > looks + 2)
        assert [open_] == desk.notices.sent == await desk.log.read()

        desk.clock.pass_s(5)
        desk.knowledge.away = False

        (ended,) = await desk.until(lambda found: found[0].ended)
        assert (ended.id, ended.resolution) == (open_.id, "A search works again")
        assert ended.resolved > ended.opened
        await desk.responder.drain()
        assert desk.notices.sent == [open_, ended]
        assert desk.counted() == {"mitigated": 1, "resolved": 1}
        looks = desk.knowledge.looks
        await asyncio.sleep(0.05)
        assert desk.knowledge.looks == looks

    async def test_a_second_outage_is_a_second_incident(self, tmp_path: Path) -> None:
        """What was over is not reopened."""
        desk = Desk(tmp_path, away=True)
        for count in (1, 2):
            desk.clock.pass_s(1)
            desk.knowledge.away = True
            await desk.responder([an_outage()])
            await desk.until(lambda found, n=count: len(found) == n and not found[0].ended)  # type: ignore[misc]
            desk.knowledge.away = False
            await desk.until(lambda found: found[0].ended)
            await desk.responder.drain()
        assert len({incident.id for incident in await desk.log.read()}) == 2

    async def test_an_alert_of_before_its_end_opens_no_second_one(self, tmp_path: Path) -> None:
        """Turns fail together; the last of their alerts may be looked at after all is well."""
        desk = Desk(tmp_path, away=True)
        raised = desk.clock().isoformat()
        await desk.responder([an_outage()])
        await desk.until(bool)
        desk.clock.pass_s(5)
        desk.knowledge.away = False
        (ended,) = await desk.until(lambda found: found[0].ended)
        late = Report(type="knowledge_outage", severity="critical", raised=raised)
        path, _ = await desk.run(late)
        assert "notify" not in path
        assert await desk.log.read() == [ended]
        await desk.run({**late, "raised": ended.resolved})
        assert len(await desk.log.read()) == 2

    @pytest.mark.parametrize("raised", ["", "yesterday", "2026-01-02", "2999-01-01T00:00:00+00:00"])
    async def test_what_is_no_time_of_an_alert_is_now(self, tmp_path: Path, raised: str) -> None:
        """A report may come over HTTP: nothing in it makes an incident that cannot be read."""
        desk = Desk(tmp_path)
        _, incident = await desk.run(Report(type="cost_spike", raised=raised))
        assert datetime.fromisoformat(incident.opened) == desk.clock()

    async def test_one_that_is_over_by_now_is_resolved_at_once(self, tmp_path: Path) -> None:
        """The alert comes after the turn: what was planned is checked by a search."""
        desk = Desk(tmp_path)
        await desk.responder([an_outage()])
        await desk.responder.drain()
        (incident,) = await desk.log.read()
        assert (incident.status, incident.actions_taken) == ("resolved", ("honest_answers",))
        assert incident.resolved >= incident.opened
        assert desk.knowledge.looks == 1

    async def test_a_search_that_finds_nothing_stored_works(self) -> None:
        """An empty knowledge is no outage; one that hangs or fails is."""

        class Empty(FakeKnowledge):
            async def search(
                self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
            ) -> tuple[Hit, ...]:
                raise KnowledgeMissing("nothing stored")

        assert await searchable(Empty())("t")
        assert not await searchable(Frail(away=True))("t")

    async def test_an_unreadable_log_keeps_no_notice_back(self, tmp_path: Path) -> None:
        """People are told of an outage even where it can be neither looked up nor written down."""
        (tmp_path / "incidents.jsonl").mkdir()
        desk = Desk(tmp_path, away=True)
        await desk.responder([an_outage()])
        await asyncio.sleep(0.05)
        await desk.responder.drain()
        assert [incident.type for incident in desk.notices.sent] == ["knowledge_outage"]
        assert "incidents cannot be read" in desk.out.getvalue()
