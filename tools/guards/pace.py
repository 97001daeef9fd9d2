"""Work on long texts beside the event loop: a guard must not stop every other turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LONG = 1000
"""Characters from which a text goes to a thread; what is shorter takes a few milliseconds."""


async def paced(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do synchronous work on a text of `size` characters, in a thread if it is long.

    A thread cannot be stopped when its caller no longer waits: work has to be linear in the size.
    """
    if size <= LONG:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
