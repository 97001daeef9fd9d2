"""What a server does beside its turns: take up what died, thin out what is old."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from antiphon.graphs.retention import sweep
from antiphon.graphs.runtime import Runtime

TAKE_UP_S = 5.0
"""How often turns of processes that died are looked for."""
SWEEP_S = 3600.0
"""How often what is past its time is removed."""


async def tend(runtime: Runtime) -> None:
    """Tend the store until cancelled; a fault now is tried again at the next round."""
    loop = asyncio.get_running_loop()
    swept = loop.time() - SWEEP_S
    while True:
        # Whatever it is, the next round tries again.
        with suppress(Exception):
            await runtime.conversations.runner.take_up(wait=False)
        if loop.time() - swept >= SWEEP_S:
            swept = loop.time()
            with suppress(Exception):
                await sweep(runtime)
        await asyncio.sleep(TAKE_UP_S)
