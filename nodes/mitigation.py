"""What is planned for each type of incident: the switch that its cause justifies, or advice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from antiphon.nodes.incident import IncidentNode, IncidentState
from antiphon.tools.resilience import Switch
from antiphon.tools.telemetry.incidents import stamp
from antiphon.tools.telemetry.rules import DOWN
from antiphon.tools.telemetry.standing import Standing

TRIAL_S = 60.0
"""How long a mitigation holds before the normal way is tried again; twice that the next time."""
WORK_OF_MODELS = frozenset({"rewrite_query", "choose_tools", "respond"})
"""Nodes whose time and failures are those of a language model."""

Names = Callable[[], Sequence[str]]
"""The names of every model the router knows."""


def mitigate_latency(standing: Standing) -> IncidentNode:
    """Route by latency alone, where it is models that are slow."""

    async def mitigate_latency(state: IncidentState) -> IncidentState:
        slowest = _why(state)
        if slowest not in WORK_OF_MODELS:
            return _left(state, f"Look at {slowest!r}, which takes longest: no model is the cause")
        return _planned(
            state,
            standing,
            Switch(name="prefer_fast", tenant=state["incident"].tenant),
            done="Routing to the fastest suitable model",
            action="prefer_fast",
        )

    return mitigate_latency


def mitigate_errors(standing: Standing) -> IncidentNode:
    """Freeze the failing tool; degrade where models fail; else leave it to people."""

    async def mitigate_errors(state: IncidentState) -> IncidentState:
        tool, tenant = state["incident"].item, state["incident"].tenant
        if tool:
            return _planned(
                state,
                standing,
                Switch(name="frozen_tools", item=tool, tenant=tenant),
                done=f"Froze the failing tool {tool!r}",
                action="freeze_tool",
            )
        node, _, code = _why(state).partition(": ")
        if code in DOWN or (node in WORK_OF_MODELS and code == "timeout"):
            return _planned(
                state,
                standing,
                Switch(name="degraded", tenant=tenant),
                done="Enabled graceful degradation mode",
                action="graceful_degradation",
            )
        return _left(state, f"Look into {_why(state)!r}: no model is the cause")

    return mitigate_errors


def mitigate_cost(standing: Standing) -> IncidentNode:
    """Route by cost alone."""

    async def mitigate_cost(state: IncidentState) -> IncidentState:
        return _planned(
            state,
            standing,
            Switch(name="prefer_cheap", tenant=state["incident"].tenant),
            done="Routing to the cheapest suitable model",
            action="prefer_cheap",
        )

    return mitigate_cost


def mitigate_safety(standing: Standing) -> IncidentNode:
    """Block at high severity too."""

    async def mitigate_safety(state: IncidentState) -> IncidentState:
        return _planned(
            state,
            standing,
            Switch(name="strict_guards", tenant=state["incident"].tenant),
            done="Guards block high violations as they do critical ones",
            action="strict_guards",
        )

    return mitigate_safety


def mitigate_outage(standing: Standing, models: Names) -> IncidentNode:
    """Take the model out of the choice; without another one that is the guide's degradation."""

    async def mitigate_outage(state: IncidentState) -> IncidentState:
        incident = state["incident"]
        out = {
            switch.item
            for other in standing.open
            for switch in other.throws(standing.now())
            if switch.name == "disabled_models" and switch.tenant in ("", incident.tenant)
        }
        another = set(models()) - out - {incident.item}
        return _planned(
            state,
            standing,
            Switch(name="disabled_models", item=incident.item, tenant=incident.tenant),
            done="Switched to fallback model" if another else "Enabled graceful degradation mode",
            action="model_fallback" if another else "graceful_degradation",
            recovery="as soon as the model answers",
            trial=False,
        )

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


def _why(state: IncidentState) -> str:
    return state["incident"].details.get("why", "unknown")


def _left(state: IncidentState, advice: str) -> IncidentState:
    return {"incident": replace(state["incident"], resolution=f"Advised: {advice}")}


def _planned(
    state: IncidentState,
    standing: Standing,
    switch: Switch,
    *,
    done: str,
    action: str,
    recovery: str = "as soon as turns go well without it",
    trial: bool = True,
) -> IncidentState:
    incident = state["incident"]
    if state["response"] != "automatic":
        said = f"Advised: {action}; nothing was switched"
        return {"incident": replace(incident, resolution=said, advised=(action,))}
    return {
        "incident": replace(
            incident,
            status="mitigated",
            resolution=done,
            actions_taken=(action,),
            recovery=recovery,
            thrown=(switch,),
            trial=stamp(standing.now(), plus_s=TRIAL_S) if trial else "",
            hold_s=TRIAL_S if trial else 0.0,
        )
    }
