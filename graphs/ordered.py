"""Ids of checkpoints grow along a thread, whatever the clocks of the processes say.

LangGraph takes the highest id for the latest checkpoint, and makes ids of the time: after a clock
was put back, or on a host whose clock is behind, a new checkpoint would hide behind an old one. Its
generator never gives an id below its own last one; so before a thread is written to, it is told of
the last id that stands there.
"""

from __future__ import annotations

from uuid import UUID

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import id as ids

LAST = "_last_v6_timestamp"
"""Where LangGraph's generator keeps the time of its latest id."""


def keep_order(config: RunnableConfig) -> None:
    """Have every later id of this process be above the one that was read at `config`."""
    checkpoint_id = str(config.get("configurable", {}).get("checkpoint_id", ""))
    try:
        stamp = UUID(checkpoint_id)
    except ValueError:
        return
    value = stamp.int
    # The 60 bits of a version 6 UUID's time, in the order of their weight.
    time = ((value >> 80) << 12) | ((value >> 64) & 0x0FFF)
    last: int = getattr(ids, LAST, None) or 0
    setattr(ids, LAST, max(last, time))
