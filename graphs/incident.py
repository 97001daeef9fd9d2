"""The table: one incident, from alert to record; and what runs it beside the turns."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from antiphon.nodes.incident import (
    IncidentState,
    Models,
    Report,
    assess,
    mitigate_cost,
    mitigate_errors,
    mitigate_latency,
    mitigate_outage,
    mitigate_safety,
    notify,
    record,
    verify,
)
from antiphon.tools.resilience import Switches
from antiphon.tools.telemetry import Alert
from antiphon.tools.telemetry.incidents import Incident, IncidentLog, restore
from antiphon.tools.telemetry.logs import Log
from antiphon.tools.telemetry.notify import Notifier

Mitigation = Literal[
    "mitigate_latency",
    "mitigate_errors",
    "mitigate_cost",
    "mitigate_safety",
    "mitigate_outage",
]
IncidentGraph = StateGraph[IncidentState, None, Report, IncidentState]
CompiledIncident = CompiledStateGraph[IncidentState, None, Report, IncidentState]

HOLD_S = 900.0
"""How long a mitigation stays on before the normal way is tried again."""


def build_incident(
    switches: Switches, log: IncidentLog, notifier: Notifier, *, models: Models
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
        .add_node("verify", verify(switches, models))
        .add_node("notify", notify(notifier))
        .add_node("record", record(log))
        .add_edge(START, "assess")
        .add_conditional_edges("assess", after_assess)
        .add_edge("mitigate_latency", "verify")
        .add_edge("mitigate_errors", "verify")
        .add_edge("mitigate_cost", "verify")
        .add_edge("mitigate_safety", "verify")
        .add_edge("mitigate_outage", "verify")
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
        case _:
            return "notify"


class Responder:
    """Runs the incident graph for each alert in the background, and ends mitigations in time."""

    def __init__(
        self,
        graph: CompiledIncident,
        *,
        switches: Switches,
        incidents: IncidentLog,
        log: Log,
        hold_s: float = HOLD_S,
    ) -> None:
        self.graph = graph
        self._switches = switches
        self._incidents = incidents
        self._log = log
        self._hold_s = hold_s
        self._running: set[asyncio.Task[None]] = set()
        self._holding: set[asyncio.Task[None]] = set()

    async def __call__(self, alerts: Sequence[Alert]) -> None:
        """Start one incident per alert and return at once."""
        for alert in alerts:
            self._start(self._running, alert)

    async def drain(self) -> None:
        """Wait for the incidents under way; drop the waits for mitigations to end."""
        while self._running:
            await asyncio.wait(self._running)
        for task in tuple(self._holding):
            task.cancel()
        if self._holding:
            await asyncio.wait(self._holding)

    def _start(self, tasks: set[asyncio.Task[None]], subject: Alert | Incident) -> None:
        work = self._handle(subject) if isinstance(subject, Alert) else self._end(subject)
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
        if result.get("unrecorded"):
            self._log.error("incident was not recorded", id=incident.id, error=result["unrecorded"])
        if incident.thrown:
            self._start(self._holding, incident)

    async def _end(self, incident: Incident) -> None:
        await asyncio.sleep(self._hold_s)
        restore(self._switches, incident.thrown)
        ended = f"{incident.resolution}; undone after {self._hold_s:g} s"
        await self._incidents.append(replace(incident, status="resolved", resolution=ended))
