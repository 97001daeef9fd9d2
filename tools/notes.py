"""Small files that several tasks and processes keep up to date: never half written, nothing lost.

What a writer writes builds on what stands there, so it looks and writes while no other does.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from antiphon.tools.private import private_folder, write_private

PATIENCE_S = 10.0
"""How long a writer waits for the one before; each takes milliseconds."""
POLL_S = 0.005
"""How often it looks: as seldom as the library does, a burst of writers takes a second."""


def rewrite(path: Path, make: Callable[[], str]) -> None:
    """Replace the text at `path` by what `make` returns, in which it may read the present one.

    Blocks while another task or process does the same. Raises OSError.
    """
    with locked(path):
        write_private(path, make().encode())


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file's lock, against every thread and process; one that dies lets go of it.

    The lock is a file of its own, so that the file itself may be replaced meanwhile.

    Raises:
        OSError: the lock cannot be made, or was not let go of in time.
    """
    from filelock import FileLock, Timeout

    private_folder(path.parent)
    beside = path.with_name(f"{path.name}.lock")
    lock = FileLock(beside, timeout=PATIENCE_S, mode=0o600, poll_interval=POLL_S)
    try:
        lock.acquire()
    except Timeout as error:
        raise TimeoutError(errno.ETIMEDOUT, "another process is writing it") from error
    try:
        yield
    finally:
        lock.release()
