"""Everything that commands write below the data folder is for the owner alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from lantern import QUESTION, Shop, set_up

UMASK = """
import os
os.umask(0o022)
"""


def open_to_others(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in folder.rglob("*")
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    }


@pytest.fixture
def fresh(tmp_path: Path) -> Shop:
    """A shop that nobody asked anything, under the umask that most machines have."""
    return Shop(assistant=set_up(tmp_path / "shop"), data=tmp_path / "data").after(UMASK)


def test_what_commands_write_is_private(fresh: Shop) -> None:
    """Databases with their logs, vectors, notes, records and keys, and the folders they are in."""
    fresh.answer(QUESTION, "--thread", "t", "--user", "alice")
    fresh.run("doctor")
    # A process that is killed leaves the databases' logs behind.
    running = fresh.start("chat")
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(f"{QUESTION}\n".encode())
    running.stdin.flush()
    running.stdout.read(1)
    running.kill()
    running.communicate()
    names = {path.name for path in fresh.files.iterdir()}
    assert {"threads.db", "threads.db-wal", "answers.db", "knowledge.db"} <= names
    assert {"hash.key", "turns.jsonl", "wording.npz", "declared.json"} <= names
    assert open_to_others(fresh.data) == {}
    assert stat.S_IMODE(fresh.data.stat().st_mode) == 0o700


def test_what_an_earlier_release_wrote_is_tightened(fresh: Shop) -> None:
    """Opening takes others' rights from what is there; a shared folder above stays as it is."""
    fresh.answer()
    for path in fresh.files.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    fresh.files.chmod(0o755)
    fresh.data.chmod(0o755)
    fresh.answer()
    assert open_to_others(fresh.data) == {}
    assert stat.S_IMODE(fresh.data.stat().st_mode) == 0o755
