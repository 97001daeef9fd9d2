"""Alert rules: nothing fires on one caller, and a cause reaches no further than those it hit."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from turns import TURN, Clock

from antiphon.tools.telemetry import Alert, TurnRecord
from antiphon.tools.telemetry.alerts import WINDOW_S, Alerts
from antiphon.tools.telemetry.rules import RULES

SLOW = replace(TURN, duration_ms=10_001.0, node_ms={"respond": 9000.0, "recall": 3.0})
DEAR = replace(TURN, cost_usd=0.101)
ATTACK = replace(TURN, outcome="refused", violations=(("injection", "critical", "blocked"),))
FAILED = replace(TURN, failed=True, failure="respond: model_unavailable", outcome="degraded")
DOWN = replace(TURN, calls=(("openai:gpt-x", "model_unavailable"),))
UP = replace(TURN, calls=(("openai:gpt-x", ""),))
BROKEN = replace(TURN, tools=(("weather", False),), broken_tools=("weather",))
CUT_OFF = replace(TURN, failed=True, failure="retrieve_context: knowledge_unavailable")
CAUSES = [
    pytest.param(SLOW, "high_latency", id="latency"),
    pytest.param(DEAR, "cost_spike", id="cost"),
    pytest.param(ATTACK, "safety_violation", id="safety"),
    pytest.param(FAILED, "high_error_rate", id="errors"),
    pytest.param(BROKEN, "high_error_rate", id="tool"),
    pytest.param(DOWN, "model_outage", id="model"),
]


def by(turn: TurnRecord, user: str, *, tenant: str = "acme", thread: str = "t") -> TurnRecord:
    """Return the turn as one of a caller's; an anonymous one has no user."""
    return replace(turn, user_hash=user, tenant=tenant, thread_hash=thread)


class Watch:
    """Alerts over a clock of the test's own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.alerts = Alerts(clock=self.clock)

    def see(self, *turns: TurnRecord) -> list[Alert]:
        """Take in turns, a second apart."""
        fired: list[Alert] = []
        for turn in turns:
            self.clock.now += 1
            fired += self.alerts.check(turn)
        return fired

    def quiet(self, tenant: str = "acme", turns: int = 20) -> None:
        """Let a tenant's users have turns in which all goes well."""
        assert self.see(*(by(TURN, f"u{n % 7}", tenant=tenant) for n in range(turns))) == []


@pytest.mark.parametrize(("bad", "incident"), CAUSES)
def test_three_callers_of_a_tenant_make_an_alert_about_that_tenant(
    bad: TurnRecord, incident: str
) -> None:
    """The third caller hit is enough, and nobody else is named."""
    watch = Watch()
    watch.quiet()
    assert watch.see(by(bad, "ann"), by(bad, "bob")) == []
    (alert,) = watch.see(by(bad, "cid"))
    assert (alert.incident, alert.tenant, alert.apart) == (incident, "acme", True)
    assert "acme" not in alert.message
    assert alert.details["callers"] == "3"


@pytest.mark.parametrize(("bad", "incident"), CAUSES)
def test_one_caller_alone_never_makes_an_alert(bad: TurnRecord, incident: str) -> None:
    """However often, from however many threads, among quiet turns of others or alone."""
    watch = Watch()
    watch.quiet()
    burst = [by(bad, "mallory", thread=f"t{n}") for n in range(60)]
    assert watch.see(*burst) == []


@pytest.mark.parametrize(("bad", "incident"), CAUSES)
def test_one_caller_and_two_accidents_are_not_three_callers_share(
    bad: TurnRecord, incident: str
) -> None:
    """Without the busiest caller's turns it would be too little, so it is."""
    watch = Watch()
    others = [by(UP, f"u{n % 40}") for n in range(60)]
    others = [replace(turn, tools=(("weather", True),)) for turn in others]
    assert watch.see(*others) == []
    burst = [by(bad, "mallory") for _ in range(30)]
    assert watch.see(*burst, by(bad, "ann"), by(bad, "bob")) == []


def test_no_mixture_of_bad_turns_fires_that_would_not_without_any_one_caller() -> None:
    """A property: take any single caller out of what fired, and two others are still hit."""
    kinds = [SLOW, DEAR, ATTACK, FAILED, DOWN, BROKEN, UP, TURN, TURN, TURN]
    fired = 0
    for seed in range(200):
        rng = random.Random(seed)
        watch, seen = Watch(), list[TurnRecord]()
        for _ in range(60):
            turn = by(rng.choice(kinds), f"u{rng.randrange(5)}")
            seen.append(turn)
            for alert in watch.see(turn):
                fired += 1
                rule = next(rule for rule in RULES if rule.name == alert.rule)
                hit = {one.user_hash for one in seen if rule.judge(one).get(alert.item)}
                assert len(hit) >= 3
    assert fired > 100


def test_two_failed_turns_of_one_caller_in_twenty_do_nothing() -> None:
    """Ten percent, but of one person."""
    watch = Watch()
    watch.quiet(turns=18)
    assert watch.see(by(FAILED, "ann"), by(FAILED, "ann")) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"failed": True, "failure": "respond: model_rejected"},
        {"failed": True, "failure": "guard_input: bad_message"},
        {"failed": True, "failure": "look_up_answer: knowledge_loading"},
        {"failed": True, "failure": "retrieve_context: knowledge_missing"},
        {"failed": True, "failure": "recall: forbidden"},
        {"outcome": "cancelled"},
        {"outcome": "cancelled", "failed": True, "failure": "respond: timeout"},
        {"outcome": "awaiting_approval"},
        {"outcome": "refused"},
        {"replay": True, "failed": True, "failure": "respond: timeout"},
        {"calls": (("openai:gpt-x", "model_rejected"),)},
        {"calls": (("openai:gpt-x", "circuit"),)},
        {"tools": (("weather", False),)},
        {"violations": (("size", "critical", "blocked"),)},
        {"violations": (("injection", "high", "blocked"), ("pii", "critical", "noted"))},
    ],
    ids=str,
)
def test_what_is_nobodys_fault_does_nothing(changes: dict[str, object]) -> None:
    """Content filters, callers' mistakes, pages being read: slow and dear ones too, by many."""
    watch = Watch()
    turns = [
        replace(by(TURN, f"u{n}"), duration_ms=9_000.0, **changes)  # type: ignore[arg-type]
        for n in range(40)
    ]
    assert watch.see(*turns) == []


@pytest.mark.parametrize("outcome", ["cancelled", "awaiting_approval", "refused"])
def test_an_unfinished_turn_is_neither_slow_nor_well(outcome: str) -> None:
    """It neither counts against anybody nor thins out what does."""
    watch = Watch()
    unfinished = replace(SLOW, outcome=outcome, cost_usd=1.0)
    assert watch.see(*(by(unfinished, f"u{n}") for n in range(90))) == []
    assert [a.details["turns"] for a in watch.see(*(by(SLOW, f"u{n}") for n in range(3)))] == ["3"]


def test_slow_turns_that_fail_are_counted_as_failures_alone() -> None:
    """A turn that waited for pages and gave up says nothing of how fast models are."""
    watch = Watch()
    waited = replace(SLOW, failed=True, failure="look_up_answer: knowledge_loading")
    assert watch.see(*(by(waited, f"u{n}") for n in range(40))) == []


def test_a_crashed_turn_is_a_failure() -> None:
    """It never reached recovery, and counts all the same."""
    watch = Watch()
    watch.quiet()
    crashed = replace(TURN, outcome="failed")
    (alert,) = watch.see(*(by(crashed, f"c{n}") for n in range(3)))
    assert (alert.rule, alert.details["why"]) == ("high_error_rate", "unknown")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [({"duration_ms": 10_000.0}, "high_latency"), ({"cost_usd": 0.10}, "cost_spike")],
    ids=["10 s", "10 cents"],
)
def test_at_the_guides_limit_nothing_fires(changes: dict[str, object], rule: str) -> None:
    """The limits are exceeded, not met."""
    watch = Watch()
    turn = replace(TURN, **changes)  # type: ignore[arg-type]
    assert watch.see(*(by(turn, f"u{n}") for n in range(9))) == []


def test_five_percent_of_turns_are_still_allowed() -> None:
    """Five of a hundred do not fire, the sixth does."""
    watch = Watch()
    watch.quiet(turns=94)
    assert watch.see(*(by(SLOW, f"c{n}") for n in range(5))) == []
    (alert,) = watch.see(by(SLOW, "c5"))
    assert (alert.value, alert.threshold) == (0.06, 0.05)
    assert alert.message == "6 of 100 turns took more than 10 s."


def test_the_error_rate_waits_for_enough_turns() -> None:
    """Three failures in nineteen turns say nothing yet."""
    watch = Watch()
    watch.quiet(turns=16)
    assert watch.see(*(by(FAILED, f"c{n}") for n in range(3))) == []
    (alert,) = watch.see(by(FAILED, "c3"))
    assert alert.message == "20.0% of the latest turns failed (limit 5%)."
    assert alert.details["why"] == "respond: model_unavailable"


def test_a_cause_is_named_when_it_is_that_of_most() -> None:
    """What is done follows from it, so two timeouts among five faults are not it."""
    faults = ["respond: timeout", "recall: KeyError", "respond: timeout", "keep: TypeError"]
    for latest, why in (("respond: timeout", "respond: timeout"), ("x: y", "several causes")):
        watch = Watch()
        watch.quiet(turns=14)
        turns = [replace(FAILED, failure=each) for each in (*faults, latest, latest)]
        (alert,) = watch.see(*(by(turn, f"c{n}") for n, turn in enumerate(turns)))
        assert (alert.details["bad"], alert.details["why"]) == ("6", why)


def test_a_kept_answer_says_nothing_of_today() -> None:
    """Cached turns neither fail nor thin out those that do."""
    watch = Watch()
    kept = replace(TURN, cached=True)
    assert watch.see(*(by(kept, f"u{n}") for n in range(60))) == []
    assert len(watch.see(*(by(SLOW, f"c{n}") for n in range(3)))) == 1


class TestScope:
    def test_a_second_tenant_with_the_same_cause_raises_it_to_the_assistant(self) -> None:
        """Three callers of one are that tenant's; three of another too are everybody's."""
        watch = Watch()
        first = watch.see(*(by(SLOW, f"a{n}", tenant="acme") for n in range(3)))
        second = watch.see(*(by(SLOW, f"b{n}", tenant="beta") for n in range(3)))
        assert [alert.tenant for alert in (*first, *second)] == ["acme", ""]

    def test_an_accident_elsewhere_does_not_raise_it(self) -> None:
        """One slow turn of another tenant is no second tenant."""
        watch = Watch()
        watch.quiet("beta")
        first = watch.see(*(by(SLOW, f"a{n}", tenant="acme") for n in range(3)))
        assert watch.see(by(SLOW, "b0", tenant="beta"), by(SLOW, "b1", tenant="beta")) == []
        assert [alert.tenant for alert in first] == ["acme"]

    def test_one_caller_of_each_of_three_tenants_is_everybodys(self) -> None:
        """Tenants of one person each would else never be seen."""
        watch = Watch()
        (alert,) = watch.see(*(by(DOWN, "me", tenant=f"t{n}") for n in range(3)))
        assert (alert.tenant, alert.item, alert.apart) == ("", "openai:gpt-x", True)

    def test_other_causes_are_other_matters(self) -> None:
        """Two models, two callers each: neither is out."""
        watch = Watch()
        other = replace(TURN, calls=(("b:y", "model_unavailable"),))
        turns = [by(DOWN, "a"), by(DOWN, "b"), by(other, "c"), by(other, "d")]
        assert watch.see(*turns) == []
        assert [alert.item for alert in watch.see(by(other, "e"))] == ["b:y"]

    @pytest.mark.parametrize(("bad", "good"), [(DOWN, UP), (BROKEN, TURN)], ids=["model", "tool"])
    def test_what_works_more_often_than_not_is_not_down(
        self, bad: TurnRecord, good: TurnRecord
    ) -> None:
        """Three of three callers, but four others were served."""
        good = replace(good, tools=(("weather", True),))
        watch = Watch()
        turns = [by(good, f"g{n}") for n in range(4)] + [by(bad, f"b{n}") for n in range(3)]
        assert watch.see(*turns) == []

    def test_a_knowledge_that_is_out_is_told_of_at_once_and_is_no_error_rate(self) -> None:
        """It is the same for all; models have nothing to do with it."""
        watch = Watch()
        watch.quiet()
        fired = watch.see(*(by(CUT_OFF, f"u{n}") for n in range(20)))
        assert [(alert.rule, alert.tenant) for alert in fired] == [("knowledge_outage", "")]
        assert fired[0].details["tenant"] == "acme"


class TestAnonymous:
    def test_threads_of_anonymous_callers_beside_users_are_one_caller(self) -> None:
        """A key may open any number of threads."""
        watch = Watch()
        watch.quiet()
        assert watch.see(*(by(SLOW, "", thread=f"t{n}") for n in range(50))) == []
        assert watch.see(by(SLOW, "ann"), by(SLOW, "bob"))

    @pytest.mark.parametrize(("bad", "incident"), CAUSES)
    def test_an_anonymous_tenant_is_counted_by_threads_but_hardly_believed(
        self, bad: TurnRecord, incident: str
    ) -> None:
        """Else nothing would ever be seen; but what words bring about may be one person's."""
        watch = Watch()
        many = [by(bad, "", thread=f"t{n}") for n in range(20)]
        (alert,) = watch.see(*many)
        assert (alert.incident, alert.tenant) == (incident, "acme")
        assert alert.apart is (bad is DOWN)

    def test_one_thread_is_one_caller(self) -> None:
        """However long it is."""
        watch = Watch()
        assert watch.see(*(by(DOWN, "", thread="t") for _ in range(50))) == []


class TestTime:
    def test_old_turns_do_not_count(self) -> None:
        """Three callers within ten minutes."""
        watch = Watch()
        assert watch.see(by(DOWN, "a"), by(DOWN, "b")) == []
        watch.clock.now += WINDOW_S
        assert watch.see(by(DOWN, "c"), by(DOWN, "d")) == []
        assert len(watch.see(by(DOWN, "e"))) == 1

    def test_a_rule_rests_and_then_needs_new_evidence(self) -> None:
        """What was told is no evidence for the next alert."""
        watch = Watch()
        assert len(watch.see(*(by(SLOW, f"u{n}") for n in range(3)))) == 1
        watch.clock.now += 299
        assert watch.see(by(SLOW, "v0")) == []
        watch.clock.now += 10
        assert watch.see(by(SLOW, "v1")) == []
        assert len(watch.see(by(SLOW, "v2"))) == 1

    def test_a_knowledge_that_comes_and_goes_is_told_of_every_half_minute(self) -> None:
        """The first turn fires at once."""
        watch = Watch()
        fired = []
        for seconds in (0, 10, 20):
            watch.clock.now += seconds
            fired.append(len(watch.see(by(CUT_OFF, "a"))))
        assert fired == [1, 0, 1]

    def test_tenants_without_end_take_no_memory_without_end(self) -> None:
        """The one that was quiet for longest is forgotten."""
        watch = Watch()
        watch.see(*(by(TURN, "u", tenant=f"t{n}") for n in range(600)))
        assert len(watch.alerts._tenants) == 256


class TestTrial:
    """What the turns since the normal way was allowed again say."""

    @pytest.fixture
    def watch(self) -> Watch:
        watch = Watch()
        watch.see(*(by(SLOW, f"u{n}") for n in range(3)))
        watch.clock.now += 60
        return watch

    def trial(self, watch: Watch, since: float, **about: str) -> str:
        """Ask about latency, or about what is named."""
        about = {"incident": "high_latency", "item": "", "tenant": "acme", **about}
        moment = datetime.fromtimestamp(since, tz=UTC)
        return watch.alerts.trial(
            about["incident"], item=about["item"], tenant=about["tenant"], since=moment
        )

    def test_enough_good_turns_pass(self, watch: Watch) -> None:
        """Four say nothing, the fifth does; those before and those of others do not count."""
        began = watch.clock.now
        watch.see(*(by(TURN, "o", tenant="other") for _ in range(9)))
        watch.see(*(by(TURN, "u") for _ in range(4)))
        assert self.trial(watch, began) == "undecided"
        watch.see(by(TURN, "u"))
        assert self.trial(watch, began) == "passed"
        assert self.trial(watch, watch.clock.now) == "undecided"

    def test_two_callers_fail_it_and_one_cannot(self, watch: Watch) -> None:
        """One caller keeps no mitigation alive for the others."""
        began = watch.clock.now
        watch.see(*(by(SLOW, "mallory") for _ in range(4)))
        assert self.trial(watch, began) == "undecided"
        watch.see(by(SLOW, "ann"))
        assert self.trial(watch, began) == "failed"

    def test_of_a_tool_one_call_that_works_is_enough(self, watch: Watch) -> None:
        """As with a circuit breaker's trial."""
        began = watch.clock.now
        about = {"incident": "high_error_rate", "item": "weather"}
        watch.see(by(TURN, "u"))
        assert self.trial(watch, began, **about) == "undecided"
        watch.see(by(replace(TURN, tools=(("weather", True),)), "u"))
        assert self.trial(watch, began, **about) == "passed"
