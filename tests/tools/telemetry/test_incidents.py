"""The incident log: shared by processes, over by time at the latest, small however long it runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from antiphon.tools.errors import StorageError, StorageUnwritable
from antiphon.tools.notes import locked
from antiphon.tools.resilience import Switch, Switches
from antiphon.tools.telemetry.incidents import HOLD_S, Incident, IncidentLog, stamp
from antiphon.tools.telemetry.jsonl import append_line, read_lines
from antiphon.tools.telemetry.standing import Standing

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FAST = Switch(name="prefer_fast", tenant="acme")
INCIDENT = Incident(
    id="i1",
    type="high_latency",
    severity="warning",
    opened="2026-01-02T00:00:00.000+00:00",
    status="mitigated",
    resolution="Routing to the fastest suitable model",
    actions_taken=("prefer_fast",),
    tenant="acme",
    thrown=(FAST,),
    trial="2026-01-02T00:01:00.000+00:00",
    hold_s=60.0,
    until="2026-01-02T00:15:00.000+00:00",
)
OUTAGE = replace(
    INCIDENT,
    id="o1",
    type="model_outage",
    tenant="",
    item="m",
    thrown=(Switch(name="disabled_models", item="m"),),
    trial="",
)


class Time:
    """A moment that a test moves by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Desk:
    """One process's view of the log in a folder."""

    def __init__(self, folder: Path, clock: Time) -> None:
        self.log = IncidentLog(folder / "incidents.jsonl", clock=clock)
        self.switches = Switches()
        self.standing = Standing(self.log, self.switches, clock=clock)


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def log(tmp_path: Path, clock: Time) -> IncidentLog:
    return IncidentLog(tmp_path / "incidents.jsonl", clock=clock)


class TestLog:
    async def test_what_is_written_is_read_back_and_the_later_line_counts(
        self, log: IncidentLog, tmp_path: Path
    ) -> None:
        """History on disk, each incident as it stands, readable by the owner only."""
        assert await log.read() == []
        assert await log.begin(INCIDENT)
        newer = replace(OUTAGE, opened="2026-01-02T00:00:01.000+00:00")
        assert await log.begin(newer)
        ended = INCIDENT.over("fine", at="2026-01-02T00:02:00.000+00:00")
        assert await log.replace(INCIDENT, ended)
        assert await log.read() == [newer, ended]
        assert await log.read(limit=1) == [newer]
        for path in tmp_path.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.parametrize(
        ("other", "begun"),
        [
            ({}, False),
            ({"tenant": "other"}, True),
            ({"tenant": ""}, True),
            ({"type": "cost_spike"}, True),
            ({"item": "m"}, True),
        ],
        ids=str,
    )
    async def test_an_open_incident_is_not_opened_again(
        self, log: IncidentLog, other: dict[str, str], begun: bool
    ) -> None:
        """Of the same type and scope there is one; a wider one is another."""
        await log.begin(INCIDENT)
        assert await log.begin(replace(INCIDENT, id="i2", **other)) is begun  # type: ignore[arg-type]

    async def test_what_is_open_for_all_covers_each_tenant(self, log: IncidentLog) -> None:
        """But not another model."""
        await log.begin(OUTAGE)
        assert not await log.begin(replace(OUTAGE, id="o2", tenant="acme"))
        assert await log.begin(replace(OUTAGE, id="o3", tenant="acme", item="n"))

    async def test_it_is_opened_again_once_it_is_over(self, log: IncidentLog, clock: Time) -> None:
        """Also where nobody wrote that it is: its time is up."""
        await log.begin(INCIDENT)
        clock.pass_s(HOLD_S)
        assert not await log.begin(replace(INCIDENT, id="i2"))
        assert await log.begin(replace(INCIDENT, id="i2", opened=stamp(clock())))

    async def test_a_change_of_what_has_changed_meanwhile_is_none(self, log: IncidentLog) -> None:
        """Of two processes that end an incident, one does."""
        await log.begin(INCIDENT)
        ended = INCIDENT.over("fine", at="2026-01-02T00:02:00.000+00:00")
        assert await log.replace(INCIDENT, ended)
        assert not await log.replace(INCIDENT, replace(ended, resolution="late"))
        assert await log.read() == [ended]

    async def test_nobody_is_left_mitigated_for_ever(self, log: IncidentLog, clock: Time) -> None:
        """The process that began it is gone, and no other ever ran: the list says it is over."""
        await log.begin(INCIDENT)
        clock.pass_s(HOLD_S - 1)
        assert [one.status for one in await log.read()] == ["mitigated"]
        clock.pass_s(1)
        (incident,) = await log.read()
        assert (incident.status, incident.resolved) == ("resolved", INCIDENT.until)
        assert incident.resolution.endswith("; its time was up")

    async def test_what_an_older_release_left_open_is_over_by_now(
        self, log: IncidentLog, clock: Time, tmp_path: Path
    ) -> None:
        """Its lines know no end of their own."""
        line: dict[str, object] = {
            "id": "old",
            "type": "high_latency",
            "severity": "warning",
            "opened": "2026-01-01T00:00:00.000+00:00",
            "status": "mitigated",
            "rests_on": [{"name": "prefer_fast", "item": ""}],
            "thrown": [{"name": "prefer_fast", "item": ""}],
        }
        append_line(tmp_path / "incidents.jsonl", line)
        append_line(tmp_path / "incidents.jsonl", {**line, "id": "odd", "opened": "yesterday"})
        (incident,) = await log.read()
        assert (incident.id, incident.status) == ("old", "resolved")

    async def test_a_torn_line_does_not_hide_the_others(
        self, log: IncidentLog, tmp_path: Path
    ) -> None:
        """A crash in mid-line costs that line only."""
        await log.begin(INCIDENT)
        with (tmp_path / "incidents.jsonl").open("a") as file:
            file.write('{"id": "tor')
        await log.begin(OUTAGE)
        assert {one.id for one in await log.read()} == {"i1", "o1"}

    async def test_an_unwritable_log_is_a_storage_error(self, tmp_path: Path) -> None:
        """The message names the incident and the file."""
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageUnwritable, match="'i1'"):
            await IncidentLog(tmp_path / "file" / "x.jsonl").begin(INCIDENT)

    async def test_the_log_stays_small_and_forgets_nothing_that_is_open(
        self, tmp_path: Path, clock: Time
    ) -> None:
        """Changes without end are brought down to how each incident stands."""
        log = IncidentLog(tmp_path / "incidents.jsonl", clock=clock, most_bytes=20_000)
        await log.begin(OUTAGE)
        before = INCIDENT
        await log.begin(before)
        for number in range(100):
            after = replace(before, hold_s=float(number))
            assert await log.replace(before, after)
            before = after
        assert (tmp_path / "incidents.jsonl").stat().st_size < 21_000
        assert {one.id: one for one in await log.unresolved()} == {"o1": OUTAGE, "i1": before}

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
    def test_a_full_disk_is_an_error(self) -> None:
        """Half a line is not taken for written."""
        with pytest.raises(OSError, match="No space left"):
            append_line(Path("/dev/full"), {"a": 1})

    def test_a_huge_file_is_read_from_its_end(self, tmp_path: Path) -> None:
        """Reading is bounded whatever its size; the line cut through is left out."""
        path = tmp_path / "x.jsonl"
        for number in range(100):
            append_line(path, {"number": number})
        latest = [line["number"] for line in read_lines(path, most_bytes=200)]
        assert latest == list(range(100 - len(latest), 100))
        assert 10 < len(latest) < 20


class TestSwitches:
    """Which switches are on follows from the log and the time alone."""

    async def test_a_mitigation_holds_in_every_process_and_reaches_its_tenant_only(
        self, tmp_path: Path, clock: Time
    ) -> None:
        """Thrown in one, in force in the other at its next glance."""
        one, other = Desk(tmp_path, clock), Desk(tmp_path, clock)
        await other.standing.refresh()
        assert await one.standing.begin(INCIDENT)
        assert (one.switches.prefer("acme"), other.switches.prefer("acme")) == ("fast", "")
        await other.standing.refresh()
        assert (other.switches.prefer("acme"), other.switches.prefer("beta")) == ("fast", "")

    async def test_of_two_processes_one_begins_it(self, tmp_path: Path, clock: Time) -> None:
        """At once, with the same alert."""
        desks = [Desk(tmp_path, clock) for _ in range(8)]
        begun = await asyncio.gather(
            *(desk.standing.begin(replace(INCIDENT, id=f"i{n}")) for n, desk in enumerate(desks))
        )
        assert sum(begun) == 1
        assert len(await desks[0].log.read()) == 1

    async def test_on_trial_the_normal_way_is_allowed(self, tmp_path: Path, clock: Time) -> None:
        """After its time by the clock, without anybody writing anything; an outage stays out."""
        desk = Desk(tmp_path, clock)
        await desk.standing.begin(INCIDENT)
        await desk.standing.begin(OUTAGE)
        clock.pass_s(60)
        await desk.standing.refresh()
        assert desk.switches.thrown == frozenset(OUTAGE.thrown)
        assert INCIDENT.on_trial(clock.now)
        assert not OUTAGE.on_trial(clock.now)
        clock.pass_s(HOLD_S)
        await desk.standing.refresh()
        assert desk.switches.thrown == frozenset()

    async def test_what_cannot_be_written_holds_in_this_process(
        self, tmp_path: Path, clock: Time
    ) -> None:
        """Once, and for no longer than its time."""
        (tmp_path / "file").write_text("")
        desk = Desk(tmp_path / "file", clock)
        with pytest.raises(StorageUnwritable):
            await desk.standing.begin(INCIDENT)
        assert desk.switches.prefer("acme") == "fast"
        assert not await desk.standing.begin(replace(INCIDENT, id="i2"))
        clock.pass_s(HOLD_S)
        with pytest.raises(StorageError):
            await desk.standing.refresh()
        assert desk.switches.prefer("acme") == ""
        (before,) = desk.standing.open
        assert await desk.standing.change(before, before.as_of(clock.now))
        assert desk.standing.open == []

    async def test_an_unread_log_is_read_when_it_changes_only(
        self, tmp_path: Path, clock: Time, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each second costs a glance, not a reading."""
        desk = Desk(tmp_path, clock)
        await desk.standing.begin(INCIDENT)
        reads = 0

        async def counted() -> list[Incident]:
            nonlocal reads
            reads += 1
            return []

        monkeypatch.setattr(desk.log, "unresolved", counted)
        for _ in range(5):
            await desk.standing.refresh()
        assert reads == 0
        append_line(tmp_path / "incidents.jsonl", {"other": 1})
        await desk.standing.refresh()
        assert reads == 1


BEGIN = """
import asyncio, os, sys
from dataclasses import replace
from pathlib import Path
from antiphon.tools.telemetry.incidents import Incident, IncidentLog
log = IncidentLog(Path(sys.argv[1]) / "incidents.jsonl")
print("ready", flush=True)
sys.stdin.readline()
for number in range(25):
    incident = Incident(
        id=f"{os.getpid()}-{number}", type="cost_spike", severity="warning",
        opened="2999-01-01T00:00:00+00:00", tenant=f"t{number}", until="2999-01-02T00:00:00+00:00",
    )
    print(asyncio.run(log.begin(incident)), flush=True)
"""
HOLD = """
import sys, time
from pathlib import Path
from antiphon.tools.notes import locked
with locked(Path(sys.argv[1]) / "incidents.jsonl"):
    print("held", flush=True)
    time.sleep(60)
"""


def process(code: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_real_processes_open_each_incident_once(tmp_path: Path) -> None:
    """Three of them, released together, each with the same 25 alerts."""
    running = [process(BEGIN, tmp_path) for _ in range(3)]
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    said = []
    for one in running:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    for one in running:
        said += one.communicate(timeout=60)[0].splitlines()
    assert (said.count("True"), said.count("False")) == (25, 50)
    lines = (tmp_path / "incidents.jsonl").read_text().splitlines()
    assert len({json.loads(line)["tenant"] for line in lines}) == len(lines) == 25


def test_a_killed_process_lets_go_of_the_lock(tmp_path: Path) -> None:
    """A kill between reading and writing blocks nobody else."""
    holder = process(HOLD, tmp_path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate(timeout=10)
    with locked(tmp_path / "incidents.jsonl"):
        pass
