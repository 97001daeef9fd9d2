"""The report of a finished turn: metrics, one log line, one stored line, the alert rules."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from antiphon.tools.errors import StorageUnwritable
from antiphon.tools.private import private_file, private_folder
from antiphon.tools.telemetry.alerts import Alerts
from antiphon.tools.telemetry.logs import Log
from antiphon.tools.telemetry.metrics import Metrics
from antiphon.tools.telemetry.retention import Keep, TurnLog
from antiphon.tools.telemetry.rules import looked_at, notices
from antiphon.tools.telemetry.turn import Alert, Trial, TurnRecord, utc_now

HASH_KEY = "hash.key"
KEY_BYTES = 32


class TurnTelemetry:
    """Implements Telemetry over metrics, log, records file and alert rules."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        log: Log,
        alerts: Alerts,
        records: TurnLog | None,
        hash_key: bytes,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.metrics = metrics
        self._log = log
        self._alerts = alerts
        self._records = records
        self._hash_key = hash_key
        self._clock = clock

    def hash(self, text: str) -> str:
        """Return a keyed hash of a text; empty for an empty one, so that absence shows."""
        if not text:
            return ""
        return hmac.new(self._hash_key, text.encode(), hashlib.sha256).hexdigest()[:32]

    async def record(self, turn: TurnRecord) -> Sequence[Alert]:
        """Update metrics, write the log line and the turn record, and return what fires."""
        self.metrics.observe(turn)
        self._log.info("turn", **_line(turn))
        await self._store(turn)
        if looked_at(turn):
            for rule in notices(turn):
                self.metrics.notice(rule)
                self._log.warning("notice", rule=rule, turn=turn.turn)
        alerts = self._alerts.check(turn)
        for alert in alerts:
            self._log.warning("alert", rule=alert.rule, severity=alert.severity, said=alert.message)
        return alerts

    def trial(self, incident: str, *, item: str, tenant: str, since: datetime) -> Trial:
        """Return how the turns since then went, in what an incident is about."""
        return self._alerts.trial(incident, item=item, tenant=tenant, since=since)

    async def _store(self, turn: TurnRecord) -> None:
        if self._records is None:
            return
        now = self._clock()
        line = {"at": now.isoformat(timespec="milliseconds"), **asdict(turn)}
        try:
            await asyncio.to_thread(self._records.append, line, now=now)
        except OSError as error:
            # An answer that was given must not be lost over its record.
            self._log.error("turn record was not written", turn=turn.turn, error=str(error))


def _line(turn: TurnRecord) -> dict[str, object]:
    """Return what the log says of a turn: the record without its per-node times."""
    fields = asdict(turn)
    del fields["node_ms"]
    return fields


def load_hash_key(folder: Path) -> bytes:
    """Return the hash key kept in `folder`, making it on first use.

    Raises:
        StorageUnwritable: there is no key and none can be written.
    """
    path = folder / HASH_KEY
    if path.is_file():
        return path.read_bytes()
    try:
        private_folder(folder)
        private_file(path, secrets.token_bytes(KEY_BYTES))
        return path.read_bytes()
    except OSError as error:
        raise StorageUnwritable(
            f"the key for log hashes could not be made in {str(folder)!r}: {error}",
            hint="Set ANTIPHON_HASH_KEY, or ANTIPHON_DATA_DIR to a folder that can be written.",
        ) from error


def build_telemetry(
    *,
    data_dir: Path | None,
    log: Log,
    hash_key: bytes,
    metrics: Metrics | None = None,
    keep: Keep | None = None,
) -> TurnTelemetry:
    """Return telemetry with the standard rules; records go to `data_dir` where one is given."""
    return TurnTelemetry(
        metrics=metrics or Metrics(),
        log=log,
        alerts=Alerts(),
        records=TurnLog(data_dir, keep or Keep()) if data_dir else None,
        hash_key=hash_key,
    )
