"""Whether an assistant's folder would work: every mistake with its file, line, key and remedy.

`load_assistant` finds what is wrong with the form; here stands what only shows when the file is
held against the rest of the folder: its knowledge, tools, guards and golden set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from string import Formatter
from typing import Literal

from antiphon.graphs.assistant import FILE, Assistant, GuardForm, line_of, load_assistant
from antiphon.prompts.library import PromptError, PromptFiles
from antiphon.tools.errors import AssistantError, InputError
from antiphon.tools.guards.build import build_guard
from antiphon.tools.privacy import PatternDetector
from antiphon.tools.retrieval.loaders import discover, load
from antiphon.tools.toolbox.registry import load_tool
from antiphon.tools.toolbox.schema import arguments_of

Keys = tuple[str | int, ...]
PLACES = {"clarify": {"options"}, "refused": {"reason"}, "unsure": {"claims"}}
"""What each fixed sentence may have filled in."""
SCHEMA = "`antiphon check --schema` describes every key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake and what to do about it."""

    file: str
    line: int
    key: str
    message: str
    remedy: str = ""

    def as_json(self) -> dict[str, str | int]:
        """Return plain JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """Return the line that a terminal shows."""
        key = f"{self.key}: " if self.key else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{self.file}:{self.line}: {key}{self.message}{remedy}"


def check_assistant(
    folder: Path, *, read_golden: Callable[[Path], object] | None = None
) -> tuple[Problem, ...]:
    """Return every mistake in an assistant's folder, in the order of its file.

    `read_golden` reads the golden set and raises InputError; without it that file need only exist.
    """
    try:
        form = load_assistant(folder)
    except AssistantError as error:
        return tuple(_read(problem, error.hint) for problem in error.problems or (error.message,))
    found = [
        *_knowledge(form),
        *_intents(form),
        *_tools(form),
        *_guards(form),
        *_wording(form),
        *_prompts(form),
        *_golden(form, read_golden),
    ]
    return tuple(sorted(found, key=lambda problem: (problem.file != FILE, problem.line)))


def _read(problem: str, hint: str = "", *, file: str = FILE) -> Problem:
    """Take apart `file:line: key: what`; the key is there only in mistakes of the form."""
    placed = re.match(
        r"(?P<file>[^\s:]+):(?P<line>\d+): (?:(?P<key>[\w.]+): )?(?P<what>.*)", problem
    )
    if placed is None:
        return Problem(file=file, line=1, key="", message=problem, remedy=hint)
    what, _, remedy = placed["what"].partition("; ")
    return Problem(
        file=placed["file"],
        line=int(placed["line"]),
        key=placed["key"] or "",
        message=what,
        remedy=remedy or (SCHEMA if placed["file"] == FILE else hint),
    )


def _at(form: Assistant, keys: Keys, message: str, remedy: str) -> Problem:
    key = "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in keys).lstrip(".")
    line = line_of(form.folder, keys)
    return Problem(file=FILE, line=line, key=key, message=message, remedy=remedy)


def _knowledge(form: Assistant) -> Iterator[Problem]:
    for place, entry in enumerate(form.knowledge.paths):
        keys: Keys = ("knowledge", "paths", place)
        try:
            sources = discover([form.folder / entry])
        except InputError as error:
            yield _at(form, keys, error.message, error.hint or "name a file or folder that exists")
            continue
        for source in sources:
            try:
                load(source)
            except InputError as error:
                yield _at(form, keys, f"{source.source}: {error.message}", error.hint)


def _intents(form: Assistant) -> Iterator[Problem]:
    declared = form.intents.declared
    names = Counter(intent.name for intent in declared)
    tools = {tool.path.partition(":")[2] for tool in form.tools}
    heard: dict[str, str] = {}
    for place, intent in enumerate(declared):
        keys: Keys = ("intents", "declared", place)
        if names[intent.name] > 1:
            remedy = "give each intent its own name"
            yield _at(form, (*keys, "name"), f"intent {intent.name!r} is declared twice", remedy)
        for at, tool in enumerate(intent.tools):
            if tool not in tools:
                message = f"there is no tool {tool!r}"
                yield _at(form, (*keys, "tools", at), message, _nearest(tool, tools))
        if "tools" in intent.needs and not form.tools:
            remedy = "declare a tool under `tools`"
            yield _at(form, (*keys, "needs"), "needs tools, and there are none", remedy)
        if intent.tools and "tools" not in intent.needs:
            remedy = "add `tools` to its `needs`"
            yield _at(form, (*keys, "tools"), "names tools that it never uses", remedy)
        for at, example in enumerate(intent.examples):
            other = heard.setdefault(" ".join(example.casefold().split()), intent.name)
            if other != intent.name:
                message = f"{example!r} is an example of {other!r} too"
                yield _at(form, (*keys, "examples", at), message, "keep it in one of the two")


def _nearest(word: str, known: set[str]) -> str:
    near = get_close_matches(word, known, n=1)
    offered = f"known: {', '.join(sorted(known)) or 'none'}"
    return f"did you mean {near[0]!r}? {offered}" if near else offered


def _tools(form: Assistant) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, entry in enumerate(form.tools):
        keys: Keys = ("tools", place)
        try:
            tool = load_tool(entry.path, form.folder)
        except AssistantError as error:
            yield _tool_mistake(form, (*keys, "path"), error)
            continue
        if tool.name in seen:
            remedy = "give each tool its own name"
            yield _at(form, (*keys, "path"), f"two tools are called {tool.name!r}", remedy)
        seen.add(tool.name)
        if entry.side_effects and not (entry.approval or entry.idempotent):
            message = f"{tool.name!r} has side effects and nothing keeps it from running twice"
            remedy = "set `approval: true`, or `idempotent: true` if it honours the key"
            yield _at(form, (*keys, "side_effects"), message, remedy)
        names = {argument.name for argument in arguments_of(tool)}
        for name in entry.ask:
            if name not in names:
                message = f"{tool.name!r} takes no argument {name!r}"
                yield _at(form, (*keys, "ask", name), message, _nearest(name, names))
        for name in _filled(entry.confirm) - names:
            message = f"{tool.name!r} takes no argument {name!r}"
            yield _at(form, (*keys, "confirm"), message, _nearest(name, names))


def _tool_mistake(form: Assistant, keys: Keys, error: AssistantError) -> Problem:
    """Point at the line in tools.py where there is one, else at the entry that names the tool."""
    if re.match(r"[\w.]+:\d+: ", error.message):
        return _read(error.message, error.hint)
    remedy = "mend the path, or write the function" if "check" in error.hint else error.hint
    return _at(form, keys, error.message, remedy)


def _filled(template: str) -> set[str]:
    return {re.split(r"[.\[]", name)[0] for _, name, _, _ in Formatter().parse(template) if name}


def _guards(form: Assistant) -> Iterator[Problem]:
    rails: dict[Literal["input", "output"], tuple[GuardForm, ...]] = {
        "input": form.guards.input,
        "output": form.guards.output,
    }
    for rail, entries in rails.items():
        for place, entry in enumerate(entries):
            try:
                build_guard(
                    entry.use,
                    entry.options,
                    critical=entry.critical,
                    allowed_links=form.guards.allowed_links,
                    max_chars=form.guards.max_chars,
                    detector=PatternDetector(),
                    rail=rail,
                )
            except AssistantError as error:
                yield _at(form, ("guards", rail, place), error.message, error.hint)


def _wording(form: Assistant) -> Iterator[Problem]:
    for name, sentence in form.wording.model_dump().items():
        keys: Keys = ("wording", name)
        try:
            unknown = _filled(sentence) - PLACES.get(name, set())
        except ValueError as error:
            yield _at(form, keys, f"{error}", "write {{ and }} for braces")
            continue
        if unknown and name in PLACES:
            known = ", ".join(f"{{{place}}}" for place in PLACES[name])
            yield _at(form, keys, f"nothing fills {{{min(unknown)}}}", f"known: {known}")


def _prompts(form: Assistant) -> Iterator[Problem]:
    folder = form.folder / "prompts"
    if not folder.is_dir():
        return
    try:
        PromptFiles(folder)
    except PromptError as error:
        remedy = "compare it with the built-in prompt of that name"
        yield Problem(file="prompts", line=1, key="", message=str(error), remedy=remedy)


def _golden(form: Assistant, read: Callable[[Path], object] | None) -> Iterator[Problem]:
    path = form.folder / form.golden
    if not path.exists():
        if "golden" in form.model_fields_set:
            message = f"there is no {form.golden!r} here"
            yield _at(form, ("golden",), message, "write it or leave the key out")
        return
    try:
        if read is not None:
            read(path)
    except InputError as error:
        problems = error.problems if isinstance(error, AssistantError) else (error.message,)
        yield from (_read(problem, error.hint, file=form.golden) for problem in problems)
