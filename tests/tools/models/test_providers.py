"""Names become models; every provider's errors become ours and say what to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from json import dumps
from pathlib import Path

import pytest

from antiphon.tools.errors import (
    AntiphonError,
    KeyMissing,
    ModelRejected,
    ModelUnavailable,
    SettingsError,
    UnknownModel,
)
from antiphon.tools.models.providers import connect, vendor_errors


class Failure(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("the user said: my card is 4111")
        self.status_code = status


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (Failure(400), ModelRejected),
        (Failure(404), ModelRejected),
        (Failure(401), KeyMissing),
        (Failure(403), KeyMissing),
        (Failure(408), ModelUnavailable),
        (Failure(429), ModelUnavailable),
        (Failure(503), ModelUnavailable),
        (TimeoutError(), ModelUnavailable),
        (ConnectionResetError(), ModelUnavailable),
        (ValueError("what?"), ModelUnavailable),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_vendor_errors_are_mapped(raised: Exception, expected: type[AntiphonError]) -> None:
    """Status and kind decide; the provider's words, which may quote the user, stay out."""
    with pytest.raises(expected) as caught, vendor_errors("openai:gpt-5"):
        raise raised

    assert "openai:gpt-5" in caught.value.message
    assert "4111" not in caught.value.message
    assert caught.value.__cause__ is raised


def test_our_own_errors_pass_unchanged() -> None:
    """What is already ours is not wrapped again."""
    ours = KeyMissing("no key")

    with pytest.raises(KeyMissing) as caught, vendor_errors("x"):
        raise ours

    assert caught.value is ours


@pytest.mark.parametrize("name", ["", "gpt-5", "openai:", ":gpt-5"])
def test_a_name_without_provider_is_unknown(name: str) -> None:
    """The error shows how names are written."""
    with pytest.raises(UnknownModel) as caught:
        connect(name)

    assert "provider:model" in caught.value.hint


def test_an_unknown_provider_is_named() -> None:
    """A typing error in the provider is told as such."""
    with pytest.raises(UnknownModel, match="'opnai'"):
        connect("opnai:gpt-5")


def test_a_missing_key_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint is the variable to set."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_ADMIN_KEY", raising=False)

    with pytest.raises(KeyMissing) as caught:
        connect("openai:gpt-5-mini")

    assert "OPENAI_API_KEY" in caught.value.hint


def test_a_missing_package_names_what_to_install() -> None:
    """A provider whose package is not installed says which one to install."""
    if find_spec("langchain_cohere") is not None:
        pytest.skip("langchain-cohere is installed here")

    with pytest.raises(SettingsError) as caught:
        connect("cohere:command-a", key="k")

    assert caught.value.hint == "pip install langchain-cohere"


def test_missing_weights_name_the_setting(tmp_path: Path) -> None:
    """A path without weights is a wrong setting."""
    with pytest.raises(SettingsError) as caught:
        connect("local", gguf=tmp_path / "none.gguf")

    assert "ANTIPHON_GGUF" in caught.value.hint


class Server(BaseHTTPRequestHandler):
    """An OpenAI-compatible server that has one thing to say, and refuses one key."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        refused = self.headers["Authorization"] == "Bearer wrong"
        body = {"error": {"message": "bad key"}} if refused else self.completion()
        payload = dumps(body).encode()
        self.send_response(401 if refused else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def completion(self) -> dict[str, object]:
        message = {"role": "assistant", "content": f"served from {self.path}"}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "anything",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 4, "total_tokens": 15},
        }

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def server_url() -> Iterator[str]:
    """Serve on a free loopback port."""
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


async def test_a_base_url_is_asked_over_http(server_url: str) -> None:
    """Any OpenAI-compatible server answers under its own model names, without a key."""
    reply = await connect("llama3:8b", url=server_url).ainvoke("hello")

    assert reply.text == "served from /v1/chat/completions"
    assert reply.usage_metadata is not None
    assert (reply.usage_metadata["input_tokens"], reply.usage_metadata["output_tokens"]) == (11, 4)


async def test_a_refused_key_is_told(server_url: str) -> None:
    """A real client's 401 becomes KeyMissing."""
    model = connect("openai:any", url=server_url, key="wrong")

    with pytest.raises(KeyMissing, match="status 401"), vendor_errors("openai:any"):
        await model.ainvoke("hello")
