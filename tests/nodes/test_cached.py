"""The response cache as nodes: whatever is wrong with it costs the shortcut, never the turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from fakes import FakeEmbedder, FakeKnowledge, FakeModels, fake_services
from langchain_core.messages import HumanMessage
from langgraph.cache.base import FullKey
from langgraph.cache.memory import InMemoryCache
from prometheus_client import REGISTRY

from antiphon.graphs.compiled import compile_conversation
from antiphon.graphs.services import Services
from antiphon.nodes import cached
from antiphon.nodes.state import Context, Input
from antiphon.tools.cache import CachedAnswer
from antiphon.tools.errors import KnowledgeUnavailable, StorageBusy
from antiphon.tools.retrieval import Inventory
from antiphon.tools.retrieval.rerank import Wording

QUESTION = "How long can I take to return a lamp?"


async def fail(error: Exception | None) -> None:
    if error is None:
        await asyncio.Event().wait()
    else:
        raise error


@dataclass
class Broken(InMemoryCache[CachedAnswer]):
    """Fails at reading, at writing or at both, or hangs."""

    reading: bool = False
    writing: bool = False
    error: Exception | None = None

    def __post_init__(self) -> None:
        super().__init__()

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, CachedAnswer]:
        if self.reading:
            await fail(self.error)
        return await super().aget(keys)

    async def aset(self, keys: Mapping[FullKey, tuple[CachedAnswer, int | None]]) -> None:
        if self.writing:
            await fail(self.error)
        await super().aset(keys)


@dataclass
class Unversioned(FakeKnowledge):
    """Finds passages, but cannot say its version."""

    error: Exception | None = None

    async def inventory(self, *, tenant: str) -> Inventory:
        await fail(self.error)
        raise AssertionError


async def run(services: Services) -> dict[str, object]:
    given: Input = {"messages": [HumanMessage(content=QUESTION)]}
    said: dict[str, object] = await compile_conversation(services).ainvoke(
        given,
        context=Context(tenant="acme"),
        output_keys=["cached", "outcome", "trail", "failure", "cache_key"],
    )
    return said


FAULTS = [RuntimeError("boom"), OSError(28, "full"), StorageBusy("held"), None]
IDS = ["raises", "full", "busy", "hangs"]


@pytest.mark.parametrize("error", FAULTS, ids=IDS)
@pytest.mark.parametrize("where", ["reading", "writing"])
async def test_a_broken_cache_costs_the_cache(
    where: str, error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn takes its whole path to the answer, is not recovered, and the fault is counted."""
    monkeypatch.setattr(cached, "CACHE_S", 0.1)
    before = faults()
    broken = Broken(reading=where == "reading", writing=where == "writing", error=error)
    services = fake_services(cache=broken)
    began = time.perf_counter()
    for _ in range(2):
        said = await run(services)
        path = [step["node"] for step in said["trail"]]  # type: ignore[attr-defined]
        assert (said["outcome"], said["cached"], said["failure"]) == ("answered", False, None)
        assert "recover" not in path
        assert {"classify_intent", "retrieve_context", "keep_answer"} <= set(path)
    assert time.perf_counter() - began < 1.5
    assert faults() - before == 2


@pytest.mark.parametrize(
    "error", [*FAULTS, KnowledgeUnavailable("away")], ids=[*IDS, "unavailable"]
)
async def test_a_knowledge_without_a_version_costs_the_cache(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a version there is no key; the search itself may still answer."""
    monkeypatch.setattr(cached, "KNOWLEDGE_S", 0.1)
    said = await run(fake_services(knowledge=Unversioned(error=error)))
    assert (said["outcome"], said["cached"], said["failure"]) == ("answered", False, None)
    assert said["cache_key"] == ""


class Cross(Wording):
    name = "cross-encoder"


class Multilingual(FakeEmbedder):
    name = "multilingual"


@dataclass
class Kept(InMemoryCache[CachedAnswer]):
    """Tells which keys were asked for."""

    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, CachedAnswer]:
        self.asked += [key for _, key in keys]
        return await super().aget(keys)


@pytest.mark.parametrize(
    "other",
    [
        lambda: {"embedder": Multilingual()},
        lambda: {"reranker": Cross()},
        lambda: {"reranker": None},
        lambda: {"models": FakeModels(fingerprint="other")},
        lambda: {"knowledge": FakeKnowledge(version="v2")},
    ],
    ids=["embedder", "reranker", "no reranker", "models", "knowledge"],
)
async def test_whatever_shapes_an_answer_is_in_its_key(
    other: Callable[[], dict[str, object]],
) -> None:
    """An answer found, ordered or written by something else is not given again."""
    cache = Kept()
    same = [(await run(fake_services(cache=cache)))["cached"] for _ in range(2)]
    changed = await run(fake_services(cache=cache, **other()))
    assert (same, changed["cached"]) == ([False, True], False)
    assert len(set(cache.asked)) == 2


def faults() -> float:
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "antiphon_cache_faults_total"
    )
