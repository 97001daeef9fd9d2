"""How likely it is that the answer is among the passages found: when to answer, when to abstain.

A logistic formula over two features that every backend gives. Its constants were fitted on 1900
queries: MTRAG with its answerable flags, XQuAD and 75 short shop questions as positives; questions
of one set put to another's corpus, CLINC150 and 50 general questions put to a shop's help centre as
negatives. A wrongly refused question weighs twice a wrongly admitted one. Five-fold
cross-validation: AUROC .84 on MTRAG alone (best cosine alone .83), .96 over all; at 0.5 the shop
refuses 4 % of what it answers and admits 3 % of what it does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.passages import Hit

INTERCEPT = -10.0
PER_COSINE = 16.6
PER_COVERAGE = 4.5
TOP = 3
PRIOR = 0.7
PRIOR_CHARACTERS = 8
"""Coverage is drawn to `PRIOR` as by this many characters: one-word queries prove little."""


def retrieval_confidence(query: str, hits: Sequence[Hit]) -> float:
    """Return the probability, 0 to 1, that the hits answer the query; abstain below 0.5."""
    cosines = [hit.cosine for hit in hits if hit.cosine is not None]
    if not cosines:
        return 0.0
    mark = INTERCEPT + PER_COSINE * max(cosines) + PER_COVERAGE * coverage(query, hits[:TOP])
    return 1.0 / (1.0 + math.exp(-mark))


def coverage(query: str, hits: Sequence[Hit]) -> float:
    """Return the share of the query's terms, by length, that the hits hold between them."""
    held: dict[str, set[str]] = {}
    for hit in hits:
        language = hit.passage.language
        held.setdefault(language, set()).update(terms(hit.passage.searchable, language))
    return max(
        (_share(set(terms(query, lang)), found) for lang, found in held.items()), default=0.0
    )


def _share(asked: set[str], found: set[str]) -> float:
    covered = PRIOR * PRIOR_CHARACTERS + sum(map(len, asked & found))
    return covered / (PRIOR_CHARACTERS + sum(map(len, asked)))
