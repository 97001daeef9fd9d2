"""The regression gate: this run against a baseline, example by example and overall."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from antiphon.tools.errors import InputError

THRESHOLD = 0.05
"""The guide's five percent."""
ROUNDING = 1e-9
"""A drop of exactly the threshold, written in binary fractions, is none."""
MAJOR, SEVERE = 0.15, 0.30
"""Drops beyond these are worse than minor."""
Severity = Literal["minor", "major", "severe"]


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore")

    id: str
    overall: float
    metrics: dict[str, float] = {}


class _Run(BaseModel):
    model_config = ConfigDict(extra="ignore")

    overall: float
    metrics: dict[str, float] = {}
    rows: tuple[_Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """One example that got worse."""

    id: str
    previous: float
    current: float
    difference: float
    affected: tuple[str, ...]
    """The metrics that fell, most first."""
    severity: Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The verdict on a run."""

    threshold: float
    previous: float
    current: float
    difference: float
    detected: bool
    """Whether the mean fell by more than the threshold."""
    affected: tuple[str, ...]
    """The metrics whose mean fell by more than the threshold."""
    regressions: tuple[Regression, ...]
    """The examples that fell by more than the threshold, worst first."""
    missing: tuple[str, ...]
    """Examples of the baseline that this run does not have."""
    new: tuple[str, ...]
    """Examples the baseline does not know: not judged."""

    @property
    def passed(self) -> bool:
        """Whether nothing got worse and nothing was left out."""
        return not (self.detected or self.regressions or self.missing)

    def as_json(self) -> dict[str, JsonValue]:
        """Return plain JSON."""
        plain = {"passed": self.passed, **asdict(self)}
        return cast("dict[str, JsonValue]", plain)  # asdict of these fields is plain JSON


def gate(
    baseline: Mapping[str, object], current: Mapping[str, object], threshold: float = THRESHOLD
) -> Gate:
    """Compare two reports in their JSON form.

    Raises:
        InputError: one of them is not a report.
    """
    before, now = _read(baseline, "the baseline"), _read(current, "the current run")
    rows = {row.id: row for row in now.rows}
    known = {row.id for row in before.rows}
    found = [
        _regression(row, rows[row.id])
        for row in before.rows
        if row.id in rows and _fell(row.overall, rows[row.id].overall, threshold)
    ]
    return Gate(
        threshold=threshold,
        previous=before.overall,
        current=now.overall,
        difference=round(now.overall - before.overall, 4),
        detected=_fell(before.overall, now.overall, threshold),
        affected=tuple(
            name
            for name, value in before.metrics.items()
            if _fell(value, now.metrics.get(name, 0.0), threshold)
        ),
        regressions=tuple(sorted(found, key=lambda each: each.difference)),
        missing=tuple(row.id for row in before.rows if row.id not in rows),
        new=tuple(row.id for row in now.rows if row.id not in known),
    )


def _read(run: Mapping[str, object], which: str) -> _Run:
    try:
        return _Run.model_validate(run)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, item["loc"])) for item in error.errors()[:3])
        raise InputError(
            f"{which} is not a report of `antiphon eval run --json` (wrong or missing: {wrong})",
            hint="`antiphon eval run --json > baseline.json` makes one.",
        ) from error


def _fell(previous: float, current: float, threshold: float) -> bool:
    return current - previous < -threshold - ROUNDING


def _regression(previous: _Row, current: _Row) -> Regression:
    """Name what fell; a metric that can no longer be computed has fallen to nothing."""
    drops = {
        name: current.metrics.get(name, 0.0) - value for name, value in previous.metrics.items()
    }
    difference = round(current.overall - previous.overall, 4)
    return Regression(
        id=previous.id,
        previous=previous.overall,
        current=current.overall,
        difference=difference,
        affected=tuple(sorted((n for n, d in drops.items() if d < 0), key=lambda n: drops[n])),
        severity=_severity(difference),
    )


def _severity(difference: float) -> Severity:
    if difference < -SEVERE:
        return "severe"
    return "major" if difference < -MAJOR else "minor"
