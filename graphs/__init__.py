"""What happens next: the tables of the conversation, of ingestion and of incidents.

The public face for embedding and extending; each name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.graphs.assembly import build_services
    from antiphon.graphs.conversation import build_conversation
    from antiphon.graphs.embed import as_node, as_tool
    from antiphon.graphs.runtime import open_runtime
    from antiphon.graphs.services import Services
    from antiphon.graphs.settings import Settings

_HOMES = {
    "Services": "services",
    "Settings": "settings",
    "as_node": "embed",
    "as_tool": "embed",
    "build_conversation": "conversation",
    "build_services": "assembly",
    "open_runtime": "runtime",
}

__all__ = [
    "Services",
    "Settings",
    "as_node",
    "as_tool",
    "build_conversation",
    "build_services",
    "open_runtime",
]


def __getattr__(name: str) -> object:
    """Import a public name from its home at first use: `import antiphon.graphs` stays cheap."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
