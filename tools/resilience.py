"""When to stop trying: circuit breakers, and the switches an incident may throw."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

MOST_BREAKERS = 4096
"""Beyond these, the one that was asked for longest ago is forgotten."""


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


class Breakers:
    """A breaker for each tenant and thing: what one tenant's calls bring about reaches no other.

    That a thing is down for everyone is for incidents to say, which hear of several callers.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of: OrderedDict[tuple[str, str], Breaker] = OrderedDict()

    def of(self, name: str, tenant: str) -> Breaker:
        """Return the breaker of a tool or a model as one tenant calls it."""
        breaker = self._of.setdefault((name, tenant), Breaker(clock=self._clock))
        self._of.move_to_end((name, tenant))
        if len(self._of) > MOST_BREAKERS:
            self._of.popitem(last=False)
        return breaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One thing turned off or on for a tenant, or for all of them."""

    name: Literal[
        "degraded",
        "prefer_cheap",
        "prefer_fast",
        "strict_guards",
        "disabled_models",
        "frozen_tools",
    ]
    item: str = ""
    """The model or the tool, where the switch is about one."""
    tenant: str = ""
    """Empty: every tenant."""


@dataclass(slots=True, kw_only=True)
class Switches:
    """What incidents have turned off or on; whoever follows their log sets it, the others obey.

    Every question names the tenant that asks: what one tenant brought about reaches no other.
    """

    thrown: frozenset[Switch] = frozenset()

    def degraded(self, tenant: str) -> bool:
        """Return whether the extractive model alone may answer."""
        return self._on(tenant, "degraded")

    def strict(self, tenant: str) -> bool:
        """Return whether a high violation counts as critical."""
        return self._on(tenant, "strict_guards")

    def prefer(self, tenant: str) -> Literal["cheap", "fast", ""]:
        """Return whether price or speed alone chooses the model; empty when neither does."""
        if self._on(tenant, "prefer_cheap"):
            return "cheap"
        return "fast" if self._on(tenant, "prefer_fast") else ""

    def disabled(self, model: str, tenant: str) -> bool:
        """Return whether the model may not be chosen."""
        return self._on(tenant, "disabled_models", model)

    def frozen(self, tool: str, tenant: str) -> bool:
        """Return whether the tool may not run."""
        return self._on(tenant, "frozen_tools", tool)

    def _on(self, tenant: str, name: str, item: str = "") -> bool:
        return any(
            (switch.name, switch.item) == (name, item) and switch.tenant in ("", tenant)
            for switch in self.thrown
        )
