"""Any validator of guardrails-ai as a guard of ours, with its telemetry off.

The library takes seconds to import, so it is loaded in a thread at the first check, and the
validator is called directly: no Guard object, no history, no hub. Telemetry is off for this one
validator; the library's settings, which others in the process may rely on, stay as they are. A
validator that makes a Guard of its own reports as `~/.guardrailsrc` says, like any Guard.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from antiphon.tools.errors import GuardBroken
from antiphon.tools.guards.verdict import Finding, Subject
from antiphon.tools.privacy import PatternDetector, Span, mask

if TYPE_CHECKING:
    from guardrails.classes.validation.validation_result import ValidationResult
    from guardrails.validator_base import Validator

_building = threading.Lock()
_SECRET = frozenset({"SECRET", "URL_CREDENTIALS"})


class GuardrailsGuard:
    """Runs one validator: `package.module:Class`, or a registered id such as `antiphon/no_secrets`.

    A failure with a fix masks the text; one without is critical, since nothing else can be shown.
    """

    def __init__(
        self,
        validator: str,
        options: Mapping[str, JsonValue] | None = None,
        *,
        critical: bool = False,
    ) -> None:
        self.name = f"guardrails:{validator}"
        self.critical = critical
        self._path = validator
        self._options = dict(options or {})
        self._loading: asyncio.Task[Validator] | None = None

    async def prepare(self) -> None:
        """Import and build the validator; seconds the first time."""
        await self._built()

    async def check(self, text: str, subject: Subject) -> Finding:
        """Ask the validator."""
        validator = await self._built()
        metadata = {"tenant": subject.tenant, "evidence": list(subject.evidence)}
        result = await asyncio.to_thread(validator.validate, text, metadata)
        return _finding(text, result)

    async def _built(self) -> Validator:
        if self._loading is None or (self._loading.done() and self._loading.exception()):
            load = asyncio.to_thread(_load, self._path, self._options)
            self._loading = asyncio.create_task(load)
        # Shielded: a check that runs into its deadline must not waste the import for the next.
        return await asyncio.shield(self._loading)


def _finding(text: str, result: ValidationResult) -> Finding:
    from guardrails.classes.validation.validation_result import (
        FailResult,
        PassResult,
    )

    if isinstance(result, PassResult):
        override = result.value_override
        return Finding(ok=True, text=override if isinstance(override, str) else text)
    if not isinstance(result, FailResult):
        raise GuardBroken(f"the validator returned {type(result).__name__}, not a result")
    reason = "the validator objected"  # its own message may quote the text
    if isinstance(result.fix_value, str):
        fixed = result.fix_value
        return Finding(ok=False, text=fixed, severity="warning", reason=reason, action="masked")
    return Finding(ok=False, text=text, severity="critical", reason=reason)


def _load(path: str, options: Mapping[str, JsonValue]) -> Validator:
    """Import guardrails, then build the validator."""
    from guardrails.validator_base import Validator, get_validator_class

    _register_own()
    module, _, name = path.partition(":")
    found = (
        getattr(importlib.import_module(module), name, None) if name else get_validator_class(path)
    )
    if not (isinstance(found, type) and issubclass(found, Validator)):
        raise GuardBroken(
            f"{path!r} is not a guardrails validator",
            hint="Write package.module:Class, or the id it is registered under.",
        )
    with _quiet():
        built: Validator = found(on_fail="noop", **options)
    # A model's inference reports by a switch of the whole process: ours is called unwrapped.
    inference = getattr(type(built)._inference, "__wrapped__", None)  # noqa: SLF001
    if inference is not None:
        built._inference = partial(inference, built)  # noqa: SLF001
    return built


@contextmanager
def _quiet() -> Iterator[None]:
    """Have metrics and remote inference off while a validator is built, which is when it asks."""
    from guardrails.classes.rc import RC
    from guardrails.settings import settings

    with _building:
        before = settings.rc
        settings.rc = RC(enable_metrics=False, use_remote_inferencing=False)
        try:
            yield
        finally:
            settings.rc = before


def _register_own() -> None:
    """Register `antiphon/no_secrets`, so that others' Guards may use it too."""
    from guardrails.classes.validation.validation_result import (
        FailResult,
        PassResult,
    )
    from guardrails.validator_base import (
        Validator,
        register_validator,
        validators_registry,
    )

    if "antiphon/no_secrets" in validators_registry:
        return

    @register_validator(name="antiphon/no_secrets", data_type="string")
    class NoSecrets(Validator):  # type: ignore[misc]
        """API keys, private keys and passwords in URLs."""

        def _validate(self, value: Any, metadata: dict[str, Any]) -> ValidationResult:  # noqa: ARG002
            found = _secrets(str(value))
            if not found:
                return PassResult()
            masked, _ = mask(str(value), found)
            return FailResult(error_message="a secret stands in the text", fix_value=masked)


def _secrets(text: str) -> list[Span]:
    return [span for span in PatternDetector().find(text) if span.kind in _SECRET]
