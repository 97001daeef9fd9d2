"""The bench of long lives, at a size that a test can wait for."""

from __future__ import annotations

from typing import Any

import pytest

from antiphon.evals.bench import threads


@pytest.mark.slow
async def test_every_figure_is_measured() -> None:
    """Listing, bytes and both turns have their figure, under the names that others read."""
    report: Any = await threads.run(limit=24)
    figures = report["figures"]
    assert figures["threads"] == 240
    assert 0 < figures["list_p95_ms"]
    assert 100_000 < figures["bytes_40_turns"] <= 3_000_000
    assert figures["turn_ms_growth"] == pytest.approx(
        figures["turn_ms_400"] / figures["turn_ms_4"], rel=1e-3
    )
