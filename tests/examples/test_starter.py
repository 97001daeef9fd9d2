from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from langchain_core.tools import BaseTool, ToolException

from antiphon.evals.golden import load_golden
from antiphon.graphs.assistant import load_assistant

FOLDER = Path(__file__).parents[2] / "examples" / "starter"


@pytest.fixture(scope="module")
def tools() -> ModuleType:
    """The starter's tools, loaded by path as a stranger would."""
    spec = importlib.util.spec_from_file_location("starter_tools", FOLDER / "tools.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(tools: ModuleType, name: str, arguments: dict[str, str], **configurable: str) -> object:
    """Call a tool as the runtime does, with what it knows of the caller."""
    tool: BaseTool = getattr(tools, name)
    return tool.invoke(arguments, {"configurable": dict(configurable)})


def test_what_init_copies_is_whole(tools: ModuleType) -> None:
    """Every tool, page and golden line that the starter's file leans on is in its folder."""
    assistant = load_assistant(FOLDER)
    golden = load_golden(FOLDER / assistant.golden)
    named = {tool.path.partition(":")[2] for tool in assistant.tools}
    cited = {source for example in golden for source in example.expected.sources}

    assert all(isinstance(getattr(tools, name), BaseTool) for name in named)
    assert {path.name for path in (FOLDER / "knowledge").glob("*.md")} >= cited
    assert len(golden) == 8


def test_expected_facts_stand_in_the_starters_pages() -> None:
    """What the golden lines ask for can be found in the page they name."""
    for example in load_golden(FOLDER / "golden.jsonl"):
        pages = [
            (FOLDER / "knowledge" / name).read_text("utf-8") for name in example.expected.sources
        ]
        for wordings in example.expected.facts if pages else ():
            assert any(wording in page for wording in wordings for page in pages), example.id


def test_the_same_key_sends_one_request(tools: ModuleType, tmp_path: Path) -> None:
    """A retry with the same key gets the same number, and one record is written."""
    known = {"tenant": "default", "idempotency_key": "one", "data_dir": str(tmp_path)}

    first = run(tools, "new_request", {"topic": "billing"}, **known)
    again = run(tools, "new_request", {"topic": "billing"}, **known)

    assert first == again
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_an_unknown_request_is_said_to_be_unknown(tools: ModuleType) -> None:
    """Asking after a request that never was names it in a plain sentence."""
    with pytest.raises(ToolException, match=r"There is no request RQ-9999\."):
        run(tools, "request_status", {"request_id": "RQ-9999"})
