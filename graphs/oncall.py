"""Who responds to alerts, and keeps every process's switches as the shared incident log says."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.graphs.folders import chosen_assistant, data_folder
from antiphon.graphs.models import model_cards
from antiphon.graphs.services import Services
from antiphon.graphs.settings import Settings
from antiphon.tools.errors import StorageError
from antiphon.tools.telemetry import Alert
from antiphon.tools.telemetry.incidents import INCIDENTS, IncidentLog
from antiphon.tools.telemetry.logs import Log, build_log
from antiphon.tools.telemetry.standing import Standing
from antiphon.tools.telemetry.turn import Evidence

if TYPE_CHECKING:
    from antiphon.graphs.incident import Responder

FOLLOW_S = 1.0
"""How often the log is glanced at: a mitigation of one process holds in the others by then."""


class OnCall:
    """Follows the incident log, and builds the responder at need: most processes have none."""

    def __init__(self, settings: Settings, services: Services, folder: Path) -> None:
        """Keep the switches of `services` by the log in `folder`."""
        self._settings = settings
        self._services = services
        self._log = build_log(level=settings.log_level, form=settings.log_format)
        self.standing = Standing(IncidentLog(folder / INCIDENTS), services.switches)
        self._responder: Responder | None = None
        self._following: asyncio.Task[None] | None = None
        self._unreadable = ""

    def responder(self) -> Responder:
        """Return the responder. Blocking the first time: it compiles the incident graph."""
        if self._responder is None:
            self._responder = build_responder(
                self._settings, self._services, self.standing, self._log
            )
        return self._responder

    async def __call__(self, alerts: Sequence[Alert]) -> None:
        """Start one incident per alert and return at once."""
        responder = await asyncio.to_thread(self.responder)
        await responder(alerts)
        self._follow()

    async def take_up(self) -> None:
        """Throw what the log says, see to what is open, and go on doing so."""
        await self._glance()
        self._follow()

    async def drain(self) -> None:
        """Stop following, and wait for the incidents under way."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])
        if self._responder is not None:
            await self._responder.drain()

    def _follow(self) -> None:
        if self._following is None:
            # An empty context: this belongs to no turn, also where a turn's alert began it.
            self._following = asyncio.create_task(self._keep_up(), context=contextvars.Context())

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(FOLLOW_S)
            (fault,) = await asyncio.gather(self._glance(), return_exceptions=True)
            if fault is not None:
                # A notice that breaks must not end the following of all other incidents.
                self._log.error("incident response failed", error=repr(fault))

    async def _glance(self) -> None:
        try:
            try:
                await self.standing.refresh()
            finally:
                if self.standing.open:
                    await (await asyncio.to_thread(self.responder)).attend()
        except StorageError as error:
            # Told once: the log shows its fault also where it is asked for.
            if error.message != self._unreadable:
                self._log.error("incidents cannot be followed", error=error.message)
            self._unreadable = error.message


def build_responder(
    settings: Settings, services: Services, standing: Standing, log: Log
) -> Responder:
    """Build what starts the incident graph for alerts."""
    from antiphon.graphs.incident import Responder, build_incident
    from antiphon.graphs.traced import traced
    from antiphon.nodes.incident import answers, searchable
    from antiphon.tools.telemetry.metrics import Metrics
    from antiphon.tools.telemetry.notify import build_notifier

    notifier = build_notifier(log, webhook=settings.alert_webhook.get_secret_value())
    searches = searchable(services.knowledge)
    graph = build_incident(
        standing,
        notifier,
        policy=services.assistant.incidents.model_dump(),
        models=lambda: [card.name for card in model_cards(settings, services.assistant)],
        works=searches,
    ).compile(name="incident")
    telemetry = services.telemetry
    return Responder(
        traced(graph),
        standing=standing,
        notifier=notifier,
        searches=searches,
        answers=answers(services.models),
        evidence=telemetry if isinstance(telemetry, Evidence) else None,
        log=log,
        metrics=Metrics(),
    )


def incident_log(settings: Settings, assistant: Path | None) -> IncidentLog:
    """Return the incidents of an assistant, without opening anything. Raises AssistantError."""
    form = chosen_assistant(settings, assistant)
    return IncidentLog(data_folder(settings, form) / INCIDENTS)
