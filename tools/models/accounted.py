"""Every model call of a turn is on its account: noted before it goes out, completed after."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import BaseMessage
from langchain_core.tools import BaseTool

from antiphon.tools.models.catalog import LAST_RESORT, Models, Reply, Selection, Task
from antiphon.tools.turns.current import CURRENT
from antiphon.tools.turns.records import Call


class Accounted:
    """Models whose calls are put down to the running turn, with what they were for.

    A process that dies leaves the call with its estimated cost; a cancelled or failed one keeps
    the estimate too, since a provider may charge for it.
    """

    def __init__(self, models: Models, purpose: str) -> None:
        self._models = models
        self._purpose = purpose
        self.fingerprint = models.fingerprint

    def select(self, task: Task) -> Selection:
        """Choose as the models do."""
        return self._models.select(task)

    async def reply(
        self,
        selection: Selection,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[BaseTool] = (),
    ) -> Reply:
        """Ask, on the turn's account."""
        running = CURRENT.get()
        if running is None:
            return await self._models.reply(selection, messages, tools=tools)
        number = await running.call_out(
            Call(purpose=self._purpose, model=selection.model, cost_usd=selection.cost_usd)
        )
        reply = await self._models.reply(selection, messages, tools=tools)
        await running.call_back(number, self._done(reply))
        for failure in reply.failed:
            model = failure.partition(": ")[0]
            await running.call_out(Call(purpose=self._purpose, model=model))
        return reply

    async def last_resort(self, messages: Sequence[BaseMessage]) -> Reply:
        """Answer without any provider, on the turn's account."""
        running = CURRENT.get()
        reply = await self._models.last_resort(messages)
        if running is not None:
            number = await running.call_out(Call(purpose=self._purpose, model=LAST_RESORT))
            await running.call_back(number, self._done(reply))
        return reply

    def _done(self, reply: Reply) -> Call:
        return Call(
            purpose=self._purpose,
            model=reply.model,
            input_tokens=reply.usage.input_tokens,
            output_tokens=reply.usage.output_tokens,
            cost_usd=reply.cost_usd,
            ok=True,
        )
