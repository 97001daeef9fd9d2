"""The context bench compares packing with the plain ways, on the same passages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from antiphon.evals.bench.collection import Query
from antiphon.evals.bench.context import compared, cut_off, run, whole_ones
from antiphon.evals.bench.counting import against_budgets, model_count
from antiphon.tools.retrieval.passages import Hit, Passage
from antiphon.tools.tokens import ApproximateCounter

TOKENS = ApproximateCounter()


def hit(key: str, score: float, text: str) -> Hit:
    passage = Passage(id=key, source=key, title=key, heading="", text=text, start=0, end=len(text))
    return Hit(passage=passage, score=score)


def prose(name: str, sentences: int) -> str:
    return " ".join(f"The {name} has property {name}{n} here." for n in range(sentences))


LONG, GOLD = hit("long", 0.9, prose("ant", 80)), hit("gold", 0.8, prose("bee", 40))
LAST = hit("last", 0.7, "A short one.")


def test_what_the_plain_ways_lose_is_counted() -> None:
    """Of a gold passage behind a long one packing keeps what is asked about; the others cannot."""
    query = Query(text="what is bee39", relevant={"gold": 1.0}, answers=("property bee39",))

    figures, rows = compared([query], [[LONG, GOLD]], TOKENS, TOKENS.count)

    assert (0.0, 100.0, 100.0) == tuple(figures[f"{way}@1k"] for way in ("greedy", "cut", "kept"))
    assert (0.0, 0.0, 100.0) == tuple(
        figures[f"{way}@1k_answers"] for way in ("greedy", "cut", "kept")
    )
    assert 100.0 == figures["greedy@4k"] == figures["cut@4k_text"] == figures["kept@4k_text"]
    assert 0 == figures["budget_overruns"]
    assert 9 == len(rows)


def test_the_plain_ways_fill_the_budget_too() -> None:
    """One goes on to what still fits, one gives its last passage what is left, no more."""
    hits = [LONG, GOLD, LAST]
    whole = whole_ones(hits, budget_tokens=1000, tokens=TOKENS)
    assert ["long", "last"] == [card.source for card in whole]
    cut = cut_off(hits, budget_tokens=1000, tokens=TOKENS)
    assert ["long", "gold"] == [card.source for card in cut]
    assert GOLD.passage.text.startswith(cut[1].text)
    left = 1000 - cut[0].tokens
    assert 0.5 * left < TOKENS.count(cut[1].text) <= left


def test_a_budget_kept_by_an_estimate_can_be_overrun_by_a_models_count() -> None:
    """A table of figures takes more tokens than a quarter of its characters; prose takes fewer."""
    count = model_count()
    table = "| 17 | 4.95 | #A-9 | 3/8 |\n" * 40
    plain = "The lamp that you ordered is on its way to you from our warehouse. " * 20
    assert TOKENS.count(table) < count(table)
    assert count(plain) < TOKENS.count(plain)
    filled = against_budgets({TOKENS.count(table): [table], TOKENS.count(plain): [plain]}, count)
    assert 50 == filled["budget_overruns"]
    assert filled["budget_fullest"] == pytest.approx(100 * count(table) / TOKENS.count(table))


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
    assert 100.0 == figures["kept@1k"] == figures["greedy@1k"] == figures["cut@1k"]
    assert 0 == figures["budget_overruns"]
