"""Who is calling: an API key names the tenant and perhaps the user; nothing else in a request can.

The same keys guard both doors: the gateway asks `Keys`, the LangGraph server loads `auth`.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, cast

from langgraph_sdk import Auth
from starlette.requests import HTTPConnection, Request

from antiphon.graphs.settings import Settings, read_settings
from antiphon.nodes.guard import SENT
from antiphon.tools.errors import SettingsError

_NAME = re.compile(r"[\w.@:-]{1,128}")
FORWARDING = (
    "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via",
    "cf-connecting-ip",
)  # fmt: skip
"""Headers by which proxies and tunnels show themselves."""
_FORM = "Write key=tenant, key=tenant/user or key=tenant/user+debug, separated by commas."


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A verified caller."""

    tenant: str
    user: str = ""
    """Empty: the key is the tenant's own and names no person."""
    scopes: tuple[str, ...] = ()
    """What the key is for beyond talking: `debug` shows steps, drafts and prompts."""


DEBUG = "debug"
SCOPES = (DEBUG,)
ANYONE = Principal(tenant="default", scopes=SCOPES)
"""The caller where no key is configured: whoever sits at this machine."""


class Keys:
    """API keys, held as hashes, and whom each of them names."""

    def __init__(self, principals: Mapping[str, Principal]) -> None:
        """Take each key with its principal; with none, everyone is let in as `ANYONE`."""
        self._principals = {_digest(key): named for key, named in principals.items()}

    def __bool__(self) -> bool:
        """Whether a key is asked for at all."""
        return bool(self._principals)

    def identify(self, headers: Mapping[str, str]) -> Principal | None:
        """Return whom the request's key names; None when it has no valid one."""
        if not self:
            return ANYONE
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        key = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        # Looked up by hash, so that how long it takes tells nothing about the key.
        return self._principals.get(_digest(key))


def keys_of(settings: Settings) -> Keys:
    """Read ANTIPHON_API_KEYS. Raises SettingsError, which never repeats a key."""
    principals: dict[str, Principal] = {}
    entries = settings.api_keys.get_secret_value().split(",")
    for place, entry in enumerate((part.strip() for part in entries), start=1):
        if not entry:
            continue
        # A key may itself hold "=": base64 pads with it.
        key, _, owner = entry.rpartition("=")
        owner, *scopes = owner.split("+")
        tenant, slash, user = owner.partition("/")
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown:
            raise SettingsError(
                f"ANTIPHON_API_KEYS: entry {place} has an unknown scope {unknown[0]!r}",
                hint=f"Scopes: {', '.join(SCOPES)}.",
            )
        if not key or not _NAME.fullmatch(tenant) or (slash and not _NAME.fullmatch(user)):
            raise SettingsError(f"ANTIPHON_API_KEYS: entry {place} cannot be read", hint=_FORM)
        if key in principals:
            raise SettingsError(
                f"ANTIPHON_API_KEYS: entry {place} repeats an earlier key",
                hint="Give each tenant and user a key of its own.",
            )
        principals[key] = Principal(tenant=tenant, user=user, scopes=tuple(scopes))
    return Keys(principals)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


auth = Auth()
"""What the LangGraph server loads (langgraph.json): the same keys, each caller's own threads."""


@auth.authenticate
async def authenticate(request: Request) -> Auth.types.MinimalUserDict:
    """Name the caller; without configured keys only this machine is served."""
    keys = _server_keys()
    if not keys:
        why = stranger(request, studio=_studio())
        if why:
            raise Auth.exceptions.HTTPException(
                status_code=401,
                detail=f"{why}: set ANTIPHON_API_KEYS to serve other machines, "
                "ANTIPHON_STUDIO_ORIGIN to name the one page that may ask",
            )
        # No tenant here: the run's context chooses it, as on the command line.
        return {"identity": "anyone"}
    principal = keys.identify(request.headers)
    if principal is None:
        raise Auth.exceptions.HTTPException(status_code=401, detail="a valid API key is needed")
    # The server hands every field on to the run, where `knobs` reads tenant and user.
    named = {"identity": f"{principal.tenant}/{principal.user}", **asdict(principal)}
    return cast("Auth.types.MinimalUserDict", named)


@auth.on
async def refuse(ctx: Auth.types.AuthContext, value: dict[str, Any]) -> bool:
    """Refuse what no rule below allows; without keys everything is allowed."""
    return not _server_keys()


@auth.on.assistants(actions=["read", "search"])
async def see_assistants(ctx: Auth.types.AuthContext, value: object) -> bool:
    """Show the assistants to everyone: they are the deployment's, not a tenant's."""
    return True


@auth.on.threads
async def own_threads(
    ctx: Auth.types.AuthContext, value: dict[str, Any]
) -> Auth.types.FilterType | None:
    """Mark each thread and run with its caller, and show nobody else's.

    A run brings messages or a decision: what would write the state, jump to a node or send the
    answer elsewhere is refused, and so is writing a thread's state without the scope `debug`.
    """
    kwargs = value.get("kwargs")
    _only_words(kwargs if isinstance(kwargs, dict) else {})
    if value.get("metadata") is None:
        value["metadata"] = {}
    if ctx.action == "create_run":
        # In place: the server keeps its own hold of this dict.
        value["metadata"][SENT] = time.time()
    if not _server_keys():
        return None
    if ctx.action == "update" and DEBUG not in ctx.user["scopes"]:
        raise Auth.exceptions.HTTPException(
            status_code=403, detail="to write a thread's state a key needs the scope debug"
        )
    owner = {"owner": ctx.user.identity}
    value["metadata"].update(owner)
    return owner


def _only_words(kwargs: Mapping[str, Any]) -> None:
    command = kwargs.get("command") or {}
    if any(given for name, given in command.items() if name != "resume"):
        raise Auth.exceptions.HTTPException(
            status_code=403, detail="a command may only resume: it decides what waits"
        )
    if kwargs.get("webhook"):
        raise Auth.exceptions.HTTPException(
            status_code=403, detail="an answer is sent to nobody but its caller: no webhook"
        )


@cache
def _server_keys() -> Keys:
    return keys_of(read_settings())


@cache
def _studio() -> str:
    settings = read_settings()
    return settings.studio_origin.rstrip("/")


def stranger(request: HTTPConnection, *, studio: str = "") -> str:
    """Return why a request does not come from this machine; empty when nothing says so.

    An address of this machine is not enough: a proxy or a tunnel has one, and so has a web page
    whose name was made to point here. `studio`: the origin of the one page that may ask.
    """
    headers = request.headers
    if request.client is not None and not local(request.client.host):
        return "it comes from another machine"
    if any(name in headers for name in FORWARDING):
        return "it was forwarded by a proxy"
    if not local(_host(headers.get("host", ""))):
        return "it is for another host than this machine"
    origin = headers.get("origin", "")
    if origin and origin != studio and from_elsewhere(origin):
        return "it was sent by a page from elsewhere"
    return ""


def from_elsewhere(origin: str) -> bool:
    """Say whether an Origin header names a page that this machine does not serve."""
    return not local(_host(origin.partition("://")[2]))


def local(host: str) -> bool:
    """Say whether a name or an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _host(header: str) -> str:
    """Return the name in a Host header, without its port."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.rpartition(":")[0] or header
