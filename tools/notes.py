"""Small files that several tasks and processes keep up to date: never half written, nothing lost.

What a writer writes builds on what stands there, so it looks and writes while no other does.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from antiphon.tools.private import private_folder, write_private

PATIENCE_S = 10.0
"""How long a writer waits for the one before; each takes milliseconds."""


def rewrite(path: Path, make: Callable[[], str]) -> None:
    """Replace the text at `path` by what `make` returns, in which it may read the present one.

    Blocks while another task or process does the same. Raises OSError.
    """
    from filelock import FileLock, Timeout

    private_folder(path.parent)
    try:
        with FileLock(path.with_name(f"{path.name}.lock"), timeout=PATIENCE_S, mode=0o600):
            write_private(path, make().encode())
    except Timeout as error:
        raise TimeoutError(errno.ETIMEDOUT, "another process is writing it") from error
