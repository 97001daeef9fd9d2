"""Prometheus figures of finished turns: the only file that knows prometheus_client.

Labels are closed sets (outcomes, nodes, models, guards, tools); tenants and users are never labels.
"""

from __future__ import annotations

import os
from typing import Literal, get_args
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector

from antiphon.tools.telemetry.turn import IncidentType, TurnRecord

TURN_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 30, 60)
"""10 s is the latency rule's threshold, so it must be an edge."""
NODE_BUCKETS_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

CacheStep = Literal["version", "look_up", "check", "keep"]
"""What was done when the cache failed."""


class _Figures:
    """The collectors, registered once in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"antiphon_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, edges: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"antiphon_{name}", text, labels, buckets=edges, registry=registry)

        self.turns = counter("turns_total", "Turns by how they ended.", "outcome")
        self.turn_s = histogram("turn_seconds", "Duration of a turn.", TURN_BUCKETS_S)
        self.node_s = histogram("node_seconds", "Time in a node.", NODE_BUCKETS_S, "node")
        self.tokens = counter("tokens_total", "Tokens read and written.", "direction", "model")
        self.cost = counter("cost_usd_total", "Cost of model calls, US dollars.", "model")
        self.violations = counter(
            "violations_total", "What guards found.", "guard", "severity", "action"
        )
        self.tools = counter("tool_calls_total", "Tool calls by success.", "tool", "ok")
        self.recoveries = counter("recoveries_total", "Turns that needed recovery.", "code")
        self.cache_hits = counter("cache_hits_total", "Turns answered from the cache.")
        self.cache_faults = counter(
            "cache_faults_total", "Cache look-ups that failed and became misses.", "step", "error"
        )
        self.notices = counter("notices_total", "Turns over a limit, by rule.", "rule")
        self.incidents = counter(
            "incidents_total", "Incidents by the status they reached.", "type", "status"
        )


# A registry refuses a second collector of the same name; the next Metrics over the same registry
# (another runtime in this process) must therefore count on with the first one's.
_REGISTERED: WeakKeyDictionary[CollectorRegistry, _Figures] = WeakKeyDictionary()


class Metrics:
    """Counts turns in a registry; several may share one."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        if registry not in _REGISTERED:
            _REGISTERED[registry] = _Figures(registry)
        self._figures = _REGISTERED[registry]

    def observe(self, turn: TurnRecord) -> None:
        """Count one finished turn; of a replay, only that it was one and what it used."""
        figures = self._figures
        self._used(turn)
        if turn.replay:
            figures.turns.labels("replay").inc()
            return
        figures.turns.labels(turn.outcome).inc()
        figures.turn_s.observe(turn.duration_ms / 1000)
        for node, ms in turn.node_ms.items():
            figures.node_s.labels(node).observe(ms / 1000)
        for guard, severity, action in turn.violations:
            figures.violations.labels(guard, severity, action).inc()
        for tool, ok in turn.tools:
            figures.tools.labels(tool, str(ok).lower()).inc()
        if turn.failed:
            figures.recoveries.labels(turn.failure.rpartition(": ")[2] or "unknown").inc()
        if turn.cached:
            figures.cache_hits.inc()

    def cache_fault(self, step: CacheStep, error: str) -> None:
        """Count a step of the cache that failed, by the kind of error."""
        self._figures.cache_faults.labels(step, error).inc()

    def notice(self, rule: str) -> None:
        """Count a turn that was over a limit."""
        self._figures.notices.labels(rule).inc()

    def incident(self, kind: str, status: str) -> None:
        """Count an incident that reached a status."""
        known = kind if kind in get_args(IncidentType) else "unknown"
        self._figures.incidents.labels(known, status).inc()

    def _used(self, turn: TurnRecord) -> None:
        model = turn.model or "none"
        self._figures.tokens.labels("input", model).inc(turn.input_tokens)
        self._figures.tokens.labels("output", model).inc(turn.output_tokens)
        self._figures.cost.labels(model).inc(turn.cost_usd)

    def page(self) -> tuple[bytes, str]:
        """Return the scrape page and its content type. Blocking where processes count together.

        Then it shows the sum over them, also over those that have ended.
        """
        registry = self._registry
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry), CONTENT_TYPE_LATEST
