"""The wheel: one namespace, installed beside a host that has its own `tools` and `nodes`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from antiphon.gateway.cli.doctor import EXTRAS

ROOT = Path(__file__).parent.parent
HOST = """
import asyncio, json, sys
import tools, nodes                      # the host's own
from antiphon.graphs import open_runtime, Settings
from antiphon.nodes.state import Context

async def main():
    async with open_runtime(Settings()) as runtime:
        question = "How long do I have to return an order?"
        return await runtime.conversations.ask(question, context=Context())

turn = asyncio.run(main())
mine = [tools.MINE, nodes.MINE]
print(json.dumps({"mine": mine, "outcome": turn.outcome, "cites": len(turn.citations)}))
"""


def declared() -> dict[str, dict[str, object]]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    found: dict[str, dict[str, object]] = config["tool"]["setuptools"]
    return found


def test_the_package_list_is_the_tree() -> None:
    """No folder with Python files is missing from the wheel, and none is listed in vain."""
    roots = {str(folder) for folder in declared()["package-dir"].values()}
    tree = {
        "antiphon." + ".".join(path.parent.relative_to(ROOT).parts)
        for root in roots - {"examples"}
        for path in (ROOT / root).rglob("*.py")
    }
    listed = set(map(str, declared()["packages"]))
    assert tree <= listed
    assert {
        name
        for name in listed - tree
        if not (ROOT / name.removeprefix("antiphon.").replace(".", "/")).is_dir()
    } == set()


def test_typing_links_cover_every_folder() -> None:
    """Type checkers see each folder under its import name."""
    links = {path.name for path in (ROOT / ".typing" / "antiphon").iterdir()}
    assert links == {str(folder) for folder in declared()["package-dir"].values()}


def test_every_extra_is_for_something() -> None:
    """`doctor` knows each extra, and the code imports what it installs, but for a command."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = set(config["project"]["optional-dependencies"]) - {"dev", "bench", "train"}
    assert set(EXTRAS) == extras
    code = "\n".join(
        path.read_text("utf-8")
        for folder in ("evals", "graphs", "tools")
        for path in (ROOT / folder).rglob("*.py")
    )
    unused = [name for name in EXTRAS.values() if not re.search(rf"(import|from) {name}\b", code)]
    assert unused == ["langgraph_cli"]


@pytest.mark.slow
def test_the_wheel_works_beside_a_hosts_own_tools(tmp_path: Path) -> None:
    """Built, installed apart from the checkout, and answering a turn in a foreign project."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", tmp_path, ROOT],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    wheel = next(tmp_path.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"antiphon"}
    assert "antiphon/examples/help_centre/assistant.yaml" in names
    assert "antiphon/examples/starter/assistant.yaml" in names
    assert "antiphon/prompts/answer.md" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]

    # The dependencies are those of this environment; only the wheel itself is installed anew.
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    host = tmp_path / "host"
    for name in ("tools", "nodes"):
        (host / name).mkdir(parents=True)
        (host / name / "__init__.py").write_text(f"MINE = 'host {name}'\n")
    (host / "main.py").write_text(HOST)
    clean = tmp_path / "venv"
    venv.create(clean, with_pip=False, symlinks=True)
    packages = next((clean / "lib").glob("python3.*")) / "site-packages"
    here = Path(sys.prefix) / "lib" / packages.parent.name / "site-packages"
    kept = [p for p in here.iterdir() if "antiphon" not in p.name.lower() and p.suffix != ".pth"]
    for path in kept:
        (packages / path.name).symlink_to(path)
    (packages / "antiphon").symlink_to(site / "antiphon")
    done = subprocess.run(
        [clean / "bin" / "python", "-W", "ignore", "main.py"],
        cwd=host, check=False, capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin", "ANTIPHON_DATA_DIR": str(tmp_path / "d")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said == {
        "mine": ["host tools", "host nodes"],
        "outcome": "answered",
        "cites": said["cites"],
    }
    assert said["cites"] > 0
