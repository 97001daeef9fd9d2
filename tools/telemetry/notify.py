"""Telling people of an incident: a log line always, a webhook where one is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from antiphon.tools.telemetry.incidents import Incident
from antiphon.tools.telemetry.logs import Log

if TYPE_CHECKING:
    import httpx

WEBHOOK_TIMEOUT_S = 3.0


class Notifier(Protocol):
    """Where notices of grave incidents go."""

    async def notify(self, incident: Incident) -> None:
        """Send the notice; a failure to send is logged, never raised."""
        ...


class LogNotifier:
    """Writes the notice to the log."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def notify(self, incident: Incident) -> None:
        """Write one error line; also of the end, which belongs where the beginning was told."""
        self._log.error(
            "incident",
            id=incident.id,
            type=incident.type,
            severity=incident.severity,
            status=incident.status,
            resolution=incident.resolution,
        )


class WebhookNotifier:
    """Posts what operators are shown, as JSON; `text` is what chat tools show."""

    def __init__(
        self,
        url: str,
        *,
        log: Log,
        timeout_s: float = WEBHOOK_TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url
        self._log = log
        self._timeout_s = timeout_s
        self._transport = transport

    async def notify(self, incident: Incident) -> None:
        """Write the log line, then post."""
        import httpx

        await LogNotifier(self._log).notify(incident)
        notice = {"text": headline(incident), "incident": incident.summary()}
        try:
            async with httpx.AsyncClient(
                timeout=self._timeout_s, transport=self._transport
            ) as client:
                (await client.post(self._url, json=notice)).raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # The URL itself may carry a secret, so only the kind of failure is written.
            self._log.error(
                "incident notice was not delivered", id=incident.id, error=type(error).__name__
            )


def headline(incident: Incident) -> str:
    """Return the incident in one sentence."""
    outcome = f" {incident.resolution}." if incident.resolution else ""
    return (
        f"[{incident.severity}] {incident.type}: {incident.message} "
        f"Status: {incident.status}.{outcome}"
    )


def build_notifier(log: Log, *, webhook: str = "") -> Notifier:
    """Return the webhook notifier where a URL is set, else the log alone."""
    return WebhookNotifier(webhook, log=log) if webhook else LogNotifier(log)
