"""The life of a turn on record: whose thread, who may run it, what it did, what it cost."""

from antiphon.tools.turns.current import CURRENT, Running
from antiphon.tools.turns.records import (
    Call,
    Decided,
    Effect,
    EffectState,
    Lease,
    Opened,
    ThreadRecord,
    TurnEntry,
    Turns,
    TurnState,
)

__all__ = [
    "CURRENT",
    "Call",
    "Decided",
    "Effect",
    "EffectState",
    "Lease",
    "Opened",
    "Running",
    "ThreadRecord",
    "TurnEntry",
    "TurnState",
    "Turns",
]
