"""The `Knowledge` backends that the contract is run against, and passages to put into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from weaviate_process import Server

from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.retrieval.passages import Embedder, Knowledge, Passage, Reindexable
from antiphon.tools.retrieval.weaviate import WeaviateKnowledge


class Closable(Knowledge, Reindexable, Protocol):
    """A backend that holds something open and can rebuild its index."""

    async def close(self) -> None:
        """Let go of it."""
        ...


class Counting:
    """The real embedder, counting what it is asked for."""

    def __init__(self, inner: Embedder, name: str = "") -> None:
        self.inner = inner
        self.name = name or inner.name
        self.dimensions = inner.dimensions
        self.calls: list[int] = []

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Embed and note how many."""
        self.calls.append(len(texts))
        return await self.inner.embed(texts)


class Hashed:
    """A direction of each text's own, the same in every process."""

    name = "hashed"
    dimensions = 16

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return unit vectors."""
        return [_direction(text) for text in texts]


def passage(source: str, text: str, **changes: object) -> Passage:
    """Return a passage that is a whole file."""
    key = blake2b(f"{source}\n{text}".encode(), digest_size=16).hexdigest()
    title = source.removesuffix(".md").title()
    made = Passage(
        id=key, source=source, title=title, heading="", text=text, start=0, end=len(text)
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def in_file(folder: Path, embedder: Embedder) -> SqliteKnowledge:
    """Return the knowledge in a folder's file."""
    return SqliteKnowledge(folder / "knowledge.sqlite", embedder)


def on_server(server: Server, embedder: Embedder, collection: str) -> WeaviateKnowledge:
    """Return a collection of the server."""
    return WeaviateKnowledge(
        server.url,
        grpc_port=server.grpc_port,
        key="",
        embedder=embedder,
        collection=collection,
        deadline_s=10.0,
    )


def _direction(text: str) -> list[float]:
    numbers = [byte - 127.5 for byte in blake2b(text.encode(), digest_size=16).digest()]
    length = sum(number * number for number in numbers) ** 0.5
    return [number / length for number in numbers]
