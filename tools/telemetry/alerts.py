"""Holds the latest turns against the rules: who was hit, and so how far a cause reaches.

A rule looks at each tenant's turns for themselves. Where one tenant's callers are hit, the alert is
about that tenant; where those of two are, or one caller of each of three, about the assistant.

A caller is a user. Anonymous callers share a key, and one of them may open any number of threads:
beside users of the same tenant they count as one caller. A tenant that has anonymous callers only
is counted by its threads, else nothing could ever be seen there; but as these may all be one
person's, such an alert says that its callers cannot be told apart, unless the rule is about what no
caller can bring about by words.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from antiphon.tools.telemetry.rules import RULES, Rule, looked_at
from antiphon.tools.telemetry.turn import Alert, Trial, TurnRecord

WINDOW_S = 600.0
WINDOW_TURNS = 100
"""How many of a tenant's latest turns are looked at, and how old they may be."""
MOST_TENANTS = 256
"""Beyond these, the tenant that was quiet for longest is forgotten."""
SEVERAL_TENANTS = 2
"""So many tenants, each hit as one alone would have to be, are no longer a tenant's own matter."""
MANY_TENANTS = 3
"""So many tenants with a single caller hit are neither."""
AGAINST = 2
"""Callers whose turns must go wrong before a trial of the normal way has failed."""

Key = tuple[str, str]
"""Type of incident, and item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is kept of a turn: who, when, and what it says of each matter."""

    at: float
    user: str
    thread: str
    found: dict[Key, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lately:
    """A tenant's latest turns."""

    turns: deque[Seen] = field(default_factory=lambda: deque(maxlen=WINDOW_TURNS))
    wrong: dict[Key, float] = field(default_factory=dict)
    """When each matter last went wrong: most tenants need no second look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The turns that say something of one matter, as (caller, why it went wrong)."""

    turns: tuple[tuple[str, str], ...]
    apart: bool
    """Whether the callers are told apart by their users."""

    @property
    def bad(self) -> list[tuple[str, str]]:
        """The turns that went wrong."""
        return [turn for turn in self.turns if turn[1]]

    @property
    def callers(self) -> set[str]:
        """Who was hit."""
        return {caller for caller, _ in self.bad}

    @property
    def share(self) -> float:
        """How much of the turns went wrong."""
        return len(self.bad) / len(self.turns) if self.turns else 0.0

    def without_busiest(self) -> Sample:
        """Leave out the caller that was hit most: nobody tips a scale alone."""
        busiest = Counter(caller for caller, _ in self.bad).most_common(1)
        left = tuple(turn for turn in self.turns if not busiest or turn[0] != busiest[0][0])
        return Sample(turns=left, apart=self.apart)

    def breaks(self, rule: Rule) -> bool:
        """Return whether this is too much."""
        enough = len(self.bad) >= rule.bad and len(self.turns) >= rule.turns
        if not enough or len(self.callers) < rule.callers or self.share <= rule.share:
            return False
        return rule.callers == 1 or self.without_busiest().share > rule.share


class Alerts:
    """Takes in finished turns and returns the alerts that fire.

    Each process looks at its own turns; the incidents that alerts lead to are shared.
    """

    def __init__(
        self, rules: Sequence[Rule] = RULES, *, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock` gives seconds since the epoch: incidents of other processes are compared."""
        self._rules = tuple(rules)
        self._clock = clock
        self._tenants: OrderedDict[str, Lately] = OrderedDict()
        self._fired: dict[tuple[Key, str], float] = {}
        """When each matter last fired, by tenant; an empty tenant stands for all."""

    def check(self, turn: TurnRecord) -> tuple[Alert, ...]:
        """Take in a finished turn and return the alerts that fire now."""
        if not looked_at(turn):
            return ()
        now = self._clock()
        judged = [(rule, rule.judge(turn)) for rule in self._rules]
        self._remember(
            turn.tenant,
            Seen(
                at=now,
                user=turn.user_hash,
                thread=turn.thread_hash,
                found={
                    (rule.incident, item): why
                    for rule, findings in judged
                    for item, why in findings.items()
                },
            ),
        )
        found = (
            self._alert(rule, item, turn.tenant, now)
            for rule, findings in judged
            for item, why in findings.items()
            if why
        )
        return tuple(alert for alert in found if alert is not None)

    def trial(self, incident: str, *, item: str, tenant: str, since: datetime) -> Trial:
        """Return how the turns since then went, in what an incident is about."""
        rule = next(
            each for each in self._rules if (each.incident, each.items) == (incident, bool(item))
        )
        whose = (tenant,) if tenant else tuple(self._tenants)
        turns = self._joined((incident, item), whose, since.timestamp())
        if len(turns.callers) >= AGAINST and turns.share > rule.share:
            return "failed"
        return "passed" if len(turns.turns) - len(turns.bad) >= rule.passes else "undecided"

    def _remember(self, tenant: str, seen: Seen) -> None:
        lately = self._tenants.setdefault(tenant, Lately())
        self._tenants.move_to_end(tenant)
        lately.turns.append(seen)
        lately.wrong.update((key, seen.at) for key, why in seen.found.items() if why)
        if len(self._tenants) > MOST_TENANTS:
            self._tenants.popitem(last=False)

    def _alert(self, rule: Rule, item: str, tenant: str, now: float) -> Alert | None:
        key = (rule.incident, item)
        if self._rests(key, "", now, rule.cooldown_s):
            return None
        for scope, sample in self._scopes(rule, key, tenant, now):
            if sample.breaks(rule):
                if self._rests(key, scope, now, rule.cooldown_s):
                    return None
                self._note(key, scope, now)
                return _fired(rule, item, scope, sample, tenant)
        return None

    def _scopes(
        self, rule: Rule, key: Key, tenant: str, now: float
    ) -> Iterator[tuple[str, Sample]]:
        """Yield whom the matter may be about, the widest first, with the turns that tell."""
        samples = {
            one: self._sample(key, one, now)
            for one, lately in self._tenants.items()
            if now - lately.wrong.get(key, 0.0) < WINDOW_S
        }
        hit = {one for one, sample in samples.items() if sample.bad}
        struck = {
            one
            for one, sample in samples.items()
            if sample.breaks(rule) or self._rests(key, one, now, WINDOW_S)
        }
        wide = rule.scope == "assistant"
        if wide or len(struck) >= SEVERAL_TENANTS or len(hit) >= MANY_TENANTS:
            since = max(self._fired.get((key, ""), 0.0), now - WINDOW_S)
            yield "", self._joined(key, hit | struck, since)
        if not wide:
            yield tenant, samples[tenant]

    def _sample(self, key: Key, tenant: str, now: float) -> Sample:
        """Return a tenant's turns on a matter since it last fired: what was told is not evidence.

        One more turn would else be enough for the next alert.
        """
        fired = max(self._fired.get((key, tenant), 0.0), self._fired.get((key, ""), 0.0))
        return self._joined(key, (tenant,), max(fired, now - WINDOW_S))

    def _joined(self, key: Key, tenants: Collection[str], since: float) -> Sample:
        turns: list[tuple[str, str]] = []
        apart = True
        for tenant in tenants:
            known = self._tenants[tenant].turns if tenant in self._tenants else ()
            named = any(seen.user for seen in known)
            apart = apart and named
            turns += [
                (f"{tenant}/{seen.user if named else seen.thread}", seen.found[key])
                for seen in known
                if seen.at > since and key in seen.found
            ]
        return Sample(turns=tuple(turns), apart=apart or len(tenants) >= MANY_TENANTS)

    def _rests(self, key: Key, tenant: str, now: float, within_s: float) -> bool:
        fired = self._fired.get((key, tenant))
        return fired is not None and now - fired < within_s

    def _note(self, key: Key, scope: str, now: float) -> None:
        self._fired = {each: at for each, at in self._fired.items() if now - at < WINDOW_S}
        self._fired[key, scope] = now


def _fired(rule: Rule, item: str, scope: str, sample: Sample, tenant: str) -> Alert:
    bad, turns = len(sample.bad), len(sample.turns)
    why, times = Counter(why for _, why in sample.bad).most_common(1)[0]
    return Alert(
        rule=rule.name,
        incident=rule.incident,
        severity=rule.severity,
        message=rule.message.format(item=item, bad=bad, turns=turns, share=sample.share),
        value=round(sample.share, 4),
        threshold=rule.share,
        tenant=scope,
        item=item,
        apart=sample.apart or not rule.provoked,
        details={
            "why": why if times > bad / 2 else "several causes",
            "bad": str(bad),
            "turns": str(turns),
            "callers": str(len(sample.callers)),
            "tenant": tenant,
        },
    )
