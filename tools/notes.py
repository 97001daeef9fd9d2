"""Small files that several tasks and processes keep up to date: never half written, nothing lost.

A writer puts a whole file of its own in place; where what it writes builds on what stands there,
it looks and writes while no other does.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 10.0
"""How long a writer waits for the one before; each takes milliseconds."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a fresh file to write, which takes the place of `path` unless the writing fails."""
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    fresh = Path(name)
    try:
        yield fresh
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def rewrite(path: Path, make: Callable[[], str]) -> None:
    """Replace the text at `path` by what `make` returns, in which it may read the present one.

    Blocks while another task or process does the same. Raises OSError.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_name(f"{path.name}.lock"), timeout=PATIENCE_S):
            text = make()
            with replacing(path) as fresh:
                fresh.write_text(text, "utf-8")
    except Timeout as error:
        raise TimeoutError(errno.ETIMEDOUT, "another process is writing it") from error
