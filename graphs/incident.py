"""The table: one incident, from alert to record; and what runs it beside the turns."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain, count, repeat
from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from antiphon.nodes.incident import (
    NOTIFIED,
    IncidentState,
    Report,
    Works,
    assess,
    notify,
    probed_tenant,
    record,
    verify,
    works_again,
)
from antiphon.nodes.mitigation import (
    Names,
    mitigate_cost,
    mitigate_errors,
    mitigate_knowledge,
    mitigate_latency,
    mitigate_outage,
    mitigate_safety,
)
from antiphon.tools.errors import StorageError
from antiphon.tools.telemetry import Alert
from antiphon.tools.telemetry.incidents import Incident, stamp
from antiphon.tools.telemetry.logs import Log
from antiphon.tools.telemetry.metrics import Metrics
from antiphon.tools.telemetry.notify import Notifier
from antiphon.tools.telemetry.standing import Standing
from antiphon.tools.telemetry.turn import Evidence, Response

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

LOOK_S = 5.0
"""How often a knowledge that is out is tried."""
PING_S = 30.0
"""How soon a model that is out is asked again; twice as long after each time in vain."""
GRACE_S = 0.5
"""What a process that ends leaves a look under way, to note that the outage is over."""


def build_incident(
    standing: Standing,
    notifier: Notifier,
    *,
    policy: Mapping[str, Response],
    models: Names,
    works: Works,
) -> IncidentGraph:
    """Declare one incident: assess, mitigate by type, record, verify, notify.

    `works`: whether a tenant's knowledge can be searched.
    """
    return (
        StateGraph(IncidentState, input_schema=Report, output_schema=IncidentState)
        .add_node("assess", assess(standing, policy))
        .add_node("mitigate_latency", mitigate_latency(standing))
        .add_node("mitigate_errors", mitigate_errors(standing))
        .add_node("mitigate_cost", mitigate_cost(standing))
        .add_node("mitigate_safety", mitigate_safety(standing))
        .add_node("mitigate_outage", mitigate_outage(standing, models))
        .add_node("mitigate_knowledge", mitigate_knowledge())
        .add_node("record", record(standing))
        .add_node("verify", verify(standing, works))
        .add_node("notify", notify(notifier))
        .add_edge(START, "assess")
        .add_conditional_edges("assess", after_assess)
        .add_edge("mitigate_latency", "record")
        .add_edge("mitigate_errors", "record")
        .add_edge("mitigate_cost", "record")
        .add_edge("mitigate_safety", "record")
        .add_edge("mitigate_outage", "record")
        .add_edge("mitigate_knowledge", "record")
        .add_conditional_edges("record", after_record)
        .add_edge("verify", "notify")
        .add_edge("notify", END)
    )


def after_assess(state: IncidentState) -> Literal[Mitigation, "record", "__end__"]:
    """Choose the mitigation by type; a type nobody handles goes on to be recorded and told."""
    if state["response"] == "off":
        return "__end__"
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
            return "record"


def after_record(state: IncidentState) -> Literal["verify", "__end__"]:
    """Go on with what was opened here; what is open already was told of where it was opened."""
    return "verify" if state["begun"] else "__end__"


class Responder:
    """Runs the incident graph for each alert in the background, and sees incidents to their end.

    An outage ends when a search or the model works. Any other mitigation is lifted after a while,
    and the turns that follow say whether it is over or thrown again. Time ends all of them.
    """

    def __init__(
        self,
        graph: CompiledIncident,
        *,
        standing: Standing,
        notifier: Notifier,
        searches: Works,
        answers: Works,
        evidence: Evidence | None,
        log: Log,
        metrics: Metrics,
        look_s: float = LOOK_S,
        ping_s: float = PING_S,
    ) -> None:
        """Take what to look at: `searches` by tenant, `answers` by model, `evidence` of turns."""
        self.graph = graph
        self._standing = standing
        self._notifier = notifier
        self._searches = searches
        self._answers = answers
        self._evidence = evidence
        self._log = log
        self._metrics = metrics
        self._look_s = look_s
        self._ping_s = ping_s
        self._running: set[asyncio.Task[None]] = set()
        self._looking: dict[str, asyncio.Task[None]] = {}
        """By incident."""

    async def __call__(self, alerts: Sequence[Alert]) -> None:
        """Start one incident per alert and return at once."""
        raised = stamp(self._standing.now())
        for alert in alerts:
            task = self._start(self._handle(alert, raised))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def attend(self) -> None:
        """See to what is open: look after outages, judge trials, end what is over.

        Also of another process, which may be gone. Raises StorageError.
        """
        now = self._standing.now()
        for incident in self._standing.open:
            by_time = incident.as_of(now)
            if by_time.ended:
                await self._end(incident, by_time)
            elif incident.type in ("knowledge_outage", "model_outage") and incident.actions_taken:
                self._watch(incident)
            elif incident.on_trial(now) and self._evidence is not None:
                await self._judge(incident, self._evidence, now)

    async def drain(self) -> None:
        """Wait for the incidents under way; leave the looks after outages to the next process."""
        while self._running:
            await asyncio.wait(self._running)
        looks = set(self._looking.values())
        if looks:
            await asyncio.wait(looks, timeout=GRACE_S)
            for task in looks:
                task.cancel()
            await asyncio.wait(looks)

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        # An empty context: inside a node, LangGraph's own variables would make the incident a
        # subgraph of the user's turn, with its checkpoints and its stream.
        task = asyncio.create_task(work, context=contextvars.Context())
        task.add_done_callback(self._report)
        return task

    def _report(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error("incident response failed", error=repr(error))

    async def _handle(self, alert: Alert, raised: str) -> None:
        try:
            await self._standing.refresh()
        except StorageError as error:
            # A log that cannot be read must not keep the notice from anyone.
            self._log.error("incidents cannot be read", error=error.message)
        result = await self.graph.ainvoke(
            Report(
                type=alert.incident,
                severity=alert.severity,
                message=alert.message,
                tenant=alert.tenant,
                item=alert.item,
                apart=alert.apart,
                details=alert.details,
                raised=raised,
            )
        )
        if result.get("begun"):
            incident: Incident = result["incident"]
            self._metrics.incident(incident.type, incident.status)
        if result.get("unrecorded"):
            self._log.error("incident was not recorded", error=result["unrecorded"])
        await self.attend()

    def _watch(self, incident: Incident) -> None:
        if incident.id in self._looking:
            return
        if incident.type == "knowledge_outage":
            pauses = chain([0.0], repeat(self._look_s))
            look = self._look(incident.id, self._searches, probed_tenant(incident), pauses)
        else:
            later = (self._ping_s * 2**tries for tries in count())
            look = self._look(incident.id, self._answers, incident.item, later)
        task = self._looking[incident.id] = self._start(look)
        task.add_done_callback(lambda _: self._looking.pop(incident.id, None))

    async def _look(self, name: str, works: Works, what: str, pauses: Iterable[float]) -> None:
        """Try after each pause, until it works or the incident is over."""
        for pause_s in pauses:
            await asyncio.sleep(pause_s)
            if not self._open(name) or await works(what):
                break
        for incident in self._open(name):
            at = stamp(self._standing.now())
            await self._end(incident, works_again(incident, at=at))

    def _open(self, name: str) -> list[Incident]:
        return [incident for incident in self._standing.open if incident.id == name]

    async def _judge(self, incident: Incident, evidence: Evidence, now: datetime) -> None:
        since = datetime.fromisoformat(incident.trial)
        match evidence.trial(
            incident.type, item=incident.item, tenant=incident.tenant, since=since
        ):
            case "passed":
                await self._end(incident, incident.over("undone, and turns go well", at=stamp(now)))
            case "failed":
                hold_s = 2 * incident.hold_s
                again = replace(incident, trial=stamp(now, plus_s=hold_s), hold_s=hold_s)
                await self._standing.change(incident, again)
            case "undecided":
                pass

    async def _end(self, before: Incident, after: Incident) -> None:
        if not await self._standing.change(before, after):
            return
        self._metrics.incident(after.type, after.status)
        if after.severity in NOTIFIED:
            await self._notifier.notify(after)
