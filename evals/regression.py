"""The regression gate: may this run stand beside its baseline?

A report is compared with one of the same assistant on the same examples; what may differ between
them is the model, the prompts, the knowledge and the code. What fails is decided over many examples
(`comparison`) and by what an answer must hold; single scores that fell are shown with both answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, cast

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from antiphon.evals.assertions import OK
from antiphon.evals.comparison import OVERALL, ROUNDING, THRESHOLD, Comparison, Pair, compare
from antiphon.evals.fingerprint import Fingerprint
from antiphon.tools.errors import InputError

MAJOR, SEVERE = 0.15, 0.30
"""Drops beyond these are worse than minor."""
EXPECTATIONS = "expectations"
"""The share of answers that hold all they must, compared like a metric."""
NAMED = 5
"""Examples that a message names."""
ANEW = "`antiphon eval run --save FILE` makes a new baseline."

Severity = Literal["minor", "major", "severe"]


class _Row(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    id: str
    kind: str = ""
    intent: str = ""
    question: str = ""
    answer: str = ""
    outcome: str = ""
    overall: float
    metrics: dict[str, float] = {}
    assertions: dict[str, str] = {}
    error: str = ""

    @property
    def held(self) -> dict[str, bool]:
        """What the answer must come to or hold, and whether it does."""
        return {name: found == OK for name, found in self.assertions.items()}


class _Run(BaseModel):
    model_config = ConfigDict(extra="ignore")

    rows: tuple[_Row, ...]
    fingerprint: Fingerprint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """How an example was answered in one of the runs; the worst answer where it was asked often."""

    answer: str
    outcome: str
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """One example that got worse."""

    id: str
    question: str
    previous: float
    current: float
    difference: float
    affected: tuple[str, ...]
    """The metrics that fell, most first."""
    broken: tuple[str, ...]
    """What each answer held before and not each holds now: the outcome, facts, the path, ..."""
    severity: Severity
    before: Said
    now: Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The verdict on a run."""

    threshold: float
    previous: float
    current: float
    difference: float
    detected: bool
    """Whether the overall mean fell."""
    affected: tuple[str, ...]
    """The metrics whose mean fell."""
    slices: tuple[str, ...]
    """The kinds and intents whose mean fell."""
    broken: tuple[str, ...]
    """Examples that no longer hold what they must, where that cannot be chance."""
    missing: tuple[str, ...]
    """Examples of the baseline that this run does not have."""
    altered: tuple[str, ...]
    """Examples that ask or expect something else than in the baseline: not compared."""
    new: tuple[str, ...]
    """Examples the baseline does not know: not judged."""
    changed: tuple[str, ...]
    """What the two runs were not made with alike."""
    steady: bool
    """Whether the same question is sure to be answered alike in both runs."""
    comparisons: tuple[Comparison, ...]
    regressions: tuple[Regression, ...]
    """The examples that got worse, worst first; a score alone fails nothing."""
    improved: tuple[str, ...]
    """The examples that got better."""

    @property
    def passed(self) -> bool:
        """Whether nothing got worse and nothing was left out."""
        return not self.reasons

    @property
    def reasons(self) -> tuple[str, ...]:
        """Say why it did not pass."""
        fell = [
            f"{each.of} fell by {-each.difference:.3f} ({each.previous:.3f} -> {each.current:.3f},"
            f" {each.examples} examples)"
            for each in self.comparisons
            if each.verdict == "fell"
        ]
        lists = (
            ("no longer what they must be", self.broken),
            ("missing from this run", self.missing),
            ("not what they were in the baseline", self.altered),
        )
        return (*fell, *(f"{why}: {_some(ids)}" for why, ids in lists if ids))

    def as_json(self) -> dict[str, JsonValue]:
        """Return plain JSON."""
        plain = {"passed": self.passed, "reasons": list(self.reasons), **asdict(self)}
        return cast("dict[str, JsonValue]", plain)  # asdict of these fields is plain JSON


def gate(
    baseline: Mapping[str, object], current: Mapping[str, object], threshold: float = THRESHOLD
) -> Gate:
    """Compare two reports in their JSON form.

    Raises:
        InputError: one of them is not a report, or they are not of the same assistant and examples.
    """
    check_threshold(threshold)
    (before, old), (now, new) = _read(baseline, "the baseline"), _read(current, "the current run")
    check_comparable(old, new)
    changed = new.changed(old)
    steady = not (old.varies or new.varies) and old.arithmetic == new.arithmetic
    same = [name for name, digest in old.examples.items() if new.examples.get(name) == digest]
    asked, answered = _by_example(before), _by_example(now)
    pairs = {n: (asked[n], answered[n]) for n in same if n in asked and n in answered}
    if not pairs:
        raise InputError("the two reports have no example in common", hint=ANEW)
    # Scores that differ though nothing was changed show that something varies after all.
    certain = steady and changed and not (old.marks_vary or new.marks_vary)
    compared = compare(
        [_pair(*rows) for rows in pairs.values()],
        threshold=threshold,
        varies=not certain,
    )
    fell = [each.of for each in compared if each.verdict == "fell"]
    found = [_regression(*rows) for rows in pairs.values()]
    worse = [each for each in found if each.broken or _beyond(-each.difference, threshold)]
    mean, *_ = compared
    return Gate(
        threshold=threshold,
        previous=mean.previous,
        current=mean.current,
        difference=mean.difference,
        detected=OVERALL in fell,
        affected=tuple(name for name in fell if name != OVERALL and ":" not in name),
        slices=tuple(name for name in fell if ":" in name),
        broken=tuple(each.id for each in worse if each.broken and steady),
        missing=tuple(name for name in asked if name not in answered),
        altered=tuple(name for name in old.examples if name in new.examples and name not in same),
        new=tuple(name for name in answered if name not in asked),
        changed=changed,
        steady=steady,
        comparisons=compared,
        regressions=tuple(sorted(worse, key=lambda each: each.difference)),
        improved=tuple(each.id for each in found if _beyond(each.difference, threshold)),
    )


def check_threshold(threshold: float) -> None:
    """Refuse a threshold that everything passes.

    Raises:
        InputError: it is no share.
    """
    if not 0 <= threshold < 1:
        raise InputError(
            f"the threshold {threshold} is no drop of a mean", hint="0.05 is five percent."
        )


def admits(baseline: Mapping[str, object], now: Fingerprint) -> None:
    """Say before a run whether it could be compared with the baseline.

    Raises:
        InputError: it could not.
    """
    check_comparable(_read(baseline, "the baseline")[1], now)


def check_comparable(before: Fingerprint, now: Fingerprint) -> None:
    """Refuse to compare what answered other questions, or is another assistant.

    Raises:
        InputError: with the examples that differ.
    """
    if before.assistant != now.assistant:
        raise InputError(
            f"the baseline is of the assistant {before.assistant!r}, the run of {now.assistant!r}",
            hint=f"`--assistant` takes the folder of the one that is meant. {ANEW}",
        )
    if any(now.examples.get(name) == digest for name, digest in before.examples.items()):
        return
    altered = [name for name in before.examples if name in now.examples]
    lists = {
        "changed": altered,
        "missing": [name for name in before.examples if name not in now.examples],
        "new": [name for name in now.examples if name not in before.examples],
    }
    differ = "; ".join(f"{what}: {_some(names)}" for what, names in lists.items() if names)
    raise InputError(
        "the baseline was made on another golden set: no example of it is in this one as it was"
        f" ({differ})",
        hint=f"`--golden PATH` takes the set that is meant. {ANEW}",
    )


def _read(run: Mapping[str, object], which: str) -> tuple[_Run, Fingerprint]:
    try:
        found = _Run.model_validate(run)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, item["loc"])) for item in error.errors()[:3])
        raise InputError(
            f"{which} is not a report of `antiphon eval run` (wrong or missing: {wrong})", hint=ANEW
        ) from error
    if found.fingerprint is None:
        raise InputError(
            f"{which} does not say what it was made with: it is from an earlier release, whose"
            " scores cannot be compared",
            hint=ANEW,
        )
    return found, found.fingerprint


def _by_example(run: _Run) -> dict[str, list[_Row]]:
    rows: dict[str, list[_Row]] = defaultdict(list)
    for row in run.rows:
        rows[row.id].append(row)
    return dict(rows)


def _pair(before: Sequence[_Row], now: Sequence[_Row]) -> Pair:
    names = _expectations(before, now)
    intents = {row.intent for row in (*before, *now)} - {""}
    return Pair(
        before=[_scores(row, names) for row in before],
        now=[_scores(row, names) for row in now],
        slices=(f"kind:{before[0].kind}", *(f"intent:{name}" for name in sorted(intents))),
    )


def _scores(row: _Row, expectations: Iterable[str]) -> dict[str, float]:
    held = all(row.held.get(name, False) for name in expectations)
    return {OVERALL: row.overall, **row.metrics, EXPECTATIONS: float(held)}


def _expectations(before: Sequence[_Row], now: Sequence[_Row]) -> tuple[str, ...]:
    """Name what both runs looked at in an example's answers."""
    then, later = ({name for row in rows for name in row.held} for rows in (before, now))
    later |= then if all(row.error for row in now) else set()
    return tuple(sorted(then & later))


def _regression(before: Sequence[_Row], now: Sequence[_Row]) -> Regression:
    """Name what fell; a metric that can no longer be computed has fallen to nothing."""
    metrics = {name for row in before for name in row.metrics}
    drops = {name: _mean(now, name) - _mean(before, name) for name in sorted(metrics)}
    previous, current = (sum(r.overall for r in rows) / len(rows) for rows in (before, now))
    difference = round(current - previous, 4)
    return Regression(
        id=before[0].id,
        question=now[0].question,
        previous=round(previous, 4),
        current=round(current, 4),
        difference=difference,
        affected=tuple(
            sorted((n for n, d in drops.items() if d < -ROUNDING), key=drops.__getitem__)
        ),
        broken=tuple(
            name
            for name in _expectations(before, now)
            if all(row.held.get(name, False) for row in before)
            and not all(row.held.get(name, False) for row in now)
        ),
        severity=_severity(difference),
        before=_said(before),
        now=_said(now),
    )


def _mean(rows: Sequence[_Row], metric: str) -> float:
    return sum(row.metrics.get(metric, 0.0) for row in rows) / len(rows)


def _said(rows: Sequence[_Row]) -> Said:
    worst = min(rows, key=lambda row: row.overall)
    return Said(answer=worst.answer, outcome=worst.outcome, error=worst.error)


def _beyond(distance: float, threshold: float) -> bool:
    return distance > threshold + ROUNDING


def _severity(difference: float) -> Severity:
    if difference < -SEVERE:
        return "severe"
    return "major" if difference < -MAJOR else "minor"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown
