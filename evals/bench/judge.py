"""Whether judges of answers agree with people, and a language model with labelled claims.

Data are answers that people rated (`evals/ratings.py`), each judged as an answered turn that cites
the passages. The faithfulness evaluator and the verifier see no model answer; the five metrics do,
so they judge the other systems' answers alone: `no_model_answers` compares all on these. Peers are
the scores that the file brings. Questions are halved by their hash; both halves were looked at
while constants were chosen, so neither is unseen.

With `--model`, claims labelled as the grounding bench has them are put to the language model that
an assistant's `judge` would ask, twice each and in reverse, whatever the verifier says of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.evals.bench.report import report
from antiphon.evals.faithfulness import Faithfulness
from antiphon.evals.metrics import five
from antiphon.evals.ratings import Rated, agreement, kappa, load_ratings
from antiphon.evals.sample import Evaluator, Sample, Score
from antiphon.graphs.settings import read_settings
from antiphon.prompts.library import PromptFiles
from antiphon.tools.claims import Judgement, Verdict, Verifier, claims_of
from antiphon.tools.claims.judge import OPEN, Budget, JudgedVerifier
from antiphon.tools.errors import InputError
from antiphon.tools.models import ModelCard, Models
from antiphon.tools.models.claim_reader import make_verifier
from antiphon.tools.models.embeddings import make_embedder
from antiphon.tools.models.extractive import Extractive
from antiphon.tools.models.providers import check_name, connect
from antiphon.tools.models.router import ModelRouter
from antiphon.tools.privacy.detect import PatternDetector
from antiphon.tools.resilience import Switches
from antiphon.tools.retrieval import Embedder
from antiphon.tools.tokens import ApproximateCounter

NEAREST: Mapping[str, str] = {
    "faithfulness": "faithfulness",
    "completeness": "faithfulness",
    "appropriateness": "faithfulness",
    "naturalness": "coherence",
}
"""Which of ours stands nearest to each rating on the first half of MT-RAG's answers: people find
complete and fitting what rests on the passages, and the table says how little helpfulness and
relevance agree with them there."""
REFERENCE = "reference"
"""The system whose answers are the model answers."""
TOGETHER = 4
DEADLINE_S = 300.0
"""For a small model on this machine to judge a claim twice."""
VERDICTS: Mapping[str, Verdict] = {
    "supported": "supported", "contradicted": "contradicted", "unsupported": "not found",
}  # fmt: skip


async def run(
    data: Path,
    *,
    limit: int | None = None,
    model: str | None = None,
    claims: Path | None = None,
) -> dict[str, object]:
    """Judge the first `limit` rated answers; put as many labelled claims to a language model."""
    began = time.perf_counter()
    if (model is None) != (claims is None):
        raise InputError("--model judges the claims of --claims", hint="Give both, or neither.")
    rows = load_ratings(data)[:limit]
    given = _labelled(claims, limit) if claims is not None else []
    embedder = make_embedder("minilm")
    models = _models(model, embedder) if model is not None else None
    verifier = make_verifier(embedder)
    metrics = [one for one in five(embedder, PatternDetector()) if one.name != "safety"]
    marks = {
        **await _marks(
            [row.sample() for row in rows], [Faithfulness(verifier), _Verified(verifier)]
        ),
        **await _marks(
            [None if row.system == REFERENCE else row.sample(reference=True) for row in rows],
            metrics,
        ),
    }
    table = _table(rows, marks)
    figures: dict[str, float] = {"rows": len(rows)}
    for line in table:
        if line["by"] == NEAREST.get(str(line["rating"])):
            figures |= _figures(line)
        elif line["rating"] == "faithfulness":
            figures[f"spearman:faithfulness:{line['by']}"] = _number(line["spearman"])
    if model is not None and models is not None:
        figures |= await _judge(given, verifier, models, model)
    return report("judge", str(data), figures, table, time.perf_counter() - began)


class _Verified:
    """How likely the verifier finds an answer's claims, on average: what the product shows."""

    name = "verifier"

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    async def evaluate(self, sample: Sample) -> Score:
        claims = [sample.answer[slice(*span)] for span in claims_of(sample.answer)]
        if not claims:
            return Score(value=0.5)
        found = await self._verifier.judge(claims, sample.evidence)
        return Score(value=sum(one.supported for one in found) / len(found))


async def _marks(
    samples: Sequence[Sample | None], jury: Sequence[Evaluator]
) -> dict[str, list[float]]:
    """Return each evaluator's marks, answer by answer; none of what it is not shown."""
    places = asyncio.Semaphore(TOGETHER)

    async def one(sample: Sample | None) -> list[float]:
        if sample is None:
            return [math.nan] * len(jury)
        async with places:
            return [(await each.evaluate(sample)).value for each in jury]

    found = await asyncio.gather(*map(one, samples))
    return {each.name: [marks[at] for marks in found] for at, each in enumerate(jury)}


def _table(rows: Sequence[Rated], ours: Mapping[str, Sequence[float]]) -> list[dict[str, object]]:
    """Return a line a rating and a judge of it, ours and peers, the nearest of ours first."""
    peers = sorted({name for row in rows for name in row.peer_scores})
    marks: dict[str, Sequence[float]] = {
        **ours, **{name: [row.peer_scores.get(name, math.nan) for row in rows] for name in peers},
    }  # fmt: skip
    ratings = sorted({name for row in rows for name in row.human}, key=_order)
    table = []
    for rating in ratings:
        first = NEAREST.get(rating)
        for by in sorted(marks, key=lambda name: (name != first, name in peers, name)):
            places = [
                place
                for place, row in enumerate(rows)
                if rating in row.human and not math.isnan(marks[by][place])
            ]
            if len(places) > 1:
                line = _line([rows[place] for place in places], rating, marks[by], places)
                table.append({"rating": rating, "by": by, "peer": by in peers, **line})
    return table


def _order(rating: str) -> int:
    return list(NEAREST).index(rating) if rating in NEAREST else len(NEAREST)


def _line(
    rows: Sequence[Rated], rating: str, marks: Sequence[float], places: Sequence[int]
) -> dict[str, object]:
    pairs = [(marks[place], row.human[rating]) for place, row in zip(places, rows, strict=True)]
    groups = [row.task or str(place) for place, row in zip(places, rows, strict=True)]
    whole = agreement([a for a, _ in pairs], [b for _, b in pairs], groups=groups)
    line: dict[str, object] = {
        "rows": whole.rows,
        "spearman": round(whole.spearman, 4),
        "low": round(whole.low, 4),
        "high": round(whole.high, 4),
        "kappa": round(whole.kappa, 4),
    }
    parts = {
        "first_half": [_half(group) == 0 for group in groups],
        "second_half": [_half(group) == 1 for group in groups],
        "no_model_answers": [row.system != REFERENCE for row in rows],
    }
    for name, chosen in parts.items():
        some = [pair for pair, taken in zip(pairs, chosen, strict=True) if taken]
        if len(some) > 1:
            found = agreement([a for a, _ in some], [b for _, b in some])
            line[name] = round(found.spearman, 4)
    return line


def _half(task: str) -> int:
    return int(hashlib.sha256(task.encode()).hexdigest(), 16) % 2


def _figures(line: Mapping[str, object]) -> dict[str, float]:
    rating = line["rating"]
    found = {f"spearman:{rating}": _number(line["spearman"])}
    for name in ("low", "high", "kappa", "first_half", "second_half", "no_model_answers"):
        if name in line:
            found[f"spearman:{rating}:{name}" if name != "kappa" else f"kappa:{rating}"] = _number(
                line[name]
            )
    return found


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


class _Labelled(BaseModel):
    """A claim that people labelled."""

    model_config = ConfigDict(extra="ignore")

    claim: str
    evidence: str
    label: Literal["supported", "contradicted", "unsupported"]
    tag: str = ""


def _labelled(path: Path, limit: int | None) -> list[_Labelled]:
    """Return the labelled claims of a file, or of a folder's files; `limit` of all, at random."""
    found: list[_Labelled] = []
    for file in sorted(path.glob("*.jsonl")) if path.is_dir() else [path]:
        try:
            lines = file.read_text(encoding="utf-8").split("\n")
            rows = [_Labelled.model_validate(json.loads(line)) for line in lines if line.strip()]
        except (OSError, ValueError, ValidationError) as error:
            what = type(error).__name__
            raise InputError(f"{str(file)!r} holds no labelled claims: {what}") from error
        found += [row for row in rows if row.tag != "partial"]
    if not found:
        raise InputError(f"{str(path)!r} holds no labelled claims")
    random.Random(7).shuffle(found)  # a sample, the same each time
    return found[:limit]


class _Open:
    """Leaves every claim open, so that the model is asked about each."""

    async def judge(
        self, claims: Sequence[str], evidence: Sequence[str], *, language: str = "en"
    ) -> tuple[Judgement, ...]:
        del evidence, language
        return tuple(Judgement(claim=claim, verdict="unsure", reason="") for claim in claims)


def _models(name: str, embedder: Embedder) -> Models:
    """Return a router that has one model, whatever it costs."""
    settings = read_settings()
    check_name(name, url=settings.model_url, where="--model: ")
    card = ModelCard(
        name=name, context_tokens=8192, first_token_s=1.0, tokens_per_s=50.0, quality=0.5,
        input_usd_per_mtok=0.0, output_usd_per_mtok=0.0,
    )  # fmt: skip
    opens = partial(
        connect,
        url=settings.model_url,
        key=settings.model_key.get_secret_value(),
        gguf=settings.gguf,
        timeout_s=DEADLINE_S,
    )
    return ModelRouter(
        [card],
        connect=opens,
        last_resort=Extractive(embedder=embedder),
        switches=Switches(),
        deadline_s=DEADLINE_S,
    )


async def _judge(
    rows: Sequence[_Labelled], verifier: Verifier, models: Models, model: str
) -> dict[str, float]:
    """Return how far a language model agrees with labels, and what it does to open claims."""
    budget = Budget(deadline_s=DEADLINE_S, turn_tokens=1_000_000, turn_cost_usd=math.inf)
    judge = JudgedVerifier(
        _Open(), models, PromptFiles(), ApproximateCounter(), model=model, budget=budget
    )
    right = [VERDICTS[row.label] for row in rows]
    said, signs, spent = [], [], 0.0
    for row in rows:
        started = time.perf_counter()
        (one,) = await judge.judge([row.claim], [row.evidence])
        spent += time.perf_counter() - started
        said.append(one.verdict)
        signs.append((await verifier.judge([row.claim], [row.evidence]))[0].verdict)
    figures = {"judge:claims": float(len(rows)), "judge:s_per_claim": spent / len(rows)}
    decided = [(a, b) for a, b in zip(said, right, strict=True) if a not in OPEN]
    figures["judge:decided"] = len(decided) / len(rows)
    if decided:
        numbers = {name: place for place, name in enumerate(VERDICTS.values())}
        figures["judge:accuracy"] = sum(a == b for a, b in decided) / len(decided)
        figures["judge:kappa"] = kappa(
            [numbers[a] for a, _ in decided], [numbers[b] for _, b in decided]
        )
    asked = [
        (theirs, label)
        for theirs, mine, label in zip(said, signs, right, strict=True)
        if mine in OPEN
    ]
    figures["judge:asked"] = len(asked) / len(rows)
    figures["judge:flips_right"] = float(sum(a == b for a, b in asked))
    figures["judge:flips_wrong"] = float(sum(a not in OPEN and a != b for a, b in asked))
    # What is kept though it should not be, before and after: open claims stay in an answer.
    bad = [theirs for theirs, label in asked if label != "supported"]
    good = [theirs for theirs, label in asked if label == "supported"]
    if bad:
        figures["judge:open_bad_removed"] = sum(_removes(one) for one in bad) / len(bad)
    if good:
        figures["judge:open_good_removed"] = sum(_removes(one) for one in good) / len(good)
    return figures


def _removes(verdict: Verdict) -> bool:
    return verdict in {"contradicted", "not found"}
