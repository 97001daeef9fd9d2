"""How long logs are kept: turn records in parts that age away, incidents down to the latest."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from antiphon.tools.notes import locked
from antiphon.tools.telemetry.incidents import INCIDENTS, IncidentLog
from antiphon.tools.telemetry.jsonl import append_line
from antiphon.tools.telemetry.turn import utc_now

RECORDS = "turns.jsonl"
"""Name of the turn records in the data folder; full parts are named `turns-TIME.jsonl`."""
PARTS = "turns-*.jsonl"
PART_BYTES = 4_000_000
PART_AGE = timedelta(days=1)
"""A part is full at this size, or when its first record is this old."""
_HEAD_BYTES = 64
"""Enough for the time, with which each record begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What is kept of the logs."""

    days: float = 30.0
    megabytes: float = 100.0
    """Of turn records, all parts together."""


class TurnLog:
    """The turn records of a data folder, appended by several processes at once."""

    def __init__(self, folder: Path, keep: Keep, *, part_bytes: int = PART_BYTES) -> None:
        self._folder = folder
        self._keep = keep
        self._part_bytes = part_bytes

    def append(self, line: dict[str, object], *, now: datetime) -> None:
        """Write one record, which begins with its time; blocking. Raises OSError."""
        path = self._folder / RECORDS
        size = append_line(path, line)
        if self._full(path, size, now):
            with locked(path):
                # Another process may have been quicker.
                if self._full(path, path.stat().st_size if path.exists() else 0, now):
                    path.rename(self._folder / f"turns-{now:%Y%m%dT%H%M%S%f}.jsonl")
            prune_logs(self._folder, keep=self._keep, now=now)

    def _full(self, path: Path, size: int, now: datetime) -> bool:
        return size >= self._part_bytes or now - _first(path, now) >= PART_AGE


def prune_logs(
    folder: Path, *, keep: Keep, dry_run: bool = False, now: datetime | None = None
) -> int:
    """Remove what is older or larger than is kept, and return how many bytes that frees; blocking.

    Open incidents and today's turn records stay whatever their size.

    Raises:
        OSError: the folder cannot be read, or written unless it is a `dry_run`.
    """
    now = now or utc_now()
    oldest = now - timedelta(days=keep.days)
    freed, left = 0, keep.megabytes * 1e6
    live = folder / RECORDS
    for part in [live, *sorted(folder.glob(PARTS), reverse=True)]:
        with suppress(FileNotFoundError):  # another process was quicker
            found = part.stat()
            left -= found.st_size
            late = datetime.fromtimestamp(found.st_mtime, tz=now.tzinfo) < oldest
            if late or (left < 0 and part != live):
                freed += found.st_size
                if not dry_run:
                    part.unlink()
    return freed + IncidentLog(folder / INCIDENTS).compact(oldest=oldest, dry_run=dry_run)


def _first(path: Path, now: datetime) -> datetime:
    """Return when the first record of a file was written; now, when that cannot be told."""
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            head = os.pread(file, _HEAD_BYTES, 0)
        finally:
            os.close(file)
        return datetime.fromisoformat(head.decode(errors="replace").split('"')[3]).astimezone(UTC)
    except (OSError, ValueError, IndexError):
        return now
