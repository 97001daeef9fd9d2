"""A saved report as an experiment in LangSmith's shapes, and two of them answer by answer."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from antiphon.evals.assertions import OK
from antiphon.evals.exchange import Line, example_id, example_line
from antiphon.evals.golden import Example
from antiphon.tools.errors import InputError

NAMESPACE = uuid.UUID("6b0e0c6e-8f0f-5d3c-9a3f-2f6a4f1f7c11")
"""Of ids in files, where no server has given the dataset one."""
FINGERPRINTS = (
    "assistant", "declaration", "model", "prompt", "knowledge", "code", "evaluators", "golden",
)  # fmt: skip
"""What of a report's fingerprint leaves: not the libraries, nor what tells machines apart."""
TIE = 0.005
"""Scores nearer to each other than this prefer neither answer."""


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Step(_Read):
    """One node's run."""

    node: str
    at_ms: float
    ms: float


class Judged(_Read):
    """A row of a saved report."""

    id: str
    kind: str = ""
    repeat: int = 1
    answer: str = ""
    outcome: str = ""
    path: tuple[str, ...] = ()
    overall: float = 0.0
    metrics: dict[str, float] = Field(default_factory=dict)
    errors: dict[str, str] = Field(default_factory=dict)
    reasons: dict[str, list[str]] = Field(default_factory=dict)
    assertions: dict[str, str] = Field(default_factory=dict)
    retrieval: dict[str, float] = Field(default_factory=dict)
    started: float = 0.0
    latency_ms: float = 0.0
    steps: tuple[Step, ...] = ()
    model: str = ""
    usage: dict[str, int] = Field(default_factory=dict)
    cost_usd: float = 0.0
    degraded_because: str = ""
    error: str = ""

    @property
    def at(self) -> datetime:
        """When it was asked."""
        return datetime.fromtimestamp(self.started, UTC)

    @property
    def until(self) -> datetime:
        """When it was answered."""
        return self.at + timedelta(milliseconds=self.latency_ms)


class Results(_Read):
    """A saved report, as far as it concerns others."""

    overall: float
    metrics: dict[str, float] = Field(default_factory=dict)
    seconds: float = 0.0
    latency_p50_ms: float = 0.0
    cost_usd: float = 0.0
    fingerprint: dict[str, JsonValue] | None = None
    rows: tuple[Judged, ...] = Field(min_length=1)
    digest: str = ""

    @property
    def repetitions(self) -> int:
        """How often each example was asked."""
        return max(row.repeat for row in self.rows)

    @property
    def keys(self) -> list[str]:
        """The names of all that its rows were judged by."""
        return list(dict.fromkeys(key for row in self.rows for key, _, _ in _scores(row)))

    @property
    def experiment(self) -> str:
        """The name it has where none is given: the same report, the same name."""
        return f"antiphon-{self.digest[:8]}"


def results(report: object) -> Results:
    """Read a saved report. Raises InputError."""
    digest = hashlib.sha256(json.dumps(report, sort_keys=True).encode()).hexdigest()
    try:
        given = {**report, "digest": digest} if isinstance(report, Mapping) else report
        return Results.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise InputError(
            f"no saved report: {where}: {first['msg']}",
            hint="`antiphon eval run --save FILE` writes one.",
        ) from error


def timed(report: Results) -> None:
    """Raise InputError where a row does not say when it ran."""
    if not all(row.started for row in report.rows):
        raise InputError(
            "the report does not say when its rows ran: it is of an earlier version",
            hint="Run `antiphon eval run --save FILE` again.",
        )


def metadata_of(report: Results, *, sent: int) -> Line:
    """Return an experiment's metadata."""
    tokens = {
        name: sum(row.usage.get(name, 0) for row in report.rows)
        for name in ("input_tokens", "output_tokens")
    }
    made_with = {
        name: value for name in FINGERPRINTS if (value := (report.fingerprint or {}).get(name))
    }
    return {
        **made_with,
        "models": [*sorted({row.model for row in report.rows if row.model})],
        **tokens,
        "cost_usd": report.cost_usd,
        "seconds": report.seconds,
        "latency_p50_ms": report.latency_p50_ms,
        "overall": report.overall,
        **report.metrics,
        "num_repetitions": report.repetitions,
        "report": report.digest,
        "rows": len(report.rows),
        "rows_sent": sent,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """A row as LangSmith has it: its run, the steps below, what was said of it."""

    run: Line
    steps: list[Line]
    feedback: list[Line]

    @property
    def lines(self) -> list[Line]:
        """All of them."""
        return [self.run, *self.steps, *self.feedback]


def traced(
    row: Judged, *, example: uuid.UUID, inputs: JsonValue, experiment: uuid.UUID, steps: bool
) -> Traced:
    """Return a row in LangSmith's shapes; the same row always has the same ids."""
    name = run_id(row, experiment)
    order = _dotted(row.at, name)
    whole: Line = {"trace_id": str(name), "session_id": str(experiment)}
    run: Line = {
        **whole,
        "id": str(name),
        "dotted_order": order,
        "name": "antiphon",
        "run_type": "chain",
        "start_time": row.at.isoformat(),
        "end_time": row.until.isoformat(),
        "reference_example_id": str(example),
        "inputs": inputs,
        "outputs": None
        if row.error
        else {"answer": row.answer, "outcome": row.outcome, "path": list(row.path)},
        "error": row.error or None,
        "extra": {"metadata": _spent(row)},
    }
    return Traced(
        run=run,
        steps=list(_step_lines(row, name, order, whole)) if steps else [],
        feedback=[
            _feedback(row, whole, key, score, reasons) for key, score, reasons in _scores(row)
        ],
    )


def exported(
    report: Results, examples: Sequence[Example], dataset: str, *, steps: bool
) -> list[Line]:
    """Return a report's runs and feedback as they would be uploaded, with ids of their own.

    Raises InputError where the report is of other examples.
    """
    timed(report)
    inputs = inputs_of(report, examples)
    owner = uuid.uuid5(NAMESPACE, dataset)
    return [
        line
        for row in report.rows
        for line in traced(
            row,
            example=example_id(owner, row.id),
            inputs=inputs[row.id],
            experiment=uuid.uuid5(owner, report.experiment),
            steps=steps,
        ).lines
    ]


def inputs_of(report: Results, examples: Sequence[Example]) -> dict[str, JsonValue]:
    """Return what each example puts in. Raises InputError where the report is of others."""
    inputs = {example.id: example_line(example)["inputs"] for example in examples}
    strangers = dict.fromkeys(row.id for row in report.rows if row.id not in inputs)
    if strangers:
        raise InputError(
            f"the report has rows of other examples: {', '.join(strangers)}",
            hint="Upload a report with the golden set it was made from.",
        )
    return inputs


def run_id(row: Judged, experiment: uuid.UUID) -> uuid.UUID:
    """Return the id of a row's run."""
    return _timed_id(row.at, str(experiment), row.id, str(row.repeat))


def _feedback(row: Judged, whole: Line, key: str, score: float | None, comment: str) -> Line:
    run = uuid.UUID(str(whole["trace_id"]))
    return {
        **whole,
        "id": str(feedback_id(run, key)),
        "run_id": str(run),
        "start_time": row.at.isoformat(),
        "created_at": row.until.isoformat(),
        "modified_at": row.until.isoformat(),
        "key": key,
        "score": score,
        "comment": comment or None,
        "error": score is None,
        "feedback_source": {"type": "model", "metadata": {}},
    }


def feedback_id(run: uuid.UUID, key: str) -> uuid.UUID:
    """Return the id of our own feedback, by which it is known from that of people."""
    return uuid.uuid5(run, key)


def _scores(row: Judged) -> Iterator[tuple[str, float | None, str]]:
    yield "overall", row.overall, ""
    for key, score in row.metrics.items():
        yield key, score, "; ".join(row.reasons.get(key, ()))
    for key, error in row.errors.items():
        yield key, None, error
    for key, why in row.assertions.items():
        yield f"expected_{key}", float(why == OK), "" if why == OK else why
    for key, score in row.retrieval.items():
        yield key, score, ""


def _spent(row: Judged) -> Line:
    into, out = row.usage.get("input_tokens", 0), row.usage.get("output_tokens", 0)
    return {
        "id": row.id,
        "kind": row.kind,
        "repeat": row.repeat,
        "model": row.model,
        "usage_metadata": {
            "input_tokens": into,
            "output_tokens": out,
            "total_tokens": into + out,
            "total_cost": row.cost_usd,
        },
    }


def _step_lines(row: Judged, run: uuid.UUID, order: str, whole: Line) -> Iterator[Line]:
    failed = _failed(row.degraded_because)
    for number, step in enumerate(row.steps):
        at = row.at + timedelta(milliseconds=step.at_ms)
        name = _timed_id(at, str(run), str(number), step.node)
        yield {
            **whole,
            "id": str(name),
            "parent_run_id": str(run),
            "dotted_order": f"{order}.{_dotted(at, name)}",
            "name": step.node,
            "run_type": "chain",
            "start_time": at.isoformat(),
            "end_time": (at + timedelta(milliseconds=step.ms)).isoformat(),
            "inputs": {},
            "outputs": {},
            "error": failed.get(step.node),
        }


def _failed(because: str) -> dict[str, str]:
    """Return the codes of the nodes that failed, of `node: code: message; ...`."""
    parts = (each.split(": ", 2) for each in because.split("; "))
    return {part[0]: part[1] for part in parts if len(part) > 1}


def _timed_id(at: datetime, *names: str) -> uuid.UUID:
    """Return a UUID of version 7, as LangSmith wants for runs: by time, the rest from the names."""
    rest = hashlib.sha256("\x1f".join(names).encode()).digest()[:10]
    number = int(at.timestamp() * 1000) << 80 | int.from_bytes(rest)
    number = number & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=number & ~(0x3 << 62) | 0x2 << 62)


def _dotted(at: datetime, name: uuid.UUID) -> str:
    return f"{at:%Y%m%dT%H%M%S%f}Z{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two answers to one question."""

    id: str
    repeat: int
    first: float
    second: float

    @property
    def preferred(self) -> int:
        """1: the first, 2: the second, 0: neither."""
        if abs(self.first - self.second) < TIE:
            return 0
        return 1 if self.first > self.second else 2


def pairs(first: Results, second: Results) -> list[Pair]:
    """Return what both reports have, by example and repetition. Raises InputError for nothing."""
    others = {(row.id, row.repeat): row for row in second.rows}
    found = [
        Pair(id=row.id, repeat=row.repeat, first=row.overall, second=other.overall)
        for row in first.rows
        if (other := others.get((row.id, row.repeat))) is not None
    ]
    if not found:
        raise InputError("the two have no example in common")
    return found
