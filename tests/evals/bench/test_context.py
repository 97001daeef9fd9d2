"""The context bench compares packing with the plain greedy cut, on the same passages."""

from __future__ import annotations

import json
from pathlib import Path

from antiphon.evals.bench.collection import Query
from antiphon.evals.bench.context import compared, greedy_cut, run
from antiphon.tools.retrieval.passages import Hit, Passage
from antiphon.tools.tokens import ApproximateCounter

TOKENS = ApproximateCounter()


def hit(key: str, score: float, text: str) -> Hit:
    passage = Passage(id=key, source=key, title=key, heading="", text=text, start=0, end=len(text))
    return Hit(passage=passage, score=score)


def prose(name: str, sentences: int) -> str:
    return " ".join(f"The {name} has property {name}{n} here." for n in range(sentences))


def test_what_the_greedy_cut_loses_is_counted() -> None:
    """A gold passage behind a long one is kept by packing, and no budget is overrun."""
    long, gold = hit("long", 0.9, prose("ant", 80)), hit("gold", 0.8, prose("bee", 40))
    query = Query(text="what has the bee", relevant={"gold": 1.0}, answers=("property bee3",))

    figures, rows = compared([query], [[long, gold]], TOKENS)

    assert ("long",) == tuple(
        c.source for c in greedy_cut([long, gold], budget_tokens=1000, tokens=TOKENS)
    )
    assert (0.0, 100.0) == (figures["greedy@1k"], figures["kept@1k"])
    assert (0.0, 100.0) == (figures["greedy@1k_answers"], figures["kept@1k_answers"])
    assert 100.0 == figures["greedy@4k"] == figures["kept@4k_text"]
    assert 0 == figures["overruns"]
    assert 6 == len(rows)


async def test_a_folder_is_searched_and_packed(tmp_path: Path) -> None:
    """From a BEIR folder to the report, through the product's own search."""
    corpus = [
        {"_id": "a", "title": "Lamps", "text": "Lamps have a warranty of two years."},
        {"_id": "b", "title": "Rugs", "text": "Rugs are washed at thirty degrees."},
    ]
    query = {"_id": "q", "text": "How long is the warranty of lamps?", "metadata": {}}
    (tmp_path / "corpus.jsonl").write_text("\n".join(map(json.dumps, corpus)), "utf-8")
    (tmp_path / "queries.jsonl").write_text(json.dumps(query), "utf-8")
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta\t1\n")

    report = await run(tmp_path)

    assert "context" == report["bench"]
    figures = report["figures"]
    assert isinstance(figures, dict)
    assert 100.0 == figures["kept@1k"] == figures["greedy@1k"]
