"""API keys: what they name, how they are sent, and what a wrong setting says."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph_sdk import Auth
from starlette.requests import Request

from antiphon.gateway import auth
from antiphon.gateway.auth import ANYONE, Keys, Principal, keys_of
from antiphon.graphs.settings import Settings
from antiphon.tools.errors import SettingsError

ACME = Principal(tenant="acme", user="alice")
KEYS = Keys({"k-acme": ACME, "padded==": Principal(tenant="rival")})


def read(text: str) -> Keys:
    return keys_of(Settings(api_keys=text))


def test_without_keys_everyone_is_the_default_tenant() -> None:
    """Nothing configured: no key is asked for, and a key that is sent changes nothing."""
    keys = read("")
    assert not keys
    assert keys.identify({"x-api-key": "whatever"}) == ANYONE
    assert Principal(tenant="default", scopes=("debug",)) == ANYONE


@pytest.mark.parametrize(
    ("headers", "who"),
    [
        ({"authorization": "Bearer k-acme"}, ACME),
        ({"authorization": "bearer  k-acme "}, ACME),
        ({"x-api-key": "k-acme"}, ACME),
        ({"authorization": "Basic eHg=", "x-api-key": "k-acme"}, ACME),
        ({}, None),
        ({"authorization": "k-acme"}, None),
        ({"authorization": "Bearer "}, None),
        ({"x-api-key": ""}, None),
        ({"x-api-key": "K-ACME"}, None),
        ({"x-api-key": "k-acm\xe9"}, None),
        ({"authorization": "Bearer wrong", "x-api-key": "k-acme"}, None),
    ],
)
def test_a_key_is_read_from_either_header(headers: dict[str, str], who: Principal | None) -> None:
    """A bearer token or x-api-key; a bearer token that is wrong is not made good by the other."""
    assert KEYS.identify(headers) == who


def test_keys_are_read_from_the_setting() -> None:
    """Tenant alone or tenant/user, with room for spaces and for "=" within a key."""
    keys = read(" a=acme/alice , padded== =rival,b64===acme, ")
    assert keys.identify({"x-api-key": "a"}) == ACME
    assert keys.identify({"x-api-key": "b64=="}) == Principal(tenant="acme")


@pytest.mark.parametrize(
    "text",
    ["justakey", "=acme", "secret=", "secret=a/", "secret=a b", "secret=a/b/c"],
)
def test_an_unreadable_key_is_refused_without_being_repeated(text: str) -> None:
    """The message names the variable and the place, never the key."""
    with pytest.raises(SettingsError, match="ANTIPHON_API_KEYS: entry 2") as error:
        read(f"good=acme,{text}")
    assert "secret" not in str(error.value)
    assert "justakey" not in str(error.value)


def test_one_key_cannot_name_two_callers() -> None:
    """A repeated key would let the order of a list decide who someone is."""
    with pytest.raises(SettingsError, match="entry 2 repeats"):
        read("k=acme,k=rival")


def test_a_key_is_not_kept_in_the_clear() -> None:
    """A dump of the object shows hashes only."""
    assert "k-acme" not in repr(vars(KEYS))


def asked_by(host: str = "localhost:2024", client: str = "127.0.0.1", **headers: str) -> Request:
    named = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return Request({"type": "http", "headers": raw, "client": (client, 1)})


STRANGERS = [
    asked_by(client="203.0.113.9"),
    asked_by(host="rebind.example"),
    asked_by(host="some.trycloudflare.com"),
    asked_by(x_forwarded_for="203.0.113.9"),
    asked_by(forwarded="for=203.0.113.9"),
    asked_by(cf_connecting_ip="203.0.113.9"),
]


@pytest.mark.parametrize("request_", STRANGERS)
async def test_the_langgraph_server_without_keys_is_this_machines_alone(
    monkeypatch: pytest.MonkeyPatch, request_: Request
) -> None:
    """An address of this machine is not enough: a tunnel has one, and so has a rebound name."""
    monkeypatch.setattr(auth, "_server_keys", lambda: keys_of(Settings()))
    with pytest.raises(Auth.exceptions.HTTPException, match="ANTIPHON_API_KEYS"):
        await auth.authenticate(request_)


@pytest.mark.parametrize("host", ["localhost:2024", "127.0.0.1:2024", "[::1]:2024"])
async def test_the_langgraph_server_without_keys_serves_this_machine(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """No page from elsewhere, but for the one that a setting names: Studio's."""
    monkeypatch.setattr(auth, "_server_keys", lambda: keys_of(Settings()))
    monkeypatch.setattr(auth, "_studio", lambda: "https://smith.langchain.com")
    for origin in ("https://smith.langchain.com", f"http://{host}"):
        request = asked_by(host=host, origin=origin)
        assert await auth.authenticate(request) == {"identity": "anyone"}
    with pytest.raises(Auth.exceptions.HTTPException, match="a page from elsewhere"):
        await auth.authenticate(asked_by(host=host, origin="https://evil.example"))


rule: Any = auth.own_threads


class Asking:
    def __init__(self, action: str, *scopes: str) -> None:
        self.action = action
        self.user = Named(*scopes)


class Named(dict[str, object]):
    identity = "acme/alice"

    def __init__(self, *scopes: str) -> None:
        super().__init__(scopes=scopes)


@pytest.mark.parametrize("keys", [KEYS, keys_of(Settings())], ids=["keys", "none"])
@pytest.mark.parametrize(
    "kwargs",
    [
        {"command": {"goto": "keep_answer"}},
        {"command": {"update": {"answer": "forged"}}},
        {"command": {"resume": {"approved": True}, "goto": "call_tools"}},
        {"input": {"messages": []}, "webhook": "http://127.0.0.1:1/"},
    ],
)
async def test_a_run_brings_words_or_a_decision_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, keys: auth.Keys, kwargs: dict[str, object]
) -> None:
    """Nobody writes the state, jumps to a node, or has the answer sent elsewhere."""
    monkeypatch.setattr(auth, "_server_keys", lambda: keys)
    with pytest.raises(Auth.exceptions.HTTPException) as refused:
        await rule(ctx=Asking("create_run"), value={"kwargs": kwargs})
    assert refused.value.status_code == 403
    decided = {"command": {"resume": {"approved": True}}}
    whole: tuple[dict[str, Any], ...] = (decided, {"input": {"messages": []}})
    for fine in whole:
        await rule(ctx=Asking("create_run"), value={"kwargs": fine})


async def test_only_a_key_with_the_scope_debug_writes_a_threads_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A summary that a user wrote would stand in the system's prompt."""
    monkeypatch.setattr(auth, "_server_keys", lambda: KEYS)
    with pytest.raises(Auth.exceptions.HTTPException, match="scope debug"):
        await rule(ctx=Asking("update"), value={})
    own = await rule(ctx=Asking("update", "debug"), value={})
    assert own == {"owner": "acme/alice"}


async def test_the_langgraph_server_with_keys_stands_behind_any_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key names the caller, wherever it comes from."""
    monkeypatch.setattr(auth, "_server_keys", lambda: KEYS)
    request = asked_by(host="bot.example", x_forwarded_for="203.0.113.9", x_api_key="k-acme")
    named = await auth.authenticate(request)
    whole = {"identity": "acme/alice", "tenant": "acme", "user": "alice", "scopes": ()}
    assert named == whole
