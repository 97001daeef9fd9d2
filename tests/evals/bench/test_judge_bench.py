"""The bench of judges: agreement with people, and of a language model with labelled claims."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from langchain_core.messages import BaseMessage

from antiphon.evals.bench import judge as bench
from antiphon.tools.errors import InputError
from antiphon.tools.models.fake import ScriptedModel

PAGES = [
    "Parcels to Norway arrive after 4 working days, and delivery is free from 150 EUR.",
    "Lamps are repaired in our workshop in Bergen, which takes two weeks in most cases.",
    "A guest may cancel a tour until noon of the day before, and pays nothing then.",
    "The museum lends audio guides at the desk, for a deposit that is paid back.",
]
OTHERS = "Our gardens were laid out by monks and hold many roses of every old kind there is."


def rated(path: Path) -> Path:
    """Write answers of which those that stand in the page are rated well, those half there less."""
    lines = []
    for number, page in enumerate(PAGES):
        half = f"{page.partition(',')[0]}. {OTHERS}"
        for system, answer, rating in (
            ("reference", page, 4), ("a", half, 3), ("b", OTHERS, 1), ("c", page, 4)
        ):  # fmt: skip
            lines.append(
                {
                    "task": str(number), "system": system, "passages": [page], "answer": answer,
                    "messages": [{"role": "user", "content": "What holds?"}], "reference": page,
                    "human": {"faithfulness": rating, "completeness": rating},
                    "peer_scores": {"random": number % 2},
                }
            )  # fmt: skip
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


CLAIMS = [
    ("Parcels to Norway need four working days to arrive.", PAGES[0], "supported"),
    ("Parcels to Norway arrive after 9 working days.", PAGES[0], "contradicted"),
    ("Repairs of lamps are free of charge for students.", PAGES[1], "unsupported"),
    ("A tour may be cancelled up to noon of the previous day.", PAGES[2], "supported"),
]


def labelled(path: Path) -> Path:
    """Write labelled claims."""
    lines = [
        {"claim": claim, "evidence": page, "label": label, "family": "shop"}
        for claim, page, label in CLAIMS
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


async def test_judges_are_held_against_people(tmp_path: Path) -> None:
    """Ours and the file's, with intervals and by halves; the five see no model's own answer."""
    report = await bench.run(rated(tmp_path / "rated.jsonl"))
    figures, rows = report["figures"], report["rows"]
    assert isinstance(figures, dict)
    assert isinstance(rows, list)
    assert figures["rows"] == 16
    assert figures["spearman:faithfulness"] > 0.9
    assert figures["spearman:faithfulness:low"] <= figures["spearman:faithfulness"]
    assert abs(figures["spearman:faithfulness:random"]) < 0.1
    assert figures["spearman:completeness"] > 0.5
    counts = {(line["rating"], line["by"]): line["rows"] for line in rows}
    assert counts["faithfulness", "faithfulness"] == counts["faithfulness", "random"] == 16
    assert counts["completeness", "helpfulness"] == 12
    assert (await bench.run(rated(tmp_path / "rated.jsonl"), limit=4))["figures"] != figures


async def test_a_language_model_is_held_against_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is right but for one claim: accuracy, kappa, what it makes of open claims."""
    verdicts = {
        CLAIMS[0][0]: "supported", CLAIMS[1][0]: "contradicted", CLAIMS[2][0]: "not found",
        CLAIMS[3][0]: "contradicted",
    }  # fmt: skip

    def says(messages: Sequence[BaseMessage]) -> str:
        prompt = messages[0].text
        ((number, claim),) = re.findall(r'<claim number="(\d+)">(.*?)</claim>', prompt)
        verdict = verdicts[claim]
        page = next(page for said, page, _ in CLAIMS if said == claim)
        quote = "" if verdict == "not found" else page[:40].rpartition(" ")[0]
        entry = {"claim": int(number), "quote": quote, "verdict": verdict}
        return json.dumps({"verdicts": [entry]})

    model = ScriptedModel([says] * 8)
    monkeypatch.setattr(bench, "connect", lambda *_, **__: model)
    report = await bench.run(
        rated(tmp_path / "rated.jsonl"),
        model="openai:some",
        claims=labelled(tmp_path / "claims.jsonl"),
    )
    figures = report["figures"]
    assert isinstance(figures, dict)
    assert (figures["judge:claims"], figures["judge:decided"]) == (4, 1)
    assert figures["judge:accuracy"] == 0.75
    assert 0.5 < figures["judge:kappa"] < 0.75
    assert figures["judge:flips_right"] + figures["judge:flips_wrong"] == pytest.approx(
        4 * figures["judge:asked"]
    )
    assert len(model.prompts) == 8


async def test_what_is_missing_or_malformed_is_said(tmp_path: Path) -> None:
    """Before anything is judged."""
    data = rated(tmp_path / "rated.jsonl")
    with pytest.raises(InputError, match="--model judges the claims of --claims"):
        await bench.run(data, model="local")
    claims = tmp_path / "claims.jsonl"
    claims.write_text('{"claim": "A", "evidence": "B", "label": "true"}', encoding="utf-8")
    with pytest.raises(InputError, match="holds no labelled claims"):
        await bench.run(data, limit=1, model="openai:some", claims=claims)


DATA = Path(__file__).parents[4] / "shared" / "data" / "judge" / "mtrag.jsonl"


@pytest.mark.slow
async def test_our_faithfulness_agrees_with_people_better_than_published_judges() -> None:
    """On the rated answers of a public benchmark, where they are."""
    if not DATA.exists():
        pytest.skip("the rated answers of MT-RAG are not here")
    figures = (await bench.run(DATA, limit=60))["figures"]
    assert isinstance(figures, dict)
    assert figures["spearman:faithfulness"] > figures["spearman:faithfulness:rl_f"]
