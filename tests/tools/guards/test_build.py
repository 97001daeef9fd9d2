"""Names in an assistant's rails become guards, or a readable mistake."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from pydantic import JsonValue

from antiphon.tools.errors import AssistantError
from antiphon.tools.guards import Finding, Guard, Subject
from antiphon.tools.guards.build import NAMES, build_guard
from antiphon.tools.privacy import PatternDetector


class Shouts:
    """A guard of one's own."""

    name = "shouts"

    def __init__(self, mark: str = "!", *, critical: bool = False) -> None:
        self.critical = critical
        self.mark = mark

    async def check(self, text: str, subject: Subject) -> Finding:
        return Finding(ok=True, text=text + self.mark)


def build(
    use: str, options: dict[str, JsonValue] | None = None, *, critical: bool | None = None
) -> Guard:
    """Build for an assistant with small limits."""
    return build_guard(
        use,
        options or {},
        critical=critical,
        allowed_links=("help.example.com",),
        max_chars=10,
        detector=PatternDetector(),
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_built_in_can_be_built(name: str) -> None:
    """Each name gives the guard of that name, and `critical` overrides its default."""
    assert build(name).name == name
    assert build(name, critical=True).critical
    assert not build(name, critical=False).critical


async def test_the_assistants_values_are_defaults() -> None:
    """Size and hosts come from the assistant; a guard's own options win."""
    long = "x" * 11
    assert not (await build("size").check(long, Subject())).ok
    assert (await build("size", {"max_chars": 20}).check(long, Subject())).ok
    link = "[a](https://help.example.com)"
    assert (await build("links").check(link, Subject())).text == link


async def test_a_guard_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """`package.module:Class` with options."""
    module = ModuleType("fictional_guards")
    module.Shouts = Shouts  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fictional_guards", module)
    guard = build("fictional_guards:Shouts", {"mark": "?"}, critical=True)
    assert guard.critical
    assert (await guard.check("a", Subject())).text == "a?"


@pytest.mark.parametrize(
    ("use", "options", "says"),
    [
        ("injektion", {}, "there is no guard"),
        ("size", {"maximum": 3}, "does not take these options"),
        ("no_such_module:Guard", {}, "cannot be imported"),
        ("antiphon.tools.guards.build:NoGuard", {}, "cannot be imported"),
        ("antiphon.tools.guards:Subject", {}, "has no name, critical, check"),
    ],
)
def test_mistakes_are_named(use: str, options: dict[str, JsonValue], says: str) -> None:
    """What is wrong, and what to write instead."""
    with pytest.raises(AssistantError, match=says) as caught:
        build(use, options)
    assert caught.value.hint


def test_a_misspelt_name_is_guessed() -> None:
    """The nearest built-in is offered."""
    with pytest.raises(AssistantError) as caught:
        build("injektion")
    assert "Did you mean 'injection'?" in caught.value.hint
