"""The steps of an incident: assess what was reported, write it down, verify, notify.

A mitigation reaches as far as its cause: one tenant's, or all where several are hit. It is done
only where the assistant says so and where it takes several people to bring the cause about;
elsewhere the incident says what to do, and people decide.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypedDict

from langchain_core.messages import HumanMessage

from antiphon.tools.errors import AntiphonError, KnowledgeMissing, StorageError
from antiphon.tools.models import Models, Selection
from antiphon.tools.retrieval import Knowledge
from antiphon.tools.telemetry.incidents import HOLD_S, KNOWN_TYPES, Incident, stamp
from antiphon.tools.telemetry.notify import Notifier
from antiphon.tools.telemetry.standing import Standing
from antiphon.tools.telemetry.turn import AlertSeverity, Response

NOTIFIED = frozenset({"critical", "high"})
"""The guide's severities that people are told of."""
DEFAULT_TENANT = "default"
OUTAGE_S = 86_400.0
"""How long an outage of the knowledge is watched before it is told of anew."""
PROBE = "Does a search answer?"
PING = "Reply with the word yes."
PROBE_DEADLINE_S = 8.0
"""For a knowledge that has no deadline of its own."""
PING_DEADLINE_S = 20.0


class Report(TypedDict, total=False):
    """What is reported: plain values, so that an incident can also be raised over HTTP."""

    type: str
    severity: AlertSeverity
    message: str
    tenant: str
    item: str
    apart: bool
    details: dict[str, str]
    raised: str
    """When the alert fired, ISO 8601, UTC; empty or not there: now."""


class IncidentState(Report, total=False):
    """The report, and the incident as it is worked on."""

    response: Response
    incident: Incident
    begun: bool
    """Whether this is the process that opened it."""
    unrecorded: str
    """Why the incident could not be written down, or empty."""


class IncidentNode(Protocol):
    """An async step of an incident."""

    def __call__(self, state: IncidentState) -> Awaitable[IncidentState]:
        """Return what to change."""
        ...


Works = Callable[[str], Awaitable[bool]]
"""Whether a tenant's knowledge can be searched now, or whether a model answers."""


def searchable(knowledge: Knowledge) -> Works:
    """Return the look whether a search works; one that finds nothing stored does."""

    async def works(tenant: str) -> bool:
        try:
            async with asyncio.timeout(PROBE_DEADLINE_S):
                await knowledge.search(PROBE, tenant=tenant, limit=1)
        except KnowledgeMissing:
            return True
        except (AntiphonError, TimeoutError):
            return False
        return True

    return works


def answers(models: Models) -> Works:
    """Return the look whether a model answers: a word or two, asked of it alone."""

    async def works(model: str) -> bool:
        alone = Selection(model=model, reason="trial", score=0.0, cost_usd=0.0, latency_s=0.0)
        try:
            async with asyncio.timeout(PING_DEADLINE_S):
                reply = await models.reply(alone, [HumanMessage(content=PING)])
        except (AntiphonError, TimeoutError):
            return False
        return reply.model == model

    return works


def assess(standing: Standing, policy: Mapping[str, Response]) -> IncidentNode:
    """Open the incident; an unknown type is recorded with what is wrong and nothing is thrown."""

    async def assess(state: IncidentState) -> IncidentState:
        kind = state.get("type", "")
        now = standing.now()
        response = policy.get(kind, "advised")
        if response == "automatic" and not state.get("apart", True):
            response = "advised"
        lasts = OUTAGE_S if kind == "knowledge_outage" else HOLD_S
        incident = Incident(
            id=uuid.uuid4().hex[:12],
            type=kind,
            severity=state.get("severity", "warning"),
            opened=stamp(_raised(state, now)),
            message=state.get("message", ""),
            details=dict(state.get("details", {})),
            tenant=state.get("tenant", ""),
            item=state.get("item", ""),
            until=stamp(now, plus_s=lasts),
            resolution=""
            if kind in KNOWN_TYPES
            else f"Unknown incident type {kind!r}; known: {', '.join(KNOWN_TYPES)}",
        )
        return {"incident": incident, "response": response}

    return assess


def record(standing: Standing) -> IncidentNode:
    """Write the incident down, and so throw its switches in every process; once among them all.

    A full disk must not undo what is to be done: then it holds in this process.
    """

    async def record(state: IncidentState) -> IncidentState:
        try:
            return {"begun": await standing.begin(state["incident"])}
        except StorageError as error:
            return {"begun": True, "unrecorded": error.message}

    return record


def verify(standing: Standing, works: Works) -> IncidentNode:
    """Look whether what was planned holds, or whether an outage is over already."""

    async def verify(state: IncidentState) -> IncidentState:
        incident = state["incident"]
        if incident.type == "knowledge_outage":
            if not await works(probed_tenant(incident)):
                return {}
            now = stamp(standing.now())
            return await _changed(standing, incident, works_again(incident, at=now))
        off = [switch.name for switch in incident.thrown if not standing.holds(switch)]
        if not off:
            return {}
        wrong = f"Mitigation did not hold: {', '.join(off)} is off"
        failed = replace(incident, status="investigating", resolution=wrong, recovery="unknown")
        return await _changed(standing, incident, failed)

    return verify


def notify(notifier: Notifier) -> IncidentNode:
    """Tell people of critical and high incidents."""

    async def notify(state: IncidentState) -> IncidentState:
        if state["incident"].severity in NOTIFIED:
            await notifier.notify(state["incident"])
        return {}

    return notify


def probed_tenant(incident: Incident) -> str:
    """Return the tenant whose search shows whether the knowledge is back."""
    return incident.details.get("tenant", DEFAULT_TENANT)


def works_again(incident: Incident, *, at: str) -> Incident:
    """Return an outage as it stands once a search has worked, or the model has answered."""
    if incident.type == "knowledge_outage":
        return replace(incident, resolution="").over("a search works again", at=at)
    return incident.over("the model answers again", at=at)


def _raised(state: IncidentState, now: datetime) -> datetime:
    """Return when the alert fired, as far as that can be read and is not still to come."""
    try:
        moment = datetime.fromisoformat(state.get("raised", ""))
    except ValueError:
        return now
    return min(moment, now) if moment.tzinfo else now


async def _changed(standing: Standing, before: Incident, after: Incident) -> IncidentState:
    try:
        await standing.change(before, after)
    except StorageError as error:
        return {"incident": after, "unrecorded": error.message}
    return {"incident": after}
