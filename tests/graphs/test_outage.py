"""A knowledge outage in a conversation: honest answers, one incident, recovery by itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fakes import ACTION, FakeIntents, FakeKnowledge, FakeToolbox, fake_services
from weaviate_process import Server

from antiphon.gateway.app import create_app
from antiphon.gateway.cli import main
from antiphon.graphs.runtime import Runtime, open_runtime
from antiphon.graphs.settings import Settings, read_settings
from antiphon.graphs.turns import Turn
from antiphon.nodes.state import Context
from antiphon.tools.errors import KnowledgeUnavailable
from antiphon.tools.retrieval import Hit, Inventory, Where
from antiphon.tools.telemetry.logs import build_log
from antiphon.tools.telemetry.record import build_telemetry

QUESTION = "How long can I take to return a lamp?"
COUNTED = 'antiphon_incidents_total{status="mitigated",type="knowledge_outage"}'
UNREACHABLE = "I can't reach the pages I answer from right now"


class Frail(FakeKnowledge):
    """Knowledge on a server that can be taken away."""

    away = False

    async def search(
        self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
    ) -> tuple[Hit, ...]:
        if self.away:
            raise KnowledgeUnavailable("the server is away")
        return await super().search(query, tenant=tenant, limit=limit, where=where)

    async def inventory(self, *, tenant: str) -> Inventory:
        if self.away:
            raise KnowledgeUnavailable("the server is away")
        return await super().inventory(tenant=tenant)


@asynccontextmanager
async def talking(
    knowledge: Frail, folder: Path, *, intents: FakeIntents | None = None
) -> AsyncIterator[Runtime]:
    """Open a runtime on fakes that responds to incidents in earnest."""
    settings = Settings(data_dir=folder)
    log = build_log(level="error")
    services = fake_services(
        knowledge=knowledge,
        intents=intents or FakeIntents(),
        toolbox=FakeToolbox(),
        telemetry=build_telemetry(data_dir=None, log=log, hash_key=b"k"),
    )
    async with open_runtime(settings, services=services) as runtime:
        runtime.on_call.responder()._look_s = 0.01
        yield runtime


async def listed(runtime: Runtime) -> list[dict[str, str]]:
    """Return what GET /incidents says."""
    app = create_app(runtime.settings, runtime=runtime)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        found: list[dict[str, str]] = (await http.get("/incidents")).json()["incidents"]
        return found


async def reached(runtime: Runtime, status: str, within_s: float = 5) -> dict[str, str]:
    """Return the one incident once it has a status."""
    async with asyncio.timeout(within_s):
        while True:
            found = await listed(runtime)
            if found and found[0]["status"] == status:
                assert len(found) == 1
                return found[0]
            await asyncio.sleep(0.02)


async def test_an_outage_is_said_seen_and_over_by_itself(tmp_path: Path) -> None:
    """Answers say what cannot be reached; one incident opens, and ends when a search works."""
    knowledge = Frail()
    async with talking(knowledge, tmp_path) as runtime:
        talk, context = runtime.conversations, Context()
        first = await talk.ask(QUESTION, context=context)
        assert first.outcome == "answered"
        assert await listed(runtime) == []

        knowledge.away = True
        for _ in range(3):
            turn = await talk.ask(QUESTION, context=context, thread=first.thread_id)
            assert (turn.outcome, turn.citations) == ("degraded", ())
            assert turn.answer.startswith(UNREACHABLE)
            assert turn.degraded_because == (
                "retrieve_context: knowledge_unavailable: the server is away"
            )
        opened = await reached(runtime, "mitigated")
        assert (opened["type"], opened["severity"]) == ("knowledge_outage", "critical")
        assert opened["resolved"] == ""

        knowledge.away = False
        ended = await reached(runtime, "resolved")
        assert (ended["id"], ended["resolution"]) == (opened["id"], "A search works again")
        assert ended["resolved"] > opened["opened"]
        after = await talk.ask(QUESTION, context=context, thread=first.thread_id)
        assert (after.outcome, after.citations[0]["source"]) == ("answered", "returns.md")


async def test_what_needs_no_knowledge_goes_on(tmp_path: Path) -> None:
    """The cache cannot be used without the knowledge's version; a tool can."""
    knowledge = Frail()
    knowledge.away = True
    async with talking(knowledge, tmp_path, intents=FakeIntents(intents=[ACTION])) as runtime:
        turn = await runtime.conversations.ask("Send it back", context=Context())
        assert (turn.outcome, turn.degraded_because) == ("answered", None)
        assert await listed(runtime) == []


async def test_the_next_process_notes_that_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that ended in the outage leaves it open; the next that is run sees to it."""
    knowledge = Frail()
    knowledge.away = True
    async with talking(knowledge, tmp_path) as runtime:
        await runtime.conversations.ask(QUESTION, context=Context())
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(tmp_path))
    for status in ("mitigated", "resolved"):
        capsys.readouterr()
        assert await asyncio.to_thread(main, ["incidents", "--json"]) == 0
        (incident,) = json.loads(capsys.readouterr().out)["incidents"]
        assert (incident["type"], incident["status"]) == ("knowledge_outage", status)
        knowledge.away = False
        async with talking(knowledge, tmp_path) as runtime:
            await runtime.conversations.ask(QUESTION, context=Context())
    assert await asyncio.to_thread(main, ["incidents"]) == 0
    assert "A search works again" in capsys.readouterr().out


async def test_incidents_are_for_those_with_a_key(tmp_path: Path) -> None:
    """Where keys are configured, nobody else sees them; and there is a list before any."""
    async with talking(Frail(), tmp_path) as runtime:
        app = create_app(Settings(data_dir=tmp_path, api_keys="k=acme"), runtime=runtime)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
        ):
            refused = await http.get("/incidents")
            told = await http.get("/incidents", headers={"x-api-key": "k"})
    assert (refused.status_code, told.status_code) == (401, 200)
    assert told.json() == {"incidents": []}


async def test_incidents_are_counted_and_a_bad_limit_is_refused(tmp_path: Path) -> None:
    """/metrics counts each status reached; /incidents takes a limit within bounds."""
    knowledge = Frail()
    knowledge.away = True
    async with talking(knowledge, tmp_path) as runtime:
        await runtime.conversations.ask(QUESTION, context=Context())
        await reached(runtime, "mitigated")
        app = create_app(runtime.settings, runtime=runtime)
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
        ):
            async with asyncio.timeout(5):
                while COUNTED not in (await http.get("/metrics")).text:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            bad = [await http.get(f"/incidents?limit={limit}") for limit in ("0", "x", "1001")]
            good = await http.get("/incidents?limit=1")
    assert {reply.status_code for reply in bad} == {400}
    assert Context().tenant not in good.text


@asynccontextmanager
async def shop(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Runtime]:
    """Open the sample assistant as a door does, with its pages on the real server."""
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ANTIPHON_WEAVIATE_URL", server.url)
    monkeypatch.setenv("ANTIPHON_WEAVIATE_GRPC_PORT", str(server.grpc_port))
    async with open_runtime(read_settings()) as runtime:
        runtime.on_call.responder()._look_s = 0.5
        yield runtime


PAGES = "How long do I have to return an order?"


async def asked(runtime: Runtime, text: str, thread: str = "") -> tuple[Turn, float]:
    """Ask; return the turn and how long it took."""
    began = time.monotonic()
    turn = await runtime.conversations.ask(text, context=Context(), thread=thread)
    return turn, time.monotonic() - began


@pytest.mark.weaviate
@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_an_outage_of_a_real_server(
    frail_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Killed or hung in mid-conversation: said, seen as one incident, over when it is back."""
    async with shop(frail_server, tmp_path, monkeypatch) as runtime:
        first, _ = await asked(runtime, PAGES)
        assert (first.outcome, first.citations[0]["source"]) == ("answered", "returns-policy.md")
        again, _ = await asked(runtime, PAGES)
        assert again.cached
        frail_server.stop() if how == "stopped" else frail_server.freeze()
        try:
            during, took_s = await asked(runtime, "And when is it refunded?", first.thread_id)
            assert (during.outcome, during.citations) == ("degraded", ())
            assert during.answer.startswith(UNREACHABLE)
            assert took_s < 9
            opened = await reached(runtime, "mitigated", within_s=6)
            assert opened["type"] == "knowledge_outage"
            # Soon the server is left alone, and turns no longer wait for it.
            async with asyncio.timeout(20):
                while (await asked(runtime, PAGES, first.thread_id))[1] > 1:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        finally:
            frail_server.start() if how == "stopped" else frail_server.thaw()
        ended = await reached(runtime, "resolved", within_s=30)
        assert ended["id"] == opened["id"]
        assert ended["resolved"] > opened["opened"]
        after, _ = await asked(runtime, "And when is it refunded?", first.thread_id)
        assert after.outcome == "answered"
        assert after.citations
