"""Ids of checkpoints: above the last that was read, whatever the clock says."""

from __future__ import annotations

import time

import pytest
from langgraph.checkpoint.base import id as ids

from antiphon.graphs.ordered import LAST, keep_order


def test_an_id_comes_after_one_of_a_clock_that_is_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a host that is behind, or after a clock was put back; nonsense changes nothing."""
    monkeypatch.setattr(ids, LAST, None)
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 3600 * 10**9)
    ahead = str(ids.uuid6())
    monkeypatch.setattr(ids, LAST, None)
    monkeypatch.setattr(time, "time_ns", lambda: now)
    assert str(ids.uuid6()) < ahead
    keep_order({"configurable": {"checkpoint_id": ahead}})
    keep_order({"configurable": {}})
    keep_order({"configurable": {"checkpoint_id": "nonsense"}})
    assert str(ids.uuid6()) > ahead
