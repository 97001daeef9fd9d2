"""Append-only files of JSON lines, shared by processes: one write a line, torn lines skipped."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from antiphon.tools.private import private_folder

MOST_READ_BYTES = 16_000_000
"""A file that could not be kept small is read from its end, no further back than this."""


def as_line(value: Mapping[str, object]) -> bytes:
    """Return one object as its line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def append_line(path: Path, value: Mapping[str, object]) -> int:
    """Append one object as one line and return the file's size after it.

    The write is a single one; the file is readable by its owner only. A line that a full disk or a
    crash left torn is ended first, so that it spoils only itself.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    line = as_line(value)
    private_folder(path.parent)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(file, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(file)
    return size + len(line)


def read_lines(path: Path, *, most_bytes: int = MOST_READ_BYTES) -> Iterator[dict[str, JsonValue]]:
    """Yield each object of the file in order, of a large one the latest; none without a file."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        skipped = os.fstat(file.fileno()).st_size - most_bytes
        if skipped > 0:
            file.seek(skipped)
            file.readline()
        for line in file:
            try:
                value = json.loads(line)
            except ValueError:  # torn by a full disk or a crash: the other lines still count
                continue
            if isinstance(value, dict):
                yield value
