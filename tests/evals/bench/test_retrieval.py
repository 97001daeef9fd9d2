from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from antiphon.evals.bench import collection, retrieval
from antiphon.evals.bench.measures import auroc, averages, ndcg, quantile
from antiphon.tools.errors import InputError

PAGES = {
    "kettle": "A copper kettle whistles when the water boils, after about four minutes.",
    "lantern": "A lantern burns for 41 hours on one filling of oil.",
    "bicycle": "The bicycle repair costs 25 crowns and takes two days.",
    "ferry": "The ferry to the island leaves at seven in the morning, except on Sundays.",
    "museum": "The museum of clocks has its rarest clock on the third floor.",
    "library": "A book may be kept from the library for three weeks.",
    "garden": "The rose garden is watered every second evening in summer.",
    "bakery": "The bakery sells rye bread until it runs out, mostly before noon.",
    "tower": "The tower has 312 steps and no lift.",
    "harbour": "Boats in the harbour pay by their length.",
}
ASKED: Sequence[tuple[str, Mapping[str, object], Sequence[str]]] = [
    ("how long does a lantern burn", {"answers": ["41 hours"]}, ["lantern"]),
    ("what does the bicycle repair cost", {"answers": ["25 crowns"]}, ["bicycle"]),
    ("when does the ferry leave", {"answers": ["at seven"]}, ["ferry"]),
    ("how many steps has the tower", {}, ["tower"]),
    (
        "and how long may I keep it?",
        {"history": [{"role": "user", "content": "Can I take a book from the library?"}]},
        ["library"],
    ),
    ("who painted the ceiling of the opera", {"answerable": False}, []),
]


def written(folder: Path) -> Path:
    """Write the village's pages and questions as a BEIR folder."""
    (folder / "qrels").mkdir(parents=True)
    pages: Sequence[Mapping[str, object]] = [
        {"_id": key, "title": "", "text": text} for key, text in PAGES.items()
    ]
    queries: Sequence[Mapping[str, object]] = [
        {"_id": f"q{at}", "text": text, "metadata": metadata}
        for at, (text, metadata, _) in enumerate(ASKED)
    ]
    relevant = [f"q{at}\t{page}\t1" for at, (_, _, pages_) in enumerate(ASKED) for page in pages_]
    for name, records in (("corpus", pages), ("queries", queries)):
        lines = [json.dumps(record) for record in records]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), "utf-8")
    head = "query-id\tcorpus-id\tscore"
    (folder / "qrels" / "test.tsv").write_text("\n".join([head, *relevant]), "utf-8")
    return folder


@pytest.fixture
def village(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(tmp_path / "data"))
    return written(tmp_path / "village")


async def test_every_figure_of_the_contract_is_there(village: Path) -> None:
    """A set with history, answers and an unanswerable query has every figure, and finds all."""
    report = await retrieval.run(village)
    figures: Any = report["figures"]
    assert {
        "ndcg@10", "recall@5", "recall@10", "mrr", "query_p50_ms", "query_p95_ms", "embed_p50_ms",
        "passages_per_s", "peak_rss_mb", "abstention_auroc", "answer_containment", "answer_words",
        "answer_containment_plain", "budget_overruns", "budget_fullest", "files_passages",
        "files_outdated", "gain_over_best_peer", "gain_low_over_best_peer",
    } <= set(figures)  # fmt: skip
    assert figures["ndcg@10"] == pytest.approx(100)
    assert figures["abstention_auroc"] == 1
    assert figures["refused_answerable"] == 0
    assert figures["admitted_unanswerable"] == 0
    assert figures["answer_containment"] == 100
    assert figures["budget_overruns"] == 0
    assert 0 < figures["budget_fullest"] < 100
    assert figures["files_unread"] == 0
    assert figures["files_passages"] == len(PAGES)
    assert 0 < figures["embed_p50_ms"] < figures["query_p95_ms"]


async def test_parts_additions_and_peers_stand_side_by_side(village: Path) -> None:
    """Each row has the same measures, or says why it could not be measured."""
    report = await retrieval.run(village)
    rows: Any = report["rows"]
    methods = [row["method"] for row in rows]
    assert ["default path", "default path, as files"] == methods[:2]
    peers = {
        name + wording
        for name in (
            "bm25s", "rank-bm25", "langchain EnsembleRetriever, 20",
            "langchain EnsembleRetriever, 100", "relativeScoreFusion, 0.5",
            "relativeScoreFusion, 0.75",
        )
        for wording in ("", ", two turns joined")
    }  # fmt: skip
    assert {
        "BM25 leg", "dense leg", "RRF of the legs", "min-max of the legs", "hybrid",
        "hybrid, two turns joined", "hybrid + rewrite", *peers,
    } == set(methods[2:]) - {"ZMUV of the legs"}  # fmt: skip
    assert all({"ndcg@10", "mrr"} <= set(row) for row in rows)
    assert all({"gain", "gain_low", "gain_high"} <= set(row) for row in rows[-len(peers) :])


async def test_vectors_are_kept_between_runs_when_asked(village: Path, tmp_path: Path) -> None:
    """With `cache` the second run gives the same ranking, and still embeds to measure its speed."""
    first: Any = await retrieval.run(village, cache=True, limit=3)
    assert (tmp_path / "data" / "bench" / "village.npz").is_file()
    again: Any = await retrieval.run(village, cache=True, limit=3)
    assert first["figures"]["ndcg@10"] == again["figures"]["ndcg@10"]
    assert again["figures"]["passages_per_s"] < 2000


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("corpus.jsonl", '{"_id": "a", "text": "b"}\n{"_id": ', r"corpus.jsonl:2: not JSON"),
        ("corpus.jsonl", '\n["a"]', r"corpus.jsonl:2: not a JSON object"),
        ("corpus.jsonl", '{"_id": "a"}', r"corpus.jsonl:1: 'text' must be text"),
        ("corpus.jsonl", "", r"holds no document"),
        ("queries.jsonl", '{"text": "b"}', r"queries.jsonl:1: '_id' must be text"),
        ("queries.jsonl", '{"_id": "q", "text": "b", "metadata": 3}', r"queries.jsonl:1: 'metadat"),
        (
            "queries.jsonl",
            '{"_id": "q", "text": "b", "metadata": {"history": ["hi"]}}',
            r"queries.jsonl:1: 'metadata.history'",
        ),
        ("queries.jsonl", '{"_id": "q", "text": "b"}', r"none of 1 queries has a relevant"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq0 tower 1", r"test.tsv:2: not query-id"),
        ("qrels/test.tsv", "q0\ttower\t1\nq1\ttower\tmuch", r"test.tsv:2: not query-id"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(
    tmp_path: Path, name: str, content: str, told: str
) -> None:
    """Whoever brings their own data learns where it is wrong."""
    folder = written(tmp_path / "village")
    (folder / name).write_text(content, "utf-8")
    with pytest.raises(InputError, match=told):
        collection.read(folder)


def claims(path: Path, *rows: Mapping[str, object]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    return path


def test_labelled_claims_are_a_collection(tmp_path: Path) -> None:
    """A claim asks for the evidence that decides it, for or against; all evidence is searched."""
    lamp, rug, tower = "The lamp has five years.", "Rugs\u2028are woven.", "It has 312 steps."
    file = claims(
        tmp_path / "claims.jsonl",
        {"claim": "five years", "evidence": lamp, "label": "supported"},
        {"claim": "six years", "evidence": lamp, "label": "contradicted"},
        {"claim": "six years", "evidence": rug, "label": "unsupported"},
        {"claim": "woven", "evidence": rug, "label": "unsupported"},
        {"claim": "a tower", "evidence": tower, "label": "unsupported", "tag": "partial"},
    )
    found = collection.read(file)
    assert [lamp, rug] == [document.text for document in found.documents]
    right = {
        query.text: [found.documents[int(key)].text for key in query.relevant]
        for query in found.queries
    }
    assert {"five years": [lamp], "six years": [lamp]} == right
    assert 1 == len(collection.read(file, limit=1).queries)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"claim": "a", "label": "supported"}, "claims.jsonl:1: 'evidence' must be text"),
        ({"claim": "a", "evidence": "b", "label": 1}, "claims.jsonl:1: 'label' must be text"),
        ({"claim": "a", "evidence": "b", "label": "unsupported"}, "no claim is decided"),
    ],
)
def test_wrong_claims_are_named(tmp_path: Path, row: Mapping[str, object], told: str) -> None:
    """A file that is no such set says which line, and what a line should be."""
    with pytest.raises(InputError, match=told) as caught:
        collection.read(claims(tmp_path / "claims.jsonl", row))
    assert "claim, evidence and label" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv"])
def test_a_missing_or_undecodable_file_is_named(tmp_path: Path, name: str) -> None:
    """A file that is not there, or not UTF-8, is bad input, not a traceback."""
    folder = written(tmp_path / "village")
    (folder / name).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        collection.read(folder)
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"cannot read .*{name}.*No such file"):
        collection.read(folder)
    with pytest.raises(InputError, match="is not a folder"):
        collection.read(folder / "nowhere")


async def test_a_backend_that_is_not_there_is_bad_input(
    village: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown backend is refused, and Weaviate without an address."""
    monkeypatch.delenv("ANTIPHON_WEAVIATE_URL", raising=False)
    for backend in ("postcards", "weaviate"):
        with pytest.raises(InputError, match=backend):
            await retrieval.run(village, backend=backend)


def test_rows_of_no_gain_and_rows_without_a_header_are_read(tmp_path: Path) -> None:
    """A judgement of 0 says that a document is not relevant; the header line may be missing."""
    folder = written(tmp_path / "village")
    (folder / "qrels" / "test.tsv").write_text("q0\tlantern\t2\nq0\ttower\t0\n", "utf-8")
    assert {"lantern": 2.0} == collection.read(folder).queries[0].relevant


def test_a_set_is_in_the_language_of_most_documents(tmp_path: Path) -> None:
    """One text in another language does not change it; `language` overrules what is heard."""
    folder = written(tmp_path / "village")
    german = "Die Laterne ist für den Garten und brennt mit einer Füllung nicht die ganze Nacht."
    records = [{"_id": key, "text": german} for key in ("lantern", "tower")]
    records += [{"_id": "ferry", "text": PAGES["ferry"]}, {"_id": "price", "text": "42 99 17"}]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, records)), "utf-8")
    heard = collection.read(folder)
    assert {"de"} == {heard.language, *(one.language for one in heard.documents)}
    told = collection.read(folder, language="fr")
    assert {"fr"} == {told.language, *(one.language for one in told.documents)}


def test_ndcg_is_that_of_the_textbook() -> None:
    """Two relevant documents at ranks 2 and 3: (1/log2 3 + 1/2) / (1 + 1/log2 3)."""
    assert ndcg(["x", "a", "b"], {"a": 1.0, "b": 1.0}) == pytest.approx(0.693426, abs=1e-6)
    assert ndcg(["b", "a"], {"a": 2.0, "b": 1.0}) == pytest.approx(2.26186 / 2.63093, abs=1e-5)


def test_measures_are_means_over_judged_queries() -> None:
    """A query without a relevant document is left out of the means."""
    figures = averages([("a", "b"), ("b", "a"), ("a",)], [{"a": 1.0}, {"a": 1.0}, {}])
    assert figures["mrr"] == pytest.approx(75)
    assert figures["recall@5"] == pytest.approx(100)


def test_auroc_counts_ties_half() -> None:
    """One pair right, one tied, none wrong."""
    assert auroc([2.0, 1.0], [1.0]) == pytest.approx(0.75)


def test_quantile_names_a_value_that_occurred() -> None:
    """The 95th percentile of twenty values is the last but none."""
    assert quantile(list(range(20)), 0.95) == 19
