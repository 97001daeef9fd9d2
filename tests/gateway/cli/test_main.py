from __future__ import annotations

import io
import json

import pytest
import typer

from antiphon.gateway.cli import main
from antiphon.gateway.cli.output import visible
from antiphon.graphs.threads import MAX_MESSAGE_BYTES
from antiphon.tools.errors import KnowledgeCorrupt, MessageError, UnknownThread


def program(raised: BaseException) -> typer.Typer:
    """Return a program whose only command raises."""
    made = typer.Typer(pretty_exceptions_enable=False)

    @made.command()
    def fails(as_json: bool = typer.Option(False, "--json")) -> None:
        raise raised

    return made


class Bytes(io.BytesIO):
    """Standard input as bytes."""

    @property
    def buffer(self) -> Bytes:
        return self


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (MessageError("no words", hint="Type some."), 2, "error: no words\nhint: Type some.\n"),
        (UnknownThread("no thread 'x'"), 2, "error: no thread 'x'\n"),
        (KnowledgeCorrupt("damaged"), 1, "error: damaged\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
        (
            ZeroDivisionError("by zero"),
            1,
            (
                "error: internal error: ZeroDivisionError: by zero\n"
                "hint: ANTIPHON_LOG_LEVEL=debug shows the traceback.\n"
            ),
        ),
    ],
    ids=["input", "thread", "knowledge", "interrupted", "internal"],
)
def test_exit_code_and_message(
    raised: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each kind of error has its exit code and one readable message on standard error."""
    assert main(["--"], program(raised)) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", said)


def test_errors_are_json_when_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the error is one JSON object with code, message and hint."""
    assert main(["--json"], program(MessageError("no words", hint="Type some."))) == 2
    assert json.loads(capsys.readouterr().err) == {
        "error": {"code": "bad_message", "message": "no words", "hint": "Type some."}
    }


def test_the_traceback_is_there_for_who_asks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ANTIPHON_LOG_LEVEL=debug shows the traceback of an internal error."""
    monkeypatch.setenv("ANTIPHON_LOG_LEVEL", "debug")
    assert main(["--"], program(ZeroDivisionError("by zero"))) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask"],
        ["ask", "x", "--nonsense"],
        ["fly"],
        ["graph", "--name", "tea"],
        ["ingest", "/no/such"],
    ],
    ids=["missing", "option", "command", "choice", "path"],
)
def test_misuse_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A command line that cannot be read exits 2 and says where help is."""
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "--help" in error


def test_misuse_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error honours --json."""
    assert main(["ask", "--json"]) == 2
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "usage"


def test_no_arguments_show_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`antiphon` alone shows what there is."""
    assert main([]) == 0
    shown = capsys.readouterr().out
    commands = "ask chat init check ingest search graph debug eval bench serve incidents doctor"
    assert all(f"\n  {name} " in shown for name in commands.split())


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (b"", "empty"),
        (b" \n\t ", "empty"),
        (b"caf\xe9", "byte 3 is 0xe9"),
        (b"x" * (MAX_MESSAGE_BYTES + 1), "262,144 bytes"),
    ],
    ids=["nothing", "blank", "latin-1", "large"],
)
def test_unreadable_standard_input_is_refused(
    given: bytes,
    part: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Empty, oversized and wrongly encoded messages exit 2 before anything is opened."""
    monkeypatch.setattr("sys.stdin", Bytes(given))
    assert main(["ask", "-"]) == 2
    assert part in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "  ", "caf\udce9"], ids=["empty", "blank", "undecodable"])
def test_unreadable_arguments_are_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What standard input may not hold, an argument may not either."""
    assert main(["ask", text]) == 2
    assert capsys.readouterr().err.startswith("error: the message is")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x07", "a[31mred"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\u202eevil", "evil"),
        ("\x9b2J", "2J"),
        ("naïve 東京 👍", "naïve 東京 👍"),
    ],
    ids=["escape", "whitespace", "bidi", "c1", "scripts"],
)
def test_no_control_sequence_reaches_the_terminal(text: str, shown: str) -> None:
    """Control characters go, everything readable stays."""
    assert visible(text) == shown
