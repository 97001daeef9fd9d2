"""What docutils reads in a reStructuredText file, with the vocabulary of Sphinx.

Its tables of directives, roles and states belong to the whole process, so they are left alone:
what we add lives in states of our own, made from its states, and on each document's parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from threading import Lock
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from docutils.nodes import Node, document
    from docutils.statemachine import StringList

MALFORMED = (
    AssertionError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError,
    ValueError,
)  # fmt: skip
"""What docutils may raise at a file that is no reStructuredText."""
HIDDEN = frozenset(
    """toctree include index contents highlight currentmodule module meta raw role default-role
    sectnum section-numbering literalinclude graphviz uml mermaid todo todolist tabularcolumns date
    sectionauthor codeauthor target-notes plot header footer title""".split()  # noqa: SIM905
)
CODE = frozenset(
    """code code-block sourcecode parsed-literal prompt console ipython doctest testcode math
    testoutput productionlist""".split()  # noqa: SIM905
)
OBJECT = frozenset(
    """function class method classmethod staticmethod attribute property data exception decorator
    option envvar confval setting describe object type macro member struct enum enumerator
    cmdoption""".split()  # noqa: SIM905
)
VERSION = {
    "versionadded": "New in version", "versionchanged": "Changed in version",
    "versionremoved": "Removed in version", "deprecated": "Deprecated since version",
}  # fmt: skip
TITLED = frozenset(["admonition", "topic", "sidebar", "rubric", "tab", "group-tab", "dropdown"])
"""Directives whose argument is the title of what they hold."""
OPTION = re.compile(r"\s*:(?![: ])(?:[^:\\`]|\\.)+:(?:\s|$)")
TERMS = re.compile(r"^(?!\.\. )(\S.*)\n(?=\S)", re.MULTILINE)
"""Where a line of a glossary ends a term that shares its meaning with the next."""
NAME = re.compile(r"[!-~]*[A-Za-z0-9/]")
"""An argument that names something, and is no prose."""
LINKED = re.compile(r"(.*\S)\s*<([^<>]*)>$", re.DOTALL)
PROSE = frozenset(
    """ref doc term guilabel menuselection abbr abbreviation dfn emphasis strong sub sup title pep
    rfc subscript superscript title-reference t numref any issue pr user gh""".split()  # noqa: SIM905
)
"""Roles whose text is read as words; that of the others as code."""
NUMBERED = {"pep": "PEP", "rfc": "RFC"}
PIECE = re.compile(r".{1,2000}(?:\s|$)|.{1,2000}", re.DOTALL)
"""Docutils takes time by the square of a paragraph's length, so a long one is read in parts."""
ENDLESS = re.compile(r"[!-~]{500}")
"""Signs that are no words, however they might be read."""
FIRST_USE = Lock()


def rst_document(text: str) -> document:
    """Return the tree of a file, its links and substitutions resolved."""
    from docutils.parsers.rst import states
    from docutils.statemachine import string2lines
    from docutils.transforms import references
    from docutils.utils import new_document

    with FIRST_USE:
        settings, ours = _settings(), _states()
    read = new_document("", settings.copy())
    inliner = states.Inliner()
    inliner.interpreted = _interpreted
    inliner.parse = partial(_in_pieces, inliner.parse)
    machine = states.RSTStateMachine(state_classes=ours, initial_state="Body")
    machine.run(string2lines(text, convert_whitespace=True), read, inliner=inliner)
    for transform in (
        references.Substitutions,
        references.AnonymousHyperlinks,
        references.IndirectHyperlinks,
        references.ExternalTargets,
    ):
        # One may stumble over what another file defines.
        with suppress(*MALFORMED):
            transform(read).apply()
    return read


@cache
def _settings() -> Any:
    """Return settings that open no file, say nothing and stop at nothing."""
    from docutils.frontend import get_default_settings
    from docutils.parsers.rst import Parser

    settings = get_default_settings(Parser)
    settings.report_level = settings.halt_level = 5
    settings.file_insertion_enabled = settings.raw_enabled = False
    settings.trim_footnote_reference_space = True
    return settings


@cache
def _states() -> list[type]:
    """Return docutils' states with our directives and sections in place of its own."""
    from docutils.parsers.rst import states

    ours: list[type] = []
    body = states.Body
    constructs = [
        (_directive if method is body.directive else method, pattern)
        for method, pattern in body.explicit.constructs
    ]
    changed = {
        "directive": _directive,
        "section": _section,
        "explicit": SimpleNamespace(**vars(body.explicit) | {"constructs": constructs}),
        "nested_sm_cache": [],
    }
    for base in states.state_classes:
        ours.append(type(base.__name__, (base,), changed | {"__init__": _made(base, ours)}))
    return ours


def _made(base: Any, ours: list[type]) -> Callable[..., None]:
    def init(state: Any, machine: object, debug: object = False) -> None:
        base.__init__(state, machine, debug)
        state.nested_sm_kwargs = {"state_classes": ours, "initial_state": "Body"}

    return init


def _section(state: Any, title: str, _: str, style: object, line: int, more: list[Node]) -> None:
    """Put in a title with its level: a flat one may stand anywhere and skip levels."""
    from docutils import nodes

    styles = state.memo.title_styles
    if style not in styles:
        styles.append(style)
    words, messages = state.inline_text(title, line)
    state.parent += [nodes.title("", "", *words, level=styles.index(style) + 1), *more, *messages]


def _directive(state: Any, match: re.Match[str], **presets: str) -> tuple[list[Node], bool]:
    from docutils.parsers.rst.directives import images, misc, tables

    own = {
        "csv-table": tables.CSVTable, "list-table": tables.ListTable, "table": tables.RSTTable,
        "image": images.Image, "replace": misc.Replace, "unicode": misc.Unicode,
    }  # fmt: skip
    kind = match[1].rsplit(":", 1)[-1].lower()
    shown: tuple[list[Node], bool] = state.run_directive(
        own.get(kind, _Sphinx), match, kind, presets
    )
    return shown


@dataclass(slots=True)
class _Sphinx:
    """A directive of Sphinx, of an extension or of nobody: docutils makes and runs it."""

    required_arguments: ClassVar[int] = 0
    optional_arguments: ClassVar[int] = 0
    has_content: ClassVar[bool] = True
    option_spec: ClassVar[None] = None

    name: str
    arguments: list[str]
    options: dict[str, str]
    content: StringList
    line: int
    offset: int
    block: str
    state: Any
    machine: object

    def run(self) -> list[Node]:
        """Return what it shows."""
        from docutils import nodes
        from docutils.statemachine import StringList

        # It takes no argument and no option, so all that it says is content.
        first, second = [*self.block.split("\n", 2), ""][:2]
        argument = first.partition("::")[2].strip()
        told = argument or second.strip()
        said = _without_options(self.content) if told else self.content
        below = said[1:] if argument else said
        if self.name in HIDDEN or self.name.startswith("auto"):
            return []
        if self.name in CODE:
            held = said if self.name == "math" else below
            return [nodes.literal_block("", "\n".join(held))]
        if self.name in OBJECT:
            return self._object(said)
        if self.name in VERSION:
            number, _, why = argument.partition(" ")
            below.insert(0, why, "", self.line)
            term = nodes.term("", f"{VERSION[self.name]} {number}")
            return [nodes.definition_list_item("", term, self._held(below))]
        if self.name in TITLED:
            words, _ = self.state.inline_text(argument, self.line)
            term = nodes.term("", "", *words)
            return [nodes.definition_list_item("", term, self._held(below))]
        if self.name == "glossary":
            terms = TERMS.sub(r"\1, ", "\n".join(below))
            return [self._held(StringList(terms.split("\n"), ""))]
        named = NAME.fullmatch(argument) or self.name == "figure"
        return [self._held(below if named else said)]

    def _object(self, said: StringList) -> list[Node]:
        """Return the description of a function, an option or the like under its name."""
        from docutils import nodes

        at = _first_blank(said)
        names = ", ".join(line.strip().rstrip("\\") for line in said[:at])
        return [nodes.section("", nodes.title("", names), self._held(said[at:]))]

    def _held(self, lines: StringList) -> Node:
        from docutils import nodes

        held = nodes.definition()
        self.state.nested_parse(lines, self.offset, held, match_titles=True)
        return held


def _without_options(lines: StringList) -> StringList:
    end = _first_blank(lines)
    at = next((n for n in range(end) if OPTION.match(lines[n])), end)
    return lines[:at] + lines[end:]


def _first_blank(lines: StringList) -> int:
    return next((n for n, line in enumerate(lines) if not line.strip()), len(lines))


def _in_pieces(
    parse: Callable[..., tuple[list[Node], list[Node]]], text: str, *where: object
) -> tuple[list[Node], list[Node]]:
    """Return what a stretch of text shows."""
    from docutils import nodes

    shown: list[Node] = []
    messages: list[Node] = []
    for piece in PIECE.findall(text):
        if ENDLESS.search(piece):
            shown.append(nodes.Text(piece))
            continue
        words, said = parse(piece, *where)
        shown += words if piece == text else [nodes.inline("", "", *words)]
        messages += said
    return shown, messages


def _interpreted(raw: str, text: str, role: str, _: int) -> tuple[list[Node], list[Node]]:
    """Return what a role shows; those of Sphinx name a target, with a title or without."""
    from docutils import nodes
    from docutils.utils import unescape

    last = role.rsplit(":", 1)[-1].lower()
    words = " ".join(unescape(text).split())
    linked = LINKED.match(words)
    if linked:
        words = linked[1]
    elif words.startswith("~"):
        words = words[1:].rsplit(".", 1)[-1]
    elif last in {"ref", "doc", "numref"}:
        page = words.removesuffix("/index").strip("/").rsplit("/", 1)[-1]
        words = re.sub(r"[-_]+", " ", page)
    # A leading dot or mark tells the site generator where to look.
    words = re.sub(r"^[!.](?=\w)", "", words) if last not in {"file", "samp"} else words
    if last in NUMBERED and not linked:
        words = f"{NUMBERED[last]} {words}"
    return [nodes.inline(raw, words) if last in PROSE else nodes.literal(raw, words)], []
