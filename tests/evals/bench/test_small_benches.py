"""The benches of many passages and of follow-up wordings, on a village of a few pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from antiphon.evals.bench import rewriting, scale
from antiphon.tools.errors import InputError

PAGES = {
    "library": "A book may be kept from the library for three weeks.",
    "museum": "The museum of clocks opens at ten, except on Mondays.",
    "ferry": "The ferry to the island leaves at seven in the morning.",
}
HISTORY = {"history": [{"role": "user", "content": "Can I take a book from the library?"}]}


def village(folder: Path, **metadata: object) -> Path:
    """Write the pages and two questions as a BEIR folder; the second has this metadata."""
    (folder / "qrels").mkdir(parents=True)
    queries = [
        {"_id": "q0", "text": "when does the ferry leave"},
        {"_id": "q1", "text": "and how long may I keep it?", "metadata": metadata},
    ]
    pages = [{"_id": key, "title": "", "text": text} for key, text in PAGES.items()]
    for name, records in (("corpus", pages), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, records)), "utf-8")
    relevant = "query-id\tcorpus-id\tscore\nq0\tferry\t1\nq1\tlibrary\t1\n"
    (folder / "qrels" / "test.tsv").write_text(relevant, "utf-8")
    return folder


@pytest.fixture(autouse=True)
def _own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("ANTIPHON_MODEL", raising=False)


async def test_many_passages_are_made_of_few(tmp_path: Path) -> None:
    """The store holds as many passages as asked for, and both ways of asking are timed."""
    report: Any = await scale.run(village(tmp_path / "village"), limit=50)
    figures = report["figures"]
    assert figures["passages"] == 50
    assert 0 < figures["one_wording_p50_ms"] <= figures["one_wording_p95_ms"]
    assert 0 < figures["two_wordings_p50_ms"] <= figures["two_wordings_p95_ms"]


async def test_only_follow_ups_are_reworded(tmp_path: Path) -> None:
    """Each way has a row over the questions that have a history; no model, no model's row."""
    report: Any = await rewriting.run(village(tmp_path / "village", **HISTORY))
    assert [row["method"] for row in report["rows"]] == ["as asked", "two turns joined", "by rule"]
    assert report["figures"]["ndcg@10 by rule"] == pytest.approx(100)


async def test_a_set_without_conversations_is_refused(tmp_path: Path) -> None:
    """Without a single history there is nothing to reword, and the error says where to put it."""
    with pytest.raises(InputError, match="no query has earlier turns") as caught:
        await rewriting.run(village(tmp_path / "village"))
    assert "metadata.history" in caught.value.hint
