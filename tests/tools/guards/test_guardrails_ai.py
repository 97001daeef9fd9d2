"""A real guardrails-ai validator runs as a guard, and opens no connection."""

from __future__ import annotations

import socket
import sys
from types import ModuleType, SimpleNamespace

import pytest

from antiphon.tools.errors import GuardBroken
from antiphon.tools.guards import Subject
from antiphon.tools.guards.guardrails_ai import GuardrailsGuard
from antiphon.tools.guards.pipeline import GuardRail

pytestmark = pytest.mark.filterwarnings("ignore")  # the library's own deprecations
KEY = "AKIA" + "ABCDEFGHIJKLMNOP"


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Refuse and record every look-up and connection."""
    tried: list[str] = []

    def refuse(*args: object, **kwargs: object) -> None:
        tried.append(str(args))
        raise OSError("no network in tests")

    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tried


@pytest.fixture
def validators(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Somebody's module of validators."""
    from guardrails.classes.validation.validation_result import (
        FailResult,
        PassResult,
    )
    from guardrails.settings import settings
    from guardrails.validator_base import Validator, register_validator

    settings.disable_tracing = True

    @register_validator(name="fictional/no_word", data_type="string")
    class NoWord(Validator):  # type: ignore[misc]
        def __init__(self, word: str = "never", on_fail: str | None = None) -> None:
            super().__init__(on_fail=on_fail, word=word)
            self.word = word

        def _validate(self, value: object, metadata: dict[str, object]) -> object:
            if self.word in str(value):
                return FailResult(error_message=f"found {self.word}")
            return PassResult()

    @register_validator(name="fictional/model", data_type="string")
    class Model(Validator):  # type: ignore[misc]
        def _validate(self, value: object, metadata: dict[str, object]) -> object:
            return PassResult() if self._inference(value) == "local" else FailResult()

        def _inference_local(self, model_input: object) -> object:
            return "local"

    module = ModuleType("fictional_validators")
    module.Model = Model  # type: ignore[attr-defined]
    module.NoWord = NoWord  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


async def test_our_registered_validator_masks_secrets_offline(attempts: list[str]) -> None:
    """`antiphon/no_secrets` fixes the text, with no look-up and no connection tried."""
    guard = GuardrailsGuard("antiphon/no_secrets")
    finding = await guard.check(f"the key is {KEY}", Subject())
    assert (finding.ok, finding.text, finding.action) == (False, "the key is <SECRET_1>", "masked")
    assert (await guard.check("no key here", Subject())).ok
    assert attempts == []


async def test_a_validator_of_ones_own_takes_options(
    validators: ModuleType, attempts: list[str]
) -> None:
    """A dotted path and options; a failure without a fix is critical."""
    guard = GuardrailsGuard("fictional_validators:NoWord", {"word": "refund"})
    assert (await guard.check("never", Subject())).ok
    finding = await guard.check("a refund", Subject())
    assert (finding.ok, finding.severity) == (False, "critical")
    assert attempts == []


async def test_the_library_is_left_as_it_was(
    validators: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others in the process keep their settings, and their way of reading them."""
    from guardrails.classes.rc import RC
    from guardrails.settings import settings

    monkeypatch.setattr(settings, "rc", RC(id="theirs", enable_metrics=True))
    load, tracing = RC.load, settings.disable_tracing
    assert (await GuardrailsGuard("fictional_validators:NoWord").check("a", Subject())).ok
    assert (settings.rc.id, settings.rc.enable_metrics) == ("theirs", True)
    assert (RC.load, settings.disable_tracing) == (load, tracing)


async def test_a_model_reports_nothing_though_others_do(
    validators: ModuleType, attempts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inference is not traced to the hub, even while the process's own Guards have metrics on."""
    from guardrails.classes.rc import RC
    from guardrails.settings import settings
    from guardrails.utils.hub_telemetry_utils import HubTelemetry

    class Tracer:
        def start_span(self, *args: object, **kwargs: object) -> object:
            raise AssertionError("a span was started")

    telemetry = SimpleNamespace(
        _enabled=True, _tracer=Tracer(), extract_current_context=lambda: None
    )
    monkeypatch.setattr(HubTelemetry, "_instance", telemetry)
    monkeypatch.setattr(settings, "rc", RC(enable_metrics=True, use_remote_inferencing=True))
    assert (await GuardrailsGuard("fictional_validators:Model").check("a", Subject())).ok
    assert attempts == []


async def test_what_is_no_validator_is_a_broken_guard() -> None:
    """A path to something else fails in the guard's own words, and the rail survives it."""
    guard = GuardrailsGuard("antiphon.tools.guards.text:Size")
    with pytest.raises(GuardBroken, match="not a guardrails validator"):
        await guard.check("a", Subject())
    verdict = await GuardRail([guard]).judge("a", Subject())
    assert (verdict.allowed, verdict.violations[0].action) == (True, "failed")
