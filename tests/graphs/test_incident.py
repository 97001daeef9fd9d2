"""The incident graph: by type, verified, told and written down; and the responder around it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

import pytest
from fakes import FakeKnowledge
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from prometheus_client import CollectorRegistry

from antiphon.graphs.incident import CompiledIncident, Responder, build_incident
from antiphon.nodes.incident import Report, searchable, verify
from antiphon.tools.errors import KnowledgeMissing, KnowledgeUnavailable
from antiphon.tools.resilience import Switches
from antiphon.tools.retrieval import Hit, Where
from antiphon.tools.telemetry import Alert, AlertSeverity
from antiphon.tools.telemetry.incidents import Incident, IncidentLog, Switch
from antiphon.tools.telemetry.logs import build_log
from antiphon.tools.telemetry.metrics import Metrics


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


class Desk:
    """A compiled incident graph with everything around it."""

    def __init__(
        self,
        folder: Path,
        models: Sequence[str] = ("a", "b"),
        *,
        away: bool = False,
    ) -> None:
        self.switches = Switches()
        self.knowledge = Frail(away=away)
        self.works = searchable(self.knowledge)
        self.metrics = Metrics(CollectorRegistry())
        self.log = IncidentLog(folder / "incidents.jsonl")
        self.notices = Notices()
        self.graph: CompiledIncident = build_incident(
            self.switches, self.log, self.notices, models=lambda: models, works=self.works
        ).compile()

    async def run(self, report: Report) -> tuple[list[str], Incident]:
        """Return the path taken and the incident in the end."""
        given = Report(severity="warning", message="m", value=1.0, details={})
        path: list[str] = []
        async for update in self.graph.astream({**given, **report}, stream_mode="updates"):
            path += update
        (incident,) = await self.log.read(limit=1)
        return path, incident

    def responder(self, out: io.StringIO | None = None, hold_s: float = 900.0) -> Responder:
        return Responder(
            self.graph,
            switches=self.switches,
            incidents=self.log,
            notifier=self.notices,
            works=self.works,
            log=build_log(form="json", stream=out or io.StringIO()),
            metrics=self.metrics,
            hold_s=hold_s,
            look_s=0.01,
        )

    async def until(self, test: Callable[[list[Incident]], bool]) -> list[Incident]:
        """Return the incidents once they are as awaited."""
        async with asyncio.timeout(5):
            while not test(found := await self.log.read()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return found

    def counted(self) -> dict[str, float]:
        """Return the knowledge outages by the status they reached."""
        lines = self.metrics.page()[0].decode().splitlines()
        found = [line for line in lines if line.startswith("antiphon_incidents_total{")]
        return {
            line.split('status="')[1].split('"')[0]: float(line.rpartition(" ")[2])
            for line in found
            if 'type="knowledge_outage"' in line
        }


def an_alert() -> Alert:
    """Return a latency alert."""
    return Alert(
        rule="high_latency",
        incident="high_latency",
        severity="warning",
        message="slow",
        value=12,
        threshold=10,
    )


def an_outage(tenant: str = "acme") -> Alert:
    """Return the alert of a turn whose search failed."""
    return Alert(
        rule="knowledge_outage",
        incident="knowledge_outage",
        severity="critical",
        message="The knowledge could not be searched.",
        value=1,
        threshold=1,
        details={"tenant": tenant, "node": "retrieve_context", "failure": "knowledge_unavailable"},
    )


@pytest.mark.parametrize(
    ("report", "node", "expected", "outcome"),
    [
        (
            {"type": "high_latency"},
            "latency",
            Switches(prefer_fast=True),
            ("prefer_fast", "mitigated"),
        ),
        (
            {"type": "cost_spike"},
            "cost",
            Switches(prefer_cheap=True),
            ("prefer_cheap", "mitigated"),
        ),
        (
            {"type": "safety_violation"},
            "safety",
            Switches(strict_guards=True),
            ("strict_guards", "mitigated"),
        ),
        (
            {"type": "high_error_rate", "value": 0.1, "details": {"tool": "weather"}},
            "errors",
            Switches(frozen_tools={"weather"}),
            ("freeze_tool", "mitigated"),
        ),
        (
            {"type": "high_error_rate", "value": 0.6, "details": {"tool": "weather"}},
            "errors",
            Switches(degraded=True),
            ("graceful_degradation", "mitigated"),
        ),
        (
            {"type": "high_error_rate", "value": 0.1},
            "errors",
            Switches(degraded=True),
            ("graceful_degradation", "mitigated"),
        ),
        (
            {"type": "model_outage", "details": {"model": "a"}},
            "outage",
            Switches(disabled_models={"a"}),
            ("model_fallback", "resolved"),
        ),
        (
            {"type": "knowledge_outage"},
            "knowledge",
            Switches(),
            ("honest_answers", "mitigated"),
        ),
    ],
    ids=[
        "latency",
        "cost",
        "safety",
        "one tool",
        "many failures",
        "no tool",
        "outage",
        "knowledge",
    ],
)
async def test_each_type_has_its_mitigation(
    tmp_path: Path, report: Report, node: str, expected: Switches, outcome: tuple[str, str]
) -> None:
    """The path goes through the type's node, and exactly its switch is thrown."""
    desk = Desk(tmp_path, away=True)
    path, incident = await desk.run(report)
    assert path == ["assess", f"mitigate_{node}", "verify", "notify", "record"]
    assert desk.switches == expected
    assert (*incident.actions_taken, incident.status) == outcome
    assert incident.resolution
    assert bool(incident.resolved) == (incident.status == "resolved")
    assert await desk.log.read() == [incident]


async def test_an_outage_of_the_last_model_degrades_gracefully(tmp_path: Path) -> None:
    """With no model left to fall back to, the guide's degradation is thrown."""
    desk = Desk(tmp_path, models=("a",))
    _, incident = await desk.run(Report(type="model_outage", details={"model": "a"}))
    assert desk.switches == Switches(degraded=True)
    assert (incident.status, incident.resolution, incident.actions_taken, incident.recovery) == (
        "mitigated",
        "Enabled graceful degradation mode",
        ("graceful_degradation",),
        "unknown",
    )


async def test_an_outage_counts_models_that_are_out_already(tmp_path: Path) -> None:
    """A disabled model is no fallback."""
    desk = Desk(tmp_path)
    await desk.run(Report(type="model_outage", details={"model": "a"}))
    _, incident = await desk.run(Report(type="model_outage", details={"model": "b"}))
    assert incident.actions_taken == ("graceful_degradation",)
    assert desk.switches == Switches(disabled_models={"a"}, degraded=True)


async def test_an_unknown_type_is_recorded_and_throws_nothing(tmp_path: Path) -> None:
    """The record says which types there are."""
    desk = Desk(tmp_path)
    path, incident = await desk.run(Report(type="earthquake", severity="critical"))
    assert path == ["assess", "notify", "record"]
    assert desk.switches == Switches()
    assert incident.status == "investigating"
    assert "'earthquake'" in incident.resolution
    assert "model_outage" in incident.resolution
    assert [incident] == await desk.log.read() == desk.notices.sent


@pytest.mark.parametrize(
    ("severity", "told"), [("warning", 0), ("high", 1), ("critical", 1)], ids=str
)
async def test_people_are_told_of_grave_incidents_only(
    tmp_path: Path, severity: AlertSeverity, told: int
) -> None:
    """Critical and high, as in the guide."""
    desk = Desk(tmp_path)
    await desk.run(Report(type="cost_spike", severity=severity))
    assert len(desk.notices.sent) == told


async def test_a_mitigation_that_did_not_hold_is_found_out() -> None:
    """Verify looks at the switches, not at what was said about them."""
    incident = Incident(
        id="i",
        type="cost_spike",
        severity="warning",
        opened="",
        status="mitigated",
        rests_on=(Switch(name="prefer_cheap"),),
    )
    look = verify(Switches(), lambda: ("a",), searchable(FakeKnowledge()))
    checked = (await look({"incident": incident}))["incident"]
    assert checked.status == "investigating"
    assert checked.resolution == "Mitigation did not hold: prefer_cheap is off"


async def test_a_fallback_with_no_model_left_is_found_out() -> None:
    """A fallback needs somebody to fall back to."""
    switch = Switch(name="disabled_models", item="a")
    incident = Incident(
        id="i",
        type="model_outage",
        severity="critical",
        opened="",
        status="resolved",
        actions_taken=("model_fallback",),
        rests_on=(switch,),
    )
    switches = Switches(disabled_models={"a"})
    look = verify(switches, lambda: ("a",), searchable(FakeKnowledge()))
    checked = await look({"incident": incident})
    assert checked["incident"].resolution == "Mitigation did not hold: no model is left"


async def test_the_responder_returns_at_once_and_drains(tmp_path: Path) -> None:
    """Alerts become incidents in the background."""
    desk = Desk(tmp_path)
    responder = desk.responder()
    await responder([an_alert(), an_alert()])
    assert not desk.switches.prefer_fast
    await responder.drain()
    assert desk.switches.prefer_fast
    incidents = await desk.log.read()
    assert sorted(len(incident.thrown) for incident in incidents) == [0, 1]


async def test_a_mitigation_ends_after_its_hold(tmp_path: Path) -> None:
    """The normal way is tried again, and the record says so."""
    desk = Desk(tmp_path)
    responder = desk.responder(hold_s=0.0)
    await responder([an_alert()])
    while not (found := await desk.log.read()) or found[0].status != "resolved":
        assert len(found) <= 1
    assert not desk.switches.prefer_fast
    assert found[0].resolution.endswith("undone after 0 s")
    assert found[0].resolved >= found[0].opened
    await responder.drain()


async def test_a_knowledge_outage_is_one_incident_until_a_search_works(tmp_path: Path) -> None:
    """Turn after turn fails, one incident is open; it ends with its time, told and counted."""
    desk = Desk(tmp_path, away=True)
    responder = desk.responder()
    for tenant in ("acme", "acme", "other"):
        await responder([an_outage(tenant)])
    (open_,) = await desk.until(bool)
    assert (open_.type, open_.severity, open_.status) == (
        "knowledge_outage",
        "critical",
        "mitigated",
    )
    assert "cannot be reached" in open_.resolution
    assert open_.resolved == ""
    assert desk.switches == Switches()
    looks = desk.knowledge.looks
    await desk.until(lambda _: desk.knowledge.looks > looks + 2)
    assert [open_] == desk.notices.sent == await desk.log.read()

    desk.knowledge.away = False

    (ended,) = await desk.until(lambda found: found[0].ended)
    assert (ended.id, ended.resolution) == (open_.id, "A search works again")
    assert ended.resolved > ended.opened
    await responder.drain()
    assert desk.notices.sent == [open_, ended]
    assert desk.counted() == {"mitigated": 1, "resolved": 1}
    looks = desk.knowledge.looks
    await asyncio.sleep(0.05)
    assert desk.knowledge.looks == looks


async def test_a_second_outage_is_a_second_incident(tmp_path: Path) -> None:
    """What was over is not reopened."""
    desk = Desk(tmp_path, away=True)
    responder = desk.responder()
    for count in (1, 2):
        desk.knowledge.away = True
        await responder([an_outage()])
        await desk.until(lambda found, n=count: len(found) == n and not found[0].ended)  # type: ignore[misc]
        desk.knowledge.away = False
        await desk.until(lambda found: found[0].ended)
        await responder.drain()
    assert len({incident.id for incident in await desk.log.read()}) == 2


async def test_an_outage_that_is_over_by_now_is_resolved_at_once(tmp_path: Path) -> None:
    """The alert comes after the turn: the mitigation is checked by a search."""
    desk = Desk(tmp_path)
    responder = desk.responder()
    await responder([an_outage()])
    await responder.drain()
    (incident,) = await desk.log.read()
    assert (incident.status, incident.actions_taken) == ("resolved", ("honest_answers",))
    assert incident.resolved >= incident.opened
    assert desk.knowledge.looks == 1


async def test_another_process_takes_an_open_outage_up(tmp_path: Path) -> None:
    """A command that ended during the outage leaves it to the next one; none is opened twice."""
    first = Desk(tmp_path, away=True)
    responder = first.responder()
    await responder([an_outage()])
    await responder.drain()
    (left,) = await first.log.read()
    assert not left.ended

    second = Desk(tmp_path, away=True)
    responder = second.responder()
    await responder([an_outage()])
    await second.until(lambda _: second.knowledge.looks > 2)
    assert ([left], []) == (await second.log.read(), second.notices.sent)
    await responder.drain()

    third = Desk(tmp_path)
    responder = third.responder()
    await responder.take_up()
    await responder.drain()
    (ended,) = await third.log.read()
    assert (ended.id, ended.status) == (left.id, "resolved")


async def test_a_search_that_finds_nothing_stored_works() -> None:
    """An empty knowledge is no outage; one that hangs or fails is."""

    class Empty(FakeKnowledge):
        async def search(
            self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
        ) -> tuple[Hit, ...]:
            raise KnowledgeMissing("nothing stored")

    assert await searchable(Empty())("t")
    assert not await searchable(Frail(away=True))("t")


async def test_an_unreadable_log_keeps_no_notice_back(tmp_path: Path) -> None:
    """People are told of an outage even where it can be neither looked up nor written down."""
    (tmp_path / "incidents.jsonl").mkdir()
    desk = Desk(tmp_path, away=True)
    out = io.StringIO()
    responder = desk.responder(out)
    await responder([an_outage()])
    await responder.drain()
    assert [incident.type for incident in desk.notices.sent] == ["knowledge_outage"]
    assert "incidents cannot be read" in out.getvalue()


async def test_a_line_of_another_release_hides_no_incident(tmp_path: Path) -> None:
    """What cannot be read as an incident is skipped."""
    desk = Desk(tmp_path, away=True)
    _, incident = await desk.run(Report(type="knowledge_outage"))
    with (tmp_path / "incidents.jsonl").open("a") as log:
        log.write('{"id": 7}\n')
    assert [incident] == await desk.log.read()


async def test_an_unwritable_log_is_told_and_the_mitigation_stands(tmp_path: Path) -> None:
    """A full disk does not undo what was done."""
    (tmp_path / "file").write_text("")
    desk = Desk(tmp_path / "file")
    out = io.StringIO()
    responder = desk.responder(out)
    await responder([an_alert()])
    await responder.drain()
    assert desk.switches.prefer_fast
    assert "incident was not recorded" in out.getvalue()


async def test_a_failing_response_is_logged_and_raises_nothing(tmp_path: Path) -> None:
    """An incident graph that breaks must not take the conversation with it."""

    class Broken(Notices):
        async def notify(self, incident: Incident) -> None:
            raise RuntimeError("pager on fire")

    desk = Desk(tmp_path)
    desk.graph = build_incident(
        desk.switches, desk.log, Broken(), models=lambda: ("a",), works=desk.works
    ).compile()
    out = io.StringIO()
    responder = desk.responder(out)
    alert = Alert(
        rule="safety_violation",
        incident="safety_violation",
        severity="high",
        message="",
        value=1,
        threshold=1,
    )
    await responder([alert])
    await responder.drain()
    assert "pager on fire" in out.getvalue()


async def test_an_incident_started_in_a_node_is_no_part_of_the_turn(tmp_path: Path) -> None:
    """The turn's checkpoints and stream show nothing of the incident."""
    desk = Desk(tmp_path)
    responder = desk.responder()

    class Turn(TypedDict, total=False):
        done: bool

    async def account(state: Turn) -> Turn:
        await responder([an_alert()])
        await responder.drain()
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
    assert desk.switches.prefer_fast
    namespaces = {item.config["configurable"]["checkpoint_ns"] for item in saver.list(None)}
    assert namespaces == {""}
