"""Tools are found by path, and mistakes in an assistant's tools.py are located."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from antiphon.tools.errors import AssistantError
from antiphon.tools.toolbox.registry import load_tool
from antiphon.tools.toolbox.schema import arguments_of

GOOD = '''
from __future__ import annotations

from typing import Annotated, Literal

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from pydantic import Field

CALLS: list[str] = []


def order_status(
    order_id: Annotated[str, Field(pattern=r"^[A-Z]-\\d{4}$")], config: RunnableConfig
) -> dict[str, str]:
    """Look up where an order is.

    Args:
        order_id: The number on the receipt.
    """
    CALLS.append(order_id)
    return {"for": config["configurable"]["user"]}


async def refund(reason: Literal["late", "broken"]) -> str:
    """Give the money back."""
    return reason


@tool
def greet(name: str) -> str:
    """Say hello."""
    return f"Hello {name}"


def undescribed(x: int) -> int:
    return x


def forged(user: str) -> str:
    """Take its caller from the model."""
    return user


NUMBER = 3
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tools.py").write_text(GOOD, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", ["order_status", "refund", "greet"])
def test_functions_and_langchain_tools_are_both_tools(folder: Path, name: str) -> None:
    """A plain function, an async one and a decorated one all load under their own name."""
    assert name == load_tool(f"tools:{name}", folder).name


def test_the_docstring_describes_tool_and_arguments(folder: Path) -> None:
    """The summary is the tool's description, the Args section its arguments'; config is hidden."""
    tool = load_tool("tools:order_status", folder)
    (argument,) = arguments_of(tool)
    assert "Look up where an order is." == tool.description
    assert ("order_id", "The number on the receipt.", r"^[A-Z]-\d{4}$") == (
        argument.name,
        argument.description,
        argument.pattern,
    )


def test_one_file_is_run_once_and_never_from_sys_path(folder: Path) -> None:
    """Two tools of one file share its state, and `tools` stays what it was."""
    before = sys.modules.get("tools")
    first, second = load_tool("tools:greet", folder), load_tool("tools:greet", folder)
    assert first is second
    assert before is sys.modules.get("tools")
    assert str(folder) not in sys.path


def test_two_assistants_keep_their_own_tools(folder: Path, tmp_path: Path) -> None:
    """The same function name in two folders is two tools."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "tools.py").write_text('def greet(n: str) -> str:\n    """Other."""\n    return n\n')
    assert "Other." == load_tool("tools:greet", other).description
    assert "Say hello." == load_tool("tools:greet", folder).description


def test_an_installed_module_is_named_by_its_dotted_path(folder: Path) -> None:
    """`package.module:name` is imported in the ordinary way."""
    with pytest.raises(AssistantError, match=r"no_such_package\.x: cannot be imported"):
        load_tool("no_such_package.x:name", folder)
    assert "basename" == load_tool("posixpath:basename", folder).name


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        pytest.param("x = 1\ndef broken(:\n", "tools.py:2: invalid syntax", id="syntax"),
        pytest.param("\n\nimport no_such_thing\n", "tools.py:3: ModuleNotFoundError", id="import"),
        pytest.param("\nx = 1 / 0\n", "tools.py:2: ZeroDivisionError", id="raises"),
    ],
)
def test_broken_code_is_located(tmp_path: Path, source: str, problem: str) -> None:
    """A tools.py that cannot run names its file and line, and leaves no half module behind."""
    (tmp_path / "tools.py").write_text(source)
    for _ in range(2):
        with pytest.raises(AssistantError) as caught:
            load_tool("tools:x", tmp_path)
        assert caught.value.problems[0].startswith(problem)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("missing", "there is no 'missing'; functions there: forged, greet, order_status"),
        ("undescribed", "'undescribed' cannot be made a tool"),
        ("NUMBER", "'NUMBER' is neither a function nor a LangChain tool"),
        ("forged", "takes 'user' as an argument a model could forge"),
    ],
)
def test_what_cannot_be_a_tool_is_refused(folder: Path, name: str, problem: str) -> None:
    """A name that is absent, bare, not callable or unsafe is refused with the reason."""
    with pytest.raises(AssistantError, match=problem):
        load_tool(f"tools:{name}", folder)


def test_no_tools_file_is_an_assistant_error(tmp_path: Path) -> None:
    """A declared tool without a tools.py says so."""
    with pytest.raises(AssistantError, match=r"tools\.py: cannot be read"):
        load_tool("tools:x", tmp_path)
