"""Finding the tools an assistant declares, by dotted path, and making LangChain tools of them.

The assistant's own `tools.py` is loaded under a name of its own, never through `sys.path`, so
that two assistants in one process cannot get each other's tools.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType

from langchain_core.tools import BaseTool, StructuredTool

from antiphon.tools.errors import AssistantError
from antiphon.tools.toolbox.schema import RESERVED, arguments_of

FILE = "tools.py"


def load_tool(path: str, folder: Path) -> BaseTool:
    """Return the tool that `path` names: `tools:name` in `folder`, else `package.module:name`.

    Raises:
        AssistantError: naming the file and, for a mistake in its code, the line.
    """
    source, _, name = path.partition(":")
    module = _own_module(folder) if source == "tools" else _installed(source)
    where = FILE if source == "tools" else source
    found = getattr(module, name, None)
    if found is None:
        offered = ", ".join(_offered(module)) or "none"
        raise _mistake(f"{where}: there is no {name!r}; functions there: {offered}")
    tool = found if isinstance(found, BaseTool) else _wrapped(found, where=where, name=name)
    reserved = sorted(RESERVED & {argument.name for argument in arguments_of(tool)})
    if reserved:
        raise _mistake(
            f"{where}: tool {name!r} takes {reserved[0]!r} as an argument a model could forge; "
            "take `config: RunnableConfig` and read config['configurable'] instead"
        )
    return tool


def _own_module(folder: Path) -> ModuleType:
    path = folder / FILE
    try:
        source = path.read_bytes()
    except OSError as error:
        raise _mistake(f"{FILE}: cannot be read in {str(folder)!r}: {error.strerror}") from error
    # The content is part of the name: an edited file is a new module, an unedited one is shared.
    digest = hashlib.sha256(str(path.resolve()).encode() + b"\0" + source).hexdigest()[:16]
    name = f"antiphon_assistant_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(path))
    if spec is None:
        raise _mistake(f"{FILE}: cannot be loaded from {str(folder)!r}")
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102
    except SyntaxError as error:
        del sys.modules[name]
        raise _mistake(f"{FILE}:{error.lineno or 1}: {error.msg}") from error
    # The user's code runs here, and may raise anything at all.
    except Exception as error:
        del sys.modules[name]
        frames = traceback.extract_tb(error.__traceback__)
        line = next((f.lineno for f in reversed(frames) if f.filename == str(path)), 1)
        raise _mistake(f"{FILE}:{line}: {type(error).__name__}: {error}") from error
    return module


def _installed(dotted: str) -> ModuleType:
    try:
        return importlib.import_module(dotted)
    except ImportError as error:
        raise _mistake(f"{dotted}: cannot be imported: {error}") from error


def _wrapped(found: object, *, where: str, name: str) -> BaseTool:
    if not inspect.isroutine(found):
        raise _mistake(f"{where}: {name!r} is neither a function nor a LangChain tool")
    is_async = inspect.iscoroutinefunction(found)
    try:
        return StructuredTool.from_function(
            func=None if is_async else found,
            coroutine=found if is_async else None,
            parse_docstring=True,
            error_on_invalid_docstring=False,
        )
    except (ValueError, TypeError, NameError) as error:
        what = str(error).splitlines()[0]
        raise _mistake(
            f"{where}: {name!r} cannot be made a tool: {what}",
            hint="Give it a docstring, and a type to each argument.",
        ) from error


def _offered(module: ModuleType) -> list[str]:
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (
            isinstance(value, BaseTool)
            or (inspect.isfunction(value) and value.__module__ == module.__name__)
        )
    )


def _mistake(problem: str, *, hint: str = "") -> AssistantError:
    return AssistantError(
        problem, hint=hint or "`antiphon check DIR` checks the whole folder.", problems=(problem,)
    )
