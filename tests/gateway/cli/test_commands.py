from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import fake_services
from langgraph.cache.base import FullKey
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

from antiphon.gateway.cli import bench, debug, doctor, main, serve
from antiphon.graphs.oncall import OnCall
from antiphon.graphs.persistence import Persistence
from antiphon.graphs.runtime import Runtime, converse
from antiphon.graphs.services import Services
from antiphon.graphs.settings import Settings
from antiphon.tools.cache import CachedAnswer
from antiphon.tools.errors import AntiphonError, InputError, SettingsError
from antiphon.tools.turns.database import SqliteDatabase
from antiphon.tools.turns.store import SqlTurns


def test_init_writes_an_assistant_that_passes_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `init` writes has no mistakes, and no compiled file among it."""
    folder = tmp_path / "bot"
    assert main(["init", str(folder), "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["written"]
    assert {"assistant.yaml", "tools.py", "golden.jsonl"} <= set(written)
    assert any(name.startswith("knowledge/") for name in written)
    assert not [name for name in written if "__pycache__" in name]
    assert main(["check", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "problems": []}


def test_init_leaves_a_full_folder_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that holds something is refused, and taken with --force."""
    kept = tmp_path / "mine.txt"
    kept.write_text("mine")
    assert main(["init", str(tmp_path)]) == 2
    assert "--force" in capsys.readouterr().err
    assert [kept] == list(tmp_path.iterdir())
    assert main(["init", str(tmp_path), "--force"]) == 0
    assert kept.read_text() == "mine"


def test_check_names_file_line_key_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistake exits 2 and is placed exactly."""
    main(["init", str(tmp_path / "bot")])
    path = tmp_path / "bot" / "assistant.yaml"
    path.write_text(f"wrong_key: 1\n{path.read_text('utf-8')}", encoding="utf-8")
    capsys.readouterr()
    assert main(["check", str(tmp_path / "bot"), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["problems"] == [
        {
            "file": "assistant.yaml",
            "line": 1,
            "key": "wrong_key",
            "message": "unknown key",
            "remedy": "remove it",
        }
    ]


def test_check_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """`check --schema` prints the JSON Schema that editors use."""
    assert main(["check", "--schema"]) == 0
    assert "intents" in json.loads(capsys.readouterr().out)["properties"]


@pytest.mark.parametrize(
    ("words", "step", "changes", "meant"),
    [
        (["t"], None, None, ("", "t")),
        (["t"], 3, None, ("", "t")),
        (["replay"], None, None, ("", "replay")),
        (["replay", "t"], 3, None, ("replay", "t")),
        (["fork", "t"], 3, "{}", ("fork", "t")),
    ],
)
def test_debug_reads_its_words(
    words: list[str], step: int | None, changes: str | None, meant: tuple[str, str]
) -> None:
    """A single word is a thread, whatever it is called; two are an action and a thread."""
    assert debug._parsed(words, step, changes) == meant


@pytest.mark.parametrize(
    ("words", "step", "changes"),
    [
        (["walk", "t"], 1, None),
        (["a", "b", "c"], 1, None),
        (["replay", "t"], None, None),
        (["replay", "t"], 1, "{}"),
        (["fork", "t"], 1, None),
        (["t"], None, "{}"),
    ],
)
def test_debug_refuses_what_it_cannot_mean(
    words: list[str], step: int | None, changes: str | None
) -> None:
    """A missing step, a missing change and an unknown action are the caller's mistakes."""
    with pytest.raises(InputError):
        debug._parsed(words, step, changes)


@pytest.mark.parametrize("changes", ["{", "[]", "{}", "3"])
def test_fork_takes_only_an_object_of_fields(changes: str) -> None:
    """--set that is no JSON object with fields is refused."""
    with pytest.raises(InputError):
        debug._fields(changes)


def test_bench_lists_the_known_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown bench exits 2 and names those there are; plain modules are none of them."""
    assert "retrieval" in bench.known()
    assert "report" not in bench.known()
    assert main(["bench", "tea", "--data", str(tmp_path)]) == 2
    assert "retrieval" in capsys.readouterr().err


def test_bench_asks_for_data_only_where_it_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bench that reads data needs the option; one that reads none refuses it."""
    assert main(["bench", "retrieval"]) == 2
    assert "needs --data" in capsys.readouterr().err
    assert main(["bench", "overhead", "--data", str(tmp_path)]) == 2
    assert "takes no --data" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.test"])  # noqa: S104
def test_serve_needs_keys_to_be_open(host: str) -> None:
    """Without API keys nothing but this machine may reach the gateway."""
    with pytest.raises(SettingsError, match="API keys"):
        serve.require_keys(host, keys=False)
    serve.require_keys(host, keys=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.0.0.9"])
def test_serve_is_free_on_loopback(host: str) -> None:
    """On loopback no key is needed."""
    serve.require_keys(host, keys=False)


def test_serve_names_a_port_in_use() -> None:
    """A port that is taken is named, with another to try."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AntiphonError, match=f"port {port} on 127.0.0.1 is in use") as error:
            serve.require_free("127.0.0.1", port)
    assert str(port + 1) in error.value.hint
    assert not isinstance(error.value, InputError)


def test_doctor_names_every_setting_and_no_secret(tmp_path: Path) -> None:
    """Each setting is listed with its variable; secrets only as set or not set."""
    hook = "https://hooks.example/very-secret"
    settings = Settings(data_dir=tmp_path, model_key="sk-very-secret", alert_webhook=hook)
    rows = {row["name"]: row for row in doctor._settings(settings)}
    assert {f"ANTIPHON_{name.upper()}" for name in Settings.model_fields} == set(rows)
    assert rows["ANTIPHON_MODEL_KEY"]["value"] == "set"
    assert rows["ANTIPHON_ALERT_WEBHOOK"]["value"] == "set"
    assert rows["ANTIPHON_REDIS_URL"]["value"] == "not set"
    assert "very-secret" not in json.dumps(rows)
    assert all(row["description"] for row in rows.values())


async def test_doctor_tells_a_server_that_is_down() -> None:
    """A configured server that nobody answers for has failed, with the variable to mend."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    row = await doctor._reached("Redis", "ANTIPHON_REDIS_URL", f"redis://127.0.0.1:{port}/0")
    assert row.status == "failed"
    assert "ANTIPHON_REDIS_URL" in row.remedy


def test_doctor_tries_what_the_files_need(tmp_path: Path) -> None:
    """SQLite is tried in the data folder itself, and leaves nothing there."""
    row = doctor._sqlite(tmp_path)
    assert (row.status, row.remedy) == ("ok", "")
    assert "write-ahead log" in row.detail
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    row = doctor._sqlite(tmp_path / "file")
    assert row.status == "failed"
    assert "ANTIPHON_DATA_DIR" in row.remedy


def test_doctor_tells_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A data folder below a file has failed, with the variable to mend."""
    (tmp_path / "file").touch()
    row = doctor._data_dir(tmp_path / "file" / "data")
    assert row.status == "failed"
    assert "ANTIPHON_DATA_DIR" in row.remedy


class Refusing(InMemoryCache[CachedAnswer]):
    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, CachedAnswer]:
        raise PermissionError("the password is hunter2")


async def test_doctor_tells_a_cache_that_turns_would_do_without(tmp_path: Path) -> None:
    """What costs a turn nothing but the shortcut would otherwise never be noticed."""
    settings = Settings(data_dir=tmp_path, redis_url="redis://127.0.0.1/0")
    services = fake_services(cache=Refusing())
    row = await doctor._cache(_runtime(settings, services), "default")
    assert (row.status, "ANTIPHON_REDIS_URL" in row.remedy) == ("failed", True)
    assert "hunter2" not in row.detail
    assert (await doctor._cache(_runtime(settings, fake_services()), "default")).status == "ok"


def _runtime(settings: Settings, services: Services) -> Runtime:
    persistence = Persistence(
        saver=InMemorySaver(), store=InMemoryStore(), turns=SqlTurns(SqliteDatabase(":memory:"))
    )
    return Runtime(
        settings=settings,
        services=services,
        conversations=converse(services, persistence),
        persistence=persistence,
        folder=settings.data_dir,
        on_call=OnCall(settings, services, settings.data_dir),
    )
