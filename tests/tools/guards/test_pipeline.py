"""The rail: order, masking, and what a broken guard means."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from antiphon.tools.guards import Finding, Guard, Severity, Subject
from antiphon.tools.guards.grounding import Grounding
from antiphon.tools.guards.injection import Injection
from antiphon.tools.guards.links import Links
from antiphon.tools.guards.personal import PersonalData
from antiphon.tools.guards.pipeline import GuardRail
from antiphon.tools.privacy import PatternDetector
from antiphon.tools.resilience import Switch, Switches


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
    """The switch turns a high violation into a block while the rail is in use, for its tenant."""
    switches = Switches()
    rail = GuardRail([Replaces("a", "b", "high")], switches=switches)
    assert (await rail.judge("a", Subject())).allowed
    switches.thrown = frozenset({Switch(name="strict_guards", tenant="acme")})
    assert not (await rail.judge("a", Subject(tenant="acme"))).allowed
    assert (await rail.judge("a", Subject(tenant="other"))).allowed
    switches.thrown = frozenset({Switch(name="strict_guards")})
    assert not (await rail.judge("a", Subject(tenant="other"))).allowed


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


async def test_a_text_beyond_the_limit_is_blocked_unread() -> None:
    """A draft of a megabyte fails closed before any guard sees it, and the record says why."""
    verdict = await GuardRail([Breaks(critical=False)]).judge("a" * 1_000_000, Subject())
    assert (verdict.allowed, verdict.text) == (False, "")
    assert [(v.guard, v.action) for v in verdict.violations] == [("size", "blocked")]
    assert (await GuardRail([], max_chars=10).judge("a" * 10, Subject())).allowed


@pytest.mark.parametrize(
    ("guard", "text"),
    [
        (Links(), "[a](https://evil.example/x) " * 2000),
        (Injection(), "you are a " * 5000),
        (PersonalData(PatternDetector()), "ana@example.org 030 123456 " * 2000),
        (Grounding(), "A lamp is returned. " * 2500),
    ],
    ids=["links", "injection", "pii", "grounding"],
)
async def test_other_turns_go_on_while_a_long_text_is_judged(guard: Guard, text: str) -> None:
    """No guard works on a long text in the event loop."""
    rail = GuardRail([guard], timeout_s=30)
    subject = Subject(evidence=(text,), expects_evidence=True)
    judging = asyncio.create_task(rail.judge(text, subject))
    ticks = 0
    while not judging.done():
        await asyncio.sleep(0)
        ticks += 1
    assert "failed" not in {violation.action for violation in (await judging).violations}
    assert ticks > 3


async def test_a_guard_that_is_slow_on_a_long_text_is_not_waited_for() -> None:
    """The deadline holds for work in a thread too; a critical guard then blocks."""
    rail = GuardRail([Injection()], timeout_s=0.001)
    verdict = await rail.judge("you are a " * 9000, Subject())
    assert not verdict.allowed
    assert verdict.violations[0].action == "failed"
