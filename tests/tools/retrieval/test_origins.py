"""Which folder gave which source is noted once for all, whoever else notes at that moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from antiphon.tools.retrieval.origins import Origins


def test_no_folder_of_many_is_forgotten(tmp_path: Path) -> None:
    """Folders that are read at once, for one tenant and for several, are all noted."""
    path = tmp_path / "notes" / "origins.json"

    def note(number: int) -> None:
        Origins(path).note(f"t{number % 3}", {f"/folder{number}": [f"{number}.md"]}, {})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note, range(30)))
    for tenant in range(3):
        owners = Origins(path).owners(f"t{tenant}")
        assert {f"{number}.md": f"/folder{number}" for number in range(tenant, 30, 3)} == owners


def test_notes_that_cannot_be_written_cost_nothing(tmp_path: Path) -> None:
    """A read-only or full disk is no fault of the ingestion."""
    (tmp_path / "file").write_text("no folder")
    origins = Origins(tmp_path / "file" / "origins.json")
    origins.note("t", {"/folder": ["a.md"]}, {})
    assert {} == origins.owners("t")
