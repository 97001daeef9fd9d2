"""From the names in an assistant's rails to guards."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic import JsonValue

from antiphon.tools.claims import Verifier
from antiphon.tools.errors import AssistantError
from antiphon.tools.guards.grounding import Grounding
from antiphon.tools.guards.guardrails_ai import GuardrailsGuard
from antiphon.tools.guards.injection import Injection
from antiphon.tools.guards.links import Links
from antiphon.tools.guards.personal import PersonalData
from antiphon.tools.guards.text import ControlCharacters, Size
from antiphon.tools.guards.verdict import Guard
from antiphon.tools.privacy import Detector

NAMES = ("size", "control_characters", "pii", "injection", "links", "grounding")


def build_guard(
    use: str,
    options: Mapping[str, JsonValue],
    *,
    critical: bool | None,
    allowed_links: Sequence[str],
    max_chars: int,
    detector: Detector,
    verifier: Verifier | None = None,
    rail: Literal["input", "output"] = "input",
) -> Guard:
    """Build the guard that `use` names: a built-in, `guardrails:...`, or `package.module:Class`.

    Raises:
        AssistantError: No such guard, or it does not take these options.
    """
    # The assistant's file is where the options' types are checked: by the guard itself.
    given: dict[str, Any] = dict(options)
    if critical is not None:
        given["critical"] = critical
    built_in: dict[str, Callable[[], Guard]] = {
        "size": lambda: Size(**{"max_chars": max_chars, **given}),
        "control_characters": lambda: ControlCharacters(**given),
        "pii": lambda: PersonalData(detector, **{"rail": rail, **given}),
        "injection": lambda: Injection(**given),
        "links": lambda: Links(**{"allowed_hosts": allowed_links, **given}),
        "grounding": lambda: Grounding(**given, verifier=verifier),
    }
    try:
        if use in built_in:
            return built_in[use]()
        if use.startswith("guardrails:"):
            path = use.removeprefix("guardrails:")
            return GuardrailsGuard(path, options, critical=bool(critical))
        if ":" in use:
            return _own(use, given)
    except TypeError as error:
        raise AssistantError(
            f"guard {use!r} does not take these options: {error}",
            hint="Look at the arguments of its class.",
        ) from error
    raise AssistantError(f"there is no guard {use!r}", hint=_advice(use))


def _own(path: str, options: dict[str, Any]) -> Guard:
    module, _, name = path.partition(":")
    try:
        guard: Guard = getattr(importlib.import_module(module), name)(**options)
    except (ImportError, AttributeError) as error:
        raise AssistantError(
            f"guard {path!r} cannot be imported: {error}",
            hint="Write package.module:Class, with the package installed.",
        ) from error
    lacks = [part for part in ("name", "critical", "check") if not hasattr(guard, part)]
    if lacks:
        raise AssistantError(
            f"guard {path!r} has no {', '.join(lacks)}",
            hint="A guard has a name, a critical flag, and async check(text, subject).",
        )
    return guard


def _advice(use: str) -> str:
    close = difflib.get_close_matches(use, NAMES, n=1)
    known = f"Known: {', '.join(NAMES)}, guardrails:package.module:Class, package.module:Class."
    return f"Did you mean {close[0]!r}? {known}" if close else known
