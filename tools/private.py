"""Files and folders that nobody but their owner may read, whatever the umask says.

Everything below the data folder is made here: conversations, memories, answers, vectors, keys.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for the owner alone.

    Raises OSError.
    """
    if folder.is_dir():
        return
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    for part in reversed(missing):
        part.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        folder.mkdir()  # raises: something else stands there


def private_file(path: Path, content: bytes = b"") -> None:
    """Make a file for the owner alone, or take the others' rights from one that is there.

    Of several makers at once one wins, whole. The file is never opened under its own name: closing
    a database's file would drop the locks that this process holds on it. Raises OSError.
    """
    if path.exists():
        _tighten(path)
        return
    fresh = _beside(path)
    try:
        _write(fresh, content)
        with suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        with suppress(OSError):
            fresh.unlink()


def write_private(path: Path, content: bytes) -> None:
    """Put a whole file in place for the owner alone; of two writers at once the later one wins.

    Raises OSError, and then nothing has changed.
    """
    private_folder(path.parent)
    fresh = _beside(path)
    try:
        _write(fresh, content)
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise


def tighten(folder: Path) -> None:
    """Take everyone else's rights from a folder and all that it holds; links are left alone."""
    _tighten(folder)
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            _tighten(Path(place) / name)


def _tighten(path: Path) -> None:
    # What is not ours to change, or vanished meanwhile, stays as it is.
    with suppress(OSError):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~OTHERS)


def _write(fresh: Path, content: bytes) -> None:
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}")
