"""The steps of an incident: assess what was reported, mitigate by type, verify, notify, record."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypedDict

from antiphon.tools.errors import AntiphonError, KnowledgeMissing, StorageError
from antiphon.tools.resilience import Switches
from antiphon.tools.retrieval import Knowledge
from antiphon.tools.telemetry.incidents import (
    KNOWN_TYPES,
    Incident,
    IncidentLog,
    Status,
    Switch,
)
from antiphon.tools.telemetry.notify import Notifier
from antiphon.tools.telemetry.record import utc_now
from antiphon.tools.telemetry.turn import AlertSeverity

MANY_FAILURES = 0.5
"""Above this error rate one tool is no longer the likely cause: everything degrades."""
NOTIFIED = frozenset({"critical", "high"})
"""The guide's severities that people are told of."""
DEFAULT_TENANT = "default"
PROBE = "Does a search answer?"
PROBE_DEADLINE_S = 8.0
"""For a knowledge that has no deadline of its own."""


class Report(TypedDict, total=False):
    """What is reported: plain values, so that an incident can also be raised over HTTP."""

    type: str
    severity: AlertSeverity
    message: str
    value: float
    details: dict[str, str]


class IncidentState(Report, total=False):
    """The report, and the incident as it is worked on."""

    incident: Incident
    unrecorded: str
    """Why the incident could not be written down, or empty."""


class IncidentNode(Protocol):
    """An async step of an incident."""

    def __call__(self, state: IncidentState) -> Awaitable[IncidentState]:
        """Return what to change."""
        ...


Models = Callable[[], Sequence[str]]
"""The names of every model the router knows."""
Works = Callable[[str], Awaitable[bool]]
"""Whether a tenant's knowledge can be searched now."""


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


def assess() -> IncidentNode:
    """Open the incident; an unknown type is recorded with what is wrong and nothing is thrown."""

    async def assess(state: IncidentState) -> IncidentState:
        kind = state.get("type", "")
        known = kind in KNOWN_TYPES
        incident = Incident(
            id=uuid.uuid4().hex[:12],
            type=kind,
            severity=state.get("severity", "warning"),
            opened=utc_now().isoformat(timespec="milliseconds"),
            message=state.get("message", ""),
            details=dict(state.get("details", {})),
            resolution=""
            if known
            else f"Unknown incident type {kind!r}; known: {', '.join(KNOWN_TYPES)}",
        )
        return {"incident": incident}

    return assess


def mitigate_latency(switches: Switches) -> IncidentNode:
    """Route by latency alone."""

    async def mitigate_latency(state: IncidentState) -> IncidentState:
        return _mitigated(
            state,
            switches,
            Switch(name="prefer_fast"),
            resolution="Routing to the fastest suitable model",
            action="prefer_fast",
            recovery="next turn",
        )

    return mitigate_latency


def mitigate_errors(switches: Switches) -> IncidentNode:
    """Freeze the failing tool where one stands out; with many failures degrade instead."""

    async def mitigate_errors(state: IncidentState) -> IncidentState:
        tool = state.get("details", {}).get("tool", "")
        if tool and state.get("value", 0.0) < MANY_FAILURES:
            return _mitigated(
                state,
                switches,
                Switch(name="frozen_tools", item=tool),
                resolution=f"Froze the failing tool {tool!r}",
                action="freeze_tool",
                recovery="next turn",
            )
        return _degraded(state, switches)

    return mitigate_errors


def mitigate_cost(switches: Switches) -> IncidentNode:
    """Route by cost alone."""

    async def mitigate_cost(state: IncidentState) -> IncidentState:
        return _mitigated(
            state,
            switches,
            Switch(name="prefer_cheap"),
            resolution="Routing to the cheapest suitable model",
            action="prefer_cheap",
            recovery="next turn",
        )

    return mitigate_cost


def mitigate_safety(switches: Switches) -> IncidentNode:
    """Block at high severity too."""

    async def mitigate_safety(state: IncidentState) -> IncidentState:
        return _mitigated(
            state,
            switches,
            Switch(name="strict_guards"),
            resolution="Guards block high violations as they do critical ones",
            action="strict_guards",
            recovery="immediate",
        )

    return mitigate_safety


def mitigate_outage(switches: Switches, models: Models) -> IncidentNode:
    """Take the model out of the choice; without another one degrade gracefully."""

    async def mitigate_outage(state: IncidentState) -> IncidentState:
        model = state.get("details", {}).get("model", "")
        if model and _remaining(switches, models, without=model):
            return _mitigated(
                state,
                switches,
                Switch(name="disabled_models", item=model),
                resolution="Switched to fallback model",
                action="model_fallback",
                recovery="immediate",
                status="resolved",
            )
        return _degraded(state, switches)

    return mitigate_outage


def mitigate_knowledge() -> IncidentNode:
    """Throw nothing: turns say what they cannot reach, and the search is tried until it works."""

    async def mitigate_knowledge(state: IncidentState) -> IncidentState:
        return {
            "incident": replace(
                state["incident"],
                status="mitigated",
                resolution="Answers say that the knowledge cannot be reached; "
                "what needs no knowledge goes on",
                actions_taken=("honest_answers",),
                recovery="as soon as a search works",
            )
        }

    return mitigate_knowledge


def over(incident: Incident) -> Incident:
    """Return a knowledge outage as it stands once a search has worked."""
    return replace(
        incident,
        status="resolved",
        resolution="A search works again",
        recovery="immediate",
        resolved=utc_now().isoformat(timespec="milliseconds"),
    )


def verify(switches: Switches, models: Models, works: Works) -> IncidentNode:
    """Look whether what was thrown is on, a model is left, or an outage is over already."""

    async def verify(state: IncidentState) -> IncidentState:
        incident = state["incident"]
        if incident.type == "knowledge_outage":
            back = await works(incident.details.get("tenant", DEFAULT_TENANT))
            return {"incident": over(incident) if back else incident}
        off = [switch.name for switch in incident.rests_on if not switch.is_on(switches)]
        if off:
            wrong = f"Mitigation did not hold: {', '.join(off)} is off"
        elif "model_fallback" in incident.actions_taken and not _remaining(switches, models):
            wrong = "Mitigation did not hold: no model is left"
        else:
            return {"incident": incident}
        return {
            "incident": replace(
                incident, status="investigating", resolution=wrong, recovery="unknown"
            )
        }

    return verify


def notify(notifier: Notifier) -> IncidentNode:
    """Tell people of critical and high incidents."""

    async def notify(state: IncidentState) -> IncidentState:
        if state["incident"].severity in NOTIFIED:
            await notifier.notify(state["incident"])
        return {}

    return notify


def record(log: IncidentLog) -> IncidentNode:
    """Write the incident down; a full disk must not undo what was done about it."""

    async def record(state: IncidentState) -> IncidentState:
        try:
            await log.append(state["incident"])
        except StorageError as error:
            return {"unrecorded": error.message}
        return {}

    return record


def _mitigated(
    state: IncidentState,
    switches: Switches,
    switch: Switch,
    *,
    resolution: str,
    action: str,
    recovery: str,
    status: Status = "mitigated",
) -> IncidentState:
    return {
        "incident": replace(
            state["incident"],
            status=status,
            resolution=resolution,
            actions_taken=(action,),
            recovery=recovery,
            rests_on=(switch,),
            thrown=(switch,) if switch.throw(switches) else (),
            resolved=utc_now().isoformat(timespec="milliseconds") if status == "resolved" else "",
        )
    }


def _degraded(state: IncidentState, switches: Switches) -> IncidentState:
    return _mitigated(
        state,
        switches,
        Switch(name="degraded"),
        resolution="Enabled graceful degradation mode",
        action="graceful_degradation",
        recovery="unknown",
    )


def _remaining(switches: Switches, models: Models, *, without: str = "") -> list[str]:
    return [m for m in models() if m != without and m not in switches.disabled_models]
