"""A collection on the whole way of a user's own files: loader, dates, chunker, search.

Each document becomes a Markdown file with a title and a date. The dates mean nothing, as no
document of a collection replaces another: what the search leaves out as the older version of a text
is left out wrongly, and costs what it costs here.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from antiphon.evals.bench.collection import Collection
from antiphon.evals.bench.legs import JUDGED, Ranking, ids
from antiphon.evals.bench.store import TENANT
from antiphon.evals.bench.vectors import BenchVectors
from antiphon.graphs.ingest import ingest_paths
from antiphon.nodes.ingest import IngestContext
from antiphon.tools.models.embeddings import dense_share
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.retrieval.rewrite import queries as wordings
from antiphon.tools.retrieval.search import Retriever
from antiphon.tools.tokens import ApproximateCounter

DAYS = (date(2015, 1, 1).toordinal(), date(2025, 1, 1).toordinal())
PASSAGES = 2 * JUDGED
"""Asked for: documents are judged, and two passages may be of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paged:
    """What was found when the documents came as files."""

    rankings: list[Ranking]
    passages: int
    """Into which the documents were cut."""
    unread: int
    """Files that the loader would not take."""
    outdated: float
    """Share of the queries, in %, that lost a right document to a newer one."""


async def as_pages(collection: Collection, vectors: BenchVectors) -> Paged:
    """Write the documents as files, ingest them as a user would, and ask as a turn does."""
    said = [wordings(query.text, query.earlier) for query in collection.queries]
    await vectors.embed(sorted({text for texts in said for text in texts}))
    share = dense_share(vectors, (collection.language,))
    with TemporaryDirectory() as name:
        pages, file = Path(name, "pages"), Path(name, "bench.db")
        known = _written(collection, pages)
        knowledge = SqliteKnowledge(file, vectors, alpha=share)
        try:
            context = IngestContext(tenant=TENANT, fallback=collection.language)
            report = await ingest_paths(knowledge, ApproximateCounter(), [pages], context=context)
            retriever, rankings, lost = Retriever(knowledge), [], 0
            for query, texts in zip(collection.queries, said, strict=True):
                found = await retriever.search(*texts, tenant=TENANT, limit=PASSAGES)
                ranking = tuple(known[source] for source in ids(found.hits))[:JUDGED]
                older = {
                    known[one.hit.passage.source]
                    for one in found.dropped
                    if one.reason != "beyond_limit"
                }
                lost += bool(older & set(query.relevant) - set(ranking))
                rankings.append(ranking)
        finally:
            await knowledge.close()
    passages, failed = report["passages"], report["failed"]
    return Paged(
        rankings=rankings,
        passages=passages if isinstance(passages, int) else 0,
        unread=len(failed) if isinstance(failed, list) else 0,
        outdated=100 * lost / len(rankings),
    )


def _written(collection: Collection, folder: Path) -> dict[str, str]:
    """Write a file for each document; return the documents' ids by file name."""
    folder.mkdir()
    random_days = random.Random(1)
    known = {}
    for number, document in enumerate(collection.documents):
        name = f"{number:06}.md"
        titled = f"title: {json.dumps(document.title)}\n" if document.title else ""
        day = date.fromordinal(random_days.randrange(*DAYS))
        text = f"---\n{titled}updated: {day}\n---\n\n{document.text}\n"
        (folder / name).write_text(text, "utf-8")
        known[name] = document.id
    return known
