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

__all__ = ["Caller", "Missing", "Plan", "ToolCall", "ToolResult", "ToolSpec", "Toolbox"]
