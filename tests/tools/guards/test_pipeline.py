"""The rail: order, masking, and what a broken guard means."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from antiphon.tools.guards import Finding, Severity, Subject
from antiphon.tools.guards.pipeline import GuardRail
from antiphon.tools.resilience import Switches


@dataclass
class Replaces:
    """Replaces one word by another, and objects as gravely as told."""

    old: str
    new: str
    severity: Severity = "info"
    name: str = "replaces"
    critical: bool = False

    async def check(self, text: str, subject: Subject) -> Finding:
        changed = text.replace(self.old, self.new)
        return Finding(ok=changed == text, text=changed, severity=self.severity, reason="found")


@dataclass
class Breaks:
    """Raises, hangs, or returns nonsense."""

    how: str = "raise"
    critical: bool = False
    name: str = "breaks"

    async def check(self, text: str, subject: Subject) -> Finding:
        if self.how == "hang":
            await asyncio.sleep(60)
        if self.how == "nothing":
            return None  # type: ignore[return-value]
        raise ValueError(f"secret {text}")


async def test_each_guard_sees_what_the_one_before_left() -> None:
    """Changes add up in order, and each is on the record."""
    verdict = await GuardRail([Replaces("a", "b"), Replaces("b", "c")]).judge("a", Subject())
    assert (verdict.allowed, verdict.text) == (True, "c")
    assert [violation.action for violation in verdict.violations] == ["removed", "removed"]


async def test_a_critical_violation_blocks_and_stops() -> None:
    """Nothing after the blocking guard runs, and no text comes out."""
    rail = GuardRail([Replaces("a", "b", "critical"), Breaks()])
    verdict = await rail.judge("a", Subject())
    assert (verdict.allowed, verdict.text) == (False, "")
    assert [(v.guard, v.action) for v in verdict.violations] == [("replaces", "blocked")]


async def test_high_blocks_only_when_guards_are_strict() -> None:
    """The strict_guards switch turns a high violation into a block, while the rail is in use."""
    switches = Switches()
    rail = GuardRail([Replaces("a", "b", "high")], switches=switches)
    assert (await rail.judge("a", Subject())).allowed
    switches.strict_guards = True
    assert not (await rail.judge("a", Subject())).allowed


@pytest.mark.parametrize("how", ["raise", "hang", "nothing"])
@pytest.mark.parametrize("critical", [True, False])
async def test_a_broken_guard_fails_as_its_flag_says(how: str, critical: bool) -> None:
    """A critical guard that breaks blocks; another is noted and the rest goes on."""
    rail = GuardRail([Breaks(how, critical), Replaces("a", "b")], timeout_s=0.05)
    verdict = await rail.judge("a", Subject())
    assert verdict.allowed is not critical
    assert verdict.text == ("" if critical else "b")
    assert verdict.violations[0].action == "failed"
    assert "secret" not in verdict.violations[0].reason


async def test_cancellation_passes() -> None:
    """A cancelled turn is cancelled, not a failed guard."""
    task = asyncio.create_task(GuardRail([Breaks("hang")]).judge("a", Subject()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
