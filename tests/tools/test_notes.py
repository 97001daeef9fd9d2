"""Notes that many write at once lose nothing, and are whole at every moment."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from antiphon.tools import notes
from antiphon.tools.notes import rewrite

ADD = """
import json, sys
from pathlib import Path
from antiphon.tools.notes import rewrite

path = Path(sys.argv[1])
for number in range(20):
    rewrite(path, lambda: json.dumps([*json.loads(path.read_text()), f"{sys.argv[2]}{number}"]))
"""


def add(path: Path, word: str) -> None:
    """Add a word to a list of them, as a writer does that builds on what stands there."""
    rewrite(path, lambda: json.dumps([*json.loads(path.read_text()), word]))


def test_no_note_of_many_tasks_is_lost(tmp_path: Path) -> None:
    """Tasks of one process take turns, and a reader sees whole notes only."""
    path = tmp_path / "new" / "notes.json"
    rewrite(path, lambda: "[]")
    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(add, path, f"{number}") for number in range(60)]
        seen = [len(json.loads(path.read_text())) for _ in range(200)]
        for one in writing:
            one.result()
    assert sorted(seen) == seen
    assert {f"{number}" for number in range(60)} == set(json.loads(path.read_text()))
    assert ["notes.json", "notes.json.lock"] == sorted(one.name for one in path.parent.iterdir())


def test_no_note_of_many_processes_is_lost(tmp_path: Path) -> None:
    """Processes take turns too."""
    path = tmp_path / "notes.json"
    rewrite(path, lambda: "[]")
    running = [
        subprocess.Popen([sys.executable, "-c", ADD, str(path), name]) for name in ("a", "b", "c")
    ]
    assert [0, 0, 0] == [one.wait(60) for one in running]
    assert 60 == len(set(json.loads(path.read_text())))


def test_a_writing_that_fails_leaves_what_stood_there(tmp_path: Path) -> None:
    """Neither the notes nor the folder show that it was tried, and the next writer may write."""
    path = tmp_path / "notes.json"
    rewrite(path, lambda: "old")
    with pytest.raises(ZeroDivisionError):
        rewrite(path, lambda: str(1 / 0))
    with pytest.raises(UnicodeEncodeError):
        rewrite(path, lambda: "\ud800")
    assert "old" == path.read_text()
    assert ["notes.json", "notes.json.lock"] == sorted(one.name for one in tmp_path.iterdir())
    rewrite(path, lambda: "new")
    assert "new" == path.read_text()


def test_a_writer_that_is_held_up_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is never given back is an OSError that says so."""
    monkeypatch.setattr(notes, "PATIENCE_S", 0.1)
    path = tmp_path / "notes.json"
    held = FileLock(tmp_path / "notes.json.lock")
    with held, pytest.raises(OSError, match="another process is writing it") as caught:
        rewrite(path, lambda: "text")
    assert caught.value.strerror == "another process is writing it"
