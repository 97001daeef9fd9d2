"""What is open now: a process's view of the shared incident log, and its switches by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from antiphon.tools.errors import StorageError
from antiphon.tools.resilience import Switch, Switches
from antiphon.tools.telemetry.incidents import Incident, IncidentLog
from antiphon.tools.telemetry.turn import utc_now


class Standing:
    """Follows the log: whoever began an incident, its switches are thrown here too."""

    def __init__(
        self, log: IncidentLog, switches: Switches, *, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._log = log
        self._clock = clock
        self._switches = switches
        self._version: tuple[int, int, int] | None = None
        self._known: dict[str, Incident] = {}
        self._alone: dict[str, Incident] = {}
        """What could not be written holds in this process at least."""

    @property
    def open(self) -> list[Incident]:
        """The incidents whose end nobody has written yet, oldest first."""
        return [*self._known.values(), *self._alone.values()]

    def holds(self, switch: Switch) -> bool:
        """Return whether a switch is thrown here."""
        return switch in self._switches.thrown

    def now(self) -> datetime:
        """Return the present moment."""
        return self._clock()

    async def refresh(self) -> None:
        """Read the log again if it changed, and set the switches.

        Raises:
            StorageError: the log cannot be read; what was known of it goes on holding.
        """
        version = await asyncio.to_thread(self._log.version)
        try:
            if version != self._version:
                self._known = {one.id: one for one in await self._log.unresolved()}
                self._version = version
        finally:
            self._set()

    async def begin(self, incident: Incident) -> bool:
        """Open an incident; return False where an open one covers it already.

        Raises:
            StorageError: it could not be written down, and holds in this process alone.
        """
        if any(one.covers(incident) for one in self._alone.values()):
            return False
        try:
            begun = await self._log.begin(incident)
        except StorageError:
            self._alone[incident.id] = incident
            self._set()
            raise
        await self.refresh()
        return begun

    async def change(self, before: Incident, after: Incident) -> bool:
        """Write how an incident goes on; return False where another process was quicker.

        Raises:
            StorageError: it could not be written down.
        """
        if before.id in self._alone:
            self._alone[before.id] = after
            if after.ended:
                del self._alone[before.id]
            self._set()
            return True
        changed = await self._log.replace(before, after)
        await self.refresh()
        return changed

    def _set(self) -> None:
        now = self._clock()
        self._switches.thrown = frozenset(
            switch for incident in self.open for switch in incident.throws(now)
        )
