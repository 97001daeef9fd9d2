"""The in-memory keyword leg against the formula written out."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest

from antiphon.tools.retrieval.postings import Postings, pack


def written_out(texts: list[list[str]], query: list[str]) -> list[float]:
    """Return Okapi BM25 with k1 = 1.2, b = 0.75 and Lucene's idf."""
    mean = sum(map(len, texts)) / len(texts)
    found = []
    for text in texts:
        counts, total = Counter(text), 0.0
        for term in query:
            holders = sum(term in other for other in texts)
            idf = math.log(1 + (len(texts) - holders + 0.5) / (holders + 0.5))
            damping = 1.2 * (0.25 + 0.75 * len(text) / mean)
            total += idf * counts[term] * 2.2 / (counts[term] + damping)
        found.append(total)
    return found


def test_scores_are_bm25() -> None:
    """Scores are those of the formula, for repeated, unknown and missing terms too."""
    choose = random.Random(7)
    vocabulary = [f"w{i}" for i in range(40)]
    texts = [choose.choices(vocabulary, k=choose.randrange(1, 30)) for _ in range(60)]
    postings = Postings([pack(text) for text in texts])
    for query in (["w1"], ["w2", "w2", "w3"], ["nowhere", "w5"], ["nowhere"], []):
        expected = written_out(texts, query)
        assert postings.scores(query).tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("texts", [[], [[]], [[], ["a"]]], ids=["none", "empty", "one empty"])
def test_little_to_search(texts: list[list[str]]) -> None:
    """No passages, and passages without a word, are searched without a fault."""
    scores = Postings([pack(text) for text in texts]).scores(["a"])
    assert scores.shape == (len(texts),)
    assert np.count_nonzero(scores) == sum("a" in text for text in texts)
