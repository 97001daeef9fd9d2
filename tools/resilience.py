"""When to stop trying: circuit breakers, and the switches an incident may throw."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(slots=True, kw_only=True)
class Breaker:
    """Closed until `failures` in a row, then open for `cooldown_s`, then one trial at a time.

    The three states are those of Nygard, *Release It!* (2007).
    """

    failures: int = 5
    cooldown_s: float = 30.0
    clock: Callable[[], float] = time.monotonic
    _count: int = 0
    _opened_at: float | None = None
    _trial: bool = False

    @property
    def state(self) -> Literal["closed", "open", "half_open"]:
        """Where the breaker stands now."""
        if self._opened_at is None:
            return "closed"
        return "half_open" if self.clock() - self._opened_at >= self.cooldown_s else "open"

    def admit(self) -> bool:
        """Return whether a call may go out now; in half-open only the first caller may."""
        state = self.state
        if state == "half_open" and not self._trial:
            self._trial = True
            return True
        return state == "closed"

    def succeed(self) -> None:
        """Note a success: the breaker closes."""
        self._count, self._opened_at, self._trial = 0, None, False

    def fail(self) -> None:
        """Note a failure: the breaker opens at the limit, and at once after a failed trial."""
        self._count += 1
        if self._trial or self._count >= self.failures:
            self._opened_at, self._trial = self.clock(), False


@dataclass(slots=True, kw_only=True)
class Switches:
    """What operations have turned off or on, in this process; mitigation flips, nodes obey."""

    disabled_models: set[str] = field(default_factory=set)
    frozen_tools: set[str] = field(default_factory=set)
    degraded: bool = False
    """Answer with the extractive model only."""
    prefer_cheap: bool = False
    """Route by cost alone."""
    prefer_fast: bool = False
    """Route by latency alone."""
    strict_guards: bool = False
    """Treat a high violation as critical."""
