"""The table: one incident, from alert to record; and what runs it beside the turns."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from antiphon.nodes.incident import (
    DEFAULT_TENANT,
    IncidentState,
    Models,
    Report,
    Works,
    assess,
    mitigate_cost,
    mitigate_errors,
    mitigate_knowledge,
    mitigate_latency,
    mitigate_outage,
    mitigate_safety,
    notify,
    over,
    record,
    verify,
)
from antiphon.tools.errors import StorageError
from antiphon.tools.resilience import Switches
from antiphon.tools.telemetry import Alert
from antiphon.tools.telemetry.incidents import Incident, IncidentLog, restore
from antiphon.tools.telemetry.logs import Log
from antiphon.tools.telemetry.metrics import Metrics
from antiphon.tools.telemetry.notify import Notifier
from antiphon.tools.telemetry.record import utc_now

Mitigation = Literal[
    "mitigate_latency",
    "mitigate_errors",
    "mitigate_cost",
    "mitigate_safety",
    "mitigate_outage",
    "mitigate_knowledge",
]
IncidentGraph = StateGraph[IncidentState, None, Report, IncidentState]
CompiledIncident = CompiledStateGraph[IncidentState, None, Report, IncidentState]

HOLD_S = 900.0
"""How long a mitigation stays on before the normal way is tried again."""
LOOK_S = 5.0
"""How often a knowledge that is out is tried."""
GRACE_S = 0.5
"""What a process that ends leaves a look under way, to note that the outage is over."""


def build_incident(
    switches: Switches, log: IncidentLog, notifier: Notifier, *, models: Models, works: Works
) -> IncidentGraph:
    """Declare one incident: assess, mitigate by type, verify, notify, record."""
    return (
        StateGraph(IncidentState, input_schema=Report, output_schema=IncidentState)
        .add_node("assess", assess())
        .add_node("mitigate_latency", mitigate_latency(switches))
        .add_node("mitigate_errors", mitigate_errors(switches))
        .add_node("mitigate_cost", mitigate_cost(switches))
        .add_node("mitigate_safety", mitigate_safety(switches))
        .add_node("mitigate_outage", mitigate_outage(switches, models))
        .add_node("mitigate_knowledge", mitigate_knowledge())
        .add_node("verify", verify(switches, models, works))
        .add_node("notify", notify(notifier))
        .add_node("record", record(log))
        .add_edge(START, "assess")
        .add_conditional_edges("assess", after_assess)
        .add_edge("mitigate_latency", "verify")
        .add_edge("mitigate_errors", "verify")
        .add_edge("mitigate_cost", "verify")
        .add_edge("mitigate_safety", "verify")
        .add_edge("mitigate_outage", "verify")
        .add_edge("mitigate_knowledge", "verify")
        .add_edge("verify", "notify")
        .add_edge("notify", "record")
        .add_edge("record", END)
    )


def after_assess(state: IncidentState) -> Literal[Mitigation, "notify"]:
    """Choose the mitigation by type; a type nobody handles goes on to be told and recorded."""
    match state["incident"].type:
        case "high_latency":
            return "mitigate_latency"
        case "high_error_rate":
            return "mitigate_errors"
        case "cost_spike":
            return "mitigate_cost"
        case "safety_violation":
            return "mitigate_safety"
        case "model_outage":
            return "mitigate_outage"
        case "knowledge_outage":
            return "mitigate_knowledge"
        case _:
            return "notify"


class Responder:
    """Runs the incident graph for each alert in the background, and ends mitigations in time.

    Of a knowledge outage there is one incident at a time: it stays open until a search works.
    """

    def __init__(
        self,
        graph: CompiledIncident,
        *,
        switches: Switches,
        incidents: IncidentLog,
        notifier: Notifier,
        works: Works,
        log: Log,
        metrics: Metrics,
        hold_s: float = HOLD_S,
        look_s: float = LOOK_S,
    ) -> None:
        self.graph = graph
        self._switches = switches
        self._incidents = incidents
        self._notifier = notifier
        self._works = works
        self._log = log
        self._metrics = metrics
        self._hold_s = hold_s
        self._look_s = look_s
        self._outage = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()
        self._holding: set[asyncio.Task[None]] = set()
        self._looking: set[asyncio.Task[None]] = set()

    async def __call__(self, alerts: Sequence[Alert]) -> None:
        """Start one incident per alert and return at once."""
        for alert in alerts:
            respond = self._handle_outage if alert.incident == "knowledge_outage" else self._handle
            self._start(self._running, respond(alert))

    async def take_up(self) -> None:
        """Watch over an outage that another process, or this one's predecessor, left open."""
        for incident in (await self._open_outages())[:1]:
            self._watch(incident.details.get("tenant", DEFAULT_TENANT))

    async def drain(self) -> None:
        """Wait for the incidents under way; drop the waits for mitigations and outages to end."""
        while self._running:
            await asyncio.wait(self._running)
        if self._looking:
            await asyncio.wait(self._looking, timeout=GRACE_S)
        waits = self._holding | self._looking
        for task in waits:
            task.cancel()
        if waits:
            await asyncio.wait(waits)

    def _start(self, tasks: set[asyncio.Task[None]], work: Coroutine[None, None, None]) -> None:
        # An empty context: inside a node, LangGraph's own variables would make the incident a
        # subgraph of the user's turn, with its checkpoints and its stream.
        task = asyncio.create_task(work, context=contextvars.Context())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(self._report)

    def _report(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error("incident response failed", error=repr(error))

    async def _handle(self, alert: Alert) -> None:
        incident = await self._run(alert)
        if incident.thrown:
            self._start(self._holding, self._end(incident))

    async def _handle_outage(self, alert: Alert) -> None:
        async with self._outage:
            if self._looking:
                return
            if await self._open_outages() or not (await self._run(alert)).ended:
                self._watch(alert.details.get("tenant", DEFAULT_TENANT))

    async def _run(self, alert: Alert) -> Incident:
        result = await self.graph.ainvoke(
            Report(
                type=alert.incident,
                severity=alert.severity,
                message=alert.message,
                value=alert.value,
                details=alert.details,
            )
        )
        incident: Incident = result["incident"]
        self._metrics.incident(incident.type, incident.status)
        if result.get("unrecorded"):
            self._log.error("incident was not recorded", id=incident.id, error=result["unrecorded"])
        return incident

    async def _open_outages(self) -> list[Incident]:
        try:
            return await self._incidents.unresolved("knowledge_outage")
        except StorageError as error:
            # A log that cannot be read must not keep the notice from anyone.
            self._log.error("incidents cannot be read", error=error.message)
            return []

    def _watch(self, tenant: str) -> None:
        if not self._looking:
            self._start(self._looking, self._look(tenant))

    async def _look(self, tenant: str) -> None:
        while not await self._works(tenant):  # noqa: ASYNC110 - a server tells nobody it is back
            await asyncio.sleep(self._look_s)
        for incident in await self._open_outages():
            ended = over(incident)
            await self._incidents.append(ended)
            self._metrics.incident(ended.type, ended.status)
            await self._notifier.notify(ended)

    async def _end(self, incident: Incident) -> None:
        await asyncio.sleep(self._hold_s)
        restore(self._switches, incident.thrown)
        ended = f"{incident.resolution}; undone after {self._hold_s:g} s"
        now = incident.resolved or utc_now().isoformat(timespec="milliseconds")
        await self._incidents.append(
            replace(incident, status="resolved", resolution=ended, resolved=now)
        )
        if not incident.ended:
            self._metrics.incident(incident.type, "resolved")
