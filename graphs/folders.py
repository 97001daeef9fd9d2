"""Which assistant is meant, and where its data lies."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from pathlib import Path

from antiphon.graphs.assistant import Assistant, load_assistant
from antiphon.graphs.settings import Settings


def sample_folder() -> Path:
    """Return the folder of the sample assistant."""
    return Path(str(files("antiphon.examples"))) / "help_centre"


def chosen_assistant(settings: Settings, given: Path | None = None) -> Assistant:
    """Load the assistant in the folder `given`, else that of the settings, else the sample.

    Raises AssistantError.
    """
    return load_assistant(given or settings.assistant or sample_folder())


def data_folder(settings: Settings, assistant: Assistant) -> Path:
    """Return where an assistant's data lies: two assistants never share anything."""
    if assistant.id:
        return settings.data_dir / assistant.id
    slug = re.sub(r"[^a-z0-9]+", "-", assistant.folder.name.lower()).strip("-") or "assistant"
    place = hashlib.sha256(str(assistant.folder).encode()).hexdigest()[:8]
    return settings.data_dir / f"{slug}-{place}"
