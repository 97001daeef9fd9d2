"""How well: metrics, golden sets, regressions, benchmarks.

`antiphon.evals.target(...)` is the assistant as a function, for LangSmith's own `evaluate`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.evals.targets import target

__all__ = ["target"]


def __getattr__(name: str) -> object:
    """Import a public name from its home at first use: `import antiphon.evals` stays cheap."""
    if name == "target":
        from antiphon.evals.targets import target

        return target
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
