"""Running one tool so that it cannot take the process with it: a blocking one runs in a daemon."""

from __future__ import annotations

from dataclasses import dataclass

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, Tool
from pydantic import JsonValue

from antiphon.tools.daemon import in_daemon


class Crowded(Exception):
    """As many calls as are allowed are still running, hung ones included."""


@dataclass(slots=True)
class Runner:
    """Runs one tool, at most `most` at a time."""

    tool: BaseTool
    most: int = 16
    running: int = 0

    async def run(self, arguments: dict[str, JsonValue], config: RunnableConfig) -> object:
        """Return what the tool returns, or raise what it raises. Raises Crowded."""
        if self.running >= self.most:
            raise Crowded
        self.running += 1
        if not self._blocks:
            try:
                return await self.tool.ainvoke(arguments, config)
            finally:
                self.running -= 1
        return await in_daemon(
            lambda: self.tool.invoke(arguments, config),
            name=f"tool-{self.tool.name}",
            ended=self._ended,
        )

    def _ended(self) -> None:
        self.running -= 1

    @property
    def _blocks(self) -> bool:
        if isinstance(self.tool, StructuredTool | Tool):
            return self.tool.coroutine is None
        return type(self.tool)._arun is BaseTool._arun  # noqa: SLF001 - LangChain's extension point
