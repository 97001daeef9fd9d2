"""What others would do with the same texts and vectors, set up as their users set them up.

Every peer has the stemmer and stop words of the language, the vectors of our own dense leg, and a
follow-up in both wordings: the last turn alone, and the last two of the user's turns joined, which
is the context our own search has. A peer that is not installed says so.
"""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import snowballstemmer
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from numpy.typing import NDArray

from antiphon.evals.bench.collection import Collection
from antiphon.evals.bench.fusions import min_max
from antiphon.tools.retrieval.analysis import LANGUAGES, terms
from antiphon.tools.retrieval.passages import Embedder
from antiphon.tools.retrieval.stopwords import STOP_WORDS

DEEP = 100
"""Candidates per leg: what Weaviate takes (QUERY_HYBRID_MAXIMUM_RESULTS)."""
SHALLOW = 20
"""Candidates per leg of an ensemble as often written; LangChain's own default, 4, is fewer than are
judged."""
ALPHAS = (0.5, 0.75)
"""The vectors' share: alike, and Weaviate's default."""
INSTALL = "not installed: pip install 'antiphon[bench]'"

Searching = Callable[[str], Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """What a peer found, or why it could not look."""

    method: str
    rankings: Sequence[Sequence[str]] = ()
    times_ms: Sequence[float] = ()
    """Of each search, without embedding the query."""
    note: str = ""


async def peers(collection: Collection, embedder: Embedder) -> list[Peer]:
    """Put the queries to each peer, in each wording they have."""
    said = {"": [query.text for query in collection.queries]}
    if any(query.earlier for query in collection.queries):
        said[", two turns joined"] = [query.joined for query in collection.queries]
    vectors = np.asarray(await embedder.embed([d.searchable for d in collection.documents]))
    texts = list(dict.fromkeys(text for way in said.values() for text in way))
    asked = dict(zip(texts, np.asarray(await embedder.embed(texts)), strict=True))
    dense = _Dense(vectors, asked)
    made: dict[str, Callable[[], Searching]] = {
        "bm25s": lambda: _names(collection, _bm25s(collection)),
        "rank-bm25": lambda: _names(collection, _rank_bm25(collection)),
        f"langchain EnsembleRetriever, {SHALLOW}": lambda: _ensemble(collection, dense, SHALLOW),
        f"langchain EnsembleRetriever, {DEEP}": lambda: _ensemble(collection, dense, DEEP),
    }
    for alpha in ALPHAS:
        made[f"relativeScoreFusion, {alpha:g}"] = partial(_relative, collection, dense, alpha)
    return [
        peer
        for name, make in made.items()
        for peer in await asyncio.to_thread(_run, name, make, said)
    ]


def _run(
    method: str, make: Callable[[], Searching], said: Mapping[str, Sequence[str]]
) -> list[Peer]:
    try:
        search = make()
    except ImportError:
        return [Peer(method=method, note=INSTALL)]
    found = []
    for wording, texts in said.items():
        rankings, times = [], []
        for text in texts:
            began = time.perf_counter()
            rankings.append(search(text))
            times.append(1000 * (time.perf_counter() - began))
        found.append(Peer(method=method + wording, rankings=rankings, times_ms=times))
    return found


Scored = Callable[[str], Mapping[int, float]]
"""Documents by number with their scores, best first, none that does not match."""


def _names(collection: Collection, scored: Scored) -> Searching:
    ids = [document.id for document in collection.documents]
    return lambda text: [ids[at] for at in scored(text)]


def _bm25s(collection: Collection) -> Scored:
    """Return bm25s with its own defaults, and the language's stemmer and stop words."""
    import bm25s

    analysis = {
        "stopwords": sorted(STOP_WORDS.get(collection.language, ())),
        "stemmer": _stemmer(collection.language),
        "show_progress": False,
    }
    index = bm25s.BM25()
    index.index(
        bm25s.tokenize([d.searchable for d in collection.documents], **analysis),
        show_progress=False,
    )
    depth = min(DEEP, len(collection.documents))

    def search(text: str) -> Mapping[int, float]:
        words = bm25s.tokenize([text], **analysis)
        found, scores = index.retrieve(words, k=depth, show_progress=False)
        pairs = zip(found[0].tolist(), scores[0].tolist(), strict=True)
        return {at: score for at, score in pairs if score > 0}

    return search


def _stemmer(language: str) -> object | None:
    name = LANGUAGES.get(language)
    known = name is not None and name in snowballstemmer.algorithms()
    return snowballstemmer.stemmer(name) if known else None


def _rank_bm25(collection: Collection) -> Scored:
    """Return rank-bm25's Okapi; it leaves the words to its user, who stems and drops stop words."""
    from rank_bm25 import BM25Okapi

    words = _words(collection.language)
    index = BM25Okapi([words(document.searchable) for document in collection.documents])

    def search(text: str) -> Mapping[int, float]:
        scores = index.get_scores(words(text))
        order = np.argsort(-scores, kind="stable")[:DEEP]
        return {int(at): float(scores[at]) for at in order if scores[at] > 0}

    return search


def _words(language: str) -> Callable[[str], list[str]]:
    return lambda text: list(terms(text, language))


class _Dense:
    """Exact cosines over the vectors that our own dense leg has."""

    def __init__(
        self, vectors: NDArray[np.float64], asked: Mapping[str, NDArray[np.float64]]
    ) -> None:
        self._vectors = vectors
        self._asked = asked

    def nearest(self, text: str, depth: int) -> Mapping[int, float]:
        """Return the nearest documents by number, best first."""
        cosines = self._vectors @ self._asked[text]
        return {int(at): float(cosines[at]) for at in np.argsort(-cosines)[:depth]}


def _relative(collection: Collection, dense: _Dense, alpha: float) -> Searching:
    """Return bm25s and vectors by Weaviate's default fusion: scaled to 0..1 in each, and added."""
    keyword = _bm25s(collection)
    return _names(
        collection, lambda text: min_max(keyword(text), dense.nearest(text, DEEP), alpha=alpha)
    )


class _Nearest(BaseRetriever):
    """The dense leg of the ensemble."""

    nearest: Callable[[str], list[Document]]

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
    ) -> list[Document]:
        return self.nearest(query)


def _ensemble(collection: Collection, dense: _Dense, depth: int) -> Searching:
    """Return LangChain's hybrid: BM25 and vectors, fused by reciprocal rank, as documented."""
    with warnings.catch_warnings():
        # langchain-community announces its retirement whenever it is imported.
        warnings.simplefilter("ignore", DeprecationWarning)
        from langchain_classic.retrievers.ensemble import EnsembleRetriever
        from langchain_community.retrievers import BM25Retriever

        documents = [
            Document(page_content=d.searchable, metadata={"id": d.id}) for d in collection.documents
        ]
        keyword = BM25Retriever.from_documents(
            documents, k=depth, preprocess_func=_words(collection.language)
        )

    def nearest(query: str) -> list[Document]:
        return [documents[at] for at in dense.nearest(query, depth)]

    ensemble = EnsembleRetriever(
        retrievers=[keyword, _Nearest(nearest=nearest)],
        weights=[0.5, 0.5],
        id_key="id",
    )
    return lambda text: [found.metadata["id"] for found in ensemble.invoke(text)]
