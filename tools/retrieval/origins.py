"""Which sources each folder gave: what has vanished at a second look, and whose a name is."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from antiphon.tools.notes import rewrite
from antiphon.tools.retrieval.loaders import Source

Gave = dict[str, list[str]]
"""Names of sources by the folder they were found in."""


class Origins:
    """Notes of this machine, in one file: tenant, folder, sources."""

    def __init__(self, notes: Path, *, always: Gave | None = None) -> None:
        """Read nothing yet; `always` is what folders give that are not noted."""
        self._notes = notes
        self._always = always or {}

    def owners(self, tenant: str) -> dict[str, str]:
        """Return the folder that gave each source."""
        gave = {**self._read().get(tenant, {}), **self._always}
        return {name: folder for folder, names in gave.items() for name in names}

    def vanished(self, tenant: str, gives: Gave) -> tuple[str, ...]:
        """Return what these folders gave before and no folder gives now, by name."""
        gave = self._read().get(tenant, {})
        elsewhere = {one for folder, names in gave.items() if folder not in gives for one in names}
        now = {one for names in gives.values() for one in names}
        before = {one for folder in gives for one in gave.get(folder, [])}
        return tuple(sorted(before - now - elsewhere))

    def note(self, tenant: str, gives: Gave, files: Gave) -> None:
        """Remember what these folders give now, and which single files were taken from where."""

        def noted() -> str:
            notes = self._read()
            gave = {**notes.get(tenant, {}), **gives}
            for folder, names in files.items():
                gave[folder] = sorted({*gave.get(folder, []), *names})
            return json.dumps({**notes, tenant: gave}, indent=1)

        # What cannot be noted is not forgotten next time, which `--replace` still does.
        with suppress(OSError):
            rewrite(self._notes, noted)

    def _read(self) -> dict[str, Gave]:
        try:
            notes = json.loads(self._notes.read_text("utf-8"))
            return {
                tenant: {folder: [*map(str, names)] for folder, names in gave.items()}
                for tenant, gave in notes.items()
            }
        except (OSError, ValueError, AttributeError, TypeError):
            # Missing or damaged: nothing is taken for vanished.
            return {}


def files(paths: Sequence[Path], sources: Sequence[Source]) -> Gave:
    """Return the sources that were given as single files, by the folder they are in."""
    singles = {path for path in paths if not path.is_dir()}
    found: Gave = {}
    for one in sources:
        if one.path in singles:
            found.setdefault(os.path.realpath(one.path.parent), []).append(one.source)
    return found


def gives(paths: Sequence[Path], sources: Sequence[Source]) -> Gave:
    """Return the sources found in each of the paths that is a folder."""
    folders = [path for path in paths if path.is_dir()]
    return {
        os.path.realpath(folder): [one.source for one in sources if one.path.is_relative_to(folder)]
        for folder in folders
    }
