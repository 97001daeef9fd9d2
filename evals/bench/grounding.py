"""Claims judged against evidence: what the verifier that ships calls supported and contradicted.

Data are files of {"claim", "evidence", "label": supported | contradicted | unsupported, "family"
(, "tag")}; rows tagged `partial` are left out. Beside it, on the same rows: word overlap, as the
output rail had it before, the likeness of the nearest sentence, and token alignment with the whole
evidence. Files that the reader learnt from (`evals/training`) flatter it: `learnt` is 1 for them.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from antiphon.evals.bench.measures import auroc
from antiphon.evals.bench.report import report
from antiphon.evals.training.pairs import GROUPS
from antiphon.tools.claims import KEPT, Judgement
from antiphon.tools.errors import InputError
from antiphon.tools.models.claim_reader import make_verifier
from antiphon.tools.models.embeddings import MiniLM
from antiphon.tools.retrieval.citations import support
from antiphon.tools.retrieval.sentences import sentences

LABELS = ("supported", "contradicted", "unsupported")
FEWEST = 20
"""Rows from which a tag has a figure."""
NEAREST = 40
"""Sentences of the evidence that the peers by likeness and alignment look at."""
LEARNT = frozenset(name for names in GROUPS.values() for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A labelled claim with what was said of it."""

    file: str
    family: str
    tag: str
    label: str
    judgement: Judgement
    overlap: float
    likeness: float
    alignment: float


async def run(data: Path, *, limit: int | None = None) -> dict[str, object]:
    """Judge every claim of a file, or of the files of a folder; `limit` rows of each, at random."""
    began = time.perf_counter()
    embedder = MiniLM()
    verifier = make_verifier(embedder)
    rows: list[Row] = []
    spent = 0.0
    for given in _given(data, limit):
        claim, evidence = str(given["claim"]), str(given["evidence"])
        started = time.perf_counter()
        (judgement,) = await verifier.judge([claim], [evidence])
        spent += time.perf_counter() - started
        parts = [evidence[slice(*span)] for span in sentences(evidence)][:NEAREST]
        own, *others = await embedder.embed([claim, *parts])
        likeness = max(
            (sum(a * b for a, b in zip(own, other, strict=True)) for other in others), default=0.0
        )
        (alignment,) = await embedder.align([(claim, parts)])
        row = Row(
            file=str(given["file"]),
            alignment=alignment.together,
            family=str(given["family"]),
            tag=str(given.get("tag", "")),
            label=str(given["label"]),
            judgement=judgement,
            overlap=support(claim, [evidence]) or 0.0,
            likeness=likeness,
        )
        rows.append(row)
    figures = _figures(rows)
    figures["ms_per_claim"] = 1000 * spent / len(rows)
    table: list[dict[str, object]] = [
        {
            "family": family,
            "learnt": float(file in LEARNT),
            **_figures([row for row in rows if (row.file, row.family) == (file, family)]),
        }
        for file, family in sorted({(row.file, row.family) for row in rows})
    ]
    names = ("auroc", "auroc_overlap", "auroc_likeness", "auroc_alignment", "auroc_contradicted",
             "false_contradicted", "kept", "caught")  # fmt: skip
    for name in names:
        shares = [one[name] for one in table if not one["learnt"] and name in one]
        if shares:
            figures[f"unseen:{name}"] = statistics.fmean(map(float, shares))  # type: ignore[arg-type]
    return report("grounding", str(data), figures, table, time.perf_counter() - began)


def _given(data: Path, limit: int | None) -> list[Mapping[str, object]]:
    found: list[Mapping[str, object]] = []
    for file in sorted(data.glob("*.jsonl")) if data.is_dir() else [data]:
        try:
            text = file.read_text(encoding="utf-8")
            lines = [json.loads(line) for line in text.split("\n") if line]
            usable = [one for one in lines if one.get("tag") != "partial"]
            wrong = next((one for one in usable if one["label"] not in LABELS), None)
            _ = [(one["claim"], one["evidence"], one["family"]) for one in usable]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{str(file)!r} holds no labelled claims: {error!r}") from error
        if wrong is not None:
            raise InputError(f"{str(file)!r}: the label {wrong['label']!r} is none of {LABELS}")
        random.Random(7).shuffle(usable)  # a sample, the same each time
        found += [{**one, "file": file.stem} for one in usable[:limit]]
    if not found:
        raise InputError(f"{str(data)!r} holds no labelled claims")
    return found


def _figures(rows: Sequence[Row]) -> dict[str, float]:
    by = {label: [row for row in rows if row.label == label] for label in LABELS}
    others = [*by["contradicted"], *by["unsupported"]]
    figures: dict[str, float] = {"rows": len(rows)}
    if by["supported"] and others:
        figures["auroc"] = _auroc(by["supported"], others, lambda row: row.judgement.supported)
        figures["auroc_overlap"] = _auroc(by["supported"], others, lambda row: row.overlap)
        figures["auroc_likeness"] = _auroc(by["supported"], others, lambda row: row.likeness)
        figures["auroc_alignment"] = _auroc(by["supported"], others, lambda row: row.alignment)
    if by["supported"] and by["contradicted"]:
        figures["auroc_contradicted"] = _auroc(
            by["contradicted"], by["supported"], lambda row: row.judgement.contradicted
        )
    if by["supported"]:
        figures["false_contradicted"] = _share(by["supported"], "contradicted")
        figures["kept"] = _share(by["supported"], *KEPT)
    if by["contradicted"]:
        figures["caught"] = _share(by["contradicted"], "contradicted")
    if by["unsupported"]:
        figures["not_addressed_recall"] = _share(by["unsupported"], "not found")
    for tag in sorted({row.tag for row in rows if row.tag}):
        wrong = [row for row in by["contradicted"] if row.tag == tag]
        right = [row for row in by["supported"] if row.tag == tag]
        if len(wrong) >= FEWEST:
            figures[f"caught:{tag}"] = _share(wrong, "contradicted")
        if len(right) >= FEWEST:
            figures[f"kept:{tag}"] = _share(right, *KEPT)
    figures["calibration"] = _calibration(rows)
    return figures


def _calibration(rows: Sequence[Row]) -> float:
    """Return how far the probability of support is from the share supported, over tenths."""
    tenths: dict[int, list[tuple[float, bool]]] = {}
    for row in rows:
        likely = row.judgement.supported
        tenths.setdefault(min(9, int(10 * likely)), []).append((likely, row.label == "supported"))
    return sum(
        abs(sum(likely for likely, _ in one) - sum(right for _, right in one))
        for one in tenths.values()
    ) / len(rows)


def _auroc(upper: Sequence[Row], lower: Sequence[Row], score: Callable[[Row], float]) -> float:
    return auroc([score(row) for row in upper], [score(row) for row in lower])


def _share(rows: Sequence[Row], *verdicts: str) -> float:
    return sum(row.judgement.verdict in verdicts for row in rows) / len(rows)
