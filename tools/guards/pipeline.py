"""The rail: guards in a row, each seeing what the one before left.

A guard that breaks is itself a finding: fail closed where it is critical, otherwise say so, go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from antiphon.tools.guards.verdict import Finding, Guard, Subject, Verdict, Violation
from antiphon.tools.resilience import Switches

MAX_CHARS = 100_000
"""A text that is longer is no message and no answer, and is blocked unread."""


@runtime_checkable
class Slow(Protocol):
    """A guard with something to load."""

    async def prepare(self) -> None:
        """Load it."""
        ...


class GuardRail:
    """Runs guards in order and stops at the first that blocks.

    Each guard is waited for `timeout_s` at most. That holds because none works on a long text in
    the event loop (`pace`), and because no text above `max_chars` is judged: it is blocked.
    """

    def __init__(
        self,
        guards: Sequence[Guard],
        *,
        timeout_s: float = 5.0,
        max_chars: int = MAX_CHARS,
        switches: Switches | None = None,
    ) -> None:
        self._guards = tuple(guards)
        self._timeout_s = timeout_s
        self._max_chars = max_chars
        self._switches = switches or Switches()

    async def judge(self, text: str, subject: Subject) -> Verdict:
        """Run every guard in order; stop at the first critical violation. Never raises."""
        if len(text) > self._max_chars:
            return Verdict(allowed=False, text="", violations=(self._oversized(text),))
        violations: list[Violation] = []
        for guard in self._guards:
            finding = await self._run(guard, text, subject)
            if isinstance(finding, Violation):
                violations.append(finding)
                if guard.critical:
                    return Verdict(allowed=False, text="", violations=tuple(violations))
                continue
            if not finding.ok:
                violations.append(self._violation(guard, finding, text, subject.tenant))
                if violations[-1].action == "blocked":
                    return Verdict(allowed=False, text="", violations=tuple(violations))
            text = finding.text
        return Verdict(allowed=True, text=text, violations=tuple(violations))

    async def prepare(self) -> None:
        """Let slow guards load before the first turn; one that cannot is a failed guard later."""
        slow = [guard for guard in self._guards if isinstance(guard, Slow)]
        await asyncio.gather(*(guard.prepare() for guard in slow), return_exceptions=True)

    async def _run(self, guard: Guard, text: str, subject: Subject) -> Finding | Violation:
        try:
            async with asyncio.timeout(self._timeout_s):
                finding = await guard.check(text, subject)
        # Guards are other people's code (a validator, a user's module) and may raise anything. What
        # a broken guard means is decided here, by its `critical`; cancellation still passes.
        except Exception as error:  # noqa: BLE001
            return _broken(guard, type(error).__name__)
        return finding if isinstance(finding, Finding) else _broken(guard, "no finding returned")

    def _oversized(self, text: str) -> Violation:
        reason = f"{len(text)} characters, at most {self._max_chars} are judged"
        return Violation(guard="size", severity="critical", action="blocked", reason=reason)

    def _violation(self, guard: Guard, finding: Finding, before: str, tenant: str) -> Violation:
        blocks = finding.severity == "critical" or (
            finding.severity == "high" and self._switches.strict(tenant)
        )
        done = finding.action or ("noted" if finding.text == before else "removed")
        return Violation(
            guard=guard.name,
            severity=finding.severity,
            action="blocked" if blocks else done,
            reason=finding.reason,
        )


def _broken(guard: Guard, why: str) -> Violation:
    # The class of an error alone: its message may quote the text.
    return Violation(
        guard=guard.name,
        severity="critical" if guard.critical else "warning",
        action="failed",
        reason=f"the guard failed: {why}",
    )
