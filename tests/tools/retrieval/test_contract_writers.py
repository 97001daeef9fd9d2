"""What every `Knowledge` must keep when more than one client or process writes."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from knowledge_backends import Closable, Hashed, in_file, on_server, passage

from antiphon.tools.errors import AntiphonError
from antiphon.tools.retrieval.passages import Passage
from antiphon.tools.retrieval.weaviate_tenants import PATIENCE_S

Place = tuple[str, ...]
"""What another process is told, to open the same knowledge."""
PROCESS = """
import asyncio, pathlib, sys
import weaviate_process
from knowledge_backends import Hashed, in_file, on_server, passage
from antiphon.tools.errors import AntiphonError

async def main(prefix, kind, *place):
    if kind == "sqlite":
        knowledge = in_file(pathlib.Path(place[0]), Hashed())
    else:
        ports = [int(place[0]), int(place[1])]
        server = weaviate_process.Server(binary="", folder=pathlib.Path(), ports=ports)
        knowledge = on_server(server, Hashed(), place[2])
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(25):
        source = f"{prefix}{number}.md"
        pages = [passage(source, f"Shelf {i} of {source}.") for i in range(3)]
        while True:
            try:
                await knowledge.upsert(source, pages, tenant="t")
                break
            except AntiphonError as error:
                if not error.retryable:
                    raise
    await knowledge.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(params=["sqlite", pytest.param("weaviate", marks=pytest.mark.weaviate)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where the knowledge of each backend in turn is."""
    if request.param == "sqlite":
        return ("sqlite", str(tmp_path))
    server = request.getfixturevalue("weaviate_server")
    return ("weaviate", *(str(port) for port in server.ports[:2]), f"Test{uuid.uuid4().hex}")


@pytest.fixture
async def client(
    request: pytest.FixtureRequest, place: Place
) -> AsyncIterator[Callable[[], Closable]]:
    """A way to open it, any number of times."""
    opened: list[Closable] = []

    def open_one() -> Closable:
        if place[0] == "sqlite":
            opened.append(in_file(Path(place[1]), Hashed()))
        else:
            server = request.getfixturevalue("weaviate_server")
            opened.append(on_server(server, Hashed(), place[3]))
        return opened[-1]

    yield open_one
    for one in opened:
        await one.close()


async def patiently(knowledge: Closable, source: str, pages: Sequence[Passage]) -> None:
    """Store a source, again as long as it is told that it may work shortly."""
    while True:
        try:
            await knowledge.upsert(source, pages, tenant="t")
        except AntiphonError as error:
            if not error.retryable:
                raise
        else:
            return


async def version_of(folder: Path, pages: Sequence[Passage]) -> str:
    """Return the version of knowledge that one writer made of these, source by source."""
    quiet = in_file(folder / "quiet", Hashed())
    for source in dict.fromkeys(page.source for page in pages):
        own = [page for page in pages if page.source == source]
        await quiet.upsert(source, own, tenant="t")
    version = (await quiet.inventory(tenant="t")).version
    await quiet.close()
    return version


async def test_one_source_by_two_clients(client: Callable[[], Closable], tmp_path: Path) -> None:
    """Of two who store the same source at once one wins whole, and the version is of that."""
    one, other = client(), client()
    for turn in range(5):
        first = [passage("a.md", f"Lamp {turn}, line {i}.") for i in range(4)]
        second = [passage("a.md", f"Rug {turn}, line {i}.") for i in range(6)]
        await asyncio.gather(patiently(one, "a.md", first), patiently(other, "a.md", second))
        found = await one.search("lamp rug", tenant="t", limit=50)
        kept = sorted((hit.passage for hit in found), key=lambda page: page.text)
        assert kept in (first, second)
        stored = await other.inventory(tenant="t")
        assert stored.sources == {"a.md": len(kept)}
        assert stored.version == await version_of(tmp_path / str(turn), kept)


async def test_many_sources_by_two_clients(client: Callable[[], Closable], tmp_path: Path) -> None:
    """What two store at once is all there, in the version and in the languages searched."""
    one, other = client(), client()
    pages = [
        passage(f"{i}.md", f"Lampen Nummer {i}.", language="de" if i % 2 else "en")
        for i in range(40)
    ]
    await asyncio.gather(
        *(patiently(one, page.source, [page]) for page in pages[::2]),
        *(patiently(other, page.source, [page]) for page in pages[1::2]),
    )
    stored = await one.inventory(tenant="t")
    assert len(stored.sources) == len(pages)
    assert stored.version == await version_of(tmp_path, pages)
    # Only a German stemmer reads the singular as the same word.
    hits = await other.search("Lampe", tenant="t", limit=50)
    assert {hit.passage.source for hit in hits if hit.bm25} == {p.source for p in pages[1::2]}


async def test_two_processes(client: Callable[[], Closable], place: Place, tmp_path: Path) -> None:
    """Two processes that ingest into one tenant lose nothing and leave the right version."""
    tests = Path(__file__).parents[2]
    code = f"import sys; sys.path.insert(0, {str(tests)!r})\n{PROCESS}"
    workers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, prefix, *place),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for prefix in "ab"
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert await worker.stdout.readline() == b"ready\n"
    await asyncio.gather(*(worker.communicate(b"go\n") for worker in workers))
    assert [worker.returncode for worker in workers] == [0, 0]
    names = [f"{prefix}{number}.md" for prefix in "ab" for number in range(25)]
    stored = await client().inventory(tenant="t")
    assert stored.sources == dict.fromkeys(sorted(names), 3)
    pages = [passage(name, f"Shelf {i} of {name}.") for name in names for i in range(3)]
    assert stored.version == await version_of(tmp_path, pages)


async def test_a_reindex_beside_another_clients_writes(
    client: Callable[[], Closable], tmp_path: Path
) -> None:
    """While one client reindexes, what another stores, replaces and removes stays so."""
    one, other = client(), client()
    old = [passage("old.md", f"Shelf {i}.") for i in range(600)]
    await one.upsert("old.md", old, tenant="t")
    await one.upsert("gone.md", [passage("gone.md", "Soon gone.")], tenant="t")
    rebuilt = asyncio.create_task(one.reindex(tenant="t"))
    new = [passage(f"{i}.md", f"Lamp {i}.") for i in range(10)]
    for page in new:
        await patiently(other, page.source, [page])
    await patiently(other, "old.md", old[:300])
    await other.remove(["gone.md"], tenant="t")
    assert (await rebuilt).tenants == ("t",)
    stored = await one.inventory(tenant="t")
    assert stored.sources == {"old.md": 300, **{page.source: 1 for page in new}}
    assert stored.version == await version_of(tmp_path, [*old[:300], *new])
    assert len(await other.search("lamp", tenant="t", limit=1000)) == 310


async def test_two_reindexes_at_once(client: Callable[[], Closable]) -> None:
    """Two clients that reindex the same tenant leave it whole: both finish, or one is refused."""
    one, other = client(), client()
    for i in range(3):
        many = [passage(f"{i}.md", f"Shelf {j} of {i}.") for j in range(300)]
        await one.upsert(f"{i}.md", many, tenant="t")
    before = await one.inventory(tenant="t")
    outcomes = await asyncio.gather(one.reindex(), other.reindex(), return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(error, AntiphonError) for error in failed), failed
    assert len(failed) < 2
    for knowledge in (one, other, client()):
        assert await knowledge.inventory(tenant="t") == before
        assert len(await knowledge.search("shelf", tenant="t", limit=1000)) == 900


async def test_a_new_tenant_after_anothers_reindex(client: Callable[[], Closable]) -> None:
    """What a client knew before another rebuilt everything does not mislead it."""
    one, other = client(), client()
    await one.upsert("a.md", [passage("a.md", "Lamps.")], tenant="first")
    await other.reindex()
    for tenant in ("first", "second"):
        await one.upsert("b.md", [passage("b.md", "Rugs.")], tenant=tenant)
        assert (await one.search("rugs", tenant=tenant))[0].passage.source == "b.md"


async def test_a_writer_that_is_cancelled(client: Callable[[], Closable], tmp_path: Path) -> None:
    """A write broken off spoils nothing: the next one, by any client, is whole and not held up."""
    one, other = client(), client()
    pages = [passage("a.md", f"Shelf {i}.") for i in range(1500)]
    broken = asyncio.create_task(one.upsert("a.md", pages, tenant="t"))
    await asyncio.sleep(0.3)
    broken.cancel()
    await asyncio.gather(broken, return_exceptions=True)
    async with asyncio.timeout(PATIENCE_S + 15):
        await patiently(other, "a.md", pages)
    assert (await other.inventory(tenant="t")).version == await version_of(tmp_path, pages)
    await patiently(one, "b.md", pages[:0])
    assert (await one.inventory(tenant="t")).sources == {"a.md": 1500}
