"""`antiphon eval push|upload|compare|pull`: against a server on loopback, and in files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from langsmith.utils import get_env_var
from langsmith_server import Store, serving

from antiphon.evals.golden import Example, Expected, Message
from antiphon.evals.report import Row, summarise
from antiphon.gateway.cli import main
from antiphon.gateway.cli.langsmith import send_report
from antiphon.tools.errors import AntiphonError

EXAMPLES = tuple(
    Example(
        id=name,
        kind="knowledge",
        messages=(Message(content=f"What about {name}?"),),
        expected=Expected(outcome=("answered",)),
        reference=f"About {name}.",
    )
    for name in ("returns", "shipping")
)
ROWS = [
    Row(
        id=each.id,
        kind=each.kind,
        question=each.questions[-1],
        answer="So.",
        outcome="answered",
        overall=0.7,
        started=1_790_000_000.0,
    )
    for each in EXAMPLES
]


def forget_environment() -> None:
    """Let LangSmith read its variables again: it keeps what it read first."""
    get_env_var.cache_clear()  # type: ignore[attr-defined]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A server that the environment names."""
    with serving() as (url, store):
        monkeypatch.setenv("LANGSMITH_API_KEY", "k")
        monkeypatch.setenv("LANGSMITH_ENDPOINT", url)
        forget_environment()
        yield store
    forget_environment()


@pytest.fixture
def keyless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No key, and an address of nothing."""
    for name in ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://127.0.0.1:9")
    forget_environment()
    yield
    forget_environment()


@pytest.fixture
def golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A golden set of two lines, and a data folder of its own."""
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(tmp_path / "data"))
    path = tmp_path / "golden.jsonl"
    path.write_text("".join(f"{each.model_dump_json()}\n" for each in EXAMPLES), "utf-8")
    return path


def saved(path: Path, rows: list[Row]) -> Path:
    """Write a report as `eval run --save` does."""
    path.write_text(json.dumps(summarise(rows, seconds=1.0).as_json()), "utf-8")
    return path


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return what was printed as JSON."""
    return json.loads(capsys.readouterr().out)


def test_push_upload_compare_and_pull(
    server: Store, golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a golden set to a person's word on one answer, which waits as a candidate."""
    which = ["--golden", str(golden), "--dataset", "help", "--json"]
    assert main(["eval", "push", *which]) == 0
    assert said(capsys)["created"] == 2
    first = saved(tmp_path / "a.json", ROWS)
    second = saved(tmp_path / "b.json", [replace(ROWS[0], overall=0.9), ROWS[1]])
    for path in (first, second, second):
        assert main(["eval", "upload", str(path), *which]) == 0
    assert '"sent": 0' in capsys.readouterr().out
    both = [str(first), str(second), "--json"]
    assert main(["eval", "compare", *both, "--langsmith", "--dataset", "help"]) == 0
    told = said(capsys)
    assert (told["first"], told["second"], told["neither"]) == (0, 1, 1)
    assert len(server.comparisons) == 1
    server.say(server.roots()[0]["id"], "user_score", score=0, comment="Not on sale items.")
    assert main(["eval", "pull", *which]) == 0
    (name,) = said(capsys)["candidates"]
    assert main(["eval", "candidates", "--json"]) == 0
    (candidate,) = said(capsys)["candidates"]
    assert (candidate["id"], candidate["rating"]) == (name, "down")
    assert golden.read_text("utf-8").count("\n") == 2
    assert main(["eval", "reject", name]) == 0
    capsys.readouterr()
    assert main(["eval", "pull", *which]) == 0
    assert said(capsys) == {"candidates": [], "skipped": []}


@pytest.mark.usefixtures("keyless")
def test_without_a_key_all_of_it_works_on_files(
    golden: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Examples, runs and feedback are written, and read back with what a person changed."""
    which = ["--golden", str(golden), "--json"]
    examples, runs = tmp_path / "examples.jsonl", tmp_path / "runs.jsonl"
    assert main(["eval", "push", *which, "--out", str(examples)]) == 0
    assert said(capsys) == {"file": str(examples), "lines": 2}
    report = saved(tmp_path / "a.json", ROWS)
    assert main(["eval", "upload", str(report), *which, "--out", str(runs)]) == 0
    assert said(capsys)["lines"] == 4
    assert main(["eval", "compare", str(report), str(report), "--json"]) == 0
    assert said(capsys)["neither"] == 2
    edited = examples.read_text("utf-8").replace("About returns.", "30 days.")
    run = json.loads(runs.read_text("utf-8").split("\n")[0])
    word = {
        "id": "x", "run_id": run["id"], "key": "note", "comment": "Hm.", "feedback_source": {}
    }  # fmt: skip
    everything = tmp_path / "all.jsonl"
    everything.write_text(edited + runs.read_text("utf-8") + json.dumps(word), "utf-8")
    assert main(["eval", "pull", *which, "--from", str(everything)]) == 0
    assert len(said(capsys)["candidates"]) == 2


@pytest.mark.usefixtures("keyless")
@pytest.mark.parametrize(
    "command",
    [["push"], ["pull"], ["upload", "REPORT"], ["compare", "REPORT", "REPORT", "--langsmith"],
     ["run", "--langsmith"]],
    ids=lambda command: command[0],
)  # fmt: skip
def test_without_a_key_the_variable_is_named(
    golden: Path, tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is asked, sent or written."""
    report = saved(tmp_path / "a.json", ROWS)
    given = [str(report) if part == "REPORT" else part for part in command]
    more = [] if command[0] == "compare" else ["--golden", str(golden)]
    assert main(["eval", *given, *more]) == 2
    assert "LANGSMITH_API_KEY is not set" in capsys.readouterr().err


@pytest.mark.usefixtures("keyless")
def test_a_name_is_compared_in_langsmith_only(capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is taken for a name; what that needs is said."""
    assert main(["eval", "compare", "friday", "monday"]) == 2
    told = capsys.readouterr().err
    assert "'friday' is no file" in told
    assert "--langsmith" in told


@pytest.mark.parametrize("save", [False, True], ids=["unsaved", "saved"])
def test_a_run_whose_upload_fails_is_kept(
    server: Store, tmp_path: Path, save: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report cost money; the hint says how to go on, and that works."""
    monkeypatch.chdir(tmp_path)
    report = summarise(ROWS, seconds=1.0).as_json()
    given = saved(tmp_path / "mine.json", ROWS) if save else None
    server.fault = lambda seen: 500 if seen.path == "/runs/multipart" else 0
    with pytest.raises(AntiphonError) as caught:
        send_report(report, EXAMPLES, "help", saved=given, steps=False)
    assert "0 of 2 rows" in caught.value.hint
    kept = caught.value.hint.split("eval upload ")[1].split("`")[0]
    server.fault = lambda _: 0
    golden = tmp_path / "golden.jsonl"
    golden.write_text("".join(f"{each.model_dump_json()}\n" for each in EXAMPLES), "utf-8")
    where = ["--golden", str(golden), "--dataset", "help"]
    assert main(["eval", "upload", kept, *where]) == 0
    assert (len(server.roots()), len(server.sessions)) == (2, 1)
    assert [each.name for each in tmp_path.glob("*.json")] == [Path(kept).name]


@pytest.mark.usefixtures("keyless")
@pytest.mark.parametrize("text", ["{", "[]", '{"overall": 1}'], ids=["broken", "list", "other"])
def test_a_report_that_is_none_is_said(
    golden: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback; the remedy is in the hint."""
    path = tmp_path / "a.json"
    path.write_text(text, "utf-8")
    out = ["--out", str(tmp_path / "out.jsonl")]
    assert main(["eval", "upload", str(path), "--golden", str(golden), *out]) == 2
    told = capsys.readouterr().err
    assert "saved report" in told
    assert "eval run --save" in told
