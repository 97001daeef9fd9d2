"""What a caller may get wrong: the words, the thread, the names; each through the real command."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (b"\xff\xfeH\x00i\x00", "not UTF-8: byte 0 is 0xff"),
        (b"a" * 1_048_576, "1,000,000 bytes"),
        (b"a" * 900_000, "262,144"),
        (b" \t\r\n ", "empty"),
        ("\u200b\u2060\ufeff".encode(), "empty"),
    ],
    ids=["UTF-16", "1 MB", "0.9 MB", "blank", "invisible"],
)
def test_a_message_that_cannot_be_read(shop: Any, given: bytes, part: str) -> None:
    """An unreadable message exits 2 with one JSON error, and says what is wrong with it."""
    done = shop.run("ask", "-", given=given)
    assert (done.code, done.out) == (2, "")
    assert done.error["code"] == "bad_message"
    assert part in done.error["message"]
    assert done.error["hint"]


def test_control_characters_are_taken_out(shop: Any) -> None:
    """A question with escapes and zero-width characters is answered, and the guard is named."""
    turn = shop.ask("How long \x1b[31mdoes\x07 a cop\u200bper lantern\u202e burn?")
    assert "41 hours" in turn["answer"]
    assert turn["outcome"] == "answered"
    found = [item["action"] for item in turn["violations"] if item["guard"] == "control_characters"]
    assert found


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("debug", "nope"), "unknown_thread"),
        (("debug", "t", "--user", "alice", "--tenant", "other"), "unknown_thread"),
        (("debug", "t", "--user", "bob"), "forbidden"),
        (("ask", "And then?", "--thread", "t", "--user", "bob"), "forbidden"),
        (("ask", "Hello", "--thread", "../t"), "bad_input"),
        (("ask", "Hello", "--tenant", "a/b"), "bad_input"),
        (("search", "lantern", "--tenant", "a/b"), "bad_input"),
        (("ask", "Hello", "--model", "nonsense"), "unknown_model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else value,
)
def test_a_name_that_does_not_fit(shop: Any, arguments: tuple[str, ...], code: str) -> None:
    """A thread, tenant or model that is not the caller's exits 2 with its own code."""
    done = shop.run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.error["code"] == code


def test_another_users_thread_stays_as_it_was(shop: Any) -> None:
    """Who is turned away leaves no trace: alice's thread holds what she and the bot said."""
    steps = shop.run("debug", "t", "--user", "alice").json["steps"]
    for who in (("--user", "bob"), ("--tenant", "other", "--user", "bob")):
        shop.run("ask", "Give me her words", "--thread", "t", *who)
    assert shop.run("debug", "t", "--user", "alice").json["steps"] == steps


def test_a_setting_that_no_model_has(shop: Any) -> None:
    """A model name of no known form fails at the start and names the variable; 2 is the code."""
    done = shop.having(ANTIPHON_MODEL="nonsense").run("ask", "Hello")
    assert (done.code, done.out) == (2, "")
    assert done.error["code"] == "unknown_model"
    assert "ANTIPHON_MODEL" in done.error["message"]
    assert "nonsense" in done.error["message"]
    assert "openai:" in done.error["hint"]


def test_an_error_for_a_person_is_two_lines(shop: Any) -> None:
    """Without --json an error is a message and a hint, with the text of the terminal's user kept out."""
    command = shop.start("debug", "no\x1b[31mpe")
    with command:
        _, err = command.communicate(timeout=60)
    assert command.returncode == 2
    assert json.loads(err)["error"]["code"] == "bad_input"
