"""Turn records are kept in parts, by size and age; what is not kept is removed and counted."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from antiphon.tools.telemetry.incidents import Incident, IncidentLog, stamp
from antiphon.tools.telemetry.jsonl import read_lines
from antiphon.tools.telemetry.retention import Keep, TurnLog, prune_logs

NOW = datetime.now(UTC)


def write(log: TurnLog, turn: int, at: datetime = NOW) -> None:
    """Write a record of a hundred bytes or so."""
    log.append({"at": stamp(at), "turn": turn, "path": "x" * 60}, now=at)


def turns(folder: Path) -> list[object]:
    """Return the turns of all parts, oldest part first."""
    parts = [*sorted(folder.glob("turns-*.jsonl")), folder / "turns.jsonl"]
    return [line["turn"] for part in parts for line in read_lines(part)]


def test_a_full_part_is_put_aside(tmp_path: Path) -> None:
    """No record is lost, each file stays small and the owner's."""
    log = TurnLog(tmp_path, Keep(), part_bytes=1000)
    for number in range(50):
        write(log, number, NOW + timedelta(microseconds=number))
    assert turns(tmp_path) == list(range(50))
    parts = list(tmp_path.glob("turns*"))
    assert len(parts) > 4
    assert max(part.stat().st_size for part in parts) < 1200
    assert {stat.S_IMODE(part.stat().st_mode) for part in parts} == {0o600}


def test_a_days_part_is_put_aside_however_small(tmp_path: Path) -> None:
    """So that what is old can be removed without what is not."""
    log = TurnLog(tmp_path, Keep())
    write(log, 1, NOW - timedelta(hours=25))
    write(log, 2, NOW - timedelta(hours=2))
    write(log, 3)
    write(log, 4)
    assert [line["turn"] for line in read_lines(tmp_path / "turns.jsonl")] == [4]
    assert turns(tmp_path) == [1, 2, 3, 4]


def test_the_oldest_parts_go_when_there_is_too_much(tmp_path: Path) -> None:
    """The latest stay, up to the size that is kept."""
    log = TurnLog(tmp_path, Keep(megabytes=0.003), part_bytes=1000)
    for number in range(200):
        write(log, number, NOW + timedelta(microseconds=number))
    left = turns(tmp_path)
    assert left == list(range(200 - len(left), 200))
    assert 10 < len(left) < 40


@pytest.mark.parametrize("dry_run", [True, False])
def test_pruning_removes_what_is_old_and_says_how_much(tmp_path: Path, dry_run: bool) -> None:
    """A dry run says the same and removes nothing."""
    for name, days in (("turns-1.jsonl", 40), ("turns-2.jsonl", 20), ("turns.jsonl", 0)):
        (tmp_path / name).write_text("x" * 100)
        then = (NOW - timedelta(days=days)).timestamp()
        os.utime(tmp_path / name, (then, then))
    (tmp_path / "other.txt").write_text("kept")
    assert prune_logs(tmp_path, keep=Keep(days=30), dry_run=dry_run, now=NOW) == 100
    names = {path.name for path in tmp_path.glob("*.jsonl")}
    assert ("turns-1.jsonl" in names) is dry_run
    assert {"turns-2.jsonl", "turns.jsonl"} <= names


def test_a_folder_without_logs_has_nothing_to_prune(tmp_path: Path) -> None:
    """Not even one that was never made; none is made for it."""
    assert prune_logs(tmp_path / "none", keep=Keep()) == 0
    assert not (tmp_path / "none").exists()


async def test_ended_incidents_are_pruned_and_open_ones_never(tmp_path: Path) -> None:
    """By when they ended; the history of those that are kept goes."""
    log = IncidentLog(tmp_path / "incidents.jsonl")
    for name, days, ended in (("old", 50, True), ("new", 3, True), ("open", 50, False)):
        then = NOW - timedelta(days=days)
        incident = Incident(
            id=name,
            type="knowledge_outage",
            severity="critical",
            opened=stamp(then),
            tenant=name,
            until=stamp(NOW + timedelta(days=1)),
        )
        await log.begin(incident)
        if ended:
            await log.replace(incident, incident.over("fine", at=stamp(then)))
    before = (tmp_path / "incidents.jsonl").stat().st_size
    told = prune_logs(tmp_path, keep=Keep(days=30), dry_run=True, now=NOW)
    assert (tmp_path / "incidents.jsonl").stat().st_size == before
    assert prune_logs(tmp_path, keep=Keep(days=30), now=NOW) == told
    assert (tmp_path / "incidents.jsonl").stat().st_size == before - told
    assert {incident.id for incident in await log.read()} == {"new", "open"}


WRITE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from antiphon.tools.telemetry.retention import Keep, TurnLog
log = TurnLog(Path(sys.argv[1]), Keep(), part_bytes=2000)
for number in range(200):
    now = datetime.now(UTC)
    log.append({"at": now.isoformat(), "turn": f"{sys.argv[2]}-{number}"}, now=now)
"""


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    """Whoever fills a part puts it aside, once, under the others' hands."""
    running = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path), str(number)])
        for number in range(3)
    ]
    assert [one.wait(timeout=60) for one in running] == [0, 0, 0]
    found = turns(tmp_path)
    assert len(found) == len(set(found)) == 600
