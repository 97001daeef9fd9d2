"""Files and folders for the owner alone, under any umask."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from antiphon.tools.private import private_file, private_folder, tighten, write_private


@pytest.fixture(autouse=True, params=[0o022, 0o000, 0o077], ids=["022", "000", "077"])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_new_folders_are_private_all_the_way_down(tmp_path: Path) -> None:
    """Those that are missing are made for the owner; one that was there stays as it was."""
    tmp_path.chmod(0o755)
    private_folder(tmp_path / "a" / "b")
    private_folder(tmp_path / "a" / "b")
    assert (mode(tmp_path), mode(tmp_path / "a"), mode(tmp_path / "a/b")) == (0o755, 0o700, 0o700)


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be(tmp_path: Path, place: str) -> None:
    """Where a file stands there can be no folder."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        private_folder(tmp_path / place)


def test_files_are_private_and_keep_what_they_hold(tmp_path: Path) -> None:
    """A new file is empty; one that is there loses others' rights and nothing else."""
    new, old = tmp_path / "new", tmp_path / "old"
    old.write_text("kept")
    old.chmod(0o664)
    private_file(new)
    private_file(old)
    assert (mode(new), new.read_bytes()) == (0o600, b"")
    assert (mode(old), old.read_text()) == (0o600, "kept")
    write_private(tmp_path / "deep/new", b"one")
    write_private(tmp_path / "deep/new", b"two")
    assert (mode(tmp_path / "deep/new"), (tmp_path / "deep/new").read_bytes()) == (0o600, b"two")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "new", "new", "old"]


HELD = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"


def test_a_database_keeps_its_locks(tmp_path: Path) -> None:
    """Making sure of a file that this process has locked does not let the lock go."""
    path = tmp_path / "threads.db"
    private_file(path)
    with path.open("r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        path.chmod(0o644)
        private_file(path)
        other = subprocess.run([sys.executable, "-c", HELD, path], capture_output=True, check=False)
    assert other.returncode != 0
    assert b"BlockingIOError" in other.stderr


def test_what_is_there_is_tightened(tmp_path: Path) -> None:
    """Everything below loses others' rights; what a link points to is somebody else's."""
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o644)
    folder = tmp_path / "data"
    (folder / "returns").mkdir(parents=True)
    for name in ("threads.db", "returns/one.json"):
        (folder / name).touch()
        (folder / name).chmod(0o664)
    (folder / "link").symlink_to(outside)
    (folder / "returns").chmod(0o755)
    folder.chmod(0o755)
    tighten(folder)
    found = {path.name: mode(path) for path in folder.rglob("*") if not path.is_symlink()}
    assert found == {"threads.db": 0o600, "returns": 0o700, "one.json": 0o600}
    assert (mode(folder), mode(outside)) == (0o700, 0o644)
