"""Prompt files, read once, rendered strictly: a missing or an unused variable is an error.

A prompt is a Markdown file: front matter with `id`, `variables` and `output`, then the template
with `{{variable}}` places. Prompts in an assistant's own folder, if it has one, replace built-in
ones by name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Protocol

NOTHING = "(none)"
"""What an empty variable reads as, so that a model never sees a heading with nothing below it."""

_FRONT = re.compile(r"\A---\n(?P<head>.*?)\n---\n(?P<body>.*)\Z", re.DOTALL)
_PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class PromptError(ValueError):
    """A prompt file is malformed, or a prompt was asked for with the wrong variables."""


class Prompts(Protocol):
    """The prompt set of one assistant."""

    fingerprint: str
    """Hash of every template's content: part of cache keys and traces."""

    def render(self, name: str, **values: str) -> str:
        """Return the prompt `name` with exactly its declared variables filled in."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One prompt file, checked: the places in the body are exactly the declared variables."""

    id: str
    variables: frozenset[str]
    output: str
    """What a model is to return: `text`, or `tool_calls`."""
    body: str

    def render(self, **values: str) -> str:
        """Return the prompt with exactly its declared variables filled in. Raises PromptError."""
        if missing := self.variables - values.keys():
            raise PromptError(f"prompt {self.id!r} was not given {_listed(missing)}")
        if unknown := values.keys() - self.variables:
            raise PromptError(f"prompt {self.id!r} has no place for {_listed(unknown)}")
        # One pass: a value that itself contains a {{place}} stays as it is.
        return _PLACE.sub(lambda place: values[place[1]].strip() or NOTHING, self.body)


class PromptFiles:
    """The built-in prompts, with those of `overrides` in their place."""

    fingerprint: str

    def __init__(self, overrides: Path | None = None) -> None:
        """Read every template now, so that a mistake shows at start-up and not in a turn.

        Raises:
            PromptError: a file is malformed, or an override does not fit the prompt it replaces.
        """
        texts = dict(_built_in())
        self._templates = {name: _parse(name, text) for name, text in texts.items()}
        for name, text in _markdown(overrides):
            self._templates[name] = _replacement(_parse(name, text), self._templates.get(name))
            texts[name] = text
        self.fingerprint = _fingerprint(texts)

    def render(self, name: str, **values: str) -> str:
        """Return the prompt `name` with exactly its declared variables filled in.

        Raises:
            PromptError: there is no such prompt, or a variable is missing or unknown.
        """
        return self.template(name).render(**values)

    def template(self, name: str) -> Template:
        """Return the prompt `name` as it is. Raises PromptError where there is none."""
        template = self._templates.get(name)
        if template is None:
            raise PromptError(f"there is no prompt {name!r}: {_listed(self._templates)}")
        return template


def read_template(path: Path) -> Template:
    """Return the prompt in a file of its own. Raises PromptError."""
    ((name, text),) = _texts([path])
    return _parse(name, text)


def _built_in() -> Iterator[tuple[str, str]]:
    for entry in files("antiphon.prompts").iterdir():
        if entry.name.endswith(".md"):
            yield entry.name.removesuffix(".md"), entry.read_text(encoding="utf-8")


def _markdown(folder: Path | None) -> Iterator[tuple[str, str]]:
    if folder is not None:
        yield from _texts(sorted(folder.glob("*.md")))


def _texts(paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for path in paths:
        try:
            yield path.stem, path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PromptError(f"prompt file {str(path)!r} cannot be read: {error}") from error


def _parse(name: str, text: str) -> Template:
    parts = _FRONT.match(text.replace("\r\n", "\n"))
    if parts is None:
        raise PromptError(f"{name}.md must begin with front matter between two `---` lines")
    head = _front_matter(name, parts["head"])
    if head["id"] != name:
        raise PromptError(f"{name}.md says `id: {head['id']}`: id and file name must agree")
    variables = frozenset(re.findall(r"\w+", head["variables"]))
    used = frozenset(_PLACE.findall(parts["body"]))
    if undeclared := used - variables:
        raise PromptError(f"{name}.md uses {_listed(undeclared)} but does not declare it")
    if unused := variables - used:
        raise PromptError(f"{name}.md declares {_listed(unused)} but does not use it")
    return Template(id=name, variables=variables, output=head["output"], body=parts["body"].strip())


def _front_matter(name: str, head: str) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in head.splitlines() if line.strip())
    entries = {key.strip(): value.strip() for key, _, value in pairs}
    wanted = {"id", "variables", "output"}
    if entries.keys() != wanted:
        raise PromptError(f"{name}.md must have the keys {_listed(wanted)} and no others")
    return entries


def _replacement(new: Template, old: Template | None) -> Template:
    if old is None:
        raise PromptError(f"{new.id}.md replaces no built-in prompt of that name")
    if new.variables != old.variables:
        raise PromptError(f"{new.id}.md must use exactly {_listed(old.variables)}")
    return new


def _fingerprint(texts: Mapping[str, str]) -> str:
    # Lengths are hashed too: text cannot move from one file to the next unnoticed.
    digest = hashlib.sha256()
    for name in sorted(texts):
        content = texts[name].encode()
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def _listed(names: Mapping[str, object] | frozenset[str] | set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
