"""How often the answer given without a model holds what people marked as the answer.

The path is the one that answers customers: hits, packed into the token budget, fenced, quoted.
Beside it what takes twenty lines: the best sentences of the best passages, by vectors and words.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from langchain_core.messages import HumanMessage, SystemMessage

from antiphon.evals.bench.fusions import min_max
from antiphon.graphs.assistant import KnowledgeForm
from antiphon.tools.models.extractive import Extractive
from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.citations import MARKERS
from antiphon.tools.retrieval.context import fence, pack
from antiphon.tools.retrieval.passages import Embedder, Hit
from antiphon.tools.retrieval.postings import Postings
from antiphon.tools.retrieval.postings import pack as packed_terms
from antiphon.tools.retrieval.sentences import sentences
from antiphon.tools.tokens import ApproximateCounter

BEST = 3
"""Passages and sentences that the plain way takes."""
SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question, the answers any of which is right, and what the search found for it."""

    text: str
    answers: tuple[str, ...]
    hits: tuple[Hit, ...]


async def containment(
    asked: Sequence[Asked],
    embedder: Embedder,
    *,
    language: str = "en",
) -> tuple[float, float]:
    """Return the share of answers that hold a right one, in %, and their mean length in words.

    Questions without answers are left out; without any, both figures are 0. Nothing is refused
    here: neither the confidence nor the output rail is asked.
    """
    model = Extractive(embedder, language=language)
    return _held([(one, await _said(model, one)) for one in asked if one.answers])


async def plain_containment(
    asked: Sequence[Asked], embedder: Embedder, *, language: str = "en"
) -> tuple[float, float]:
    """Return the same of the three sentences of the three best passages nearest to the question.

    Nearest by cosine and BM25 among them, both scaled to 0..1 and added.
    """
    return _held([(one, await _nearest(one, embedder, language)) for one in asked if one.answers])


def _held(given: Sequence[tuple[Asked, str]]) -> tuple[float, float]:
    if not given:
        return 0.0, 0.0
    share = statistics.fmean(holds(said, one.answers) for one, said in given)
    return 100 * share, statistics.fmean(len(said.split()) for _, said in given)


async def _nearest(one: Asked, embedder: Embedder, language: str) -> str:
    texts = [hit.passage.text for hit in one.hits[:BEST]]
    parts = [text[slice(*span)] for text in texts for span in sentences(text)]
    question, *vectors = np.asarray(await embedder.embed([one.text, *parts]))
    words = Postings([packed_terms(terms(part, language)) for part in parts])
    bm25 = words.scores(terms(one.text, language)).tolist()
    cosines = [float(vector @ question) for vector in vectors]
    best = [*min_max(dict(enumerate(bm25)), dict(enumerate(cosines)))][:BEST]
    return " ".join(parts[at] for at in sorted(best))


def holds(said: str, answers: Sequence[str]) -> bool:
    """Tell whether a text contains one of the answers, case and white space aside."""
    text = _folded(said)
    return any(_folded(answer) in text for answer in answers)


async def _said(model: Extractive, one: Asked) -> str:
    """Answer as a turn would, markers taken out."""
    cards = pack(
        one.hits,
        budget_tokens=KnowledgeForm().budget_tokens,
        tokens=ApproximateCounter(),
        query=one.text,
    )
    reply = await model.ainvoke([SystemMessage(fence(cards)), HumanMessage(one.text)])
    return MARKERS.sub("", reply.text)


def _folded(text: str) -> str:
    return SPACE.sub(" ", text.casefold()).strip()
