"""Running one tool so that it cannot take the process with it.

A blocking tool gets a daemon thread of its own: a hung one then neither starves the event loop's
shared thread pool, on which embedding and databases depend, nor keeps the process from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from dataclasses import dataclass

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, Tool
from pydantic import JsonValue


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
        return await self._in_thread(arguments, config)

    @property
    def _blocks(self) -> bool:
        if isinstance(self.tool, StructuredTool | Tool):
            return self.tool.coroutine is None
        return type(self.tool)._arun is BaseTool._arun  # noqa: SLF001 - LangChain's extension point

    async def _in_thread(self, arguments: dict[str, JsonValue], config: RunnableConfig) -> object:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[object] = loop.create_future()
        context = contextvars.copy_context()

        def settle(result: object, error: BaseException | None) -> None:
            self.running -= 1
            if done.done():  # the deadline passed first
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        def work() -> None:
            result: object = None
            error: BaseException | None = None
            try:
                result = context.run(self.tool.invoke, arguments, config)
            # A tool is the user's code: whatever it raises crosses to the waiting task.
            except BaseException as raised:  # noqa: BLE001
                error = raised
            # A closed loop means that nobody waits any more.
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, result, error)

        threading.Thread(target=work, name=f"tool-{self.tool.name}", daemon=True).start()
        return await done
