"""Prompt files, read once, rendered strictly: a missing or an unused variable is an error."""

from __future__ import annotations

from typing import Protocol


class Prompts(Protocol):
    """The prompt set of one assistant."""

    fingerprint: str
    """Hash of every template's content: part of cache keys and traces."""

    def render(self, name: str, **values: str) -> str:
        """Return the prompt `name` with exactly its declared variables filled in."""
        ...
