"""The LLM router: which model answers, at what price, and who answers when it fails."""

from antiphon.tools.models.catalog import (
    LAST_RESORT,
    Capability,
    ModelCard,
    Models,
    Reply,
    Scored,
    Selection,
    Task,
    Usage,
)

__all__ = [
    "LAST_RESORT",
    "Capability",
    "ModelCard",
    "Models",
    "Reply",
    "Scored",
    "Selection",
    "Task",
    "Usage",
]
