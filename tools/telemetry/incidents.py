"""Incidents: what went wrong, what was done about it, and until when.

Their log is what all processes of a data folder share: which switches are on follows from it and
from the time alone, so that a mitigation holds in each of them, also when the process that began it
is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar, get_args

from pydantic import TypeAdapter

from antiphon.tools.errors import StorageError, StorageUnwritable
from antiphon.tools.notes import locked
from antiphon.tools.private import write_private
from antiphon.tools.resilience import Switch
from antiphon.tools.telemetry.jsonl import append_line, as_line, read_lines
from antiphon.tools.telemetry.turn import AlertSeverity, IncidentType, utc_now

Status = Literal["investigating", "mitigated", "resolved"]
T = TypeVar("T")

INCIDENTS = "incidents.jsonl"
"""Name of the incident log in the data folder."""
KNOWN_TYPES: tuple[str, ...] = get_args(IncidentType)
HOLD_S = 900.0
"""How long an incident lasts at most that nothing but time ends."""
MOST_KEPT = 1000
MOST_BYTES = 2_000_000
"""Beyond this size the log is brought down to the latest line of each incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident, from alert to resolution."""

    id: str
    type: str
    """One of the known types, or whatever was reported."""
    severity: AlertSeverity
    opened: str
    """ISO 8601, UTC."""
    status: Status = "investigating"
    message: str = ""
    details: dict[str, str] = field(default_factory=dict)
    resolution: str = ""
    actions_taken: tuple[str, ...] = ()
    advised: tuple[str, ...] = ()
    """What would have been done, where it is left to people."""
    recovery: str = "unknown"
    """Estimated time to recovery."""
    resolved: str = ""
    """When it ended, ISO 8601, UTC; empty while it has not."""
    tenant: str = ""
    """Whom it reaches; empty: every tenant."""
    item: str = ""
    """The tool or the model that it is about, if it is about one."""
    thrown: tuple[Switch, ...] = ()
    """What the mitigation turned on or off."""
    trial: str = ""
    """From when the normal way is allowed again and watched; empty: not before it has ended."""
    hold_s: float = 0.0
    """How long the switches were thrown before that."""
    until: str = ""
    """When it is over at the latest, whatever happens; empty in what older releases wrote."""

    def summary(self) -> dict[str, str | list[str]]:
        """Return what operators are shown; whose it is stays in the log with the details."""
        return {
            "id": self.id,
            "type": self.type,
            "severity": self.severity,
            "status": self.status,
            "scope": self.scope,
            "opened": self.opened,
            "resolved": self.resolved,
            "message": self.message,
            "resolution": self.resolution,
            "actions_taken": list(self.actions_taken),
            "advised": list(self.advised),
            "recovery": self.recovery,
        }

    @property
    def scope(self) -> str:
        """How far it reaches, without saying whose it is."""
        return "one tenant" if self.tenant else "every tenant"

    @property
    def ended(self) -> bool:
        """Whether nothing is left to be done about it."""
        return self.status == "resolved"

    def open_at(self, moment: str) -> bool:
        """Return whether it has not ended, or had not by then."""
        return not self.ended or self.resolved > moment

    def covers(self, other: Incident) -> bool:
        """Return whether the other incident is about nothing but what this one is about."""
        same = (self.type, self.item) == (other.type, other.item)
        return same and self.tenant in ("", other.tenant)

    def as_of(self, now: datetime) -> Incident:
        """Return it as it stands now: one whose time is up is over, also if nobody wrote it."""
        until = self.until or stamp(datetime.fromisoformat(self.opened), plus_s=HOLD_S)
        if self.ended or now < datetime.fromisoformat(until):
            return self
        return self.over("its time was up", at=until)

    def over(self, why: str, *, at: str) -> Incident:
        """Return it as ended."""
        said = f"{self.resolution}; {why}" if self.resolution else why.capitalize()
        return replace(self, status="resolved", resolution=said, recovery="immediate", resolved=at)

    def throws(self, now: datetime) -> tuple[Switch, ...]:
        """Return the switches that it keeps thrown now."""
        if self.as_of(now).status != "mitigated" or self.on_trial(now):
            return ()
        return self.thrown

    def on_trial(self, now: datetime) -> bool:
        """Return whether the normal way is allowed again, and watched."""
        begun = bool(self.trial) and now >= datetime.fromisoformat(self.trial)
        return begun and self.as_of(now).status == "mitigated"


_INCIDENT = TypeAdapter(Incident)


def stamp(moment: datetime, *, plus_s: float = 0.0) -> str:
    """Return a moment, or one so many seconds after it, as an incident holds it."""
    return (moment + timedelta(seconds=plus_s)).isoformat(timespec="milliseconds")


class IncidentLog:
    """Incidents as JSON lines; a later line of the same id replaces the earlier.

    Every write is made under the file's lock after a look at what is there, so that of several
    processes one begins an incident and one ends it.
    """

    def __init__(
        self, path: Path, *, clock: Callable[[], datetime] = utc_now, most_bytes: int = MOST_BYTES
    ) -> None:
        self._path = path
        self._clock = clock
        self._most_bytes = most_bytes

    async def begin(self, incident: Incident) -> bool:
        """Write a new incident, unless one that was open then covers it; return whether it was.

        Raises:
            StorageError: the log cannot be read or written.
        """

        def begin() -> bool:
            now = self._clock()
            known = (one.as_of(now) for one in self._latest().values())
            if any(one.covers(incident) and one.open_at(incident.opened) for one in known):
                return False
            self._append(incident)
            return True

        return await self._written(begin, incident)

    async def replace(self, before: Incident, after: Incident) -> bool:
        """Write how an incident goes on, unless another process was quicker.

        Raises:
            StorageError: the log cannot be read or written.
        """

        def replace() -> bool:
            if self._latest().get(before.id) != before:
                return False
            self._append(after)
            return True

        return await self._written(replace, after)

    async def read(self, *, limit: int = 100) -> list[Incident]:
        """Return the latest incidents, newest first, each as it stands now.

        Raises:
            StorageError: the log cannot be read.
        """
        now = self._clock()
        newest_first = reversed([one.as_of(now) for one in (await self._known()).values()])
        return sorted(newest_first, key=lambda each: each.opened, reverse=True)[:limit]

    async def unresolved(self) -> list[Incident]:
        """Return the incidents that nobody has written the end of, oldest first.

        Raises:
            StorageError: the log cannot be read.
        """
        return [one for one in (await self._known()).values() if not one.ended]

    def version(self) -> tuple[int, int, int]:
        """Return what changes whenever the log does; a glance, where there is none too."""
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_ino, found.st_size, found.st_mtime_ns)

    def compact(self, *, oldest: datetime | None = None, dry_run: bool = False) -> int:
        """Leave the latest line of each incident, of those ended since `oldest`; blocking.

        Returns:
            How many bytes that frees.

        Raises:
            OSError: the log cannot be read or written.
        """
        if not self._path.exists():
            return 0
        if dry_run:
            return self._compact(oldest, dry_run=True)
        with locked(self._path):
            return self._compact(oldest, dry_run=False)

    def _compact(self, oldest: datetime | None, *, dry_run: bool) -> int:
        before = self._path.stat().st_size
        since = stamp(oldest) if oldest else ""
        known = [one.as_of(self._clock()) for one in self._latest().values()]
        ended = [one for one in known if one.ended and one.resolved >= since][-MOST_KEPT:]
        names = {one.id for one in ended}
        kept = [one for one in known if not one.ended or one.id in names]
        lines = b"".join(as_line(asdict(one)) for one in kept)
        if len(lines) >= before:
            return 0
        if not dry_run:
            write_private(self._path, lines)
        return before - len(lines)

    def _append(self, incident: Incident) -> None:
        if append_line(self._path, asdict(incident)) > self._most_bytes:
            self._compact(None, dry_run=False)

    async def _written(self, write: Callable[[], T], incident: Incident) -> T:
        def under_lock() -> T:
            with locked(self._path):
                return write()

        try:
            return await asyncio.to_thread(under_lock)
        except OSError as error:
            raise StorageUnwritable(
                f"incident {incident.id!r} could not be written to {str(self._path)!r}: {error}",
                hint="Free some space or set ANTIPHON_DATA_DIR to a folder that can be written.",
            ) from error

    async def _known(self) -> dict[str, Incident]:
        try:
            return await asyncio.to_thread(self._latest)
        except OSError as error:
            raise StorageError(
                f"{str(self._path)!r} cannot be read: {error.strerror}",
                hint="Check the permissions of ANTIPHON_DATA_DIR.",
            ) from error

    def _latest(self) -> dict[str, Incident]:
        return {one.id: one for one in _read(read_lines(self._path))}


def _read(lines: Iterable[object]) -> Iterator[Incident]:
    for line in lines:
        # What another release wrote otherwise must not hide the rest.
        with suppress(ValueError):
            incident = _INCIDENT.validate_python(line)
            for moment in filter(None, (incident.opened, incident.trial, incident.until)):
                datetime.fromisoformat(moment)
            yield incident
