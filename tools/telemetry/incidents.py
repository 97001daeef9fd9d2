"""Incidents: what went wrong, what was done about it, and the switches that were thrown for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

from pydantic import TypeAdapter, ValidationError

from antiphon.tools.errors import StorageError, StorageUnwritable
from antiphon.tools.resilience import Switches
from antiphon.tools.telemetry.jsonl import append_line, read_lines
from antiphon.tools.telemetry.turn import AlertSeverity, IncidentType

Status = Literal["investigating", "mitigated", "resolved"]
Flag = Literal["degraded", "prefer_cheap", "prefer_fast", "strict_guards"]

KNOWN_TYPES: tuple[str, ...] = get_args(IncidentType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """One switch by name; `item` is the model or tool where the switch is a set of them."""

    name: Flag | Literal["disabled_models", "frozen_tools"]
    item: str = ""

    def is_on(self, switches: Switches) -> bool:
        """Return whether it is thrown now."""
        if self.name == "disabled_models":
            return self.item in switches.disabled_models
        if self.name == "frozen_tools":
            return self.item in switches.frozen_tools
        return bool(getattr(switches, self.name))

    def throw(self, switches: Switches) -> bool:
        """Throw it; return whether that changed anything."""
        return self._set(switches, on=True)

    def restore(self, switches: Switches) -> bool:
        """Undo it; return whether that changed anything."""
        return self._set(switches, on=False)

    def _set(self, switches: Switches, *, on: bool) -> bool:
        changed = self.is_on(switches) is not on
        if self.name in ("disabled_models", "frozen_tools"):
            items: set[str] = getattr(switches, self.name)
            (items.add if on else items.discard)(self.item)
        else:
            setattr(switches, self.name, on)
        return changed


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
    recovery: str = "unknown"
    """Estimated time to recovery."""
    resolved: str = ""
    """When it ended, ISO 8601, UTC; empty while it has not."""
    rests_on: tuple[Switch, ...] = ()
    """The switches that the mitigation needs to be on."""
    thrown: tuple[Switch, ...] = ()
    """Those of them this incident turned on itself: only these are undone later."""

    def summary(self) -> dict[str, str | list[str]]:
        """Return what operators are shown; details may name a tenant, so they stay in the log."""
        return {
            "id": self.id,
            "type": self.type,
            "severity": self.severity,
            "status": self.status,
            "opened": self.opened,
            "resolved": self.resolved,
            "message": self.message,
            "resolution": self.resolution,
            "actions_taken": list(self.actions_taken),
            "recovery": self.recovery,
        }

    @property
    def ended(self) -> bool:
        """Whether nothing is left to be done about it."""
        return self.status == "resolved"


_INCIDENT = TypeAdapter(Incident)


class IncidentLog:
    """Incidents as JSON lines; a later line of the same id replaces the earlier."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def append(self, incident: Incident) -> None:
        """Write the incident as it stands now.

        Raises:
            StorageUnwritable: the disk is full or read-only.
        """
        try:
            await asyncio.to_thread(append_line, self._path, asdict(incident))
        except OSError as error:
            raise StorageUnwritable(
                f"incident {incident.id!r} could not be written to {str(self._path)!r}: {error}",
                hint="Free some space or set ANTIPHON_DATA_DIR to a folder that can be written.",
            ) from error

    async def read(self, *, limit: int = 100) -> list[Incident]:
        """Return the latest incidents, newest first, each as it stands now.

        Raises:
            StorageError: the log cannot be read.
        """
        return (await self._latest())[:limit]

    async def unresolved(self, kind: IncidentType) -> list[Incident]:
        """Return the incidents of a type that have not ended, newest first."""
        return [one for one in await self._latest() if one.type == kind and not one.ended]

    async def _latest(self) -> list[Incident]:
        try:
            latest = await asyncio.to_thread(lambda: {one.id: one for one in _read(self._path)})
        except OSError as error:
            raise StorageError(
                f"{str(self._path)!r} cannot be read: {error.strerror}",
                hint="Check the permissions of ANTIPHON_DATA_DIR.",
            ) from error
        newest_first = reversed(latest.values())
        return sorted(newest_first, key=lambda each: each.opened, reverse=True)


def _read(path: Path) -> Iterator[Incident]:
    for line in read_lines(path):
        # What another release wrote otherwise must not hide the rest.
        with suppress(ValidationError):
            yield _INCIDENT.validate_python(line)


def restore(switches: Switches, thrown: Iterable[Switch]) -> None:
    """Undo what an incident threw."""
    for switch in thrown:
        switch.restore(switches)
