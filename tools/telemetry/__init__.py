"""Observability: one record a turn, metrics, logs, alert rules, incidents."""

from antiphon.tools.telemetry.turn import Alert, AlertSeverity, IncidentType, Telemetry, TurnRecord

__all__ = ["Alert", "AlertSeverity", "IncidentType", "Telemetry", "TurnRecord"]
