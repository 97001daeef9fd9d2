from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from lantern import Shop

from antiphon.gateway.cli import search as command
from antiphon.tools.retrieval import Hit, Passage
from antiphon.tools.retrieval.context import pack
from antiphon.tools.retrieval.passages import Where
from antiphon.tools.retrieval.search import Found, Stage
from antiphon.tools.retrieval.versions import Dropped
from antiphon.tools.tokens import ApproximateCounter

OIL = Passage(
    id="oil",
    source="guides/oil.md",
    title="Lamp oil",
    heading="Filling",
    text="Fill the lantern to the line. One filling burns for 41 hours. " * 12,
    start=10,
    end=760,
)
WICK = replace(OIL, id="wick", source="guides/wick.md", heading="Wicks", text="Trim the wick.")
OLD = replace(OIL, id="old", source="archive/oil.md", updated="2001-02-03")
FAR = replace(WICK, id="far", source="tools.md", text="Hammers and tongs.")


def explained(*hits: Hit, dropped: Sequence[Dropped] = (), answers: bool = True) -> command.Search:
    """Return a search that found these."""
    ranking = tuple((hit.passage.id, hit.score) for hit in hits)
    return command.Search(
        query="how long does it burn",
        where=Where(sources=("guides/",)),
        found=Found(
            hits=hits,
            dropped=tuple(dropped),
            stages=(
                Stage(name="search", ranking=ranking, ms=3.2, query="how long does it burn"),
                Stage(name="rerank", ranking=ranking[::-1], ms=9.0, note="a slow one"),
            ),
        ),
        cards=pack(hits, budget_tokens=180, tokens=ApproximateCounter()),
        budget_tokens=180,
        confidence=0.8 if answers else 0.2,
        min_confidence=0.5,
    )


@pytest.fixture
def found() -> command.Search:
    return explained(
        Hit(passage=OIL, score=1.0, bm25=7.25, cosine=0.5, keyword_rank=1, dense_rank=2),
        Hit(passage=WICK, score=0.25, cosine=0.625, dense_rank=1),
        dropped=[
            Dropped(hit=Hit(passage=OLD, score=0.5), reason="older", kept="oil"),
            Dropped(hit=Hit(passage=FAR, score=0.125), reason="beyond_limit"),
        ],
    )


def test_explain_shows_each_leg_and_what_became_of_it(
    found: command.Search, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ranks and scores of both legs, the fusion, the reranking and the card stand in one line."""
    command._explain(found)
    out = capsys.readouterr().out
    first = next(line for line in out.splitlines() if "Lamp oil > Filling" in line)
    for told in ("#1 7.250", "#2 0.500", "#1 1.000", "#2 1.000", "[1]", "cut"):
        assert told in first
    second = next(line for line in out.splitlines() if "Lamp oil > Wicks" in line)
    assert " - " in second
    assert "guides/oil.md:10-760" in out
    assert 'search   2 passages, 3.2 ms "how long does it burn"' in out
    assert "a slow one" in out


def test_explain_says_what_was_left_out_and_why(
    found: command.Search, capsys: pytest.CaptureFixture[str]
) -> None:
    """A repeated or outdated passage is named with the one that stands for it."""
    command._explain(found)
    out = capsys.readouterr().out
    assert "archive/oil.md:10-760 is an older version of 1." in out
    assert "1 beyond the limit, the first of them tools.md" in out
    assert "confidence 0.80 (at least 0.50): a turn would answer" in out
    assert "of 180 tokens" in out


def test_json_has_all_that_the_table_shows(found: command.Search) -> None:
    """Scripts get ranks, scores, stages, reasons and the packing under stable names."""
    told = command._told(found, explain=True)
    hits = told["hits"]
    assert isinstance(hits, list)
    assert (1, 7.25, 2, 0.5) == tuple(
        hits[0][name] for name in ("keyword_rank", "bm25", "dense_rank", "cosine")
    )
    assert (True, 1) == (hits[0]["cut"], hits[0]["card"])
    assert told["dropped"] == [
        {**command._place(OLD), "score": 0.5, "reason": "older", "kept": "oil"},
        {**command._place(FAR), "score": 0.125, "reason": "beyond_limit", "kept": None},
    ]
    assert {"where", "stages", "context", "min_confidence"} <= set(told)
    assert {"query", "confidence", "answers", "hits"} == set(command._told(found, explain=False))


def test_a_turn_that_would_abstain_is_said_to(capsys: pytest.CaptureFixture[str]) -> None:
    """Below the assistant's least confidence, or with nothing found, no answer is promised."""
    command._show(explained(Hit(passage=WICK, score=1.0), answers=False))
    assert "would say that it does not know" in capsys.readouterr().out
    command._show(explained())
    assert "Nothing found.\n" == capsys.readouterr().out
    assert not explained().answers


def test_text_of_a_document_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences in titles and texts are taken out, in both forms."""
    evil = replace(WICK, title="\x1b[2Jgone", text="\x1b]0;owned\x07 wick")
    result = explained(Hit(passage=evil, score=1.0))
    command._show(result)
    command._explain(result)
    assert "\x1b]" not in (out := capsys.readouterr().out)
    assert "\x1b[2J" not in out


def test_filters_reach_the_search(lanterns: Shop) -> None:
    """--source and --language narrow what is found, and --explain repeats them."""
    given = ("search", "copper lantern", "--explain")
    everything = lanterns.here(*given).json
    assert everything["hits"][0]["keyword_rank"] == 1
    source = everything["hits"][0]["source"]
    assert lanterns.here(*given, "--source", source).json["hits"]
    nothing = lanterns.here(*given, "--source", "elsewhere/").json
    assert ([], ["elsewhere/"]) == (nothing["hits"], nothing["where"]["sources"])
    assert lanterns.here(*given, "--language", "de").json["hits"] == []
    assert lanterns.here(*given, "--since", "soon").error["code"] == "bad_input"
