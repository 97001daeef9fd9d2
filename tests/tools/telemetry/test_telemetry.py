"""One finished turn: counted, logged without its words, stored, held against the rules."""

from __future__ import annotations

import io
import json
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from antiphon.tools.errors import StorageUnwritable
from antiphon.tools.resilience import Switches
from antiphon.tools.telemetry import Alert, TurnRecord
from antiphon.tools.telemetry.alerts import Alerts
from antiphon.tools.telemetry.incidents import Incident, IncidentLog, Switch, restore
from antiphon.tools.telemetry.jsonl import append_line, read_lines
from antiphon.tools.telemetry.logs import build_log
from antiphon.tools.telemetry.metrics import Metrics
from antiphon.tools.telemetry.notify import WebhookNotifier, build_notifier
from antiphon.tools.telemetry.record import TurnTelemetry, build_telemetry, load_hash_key

TURN = TurnRecord(
    turn="t1",
    tenant="acme",
    thread_hash="a",
    user_hash="b",
    question_hash="c",
    answer_hash="d",
    intent="shipping",
    outcome="answered",
    model="extractive",
    path=("guard_input", "respond"),
    node_ms={"guard_input": 2.0, "respond": 40.0},
    duration_ms=50.0,
    input_tokens=120,
    output_tokens=30,
    cost_usd=0.002,
    violations=(("pii", "warning", "masked"),),
    tools=(("order_status", True), ("order_status", False)),
    failed=False,
)


class Clock:
    """Seconds that a test moves by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def telemetry(
    records: Path | None = None,
    *,
    registry: CollectorRegistry | None = None,
    stream: io.StringIO | None = None,
) -> TurnTelemetry:
    """Return telemetry over a registry, a log and a file of the test's own."""
    return TurnTelemetry(
        metrics=Metrics(registry or CollectorRegistry()),
        log=build_log(level="info", form="json", stream=stream or io.StringIO()),
        alerts=Alerts(clock=Clock()),
        records=records,
        hash_key=b"k" * 32,
        clock=lambda: datetime(2026, 1, 2, tzinfo=UTC),
    )


class TestMetrics:
    def test_a_turn_moves_every_figure(self) -> None:
        """Outcome, tokens, cost, violations, tools, recovery and cache are all counted."""
        registry = CollectorRegistry()
        turn = replace(TURN, failed=True, failure="respond: model_unavailable", cached=True)
        Metrics(registry).observe(turn)
        expected = {
            ("antiphon_turns_total", ("outcome", "answered")): 1,
            ("antiphon_tokens_total", ("direction", "input"), ("model", "extractive")): 120,
            ("antiphon_tokens_total", ("direction", "output"), ("model", "extractive")): 30,
            ("antiphon_cost_usd_total", ("model", "extractive")): 0.002,
            (
                "antiphon_violations_total",
                ("guard", "pii"),
                ("severity", "warning"),
                ("action", "masked"),
            ): 1,
            ("antiphon_tool_calls_total", ("tool", "order_status"), ("ok", "true")): 1,
            ("antiphon_tool_calls_total", ("tool", "order_status"), ("ok", "false")): 1,
            ("antiphon_recoveries_total", ("code", "model_unavailable")): 1,
            ("antiphon_cache_hits_total",): 1,
            ("antiphon_turn_seconds_count",): 1,
            ("antiphon_turn_seconds_sum",): 0.05,
            ("antiphon_node_seconds_sum", ("node", "respond")): 0.04,
        }
        found = {
            key: registry.get_sample_value(key[0], dict(key[1:]))  # type: ignore[arg-type]
            for key in expected
        }
        assert expected == found

    def test_two_metrics_over_one_registry_count_together(self) -> None:
        """A second runtime in the same process neither fails nor starts again from nought."""
        registry = CollectorRegistry()
        Metrics(registry).observe(TURN)
        Metrics(registry).observe(TURN)
        assert registry.get_sample_value("antiphon_turns_total", {"outcome": "answered"}) == 2

    def test_the_page_is_the_registry_in_text(self) -> None:
        """The scrape page holds our figures under a Prometheus content type."""
        metrics = Metrics(CollectorRegistry())
        metrics.observe(TURN)
        body, kind = metrics.page()
        assert b'antiphon_turns_total{outcome="answered"} 1.0' in body
        assert kind.startswith("text/plain")

    def test_no_tenant_or_thread_becomes_a_label(self) -> None:
        """What has no bound stays out of the labels."""
        metrics = Metrics(CollectorRegistry())
        metrics.observe(TURN)
        assert b"acme" not in metrics.page()[0]


class TestLogs:
    def test_json_lines_carry_level_time_and_fields(self) -> None:
        """A JSON line can be read by machines."""
        out = io.StringIO()
        build_log(level="info", form="json", stream=out).info("turn", cost_usd=0.1)
        line = json.loads(out.getvalue())
        assert (line["event"], line["level"], line["cost_usd"]) == ("turn", "info", 0.1)
        assert line["timestamp"].endswith("Z")

    def test_lines_below_the_level_are_not_written(self) -> None:
        """The level is the least severe line."""
        out = io.StringIO()
        build_log(level="error", form="json", stream=out).warning("alert")
        assert out.getvalue() == ""

    @pytest.mark.parametrize("form", ["json", "console"])
    def test_words_and_secrets_are_withheld_by_name(self, form: str) -> None:
        """A careless caller does not leak a message or a key."""
        out = io.StringIO()
        log = build_log(level="info", form="json" if form == "json" else "console", stream=out)
        log.info("turn", text="my secret plan", API_KEY="sk-123", turn="t1")
        assert "my secret plan" not in out.getvalue()
        assert "sk-123" not in out.getvalue()
        assert "t1" in out.getvalue()


class TestRecord:
    async def test_a_turn_becomes_one_line_on_disk(self, tmp_path: Path) -> None:
        """Each turn is one JSON line, readable by its owner only."""
        path = tmp_path / "deep" / "turns.jsonl"
        reporter = telemetry(path)
        await reporter.record(TURN)
        await reporter.record(replace(TURN, turn="t2"))
        lines = list(read_lines(path))
        assert [line["turn"] for line in lines] == ["t1", "t2"]
        assert lines[0]["at"] == "2026-01-02T00:00:00.000+00:00"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    async def test_an_unwritable_disk_is_logged_and_the_turn_goes_on(self, tmp_path: Path) -> None:
        """The record may be lost; the metrics and the alerts are not."""
        (tmp_path / "file").write_text("")
        out = io.StringIO()
        reporter = telemetry(tmp_path / "file" / "turns.jsonl", stream=out)
        alerts = await reporter.record(replace(TURN, duration_ms=12_000))
        assert [alert.rule for alert in alerts] == ["high_latency"]
        assert "turn record was not written" in out.getvalue()

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
    async def test_a_full_disk_is_logged_too(self) -> None:
        """ENOSPC is no reason to fail a turn."""
        out = io.StringIO()
        await telemetry(Path("/dev/full"), stream=out).record(TURN)
        assert "No space left" in out.getvalue()

    async def test_turn_and_alert_are_logged(self) -> None:
        """One line for the turn, one for each alert."""
        out = io.StringIO()
        await telemetry(stream=out).record(replace(TURN, cost_usd=0.5))
        events = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
        assert events == ["turn", "alert"]

    def test_hashes_tell_equal_texts_without_telling_the_text(self) -> None:
        """Same text, same key: same hash; another key: another hash; nothing: nothing."""
        first, second = (
            telemetry(),
            build_telemetry(
                data_dir=None,
                log=build_log(),
                hash_key=b"other",
                metrics=Metrics(CollectorRegistry()),
            ),
        )
        assert first.hash("hello") == first.hash("hello")
        assert first.hash("hello") != second.hash("hello")
        assert first.hash("hello") != first.hash("hello ")
        assert first.hash("") == ""

    def test_the_hash_key_is_made_once(self, tmp_path: Path) -> None:
        """A second process gets the same key, and only the owner can read it."""
        key = load_hash_key(tmp_path / "data")
        assert key == load_hash_key(tmp_path / "data")
        assert len(key) == 32
        assert [each.name for each in (tmp_path / "data").iterdir()] == ["hash.key"]
        assert stat.S_IMODE((tmp_path / "data" / "hash.key").stat().st_mode) == 0o600

    def test_a_key_that_cannot_be_kept_is_a_clear_error(self, tmp_path: Path) -> None:
        """The message says which settings help."""
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageUnwritable, match="hash") as caught:
            load_hash_key(tmp_path / "file")
        assert "ANTIPHON_HASH_KEY" in caught.value.hint


class TestAlerts:
    @pytest.mark.parametrize(
        ("changes", "rule", "incident", "severity"),
        [
            ({"duration_ms": 10_001.0}, "high_latency", "high_latency", "warning"),
            ({"cost_usd": 0.101}, "high_cost", "cost_spike", "warning"),
            (
                {"violations": (("injection", "critical", "blocked"),)},
                "safety_violation",
                "safety_violation",
                "high",
            ),
            (
                {"model_failures": ("openai:gpt-x: timeout",) * 3},
                "model_outage",
                "model_outage",
                "critical",
            ),
            (
                {"failed": True, "failure": "retrieve_context: knowledge_unavailable"},
                "knowledge_outage",
                "knowledge_outage",
                "critical",
            ),
        ],
        ids=["latency", "cost", "safety", "outage", "knowledge"],
    )
    def test_one_turn_over_a_threshold_fires(
        self, changes: dict[str, object], rule: str, incident: str, severity: str
    ) -> None:
        """Each rule fires with its incident and severity."""
        (alert,) = Alerts().check(replace(TURN, **changes))  # type: ignore[arg-type]
        assert (alert.rule, alert.incident, alert.severity) == (rule, incident, severity)

    @pytest.mark.parametrize(
        "changes",
        [
            {"duration_ms": 10_000.0},
            {"cost_usd": 0.10},
            {"violations": (("injection", "high", "blocked"), ("pii", "critical", "noted"))},
            {"model_failures": ("a: timeout", "a: timeout", "b: timeout")},
            {"failed": True},
            {"failed": True, "failure": "retrieve_context: knowledge_loading"},
        ],
        ids=[
            "10 s",
            "10 cents",
            "not both critical and blocked",
            "two of one",
            "one failure",
            "pages being read",
        ],
    )
    def test_at_the_threshold_nothing_fires(self, changes: dict[str, object]) -> None:
        """The guide's limits are exceeded, not met."""
        assert Alerts().check(replace(TURN, **changes)) == ()  # type: ignore[arg-type]

    def test_the_error_rate_waits_for_enough_turns(self) -> None:
        """Two failures in 19 turns say nothing; in 20 they are ten percent."""
        alerts = Alerts()
        failing = replace(TURN, failed=True, failure="respond: timeout")
        quiet = [alerts.check(turn) for turn in [failing, *[TURN] * 18]]
        assert set(quiet) == {()}
        (alert,) = alerts.check(failing)
        assert alert.rule == "high_error_rate"
        assert alert.value == pytest.approx(0.1)
        assert alert.details == {"failed": "2", "turns": "20", "failure": "respond: timeout"}

    def test_five_percent_is_still_allowed_and_old_turns_leave_the_window(self) -> None:
        """Five of the last hundred do not fire, the sixth does, forgotten ones do not count."""
        alerts = Alerts()
        failing = replace(TURN, failed=True)
        fired = [alerts.check(turn) for turn in [*[failing] * 3, *[TURN] * 95, failing, failing]]
        assert not any(fired[20:])
        assert alerts.check(failing) == (), "one of the first three has left"
        assert alerts.check(failing) == ()
        assert alerts.check(failing) == ()
        assert [alert.rule for alert in alerts.check(failing)] == ["high_error_rate"]

    def test_a_failing_tool_is_named(self) -> None:
        """The alert carries the tool that fails more often than it works."""
        alerts = Alerts()
        for _ in range(19):
            alerts.check(replace(TURN, tools=(("weather", False), ("order_status", True))))
        for _ in range(1):
            alerts.check(replace(TURN, failed=True))
        (alert,) = alerts.check(replace(TURN, failed=True))
        assert alert.details["tool"] == "weather"

    def test_a_rule_rests_after_it_fired(self) -> None:
        """The same rule does not repeat every turn, and speaks again after the cooldown."""
        clock = Clock()
        alerts = Alerts(clock=clock)
        slow = replace(TURN, duration_ms=20_000)
        fired = []
        for seconds in (0, 10, 289, 1):
            clock.now += seconds
            fired.append(len(alerts.check(slow)))
        assert fired == [1, 0, 0, 1]

    def test_a_knowledge_that_comes_and_goes_is_told_of_every_half_minute(self) -> None:
        """The first turn fires at once; the details say where to look whether it is back."""
        clock = Clock()
        alerts = Alerts(clock=clock)
        failing = replace(TURN, failed=True, failure="retrieve_context: knowledge_unavailable")
        fired = []
        for seconds in (0, 10, 20):
            clock.now += seconds
            fired.append([alert.details for alert in alerts.check(failing)])
        details = {
            "turn": TURN.turn,
            "tenant": TURN.tenant,
            "node": "retrieve_context",
            "failure": "knowledge_unavailable",
        }
        assert fired == [[details], [], [details]]

    def test_models_rest_apart(self) -> None:
        """An outage of one model does not silence the outage of the next."""
        alerts = Alerts()
        first = alerts.check(replace(TURN, model_failures=("a:x: down",) * 3))
        second = alerts.check(replace(TURN, model_failures=("b:y: down",) * 3))
        assert [[a.details["model"] for a in each] for each in (first, second)] == [
            ["a:x"],
            ["b:y"],
        ]

    def test_failures_of_ten_minutes_ago_are_forgotten(self) -> None:
        """Three failures count only within ten minutes."""
        clock = Clock()
        alerts = Alerts(clock=clock)
        failing = replace(TURN, model_failures=("a: down",))
        for seconds in (0, 300, 301):
            clock.now += seconds
            assert alerts.check(failing) == ()
        assert [alert.value for alert in alerts.check(failing)] == [3]


INCIDENT = Incident(
    id="i1",
    type="model_outage",
    severity="critical",
    opened="2026-01-02T00:00:00+00:00",
    message="Model 'a' failed.",
    details={"model": "a"},
    actions_taken=("model_fallback",),
    rests_on=(Switch(name="disabled_models", item="a"),),
    thrown=(Switch(name="disabled_models", item="a"),),
)


class TestIncidents:
    async def test_what_is_written_is_read_back_and_the_later_line_counts(
        self, tmp_path: Path
    ) -> None:
        """The log keeps history on disk and shows each incident as it stands."""
        log = IncidentLog(tmp_path / "incidents.jsonl")
        assert await log.read() == []
        await log.append(INCIDENT)
        newer = replace(INCIDENT, id="i2", opened="2026-01-03T00:00:00+00:00")
        await log.append(newer)
        await log.append(replace(INCIDENT, status="resolved"))
        assert await log.read() == [newer, replace(INCIDENT, status="resolved")]
        assert await log.read(limit=1) == [newer]

    async def test_an_unwritable_log_is_a_storage_error(self, tmp_path: Path) -> None:
        """The message names the incident and the file."""
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageUnwritable, match="'i1'"):
            await IncidentLog(tmp_path / "file" / "x.jsonl").append(INCIDENT)

    def test_a_torn_line_does_not_hide_the_others(self, tmp_path: Path) -> None:
        """A crash in mid-line costs that line only."""
        path = tmp_path / "x.jsonl"
        append_line(path, {"a": 1})
        with path.open("a") as file:
            file.write('{"a": 2\n')
        append_line(path, {"a": 3})
        assert list(read_lines(path)) == [{"a": 1}, {"a": 3}]

    @pytest.mark.parametrize(
        "switch",
        [
            Switch(name="prefer_fast"),
            Switch(name="degraded"),
            Switch(name="disabled_models", item="a"),
            Switch(name="frozen_tools", item="weather"),
        ],
        ids=lambda switch: switch.name,
    )
    def test_a_switch_is_thrown_once_and_restored(self, switch: Switch) -> None:
        """Throwing tells whether it changed anything; restoring undoes exactly that."""
        switches = Switches(disabled_models={"other"})
        assert switch.throw(switches)
        assert switch.is_on(switches)
        assert not switch.throw(switches)
        restore(switches, [switch])
        assert switches == Switches(disabled_models={"other"})


class TestNotify:
    async def test_the_webhook_gets_a_headline_and_the_incident(self) -> None:
        """The body is JSON with a text for chat tools."""
        seen: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(200)

        await WebhookNotifier(
            "https://ops.example/hook?token=s3cret",
            log=build_log(stream=io.StringIO()),
            transport=httpx.MockTransport(answer),
        ).notify(INCIDENT)
        body = json.loads(seen[0].content)
        assert body["text"].startswith("[critical] model_outage: Model 'a' failed.")
        assert body["incident"]["id"] == "i1"
        assert seen[0].extensions["timeout"]["connect"] == 3.0

    @pytest.mark.parametrize("fault", ["down", "500", "bad url"])
    async def test_an_undelivered_notice_is_logged_without_the_url(self, fault: str) -> None:
        """A dead receiver never breaks the response, and its URL may be secret."""

        def answer(request: httpx.Request) -> httpx.Response:
            if fault == "down":
                raise httpx.ConnectTimeout("no", request=request)
            return httpx.Response(500)

        out = io.StringIO()
        url = "https://:bad:" if fault == "bad url" else "https://ops.example/s3cret"
        await WebhookNotifier(
            url, log=build_log(form="json", stream=out), transport=httpx.MockTransport(answer)
        ).notify(INCIDENT)
        assert "incident notice was not delivered" in out.getvalue()
        assert "s3cret" not in out.getvalue()

    async def test_without_a_url_the_log_alone_is_told(self) -> None:
        """No setting, no connection."""
        out = io.StringIO()
        await build_notifier(build_log(form="json", stream=out)).notify(INCIDENT)
        assert json.loads(out.getvalue())["type"] == "model_outage"


def test_alerts_are_values() -> None:
    """Two alerts of the same facts are equal, so that tests and caches may compare them."""
    (first,) = Alerts().check(replace(TURN, cost_usd=1.0))
    assert first == Alert(
        rule="high_cost",
        incident="cost_spike",
        severity="warning",
        message="A turn cost $1.0000 (limit $0.10).",
        value=1.0,
        threshold=0.10,
        details={"turn": "t1", "model": "extractive"},
    )
