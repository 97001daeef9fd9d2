"""How long a search takes among many passages, beyond embedding the question.

A BEIR folder's corpus is taken several times over: each copy has a word of its own, and its vectors
are moved a little, so that no two passages are alike and none has to be embedded again.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count, islice, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from antiphon.evals.bench.collection import read
from antiphon.evals.bench.measures import quantile
from antiphon.evals.bench.report import report
from antiphon.evals.bench.store import TENANT, bench_vectors
from antiphon.graphs.settings import read_settings
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.retrieval.passages import Passage
from antiphon.tools.retrieval.rerank import WORDING
from antiphon.tools.retrieval.search import Retriever

PASSAGES = 20_000
ASKED = 200
MOVED = 0.02
"""Standard deviation of what is added to each component of a copy's vector."""
FILES = 100
"""The passages are spread over so many sources."""


async def run(data: Path, *, limit: int | None = None, cache: bool = False) -> dict[str, object]:
    """Fill the local backend with `limit` passages (20000); ask in one wording and in two."""
    began = time.perf_counter()
    settings, collection = read_settings(), read(data)
    known = bench_vectors(data, collection, settings, cache=cache)
    size = limit or PASSAGES
    questions = [query.text for query in collection.queries[:ASKED]]
    one: list[tuple[str, ...]] = [(text,) for text in questions]
    two = [(text, f"{before} {text}") for before, text in pairwise(questions)]
    asked = sorted({text for said in (*one, *two) for text in said})
    texts = [*asked, *(document.searchable for document in collection.documents)]
    vectors = dict(zip(texts, np.array(await known.embed(texts), np.float32), strict=True))
    known.save()
    copies = _Copies(vectors, name=known.name)
    with TemporaryDirectory() as folder:
        knowledge = SqliteKnowledge(Path(folder) / "scale.db", copies)
        stored = await _fill(knowledge, copies, collection.documents, size)
        retriever = Retriever(knowledge, reranker=WORDING)
        await retriever.search(questions[0], tenant=TENANT)
        figures = {"passages": float(size), "stored_per_s": size / stored}
        for name, said in (("one_wording", one), ("two_wordings", two)):
            times = await _times(retriever, said)
            figures[f"{name}_p50_ms"] = statistics.median(times)
            figures[f"{name}_p95_ms"] = quantile(times, 0.95)
        await knowledge.close()
    return report("scale", str(data), figures, [], time.perf_counter() - began)


class _Copies:
    """An Embedder that knows all texts beforehand, so that only the search is timed."""

    def __init__(self, vectors: Mapping[str, NDArray[np.float32]], *, name: str) -> None:
        self.name = name
        self.dimensions = len(next(iter(vectors.values())))
        self._vectors = dict(vectors)
        self._random = np.random.default_rng(1)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._vectors[text].tolist() for text in texts]

    def near(self, passage: Passage, other: Passage) -> None:
        """Give a passage a vector near another's."""
        moved = self._vectors[other.searchable] + self._random.normal(0, MOVED, self.dimensions)
        self._vectors[passage.searchable] = np.asarray(moved / np.linalg.norm(moved), np.float32)


async def _fill(
    knowledge: SqliteKnowledge, copies: _Copies, documents: Sequence[Passage], size: int
) -> float:
    """Store so many passages; return the seconds that storing took."""
    shelves: list[list[Passage]] = [[] for _ in range(FILES)]
    for at, (number, document) in enumerate(islice(_repeated(documents), size)):
        passage = replace(
            document, id=f"{number}-{document.id}", source=f"{at % FILES}",
            text=f"{document.text} edition{number}x{document.id}",
        )  # fmt: skip
        copies.near(passage, document)
        shelves[at % FILES].append(passage)
    began = time.perf_counter()
    for name, shelf in enumerate(shelves):
        await knowledge.upsert(str(name), shelf, tenant=TENANT)
    return time.perf_counter() - began


def _repeated(documents: Sequence[Passage]) -> Iterator[tuple[int, Passage]]:
    return ((number, document) for number in count() for document in documents)


async def _times(retriever: Retriever, wordings: Sequence[tuple[str, ...]]) -> list[float]:
    times = []
    for said in wordings:
        began = time.perf_counter()
        await retriever.search(*said, tenant=TENANT)
        times.append(1000 * (time.perf_counter() - began))
    return times
