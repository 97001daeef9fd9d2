"""Blocking work in a thread that nobody has to wait for.

asyncio's shared pool is not for work that may hang: a hung call starves embedding and databases,
which depend on the pool, and keeps the process from ending.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_daemon(
    work: Callable[[], T], *, name: str, ended: Callable[[], None] | None = None
) -> T:
    """Return what `work` returns, or raise what it raises, from a daemon thread of its own.

    Cancelling stops the waiting, not the work. `ended` is called in the event loop when the work
    is over, however long after.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: T | None, error: BaseException | None) -> None:
        if ended is not None:
            ended()
        if done.done():  # the deadline passed first
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]  # T may itself be None
        else:
            done.set_exception(error)

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = context.run(work)
        # Whatever the work raises crosses to the waiting task.
        except BaseException as raised:  # noqa: BLE001
            error = raised
        # A closed loop means that nobody waits any more.
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
