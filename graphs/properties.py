"""What is proved of the table before it may run: reachable, ending, guarded, careful."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from langgraph.graph import END, START, StateGraph

from antiphon.nodes.state import Context, Input, Output, State
from antiphon.tools.toolbox import Toolbox

Table = StateGraph[State, Context, Input, Output]
Edges = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One property of the table and whether it holds."""

    name: str
    ok: bool
    detail: str


def verify(table: Table, toolbox: Toolbox) -> tuple[Property, ...]:
    """Check the declared table; nothing is run."""
    edges = transitions(table)
    roles = {name: node.metadata or {} for name, node in table.nodes.items()}
    return (
        _all_reachable(edges),
        _all_end(edges),
        _loops_bounded(edges, roles),
        _drafts_guarded(edges, roles),
        _effects_controlled(toolbox),
    )


def verify_shape(table: Table) -> tuple[Property, ...]:
    """Check what must hold of any table, whoever it is for."""
    edges = transitions(table)
    roles = {name: node.metadata or {} for name, node in table.nodes.items()}
    return _all_reachable(edges), _all_end(edges), _loops_bounded(edges, roles)


def transitions(table: Table) -> Edges:
    """Return every transition: plain edges, conditional ends, and the way to recovery."""
    nodes = {name: node for name, node in table.nodes.items() if not node.is_error_handler}
    found: dict[str, set[str]] = {name: set() for name in (START, *nodes)}
    for source, target in table.edges:
        found[source].add(target)
    for source, branches in table.branches.items():
        for branch in branches.values():
            found[source].update((branch.ends or {}).values() or nodes)
    for name, node in nodes.items():
        found[name].update(node.ends or ())
    return {name: frozenset(targets) for name, targets in found.items()}


def _reach(edges: Edges, start: str, *, without: Collection[str] = ()) -> set[str]:
    """Return what can be reached from `start` without entering any of `without`."""
    seen, ahead = set[str](), [start]
    while ahead:
        for target in edges.get(ahead.pop(), frozenset()):
            if target not in seen and target not in without:
                seen.add(target)
                ahead.append(target)
    return seen


def _all_reachable(edges: Edges) -> Property:
    lost = sorted(set(edges) - {START} - _reach(edges, START))
    return _property("every node is reachable", lost, "cannot be reached from the start")


def _all_end(edges: Edges) -> Property:
    stuck = sorted(name for name in edges if END not in _reach(edges, name))
    return _property("every path can end", stuck, "has no way to the end")


def _loops_bounded(edges: Edges, roles: Mapping[str, Mapping[str, object]]) -> Property:
    bounded = {name for name, role in roles.items() if role.get("bounded")}
    free = {name: targets - bounded for name, targets in edges.items() if name not in bounded}
    loops = sorted(name for name in free if name in _reach(free, name))
    return _property("every loop is bounded", loops, "is in a loop that no counter bounds")


def _drafts_guarded(edges: Edges, roles: Mapping[str, Mapping[str, object]]) -> Property:
    safe = {name for name, role in roles.items() if role.get("draft") in ("guards", "discards")}
    writers = [name for name, role in roles.items() if role.get("draft") == "writes"]
    leaks = sorted(name for name in writers if END in _reach(edges, name, without=safe))
    told = "can reach the user past guard_output"
    if not any(role.get("draft") == "guards" for role in roles.values()):
        leaks, told = writers or ["the table"], "has no output guard after it"
    return _property("no model's words pass unguarded", leaks, told)


def _effects_controlled(toolbox: Toolbox) -> Property:
    loose = sorted(
        spec.name
        for spec in toolbox.specs()
        if spec.side_effects and not (spec.approval or spec.idempotent)
    )
    return _property(
        "side effects need approval or an idempotency key", loose, "changes things with neither"
    )


def _property(name: str, offenders: Collection[str], told: str) -> Property:
    detail = "; ".join(f"{offender} {told}" for offender in offenders)
    return Property(name=name, ok=not offenders, detail=detail)
