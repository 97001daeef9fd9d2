"""What an evaluation comes to: a row an example, means, recommendations; as JSON and as a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Self, cast

from pydantic import JsonValue

from antiphon.evals import retrieved
from antiphon.evals.assertions import OK, stated
from antiphon.evals.fingerprint import Fingerprint
from antiphon.evals.golden import Example
from antiphon.evals.score import WEIGHTS, Evaluation, MetricError
from antiphon.graphs.turns import Turn

if TYPE_CHECKING:
    from rich.table import Table

GOOD_ENOUGH = 0.8
"""A metric whose mean is below this gets a recommendation."""
ADVICE: Mapping[str, str] = {
    "relevance": "Check the intents' examples and thresholds: turns end otherwise than expected, or"
    " answers are about something else.",
    "safety": "Review the output guards and allowed_links before releasing: something unwanted was"
    " said.",
    "factual_accuracy": "Check that the knowledge holds the missing facts and that retrieval finds"
    " them; answers should rest on what they cite.",
    "helpfulness": "Look at outcomes and citations: expected sources are missing, or answers are"
    " long-winded.",
    "coherence": "Check prompts and templates: answers hold broken markers, repetition or torn"
    " sentences.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """One node's run within a row."""

    node: str
    at_ms: float
    """When it began, counted from the row's start."""
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One example, how it was answered and how that was judged."""

    id: str
    kind: str
    question: str
    repeat: int = 1
    """Which time the example was asked, from 1."""
    intent: str = ""
    answer: str = ""
    outcome: str = ""
    expected: tuple[str, ...] = ()
    """Outcomes that would have been right."""
    path: tuple[str, ...] = ()
    retrieval: dict[str, float] = field(default_factory=dict)
    """`retrieved.figures`; empty where the example names no source."""
    overall: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    """Metrics that could not be computed, and why."""
    reasons: dict[str, list[str]] = field(default_factory=dict)
    """Per metric: why it is not 1."""
    assertions: dict[str, str] = field(default_factory=dict)
    """Each hard expectation: `ok`, or why it does not hold; beside the scores, in none of them."""
    started: float = 0.0
    """When the last question was asked, in seconds since 1970; the first where that failed."""
    latency_ms: float = 0.0
    steps: tuple[Took, ...] = ()
    model: str = ""
    usage: dict[str, int] = field(default_factory=dict)
    """input_tokens, output_tokens."""
    cost_usd: float = 0.0
    degraded_because: str = ""
    error: str = ""
    """Why there is no answer at all, or empty."""

    @classmethod
    def of(
        cls,
        example: Example,
        turn: Turn,
        evaluation: Evaluation,
        *,
        started: float = 0.0,
        steps: tuple[Took, ...] = (),
        retrieval: Mapping[str, float] | None = None,
    ) -> Self:
        """Return the row of an answered example."""
        metrics = evaluation.metrics
        return cls(
            id=example.id,
            kind=example.kind,
            question=example.questions[-1],
            intent=turn.intent,
            answer=turn.answer,
            outcome=turn.outcome,
            expected=example.expected.outcome,
            path=turn.path,
            retrieval=dict(retrieval or {}),
            overall=round(evaluation.overall, 4),
            metrics={name: round(value, 4) for name, value in evaluation.scores.items()},
            errors={n: each.error for n, each in metrics.items() if isinstance(each, MetricError)},
            reasons={
                name: list(each.reasons)
                for name, each in metrics.items()
                if not isinstance(each, MetricError) and each.reasons
            },
            assertions=dict(evaluation.assertions),
            started=started,
            latency_ms=turn.latency_ms,
            steps=steps,
            model=turn.model,
            usage=dict(turn.usage),
            cost_usd=turn.cost_usd,
            degraded_because=turn.degraded_because or "",
        )

    @classmethod
    def failed(cls, example: Example, error: str, *, started: float = 0.0) -> Self:
        """Return the row of an example that could not be answered."""
        return cls(
            id=example.id,
            kind=example.kind,
            question=example.questions[-1],
            expected=example.expected.outcome,
            started=started,
            assertions=dict.fromkeys(stated(example.expected), f"no answer: {error}"),
            error=error,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A golden set's result; its JSON form is also what a baseline is."""

    overall: float
    metrics: dict[str, float]
    """Mean of each metric over the examples that have it."""
    kinds: dict[str, float]
    """Mean overall score of each kind."""
    outcomes_as_expected: float
    """Share of the examples."""
    assertions: int = 0
    """Hard expectations that the rows state."""
    assertions_passed: int = 0
    retrieval: dict[str, float] = field(default_factory=dict)
    """`retrieved.means`: context recall and precision against the expected sources."""
    examples: int
    repeats: int = 1
    """How often each was asked."""
    failed: int
    """Rows without any answer."""
    seconds: float
    latency_p50_ms: float
    cost_usd: float
    recommendations: tuple[str, ...]
    rows: tuple[Row, ...]
    """A row for each time an example was asked."""
    evaluators: dict[str, dict[str, JsonValue]] = field(default_factory=dict)
    """Of each that the assistant declares beside the five: its weight, and how far people agree
    with it, or that it was never calibrated."""
    fingerprint: Fingerprint | None = None
    """What was judged and on which examples; None where the report is of no assistant's run."""

    def as_json(self) -> dict[str, JsonValue]:
        """Return plain JSON."""
        return cast("dict[str, JsonValue]", asdict(self))  # asdict of these fields is plain JSON


def summarise(rows: Sequence[Row], *, seconds: float) -> Report:
    """Return means and recommendations over the rows."""
    kinds: dict[str, list[float]] = defaultdict(list)
    metrics: dict[str, list[float]] = {name: [] for name in WEIGHTS}
    for row in rows:
        kinds[row.kind].append(row.overall)
        for name, value in row.metrics.items():
            metrics.setdefault(name, []).append(value)
    means = {name: _mean(values) for name, values in metrics.items() if values}
    return Report(
        overall=_mean([row.overall for row in rows]),
        metrics=means,
        kinds={kind: _mean(values) for kind, values in sorted(kinds.items())},
        outcomes_as_expected=_mean([float(row.outcome in row.expected) for row in rows]),
        assertions=sum(len(row.assertions) for row in rows),
        assertions_passed=sum(held == OK for row in rows for held in row.assertions.values()),
        retrieval=retrieved.means(row.retrieval for row in rows),
        examples=len({row.id for row in rows}),
        repeats=max((row.repeat for row in rows), default=1),
        failed=sum(bool(row.error) for row in rows),
        seconds=round(seconds, 3),
        latency_p50_ms=_median([row.latency_ms for row in rows if not row.error]),
        cost_usd=round(sum(row.cost_usd for row in rows), 6),
        recommendations=tuple(_recommendations(rows, means)),
        rows=tuple(rows),
    )


def _recommendations(rows: Sequence[Row], means: Mapping[str, float]) -> list[str]:
    found = [
        f"{name} is {means[name]:.2f}. {ADVICE[name]}"
        for name in WEIGHTS
        if name in means and means[name] < GOOD_ENOUGH
    ]
    broken = Counter(name for row in rows for name in row.errors)
    found += [
        f"{name} could not be computed for {count} example(s): see `errors` of the rows."
        for name, count in broken.items()
    ]
    astray = _ids(row for row in rows if not row.error and row.outcome not in row.expected)
    if astray:
        found.append(f"Ended otherwise than expected: {', '.join(astray)}.")
    for name in ("facts", "absent", "path", "sources", "effects"):
        unmet = _ids(row for row in rows if not row.error and row.assertions.get(name, OK) != OK)
        if unmet:
            found.append(f"Expected {name} not met: {', '.join(unmet)}.")
    without = _ids(row for row in rows if row.error)
    if without:
        found.append(f"No answer at all to {', '.join(without)}: see `error` of the rows.")
    return found


def _ids(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row.id for row in rows))


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0


def _median(values: Sequence[float]) -> float:
    return round(sorted(values)[len(values) // 2], 3) if values else 0.0


def table(report: Report) -> Table:
    """Return the report as a table for the terminal, the means in its last line."""
    from rich.table import Table

    names = list(WEIGHTS)
    shown = Table(
        title=f"{report.examples} examples, overall {report.overall:.3f}, "
        f"{report.assertions_passed} of {report.assertions} assertions hold",
        caption=retrieved.shown(report.retrieval) or None,
    )
    for heading in ("example", "outcome"):
        shown.add_column(heading, overflow="fold")
    for heading in (*(name.replace("_", " ") for name in names), "overall"):
        shown.add_column(heading, justify="right")
    for row in report.rows:
        style = "red" if row.error or row.outcome not in row.expected else ""
        marks = [f"{row.metrics[name]:.2f}" if name in row.metrics else "-" for name in names]
        outcome = row.outcome or row.error.partition(":")[0]
        name = f"{row.id} ({row.repeat})" if report.repeats > 1 else row.id
        shown.add_row(name, outcome, *marks, f"{row.overall:.2f}", style=style)
    means = [f"{report.metrics[name]:.2f}" if name in report.metrics else "-" for name in names]
    as_expected = f"{report.outcomes_as_expected:.0%} as expected"
    shown.add_section()
    shown.add_row("mean", as_expected, *means, f"{report.overall:.2f}", style="bold")
    return shown
