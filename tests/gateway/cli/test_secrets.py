"""No command repeats a secret that a URL carries, whatever is wrong with the URL."""

from __future__ import annotations

import pytest
from lantern import Shop
from processes import free_ports

SECRET = "hunter2"


@pytest.mark.parametrize("command", ["doctor", "ask"])
@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("ANTIPHON_WEAVIATE_URL", "http://u:hunter2@127.0.0.1:{port}"),
        ("ANTIPHON_WEAVIATE_URL", "http://u:hunter2/x@127.0.0.1:{port}"),
        ("ANTIPHON_WEAVIATE_URL", "u:hunter2@127.0.0.1:{port}"),
        ("ANTIPHON_WEAVIATE_URL", "ftp://u:hunter2@127.0.0.1"),
        ("ANTIPHON_MODEL_URL", "http://u:hunter2@127.0.0.1:{port}/v1"),
        ("ANTIPHON_MODEL_URL", "http://u:hunter2/x@127.0.0.1:{port}/v1"),
        ("ANTIPHON_MODEL_URL", "http://u:hunter2@127.0.0.1:port/v1"),
        ("ANTIPHON_POSTGRES_URL", "postgresql://u:hunter2@127.0.0.1:{port}/x"),
        ("ANTIPHON_POSTGRES_URL", "postgresql://u:hunter2/x@127.0.0.1:{port}/x"),
        ("ANTIPHON_POSTGRES_URL", "u:hunter2@127.0.0.1"),
        ("ANTIPHON_REDIS_URL", "redis://u:hunter2@127.0.0.1:{port}/0"),
        ("ANTIPHON_REDIS_URL", "redis://u:hunter2/x@127.0.0.1:{port}/0"),
        ("ANTIPHON_REDIS_URL", "u:hunter2@127.0.0.1"),
    ],
)
def test_no_secret_of_a_url_is_shown(
    lanterns: Shop, monkeypatch: pytest.MonkeyPatch, command: str, variable: str, url: str
) -> None:
    """Doctor's table, every error with its hint, and what goes to the log."""
    monkeypatch.setenv("ANTIPHON_LOG_LEVEL", "debug")
    monkeypatch.setenv("ANTIPHON_MODEL", "openai:some")
    monkeypatch.setenv(variable, url.format(port=free_ports(1)[0]))
    words = ["doctor"] if command == "doctor" else ["ask", "How long does a copper lantern burn?"]
    done = lanterns.here(*words)
    assert done.out + done.err
    assert SECRET not in done.out + done.err
    assert "Traceback" not in done.err
