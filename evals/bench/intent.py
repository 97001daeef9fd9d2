"""Intent accuracy, and telling what is out of scope, on a folder of labelled utterances."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.evals.bench.measures import auroc
from antiphon.evals.bench.report import report
from antiphon.tools.errors import InputError
from antiphon.tools.intent import DeclaredIntent, EmbeddingClassifier, Likenesses, confidence
from antiphon.tools.models.embeddings import make_embedder
from antiphon.tools.retrieval.passages import Embedder

OUT_OF_SCOPE = "oos"
FALSE_REJECTS = 0.05
"""Share of in-scope messages the threshold may turn away, where it is chosen."""
FOLDS = 3
SPEED_SAMPLE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One split, embedded. Label -1 is out of scope."""

    texts: list[str]
    labels: NDArray[np.int64]
    vectors: NDArray[np.float32]

    def pick(self, where: NDArray[np.bool_]) -> Labelled:
        """Return the rows that `where` marks."""
        kept = np.flatnonzero(where)
        return Labelled(
            texts=[self.texts[at] for at in kept],
            labels=self.labels[kept],
            vectors=self.vectors[kept],
        )


async def run(data: Path, *, limit: int | None = None) -> dict[str, object]:
    """Fit on train, choose the threshold off the judged split, judge.

    `limit` keeps that many examples per intent.
    """
    started = time.perf_counter()
    train_rows = [row for row in _rows(data, "train", limit) if row[1] != OUT_OF_SCOPE]
    names = sorted({label for _, label in train_rows})
    embedder = make_embedder("minilm")
    train = await _embedded(train_rows, names, embedder)
    has_test = (data / "test.jsonl").exists()
    judged = await _embedded(_rows(data, "test" if has_test else "validation"), names, embedder)
    fitted = _fit(train, len(names))
    if has_test and (data / "validation.jsonl").exists():
        spare = await _embedded(_rows(data, "validation"), names, embedder)
        chosen_on, held_out = "validation", _sureness(fitted, spare.pick(spare.labels >= 0))
    else:
        chosen_on, held_out = f"{FOLDS}-fold train", _cross_validated(train, len(names))
    threshold = float(np.quantile(held_out, FALSE_REJECTS))
    figures = _judge(fitted, judged, threshold)
    figures["p50_ms"] = await _speed(train, names, judged.texts[:SPEED_SAMPLE], embedder)
    row = {"method": "kernel ridge + centroid + nearest", "threshold_from": chosen_on, **figures}
    return report("intent", str(data), figures, [row], time.perf_counter() - started)


def _rows(data: Path, split: str, per_label: int | None = None) -> list[tuple[str, str]]:
    path = data / f"{split}.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        read = [json.loads(line) for line in lines if line.strip()]
        rows = [(str(row["text"]), str(row["label"])) for row in read]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{str(path)!r} is not a set of utterances: {error!r}",
            hint="One JSON object a line, with `text` and `label`; out of scope is labelled `oos`.",
        ) from error
    seen: dict[str, int] = {}
    kept = []
    for text, label in rows:
        seen[label] = seen.get(label, 0) + 1
        if per_label is None or seen[label] <= per_label:
            kept.append((text, label))
    return kept


async def _embedded(
    rows: Sequence[tuple[str, str]], names: Sequence[str], embedder: Embedder
) -> Labelled:
    """Embed rows and group them by intent, as the classifier wants its examples."""
    place = {name: at for at, name in enumerate(names)}
    ordered = sorted(rows, key=lambda row: place.get(row[1], -1))
    vectors = await embedder.embed([text for text, _ in ordered])
    return Labelled(
        texts=[text for text, _ in ordered],
        labels=np.array([place.get(label, -1) for _, label in ordered], np.int64),
        vectors=np.asarray(vectors, np.float32),
    )


def _fit(train: Labelled, intents: int) -> Likenesses:
    return Likenesses(train.vectors, np.bincount(train.labels, minlength=intents).tolist())


def _sureness(fitted: Likenesses, split: Labelled) -> NDArray[np.float64]:
    marks = fitted.of(split.vectors).max(axis=1)
    return np.array([confidence(float(mark)) for mark in marks])


def _cross_validated(train: Labelled, intents: int) -> NDArray[np.float64]:
    """Return the confidence of each training message under a fit that has not seen it."""
    fold = np.arange(len(train.texts)) % FOLDS
    return np.concatenate(
        [
            _sureness(_fit(train.pick(fold != held), intents), train.pick(fold == held))
            for held in range(FOLDS)
        ]
    )


def _judge(fitted: Likenesses, judged: Labelled, threshold: float) -> dict[str, float]:
    inside = judged.labels >= 0
    sure = _sureness(fitted, judged)
    read = fitted.of(judged.vectors).argmax(axis=1)
    figures = {
        "accuracy_in_scope": float((read == judged.labels)[inside].mean()),
        "accuracy_with_rejection": float(
            ((read == judged.labels) & (sure >= threshold))[inside].mean()
        ),
        "false_reject": float((sure[inside] < threshold).mean()),
        "threshold": threshold,
    }
    if not inside.all():
        figures["oos_recall"] = float((sure[~inside] < threshold).mean())
        figures["oos_auroc"] = auroc(sure[inside].tolist(), sure[~inside].tolist())
    return figures


class _Known:
    """The embedder, with the training vectors at hand: fitting again need not embed again."""

    def __init__(self, train: Labelled, embedder: Embedder) -> None:
        self.name = embedder.name
        self.dimensions = embedder.dimensions
        self._vectors = dict(zip(train.texts, train.vectors.tolist(), strict=True))
        self._embedder = embedder

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector per text."""
        if all(text in self._vectors for text in texts):
            return [self._vectors[text] for text in texts]
        return await self._embedder.embed(texts)


async def _speed(
    train: Labelled, names: Sequence[str], texts: Sequence[str], embedder: Embedder
) -> float:
    """Return the median milliseconds of a whole classification, embedding included."""
    counts = np.bincount(train.labels, minlength=len(names))
    ends = np.cumsum(counts)
    declared = [
        DeclaredIntent(name=name, examples=tuple(train.texts[end - count : end]))
        for name, count, end in zip(names, counts, ends, strict=True)
    ]
    classifier = EmbeddingClassifier(declared, _Known(train, embedder), threshold=0.0, margin=0.0)
    await classifier.classify("warm up")
    took = []
    for text in texts:
        began = time.perf_counter()
        # The space makes it a text the embedder does not remember.
        await classifier.classify(f"{text} ")
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)
