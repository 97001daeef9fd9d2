"""Whether the five metrics tell a good answer from a bad one: answers of known kinds, ranked.

Data are lines of {"id", "question", "reference", "evidence": [text], "answers": [{"kind", "good",
"text"}]}; without `--data` the project's own, most of them about the sample help centre. `told` is
the share of pairs of a good and a bad answer to one question in which the good one scores strictly
higher: a tie is not told. Each is judged as an answered turn that cites the evidence.
"""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from antiphon.evals.bench.report import report
from antiphon.evals.golden import Expected
from antiphon.evals.metrics import Evaluator, Sample, five
from antiphon.evals.score import WEIGHTS, evaluate
from antiphon.tools.errors import InputError
from antiphon.tools.models.claim_reader import make_verifier
from antiphon.tools.models.embeddings import ENGLISH, make_embedder
from antiphon.tools.privacy.detect import PatternDetector

EVEN = 1e-9
"""Differences that are none."""
TOGETHER = 4
"""Answers judged at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer with its kind, and what it scored."""

    row: str
    kind: str
    good: bool
    scores: Mapping[str, float]
    """Per metric, and `overall`."""
    errors: int = 0
    """Metrics that could not be computed, which are left out of `overall`."""


async def run(data: Path | None = None, *, limit: int | None = None) -> dict[str, object]:
    """Judge all answers of a file, or of its first `limit` questions; return who outranks whom."""
    began = time.perf_counter()
    given = _own() if data is None else _read(data)
    rows = given[:limit]
    jury = _jury()
    places = asyncio.Semaphore(TOGETHER)

    async def judged(row: Mapping[str, object], one: Mapping[str, object]) -> Answer:
        async with places:
            return await _judged(row, one, jury)

    started = time.perf_counter()
    answers = await asyncio.gather(*(judged(row, one) for row in rows for one in _answers(row)))
    spent = time.perf_counter() - started
    figures = _figures(answers)
    figures["ms_per_answer"] = 1000 * spent / len(answers)
    name = "the project's own" if data is None else str(data)
    return report("metrics", name, figures, _table(answers), time.perf_counter() - began)


def _jury() -> tuple[Evaluator, ...]:
    embedder = make_embedder("minilm")
    reads = "en" if embedder.name == ENGLISH else "*"
    return five(embedder, PatternDetector(), verifier=make_verifier(embedder), reads=reads)


async def _judged(
    row: Mapping[str, object], one: Mapping[str, object], jury: Sequence[Evaluator]
) -> Answer:
    evidence = row["evidence"]
    sample = Sample(
        question=str(row["question"]),
        answer=str(one["text"]),
        outcome="answered",
        expected=Expected(outcome=("answered",)),
        reference=str(row["reference"]),
        evidence=tuple(map(str, evidence)) if isinstance(evidence, list) else (),
    )
    found = await evaluate(sample, jury)
    return Answer(
        row=str(row["id"]),
        kind=str(one["kind"]),
        good=bool(one["good"]),
        scores={**found.scores, "overall": found.overall},
        errors=len(found.metrics) - len(found.scores),
    )


def told(answers: Sequence[Answer], score: str = "overall", kind: str = "") -> float | None:
    """Return the share of pairs in the right order, with bad ones of a kind; None without any."""
    right = pairs = 0
    by_row: dict[str, list[Answer]] = {}
    for one in answers:
        by_row.setdefault(one.row, []).append(one)
    for group in by_row.values():
        for good in (one for one in group if one.good):
            for bad in (one for one in group if not one.good and kind in ("", one.kind)):
                difference = good.scores.get(score, 0.0) - bad.scores.get(score, 0.0)
                right += difference > EVEN
                pairs += 1
    return right / pairs if pairs else None


def _figures(answers: Sequence[Answer]) -> dict[str, float]:
    figures: dict[str, float] = {
        "questions": len({one.row for one in answers}),
        "answers": len(answers),
        "errors": sum(one.errors for one in answers),
    }
    overall = told(answers)
    if overall is not None:
        figures["told"] = overall
    for kind in sorted({one.kind for one in answers if not one.good}):
        share = told(answers, kind=kind)
        if share is not None:
            figures[f"told:{kind}"] = share
    for metric in WEIGHTS:
        share = told(answers, metric)
        if share is not None:
            figures[f"told_by:{metric}"] = share
    means = {
        kind: [one.scores["overall"] for one in answers if one.kind == kind]
        for kind in ("reference", "paraphrase")
    }
    if all(means.values()):
        figures["paraphrase_gap"] = statistics.fmean(means["reference"]) - statistics.fmean(
            means["paraphrase"]
        )
    return figures


def _table(answers: Sequence[Answer]) -> list[dict[str, object]]:
    """Return a row a kind, the good ones first: how many, whether told, mean scores."""
    kinds = dict.fromkeys(
        one.kind for one in sorted(answers, key=lambda one: (not one.good, one.kind))
    )
    table: list[dict[str, object]] = []
    for kind in kinds:
        those = [one for one in answers if one.kind == kind]
        share = None if those[0].good else told(answers, kind=kind)
        table.append(
            {
                "kind": kind,
                "answers": len(those),
                "told": "" if share is None else round(share, 4),
                **{
                    name: round(
                        statistics.fmean(one.scores.get(name, math.nan) for one in those), 4
                    )
                    for name in ("overall", *WEIGHTS)
                },
            }
        )
    return table


def _own() -> list[Mapping[str, object]]:
    with as_file(files("antiphon.evals.bench") / "data" / "metrics.jsonl") as path:
        return _read(path)


def _read(data: Path) -> list[Mapping[str, object]]:
    """Read the rows of a file, or of the files of a folder."""
    rows: list[Mapping[str, object]] = []
    for file in sorted(data.glob("*.jsonl")) if data.is_dir() else [data]:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{str(file)!r} cannot be read: {error}") from error
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                rows.append(_row(line, f"{file.name}:{number}"))
    if not rows:
        raise InputError(f"{str(data)!r} holds no questions")
    return rows


def _row(line: str, place: str) -> Mapping[str, object]:
    hint = 'Each line is {"id", "question", "reference", "evidence": [text], "answers": [...]}.'
    try:
        row = json.loads(line)
        for name in ("id", "question", "reference"):
            _ = str(row[name])
        wrong = not isinstance(row["evidence"], list) or not row["answers"]
        for one in row["answers"]:
            wrong = wrong or not isinstance(one["good"], bool) or not str(one["text"]).strip()
            _ = one["kind"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{place}: no question with answers: {error!r}", hint=hint) from error
    if wrong:
        raise InputError(f"{place}: evidence is a list, an answer has a text and good", hint=hint)
    found: Mapping[str, object] = row
    return found


def _answers(row: Mapping[str, object]) -> list[Mapping[str, object]]:
    answers = row["answers"]
    return answers if isinstance(answers, list) else []
