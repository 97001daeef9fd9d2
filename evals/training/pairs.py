"""The pairs that the reader of claims learns from, and where each set comes from.

Sets whose licence lets weights ship are learnt from, the others measure; sources and licences stand
in `tools/models/weights/NOTICE.md`.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from antiphon.evals.training.swaps import (
    NAME,
    negated,
    renamed,
    renumbered,
    reworded,
    turned,
    unconditional,
)
from antiphon.tools.claims.reader import excerpt
from antiphon.tools.retrieval.sentences import sentences

LABELS = ("supported", "contradicted", "unsupported")
GROUPS: dict[str, tuple[str, ...]] = {
    "captions": ("snli", "cad_snli", "breaking_nli"),
    "genres": ("mnli_taxi", "conjnli"),
    "wiki": ("fever_symmetric", "cannot", "wice"),
}
"""Files that are learnt from, and left out together: those of one group share their texts."""
MOST = {"breaking_nli": 1800, "cannot": 3000}
"""Contradicted rows of files that hold little else."""
ROWS = {"snli": 5500, "cad_snli": 7500, "conjnli": 3000}
"""Rows of files of which there is more than enough."""
TWICE = frozenset({"fever_symmetric"})
MADE = 4500
"""Pairs made of one collection's passages, at most."""
TURNED = 0.25
"""Share of supported claims that are learnt turned round too."""
PASSAGES = ("mtrag", "tau2_bank", "xquad_en")
"""Collections whose passages are changed by rule: Apache-2.0, MIT, CC BY-SA 4.0."""
LENGTH = (40, 240)
"""Characters of a sentence that is made into pairs."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What the evidence says, what is claimed, and how they stand to each other."""

    evidence: str
    claim: str
    label: int
    """Place in LABELS."""
    family: str


def learnt(grounding: Path, retrieval: Path, *, without: str = "", seed: int = 7) -> list[Pair]:
    """Return all training pairs, those of one group of files left out if asked."""
    chance = random.Random(seed)
    found: list[Pair] = []
    for group, names in GROUPS.items():
        if group == without:
            continue
        for name in names:
            rows = labelled(grounding / f"{name}.jsonl")
            chance.shuffle(rows)
            wrong = [pair for pair in rows if pair.label == 1]
            if name in MOST:
                right = [pair for pair in rows if pair.label != 1]
                rows = right * 2 + wrong[: MOST[name]]
            rows = rows[: ROWS.get(name)]
            found += rows * (2 if name in TWICE else 1)
            found += _turned_round(rows, chance)
    for name in PASSAGES:
        found += _made(retrieval / name / "corpus.jsonl", chance)
    chance.shuffle(found)
    return found


def labelled(path: Path) -> list[Pair]:
    """Return a file's rows, evidence cut to what a claim is held against."""
    rows = (json.loads(line) for line in path.read_text("utf-8").split("\n") if line)
    return [
        Pair(excerpt(row["claim"], row["evidence"]), row["claim"], LABELS.index(row["label"]),
             path.stem)
        for row in rows
        if row.get("tag") != "partial"
    ]  # fmt: skip


def _turned_round(rows: Sequence[Pair], chance: random.Random) -> Iterator[Pair]:
    """Yield what a rule makes of supported claims: the opposite, another figure."""
    for pair in rows:
        if pair.label != 0 or chance.random() > TURNED:
            continue
        made = renumbered(pair.claim, chance) or negated(pair.claim, chance)
        if made:
            yield Pair(pair.evidence, made, 1, pair.family)


def _made(path: Path, chance: random.Random) -> list[Pair]:
    rows = (json.loads(line) for line in path.read_text("utf-8").split("\n") if line)
    pages = [_usable(str(row["text"])) for row in rows]
    names = sorted({name for page in pages for one in page for name in NAME.findall(one)})
    found = list(chain.from_iterable(_of_page(page, names, chance) for page in pages))
    chance.shuffle(found)
    return found[:MADE]


def _usable(text: str) -> list[str]:
    parts = [" ".join(text[slice(*span)].split()) for span in sentences(text)]
    parts = [re.sub(r"^[\W\d_]+(?=[A-Z])", "", part).replace("**", "") for part in parts]
    low, high = LENGTH
    return [one for one in parts if low <= len(one) <= high and one.endswith((".", "!"))][:12]


def _of_page(page: Sequence[str], names: Sequence[str], chance: random.Random) -> Iterator[Pair]:
    for at, sentence in enumerate(page):
        if chance.random() > 0.6:
            continue
        first = max(0, at - chance.randint(0, 1))
        around = page[first : at + 1 + chance.randint(0, 1)]
        where = at - first
        said = reworded(sentence, chance)
        yield Pair(" ".join(around), said, 0, "passages")
        wrong = [negated(said, chance), turned(said, chance), renumbered(said, chance),
                 renamed(said, names, chance)]  # fmt: skip
        for made in chance.sample([one for one in wrong if one], min(2, sum(map(bool, wrong)))):
            yield Pair(" ".join(around), made, 1, "passages")
        # The same on the other side: the page denies, the answer affirms; or both deny.
        other = negated(sentence, chance) or renumbered(sentence, chance)
        if other:
            page_too = [*around[:where], other, *around[where + 1 :]]
            yield Pair(" ".join(page_too), said, 1, "passages")
            if chance.random() < 0.5:
                yield Pair(" ".join(page_too), reworded(other, chance), 0, "passages")
        if free := unconditional(said):
            yield Pair(" ".join(around), free, 2, "passages")
        far = [one for one in page if one not in around]
        if far and chance.random() < 0.5:
            yield Pair(" ".join(around), reworded(chance.choice(far), chance), 2, "passages")
