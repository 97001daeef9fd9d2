"""What is particular to the Weaviate backend: a server that is not there."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

import pytest

from antiphon.tools.errors import KnowledgeUnavailable, SettingsError
from antiphon.tools.resilience import Breaker
from antiphon.tools.retrieval.weaviate import WeaviateKnowledge


class Constant:
    """One vector for every text."""

    name = "constant"
    dimensions = 2

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Point the same way each time."""
        return [[1.0, 0.0] for _ in texts]


def connect(url: str, breaker: Breaker | None = None) -> WeaviateKnowledge:
    """Return a backend that is impatient."""
    return WeaviateKnowledge(
        url, grpc_port=1, key="", embedder=Constant(), deadline_s=0.3, breaker=breaker
    )


async def test_absent_server_opens_the_breaker() -> None:
    """A server that refuses is reported as unavailable, and soon not even asked."""
    knowledge = connect("http://127.0.0.1:9", Breaker(failures=2))
    for _ in range(2):
        with pytest.raises(KnowledgeUnavailable, match="did not answer"):
            await knowledge.search("lamps", tenant="t")
    with pytest.raises(KnowledgeUnavailable, match="left alone"):
        await knowledge.search("lamps", tenant="t")
    await knowledge.close()


async def test_silent_server_meets_the_deadline() -> None:
    """A server that accepts and says nothing costs the deadline and no more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        knowledge = connect(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(KnowledgeUnavailable):
            await knowledge.search("lamps", tenant="t")
        started = time.monotonic()
        with pytest.raises(KnowledgeUnavailable):
            await knowledge.search("lamps", tenant="t")
        assert time.monotonic() - started < 3.0
        await knowledge.close()


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://host"])
def test_wrong_address(url: str) -> None:
    """An address that is none is refused at once."""
    with pytest.raises(SettingsError, match="Weaviate"):
        connect(url)
