"""The tool router: declared tools, chosen, validated, approved, executed under a deadline."""

from antiphon.tools.toolbox.calls import (
    Caller,
    Missing,
    Plan,
    Toolbox,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from antiphon.tools.toolbox.executor import AssistantToolbox

__all__ = [
    "AssistantToolbox",
    "Caller",
    "Missing",
    "Plan",
    "ToolCall",
    "ToolResult",
    "ToolSpec",
    "Toolbox",
]
