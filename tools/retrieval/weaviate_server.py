"""The connection to a Weaviate server: one address, one deadline, one breaker.

A `call` bounds a whole conversation with the server, because the client alone may wait a minute
for one that is down.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from antiphon.tools.errors import KnowledgeError, KnowledgeUnavailable, SettingsError
from antiphon.tools.privacy import shown
from antiphon.tools.resilience import Breaker
from antiphon.tools.retrieval.weaviate_session import Session

if TYPE_CHECKING:
    from weaviate import WeaviateAsyncClient

WRITE_DEADLINES = 10
"""A batch of passages may take this many search deadlines."""
CLOUD = (".weaviate.cloud", ".weaviate.network")
"""Weaviate Cloud serves gRPC under a name of its own, on the port of HTTPS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server answers REST, and where gRPC."""

    host: str
    port: int
    secure: bool
    grpc_host: str
    grpc_port: int


def address(url: str, *, grpc_port: int) -> Address:
    """Read a server's URL; a cluster in Weaviate Cloud may be named by its host alone."""
    if "://" not in url and url.split("/", 1)[0].endswith(CLOUD):
        url = f"https://{url}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in {"http", "https"}:
        raise SettingsError(f"not a Weaviate address: {shown(url)!r}", hint="http(s)://host:port")
    secure = parts.scheme == "https"
    port = port or (443 if secure else 8080)
    if host.endswith(CLOUD):
        return Address(host=host, port=443, secure=True, grpc_host=_of_cloud(host), grpc_port=443)
    return Address(host=host, port=port, secure=secure, grpc_host=host, grpc_port=grpc_port)


class Server:
    """Where the knowledge lives; connects on first use."""

    def __init__(
        self, url: str, *, grpc_port: int, key: str, deadline_s: float, breaker: Breaker | None
    ) -> None:
        """Connect to nothing yet."""
        self._address = address(url, grpc_port=grpc_port)
        self.url = shown(url)
        self._key = key
        self._deadline_s = deadline_s
        self._breaker = breaker or Breaker()
        self._opening = asyncio.Lock()
        self._client: WeaviateAsyncClient | None = None
        self._connected = False

    @asynccontextmanager
    async def call(self, deadlines: float = 1) -> AsyncIterator[Session]:
        """Hold every conversation with the server to a deadline, and count how it went."""
        from grpc.aio import AioRpcError  # type: ignore[import-untyped]
        from weaviate.exceptions import WeaviateBaseError

        if not self._breaker.admit():
            raise KnowledgeUnavailable(
                f"Weaviate at {self.url} failed repeatedly and is left alone for a while",
                hint="check that the server runs",
            )
        try:
            client = await self._built()
            async with asyncio.timeout(self._deadline_s * deadlines):
                yield Session(await self._connect(client))
        except KnowledgeError:
            self._breaker.succeed()
            raise
        except (WeaviateBaseError, AioRpcError, TimeoutError, OSError) as error:
            raise self._judged(error) from error
        except BaseException:
            # Cancelled from outside: an admitted trial must not stay open.
            self._breaker.fail()
            raise
        self._breaker.succeed()

    async def close(self) -> None:
        """Close the connection; the next call opens it again."""
        client, self._client, self._connected = self._client, None, False
        if client is not None:
            await client.close()

    def _judged(self, error: Exception) -> KnowledgeError:
        text = f"{type(error).__name__}: {error}"
        if re.search(r"\b(401|403)\b|UNAUTHENTICATED|PERMISSION_DENIED", text):
            self._breaker.succeed()
            return KnowledgeError(
                f"Weaviate at {self.url} refused the key", hint="set ANTIPHON_WEAVIATE_KEY"
            )
        self._breaker.fail()
        return KnowledgeUnavailable(
            f"Weaviate at {self.url} did not answer within {self._deadline_s} s: {text[:300]}",
            hint="check ANTIPHON_WEAVIATE_URL and ANTIPHON_WEAVIATE_GRPC_PORT",
        )

    async def _built(self) -> WeaviateAsyncClient:
        """Build the client outside any deadline: importing it takes seconds."""
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._build)
            return self._client

    async def _connect(self, client: WeaviateAsyncClient) -> WeaviateAsyncClient:
        async with self._opening:
            if not self._connected:
                await client.connect()
                self._connected = True
            return client

    def _build(self) -> WeaviateAsyncClient:
        import weaviate
        from weaviate.classes.init import AdditionalConfig, Auth, Timeout

        # It logs what failed with every passage in full; the error raised says what matters.
        logging.getLogger("weaviate-client").setLevel(logging.CRITICAL)
        wait = self._deadline_s
        return weaviate.use_async_with_custom(
            http_host=self._address.host,
            http_port=self._address.port,
            http_secure=self._address.secure,
            grpc_host=self._address.grpc_host,
            grpc_port=self._address.grpc_port,
            grpc_secure=self._address.secure,
            auth_credentials=Auth.api_key(self._key) if self._key else None,
            additional_config=AdditionalConfig(
                timeout=Timeout(init=wait, query=wait, insert=wait * WRITE_DEADLINES),
                trust_env=False,
            ),
            # Its checks would call the package index.
            skip_init_checks=True,
        )


def _of_cloud(host: str) -> str:
    """Return where a cluster answers gRPC, as the vendor's client derives it."""
    cluster, _, domain = host.partition(".")
    if domain.endswith("weaviate.network"):
        return f"{cluster}.grpc.{domain}"
    return f"grpc-{host}"
