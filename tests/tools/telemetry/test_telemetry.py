"""One finished turn: counted, logged without its words, stored, held against the rules."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from turns import TURN, Clock

from antiphon.tools.errors import StorageUnwritable
from antiphon.tools.resilience import Switch
from antiphon.tools.telemetry.alerts import Alerts
from antiphon.tools.telemetry.incidents import Incident
from antiphon.tools.telemetry.jsonl import read_lines
from antiphon.tools.telemetry.logs import build_log
from antiphon.tools.telemetry.metrics import Metrics
from antiphon.tools.telemetry.notify import WebhookNotifier, build_notifier
from antiphon.tools.telemetry.record import TurnTelemetry, build_telemetry, load_hash_key
from antiphon.tools.telemetry.retention import Keep, TurnLog


def telemetry(
    folder: Path | None = None,
    *,
    registry: CollectorRegistry | None = None,
    stream: io.StringIO | None = None,
) -> TurnTelemetry:
    """Return telemetry over a registry, a log and a file of the test's own."""
    return TurnTelemetry(
        metrics=Metrics(registry or CollectorRegistry()),
        log=build_log(level="info", form="json", stream=stream or io.StringIO()),
        alerts=Alerts(clock=Clock()),
        records=TurnLog(folder, Keep()) if folder else None,
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

    def test_processes_with_a_common_folder_show_the_sum(self, tmp_path: Path) -> None:
        """Also of one that has ended, and no process counts twice."""
        count = (
            "from antiphon.tools.telemetry.metrics import Metrics;"
            "Metrics().notice('slow'); print(Metrics().page()[0].decode())"
        )
        env = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        pages = [
            subprocess.run(
                [sys.executable, "-c", count], env=env, capture_output=True, text=True, check=True
            ).stdout
            for _ in range(2)
        ]
        assert 'antiphon_notices_total{rule="slow"} 1.0' in pages[0]
        assert 'antiphon_notices_total{rule="slow"} 2.0' in pages[1]

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
        reporter = telemetry(path.parent)
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
        reporter = telemetry(tmp_path / "file", stream=out)
        gone = replace(TURN, failed=True, failure="retrieve_context: knowledge_unavailable")
        assert [alert.rule for alert in await reporter.record(gone)] == ["knowledge_outage"]
        assert "turn record was not written" in out.getvalue()

    async def test_turn_and_alert_are_logged(self) -> None:
        """One line for the turn, one for each alert."""
        out = io.StringIO()
        gone = replace(TURN, failed=True, failure="retrieve_context: knowledge_unavailable")
        await telemetry(stream=out).record(gone)
        events = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
        assert events == ["turn", "alert"]

    async def test_a_single_slow_or_dear_turn_is_a_notice(self) -> None:
        """A line and a figure, and no alert: nothing is thrown for one turn."""
        out, registry = io.StringIO(), CollectorRegistry()
        turn = replace(TURN, cost_usd=0.5, duration_ms=12_000.0)
        assert await telemetry(stream=out, registry=registry).record(turn) == ()
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        assert [line["rule"] for line in lines if line["event"] == "notice"] == [
            "high_latency",
            "high_cost",
        ]
        assert registry.get_sample_value("antiphon_notices_total", {"rule": "high_cost"}) == 1

    async def test_a_replay_is_logged_and_counted_apart_and_held_against_nobody(self) -> None:
        """However slow: its clock is that of the turn it replays. What it used is counted."""
        out, registry = io.StringIO(), CollectorRegistry()
        reporter = telemetry(stream=out, registry=registry)
        turn = replace(
            TURN,
            replay=True,
            duration_ms=9e9,
            failed=True,
            failure="retrieve_context: knowledge_unavailable",
        )
        assert await reporter.record(turn) == ()
        assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["turn"]
        counted = [
            registry.get_sample_value("antiphon_turns_total", {"outcome": outcome})
            for outcome in ("replay", "answered")
        ]
        assert counted == [1, None]
        assert registry.get_sample_value("antiphon_turn_seconds_count") == 0
        used = {"direction": "input", "model": "extractive"}
        assert registry.get_sample_value("antiphon_tokens_total", used) == 120

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


INCIDENT = Incident(
    id="i1",
    type="model_outage",
    severity="critical",
    opened="2026-01-02T00:00:00+00:00",
    message="Model 'a' failed.",
    details={"tenant": "acme", "why": "model_unavailable"},
    tenant="acme",
    item="a",
    actions_taken=("model_fallback",),
    thrown=(Switch(name="disabled_models", item="a", tenant="acme"),),
)


class TestNotify:
    async def test_the_webhook_gets_a_headline_and_what_operators_are_shown(self) -> None:
        """The body is JSON with a text for chat tools; whose incident it is stays in the log."""
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
        assert body["incident"] == INCIDENT.summary()
        assert b"acme" not in seen[0].content
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
