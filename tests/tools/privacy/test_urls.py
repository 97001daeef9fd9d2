"""URLs as they are shown."""

from __future__ import annotations

import pytest

from antiphon.tools.privacy import shown


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1"),
        ("https://u:hunter2@host:1/v1", "https://***@host:1/v1"),
        ("https://hunter2@host/v1", "https://***@host/v1"),
        ("https://u:hunt@er2@host/v1", "https://***@host/v1"),
        ("https://u:hunt/er2@host/v1", "https://***@host/v1"),
        ("https://u:hunt://er2@host/v1", "https://***@host/v1"),
        ("https://host/v1?key=hunter2&a=b", "https://host/v1?***"),
        ("u:hunter2@host", "***@host"),
        ("https://[::1]:8080", "https://[::1]:8080"),
        ("", ""),
    ],
)
def test_what_may_be_a_secret_is_hidden(url: str, said: str) -> None:
    """Name, password and query go, however they are written; where it leads stays."""
    assert shown(url) == said
