"""Files that are gone, damaged, read-only or too big, and two processes at once."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from lantern import FACT, QUESTION, Shop, ended

from antiphon.graphs.answers import open_cache
from antiphon.graphs.persistence import open_persistence
from antiphon.graphs.settings import Settings

GARBAGE = b"this was a database once " * 400
UNPRIVILEGED = """
import ctypes
if os.geteuid() == 0:
    # Root without CAP_DAC_OVERRIDE is bound by file modes like anyone; it takes effect at exec.
    if ctypes.CDLL(None).prctl(24, 1, 0, 0, 0):
        sys.exit(77)
"""
SMALL_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
"""


def damage(path: Path, *, sound: int = 0) -> str:
    """Overwrite a file but for its first `sound` bytes and return its digest."""
    for rest in path.parent.glob(f"{path.name}-*"):
        rest.unlink()
    path.write_bytes(path.read_bytes()[:sound] + GARBAGE)
    return digest(path)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def test_missing_and_damaged_knowledge(lanterns: Shop) -> None:
    """Damaged knowledge is a degraded answer that says why; deleted, it comes back by itself."""
    path = lanterns.files / "knowledge.db"
    before = damage(path)
    turn = lanterns.ask("What does a copper lantern cost?", "--thread", "t", "--user", "alice")
    assert turn["outcome"] == "degraded"
    assert "knowledge_corrupt" in turn["degraded_because"]
    assert "knowledge.db" in turn["degraded_because"]
    assert digest(path) == before
    found = lanterns.here("search", "copper")
    assert (found.code, found.error["code"]) == (1, "knowledge_corrupt")
    assert "delete the file" in found.error["hint"]
    remove(path)
    turn = lanterns.answer("What does a copper lantern cost?", "--thread", "t", "--user", "alice")
    assert turn["outcome"] == "answered"
    assert "63 EUR" in turn["answer"]
    said = lanterns.messages("t", "--user", "alice")
    assert [role for role, _ in said] == ["user", "assistant"] * 3


@pytest.mark.parametrize(
    ("name", "sound"),
    [("threads.db", 0), ("threads.db", 4096), ("memory.db", 0)],
    ids=["threads", "pages of threads", "memory"],
)
def test_damaged_conversations(lanterns: Shop, name: str, sound: int) -> None:
    """A damaged conversation file exits 1, is named with a remedy, and is left as it was."""
    before = damage(lanterns.files / name, sound=sound)
    run = lanterns.here if sound else lanterns.run
    done = run("ask", QUESTION, "--thread", "t", "--user", "alice")
    assert (done.code, done.out) == (1, "")
    assert done.error["code"] == "storage_corrupt"
    assert name in done.error["message"]
    assert name in done.error["hint"]
    assert digest(lanterns.files / name) == before


@pytest.mark.parametrize("sound", [0, 4096], ids=["whole", "pages"])
def test_damaged_conveniences(lanterns: Shop, sound: int) -> None:
    """What can be made again is: kept answers, kept vectors and notes never stop a turn."""
    kept = damage(lanterns.files / "answers.db", sound=sound)
    (lanterns.files / "wording.npz").write_bytes(b"PK\x03\x04 cut short")
    (lanterns.files / "declared.json").write_text("[]")
    with (lanterns.files / "turns.jsonl").open("ab") as records:
        records.write(b'{"torn": ')
    turn = lanterns.answer()
    assert (turn["outcome"], turn["degraded_because"]) == ("answered", None)
    assert digest(lanterns.files / "answers.db.damaged") == kept
    records_now = (lanterns.files / "turns.jsonl").read_text().splitlines()
    assert records_now[-2] == '{"torn": '
    assert records_now[-1].startswith('{"at":')


def test_a_data_folder_that_cannot_be(lanterns: Shop, tmp_path: Path) -> None:
    """A data folder below a file exits 1 and names the variable to set."""
    (tmp_path / "file").write_text("")
    done = replace(lanterns, data=tmp_path / "file" / "data").run("ask", QUESTION)
    assert (done.code, done.out) == (1, "")
    assert done.error["code"] == "storage_unwritable"
    assert "ANTIPHON_DATA_DIR" in done.error["hint"]


def test_a_read_only_data_folder(lanterns: Shop) -> None:
    """A data folder that may only be read exits 1, says so, and nothing in it changes."""
    before = {path.name: digest(path) for path in lanterns.files.iterdir()}
    for path in (*lanterns.files.iterdir(), lanterns.files, lanterns.data):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        done = lanterns.after(UNPRIVILEGED).run("ask", QUESTION)
    finally:
        for path in (lanterns.data, lanterns.files, *lanterns.files.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)
    if done.code == 77:
        pytest.skip("root cannot give up its right to write read-only files here")
    assert (done.code, done.out) == (1, "")
    assert done.error["code"] == "storage_unwritable"
    assert "ANTIPHON_DATA_DIR" in done.error["hint"]
    assert {path.name: digest(path) for path in lanterns.files.iterdir()} == before


def test_a_full_disk(lanterns: Shop) -> None:
    """When nothing more can be written the turn exits 1 and says so; what was stored is whole."""
    limit = max(path.stat().st_size for path in lanterns.files.iterdir()) // 4096 * 4096
    full = lanterns.after(SMALL_FILES.format(limit=min(limit, 16_384)))
    done = full.run("ask", "When does the shop open?", "--thread", "t", "--user", "alice")
    assert (done.code, done.out) == (1, "")
    assert done.error["code"] == "storage_unwritable"
    assert "Free some space" in done.error["hint"]
    with sqlite3.connect(lanterns.files / "threads.db") as threads:
        assert threads.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    threads.close()
    turn = lanterns.answer("When does the shop open?", "--thread", "t", "--user", "alice")
    assert "10 in the morning" in turn["answer"]
    said = lanterns.messages("t", "--user", "alice")
    assert said[0] == ("user", QUESTION)
    assert said[-1][1] == turn["answer"]


def test_two_processes_on_one_fresh_folder(lanterns: Shop, tmp_path: Path) -> None:
    """Two processes that start at once on an empty folder both answer, and both turns are kept."""
    fresh = replace(lanterns, data=tmp_path / "fresh")
    started = [fresh.start("ask", QUESTION, "--thread", name) for name in ("one", "two")]
    for process in started:
        done = ended(process)
        assert (done.code, done.err) == (0, "")
        assert (done.json["outcome"], done.json["degraded_because"]) == ("answered", None)
        assert FACT in done.json["answer"]
    for name in ("one", "two"):
        assert [role for role, _ in fresh.messages(name)] == ["user", "assistant"]
    assert len((fresh.files / "turns.jsonl").read_text().splitlines()) == 2
    noted = {path.name for path in fresh.files.glob("declared.json*")}
    assert noted == {"declared.json", "declared.json.lock"}


async def test_many_openings_of_a_fresh_folder(tmp_path: Path) -> None:
    """However many start at once on empty folders, none trips over another's migrations."""

    async def opened(folder: Path) -> None:
        async with open_persistence(Settings(), folder):
            await asyncio.to_thread(open_cache, Settings(), folder)

    for place in range(5):
        await asyncio.gather(*(opened(tmp_path / str(place)) for _ in range(6)))
