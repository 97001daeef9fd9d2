"""The baseline that the project is gated on is of the golden set that it has."""

from __future__ import annotations

import json
from pathlib import Path

from antiphon.evals.fingerprint import content_hash
from antiphon.evals.golden import load_golden
from antiphon.evals.regression import gate

ROOT = Path(__file__).parents[2]


def test_the_baseline_fits_the_golden_set() -> None:
    """Else no line that was added since is judged, and each one that was changed fails the gate."""
    report = json.loads((ROOT / "evals/baselines/help_centre.json").read_text("utf-8"))
    examples = load_golden(ROOT / "examples/help_centre/golden.jsonl")
    assert report["fingerprint"]["examples"] == {each.id: content_hash(each) for each in examples}
    assert report["fingerprint"]["varies"] is False
    assert gate(report, report).passed
