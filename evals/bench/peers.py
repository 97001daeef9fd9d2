"""What others would do with the same texts and vectors; a peer that is not installed says so."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import snowballstemmer
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from numpy.typing import NDArray

from antiphon.evals.bench.collection import Collection
from antiphon.tools.retrieval.analysis import LANGUAGES
from antiphon.tools.retrieval.passages import Embedder
from antiphon.tools.retrieval.stopwords import STOP_WORDS

DEPTH = 20
"""Candidates per leg of the ensemble: twice what is judged."""
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
    """Put the queries, as they stand, to each peer."""
    vectors = np.asarray(await embedder.embed([d.searchable for d in collection.documents]))
    texts = [query.text for query in collection.queries]
    asked = dict(zip(texts, np.asarray(await embedder.embed(texts)), strict=True))
    made: Mapping[str, Callable[[], Searching]] = {
        "bm25s": lambda: _bm25s(collection),
        "langchain EnsembleRetriever": lambda: _ensemble(collection, vectors, asked),
    }
    return [await asyncio.to_thread(_run, name, make, texts) for name, make in made.items()]


def _run(method: str, make: Callable[[], Searching], texts: Sequence[str]) -> Peer:
    try:
        search = make()
    except ImportError:
        return Peer(method=method, note=INSTALL)
    rankings, times = [], []
    for text in texts:
        began = time.perf_counter()
        rankings.append(search(text))
        times.append(1000 * (time.perf_counter() - began))
    return Peer(method=method, rankings=rankings, times_ms=times)


def _bm25s(collection: Collection) -> Searching:
    """Return bm25s with its own defaults, and the language's stemmer and stop words."""
    import bm25s

    ids = [document.id for document in collection.documents]
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

    def search(text: str) -> list[str]:
        words = bm25s.tokenize([text], **analysis)
        found, _ = index.retrieve(words, k=min(DEPTH, len(ids)), show_progress=False)
        return [ids[at] for at in found[0].tolist()]

    return search


def _stemmer(language: str) -> object | None:
    name = LANGUAGES.get(language)
    known = name is not None and name in snowballstemmer.algorithms()
    return snowballstemmer.stemmer(name) if known else None


class _Nearest(BaseRetriever):
    """The dense leg: exact cosine over the vectors that our own dense leg has."""

    nearest: Callable[[str], list[Document]]

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002
    ) -> list[Document]:
        return self.nearest(query)


def _ensemble(
    collection: Collection,
    vectors: NDArray[np.float64],
    asked: Mapping[str, NDArray[np.float64]],
) -> Searching:
    """Return LangChain's hybrid: BM25 and vectors, fused by reciprocal rank, as documented."""
    with warnings.catch_warnings():
        # langchain-community announces its retirement whenever it is imported.
        warnings.simplefilter("ignore", DeprecationWarning)
        from langchain_classic.retrievers.ensemble import EnsembleRetriever
        from langchain_community.retrievers import BM25Retriever

        documents = [
            Document(page_content=d.searchable, metadata={"id": d.id}) for d in collection.documents
        ]
        keyword = BM25Retriever.from_documents(documents, k=DEPTH)

    def nearest(query: str) -> list[Document]:
        return [documents[at] for at in np.argsort(-(vectors @ asked[query]))[:DEPTH].tolist()]

    ensemble = EnsembleRetriever(
        retrievers=[keyword, _Nearest(nearest=nearest)],
        weights=[0.5, 0.5],
        id_key="id",
    )
    return lambda text: [found.metadata["id"] for found in ensemble.invoke(text)]
