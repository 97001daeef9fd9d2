"""Settings: each one is read, and none that is wrong is repeated."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from pydantic import ValidationError

from antiphon.graphs.settings import Settings, read_settings
from antiphon.tools.errors import SettingsError

ROOT = Path(__file__).parent.parent.parent


def test_every_setting_is_read_by_something() -> None:
    """A setting that nothing reads promises what does not happen."""
    read = {
        node.attr
        for folder in ("gateway", "graphs")
        for path in (ROOT / folder).rglob("*.py")
        if path.name not in {"settings.py", "doctor.py"}
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name | ast.Attribute)
        and (node.value.id if isinstance(node.value, ast.Name) else node.value.attr)
        in {"settings", "configured"}
    }
    assert set(Settings.model_fields) - read == set()


@pytest.mark.parametrize("name", ["model_url", "weaviate_url"])
@pytest.mark.parametrize(
    "url",
    ["http://u:hunter2/x@host", "http://u@host:hunter2", "http://[hunter2", "//u:hunter2@h:x"],
)
def test_a_url_that_cannot_be_taken_apart_is_refused_unrepeated(
    name: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is named, and nothing of what may be a password."""
    monkeypatch.setenv(f"ANTIPHON_{name.upper()}", url)
    with pytest.raises(SettingsError, match=f"ANTIPHON_{name.upper()}") as error:
        read_settings()
    assert "hunter2" not in str(error.value)
    with pytest.raises(ValidationError) as raw:
        Settings(**{name: url})  # type: ignore[arg-type]
    assert "hunter2" not in str(raw.value)


@pytest.mark.parametrize(
    "url",
    ["", "http://127.0.0.1:8080/v1", "https://u:p@host", "x.weaviate.cloud", "http://[::1]:1"],
)
def test_urls_are_taken(url: str) -> None:
    """With a name and password, of Weaviate Cloud by its host alone, or none at all."""
    assert Settings(model_url=url, weaviate_url=url).weaviate_url == url


def test_a_variable_that_is_set_to_nothing_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As deployment files write what they leave out; an empty folder is not the current one."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ANTIPHON_{name.upper()}", raising=False)
    bare = read_settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(f"ANTIPHON_{name.upper()}", "")
    assert read_settings() == bare
