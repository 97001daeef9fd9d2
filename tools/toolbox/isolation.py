"""Running one tool so that it cannot take the process with it: a blocking one runs in a daemon."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, Tool
from pydantic import JsonValue

from antiphon.tools.daemon import in_daemon


class Crowded(Exception):
    """As many calls as are allowed are still running, hung ones included."""


@dataclass(slots=True)
class Runner:
    """Runs one tool, at most `most` at a time, and half of that for any one tenant."""

    tool: BaseTool
    most: int = 32
    running: Counter[str] = field(default_factory=Counter)
    """By tenant."""

    async def run(
        self, arguments: dict[str, JsonValue], config: RunnableConfig, tenant: str = ""
    ) -> object:
        """Return what the tool returns, or raise what it raises. Raises Crowded."""
        if self.running.total() >= self.most or self.running[tenant] >= self.most // 2:
            raise Crowded
        self.running[tenant] += 1
        if not self._blocks:
            try:
                return await self.tool.ainvoke(arguments, config)
            finally:
                self._ended(tenant)
        return await in_daemon(
            lambda: self.tool.invoke(arguments, config),
            name=f"tool-{self.tool.name}",
            ended=lambda: self._ended(tenant),
        )

    def _ended(self, tenant: str) -> None:
        self.running[tenant] -= 1
        if not self.running[tenant]:
            del self.running[tenant]

    @property
    def _blocks(self) -> bool:
        if isinstance(self.tool, StructuredTool | Tool):
            return self.tool.coroutine is None
        return type(self.tool)._arun is BaseTool._arun  # noqa: SLF001 - LangChain's extension point
