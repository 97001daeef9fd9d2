"""Sentences are spans into the text, and Markdown says what may not be joined."""

from __future__ import annotations

import random
import re
import time

import pytest

from antiphon.tools.retrieval.sentences import sentences


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It costs 3.50 a day. Fine.", ["It costs 3.50 a day.", "Fine."]),
        ("Use e.g. shoes. Ask Dr. Smith.", ["Use e.g. shoes.", "Ask Dr. Smith."]),
        ("See No. 5. She said no. Then left.", ["See No. 5.", "She said no.", "Then left."]),
        ("J. R. Smith came. He left.", ["J. R. Smith came.", "He left."]),
        ("Das ist z. B. gut. Ja, bzw. Nein.", ["Das ist z. B. gut.", "Ja, bzw. Nein."]),
        ("Wait... what? Yes.", ["Wait... what?", "Yes."]),
        ('"Really?" she asked. "Yes." He left.', ['"Really?" she asked.', '"Yes."', "He left."]),
        ("Within days. [1] Refunds.[2][3] End.", ["Within days. [1]", "Refunds.[2][3]", "End."]),
        ("Hats, etc. You may. A etc. and b.", ["Hats, etc.", "You may.", "A etc. and b."]),
        ("Mail a@b.test or see c.test. Done.", ["Mail a@b.test or see c.test.", "Done."]),
        ("私は。あなたは！はい", ["私は。", "あなたは！", "はい"]),
        ("One line\ngoes on. New\n\nParagraph", ["One line\ngoes on.", "New", "Paragraph"]),
        ("# Head\nText. More.\n## Other ##\n", ["Head", "Text.", "More.", "Other"]),
        ("Head\n====\nText\n---\nEnd", ["Head", "Text", "End"]),
        ("- one. Two.\n- [x] tea\n  goes on\n12. six", ["one.", "Two.", "tea\n  goes on", "six"]),
        ("| a | b |\n|---|:-:|\n| 1. x | 2 |\n", ["a | b", "1. x | 2"]),
        ("> Quote one.\n> Quote two.", ["Quote one.", "Quote two."]),
        ("Run:\n```sh\n# no heading\n\nls\n```\nDone.", ["Run:", "# no heading\n\nls", "Done."]),
        ("Windows line.\r\nNext one.\r\n\r\nEnd.", ["Windows line.", "Next one.", "End."]),
        ("متى افتتح؟ عام 1907. كان علي.", ["متى افتتح؟", "عام 1907.", "كان علي."]),
        ("यह १९०७ में खुला। वे कौन थे?", ["यह १९०७ में खुला।", "वे कौन थे?"]),
        ("Ποιος ήταν; Ο Νίκος· το 300 π.Χ. ήταν.", ["Ποιος ήταν;", "Ο Νίκος· το 300 π.Χ. ήταν."]),
        ("В 1907 г. на ул. Новой. А. С. Ким.", ["В 1907 г. на ул. Новой.", "А. С. Ким."]),
        ("Am 5. Mai 1907. Er hat 12. Gut.", ["Am 5. Mai 1907.", "Er hat 12.", "Gut."]),
        ("“谁？”他问。馆长。", ["“谁？”", "他问。", "馆长。"]),
        ("", []),
        (" \n---\n", []),
    ],
)  # fmt: skip
def test_text_is_split_where_a_reader_would(text: str, expected: list[str]) -> None:
    """Abbreviations, decimals and initials do not split; lines that stand apart do."""
    assert expected == split(text)


def test_thai_is_cut_where_clauses_meet() -> None:
    """There is no full stop: a space between long clauses ends one, a space in a name does not."""
    clause = "พิพิธภัณฑ์แห่งนี้เปิดให้เข้าชมทุกวันยกเว้นวันจันทร์และวันหยุดราชการตลอดทั้งปีโดยไม่เก็บค่าเข้าชม"
    named = f"{clause}โดยคุณสมชาย ใจดี {clause}"
    assert [clause, clause] == split(f"{clause} {clause}")
    assert [named] == split(named)


PIECES = (
    "Word", " ", ". ", "! ", "\n", "\n\n", "# ", "- ", "1. ", "| ", " |\n", "|---|\n", "```", "> ",
    "e.g. ", "3.5", "[1]", "…", '"', "。", "é", "\r\n", "\t", "===\n", "a", "B.", "🙂", "\u2028",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(100))
def test_spans_are_ordered_apart_and_keep_every_letter(seed: int) -> None:
    """Random text: spans never overlap, are stripped, and no letter is outside them."""
    chance = random.Random(seed)
    text = "".join(chance.choices(PIECES, k=chance.randint(0, 80)))

    outside = list(text)
    at = 0
    for start, end in sentences(text):
        assert at <= start < end
        assert text[start:end].strip() == text[start:end]
        outside[start:end] = " " * (end - start)
        at = end

    # What follows the ticks of a fence names a language.
    left = re.sub(r"(?m)^[ \t]*```.*$", "", "".join(outside))
    assert not any(character.isalpha() for character in left)


@pytest.mark.parametrize(
    "piece", [".", "-", "| ", "A. ", "> ", "a\n", "#", "\"'", "[1", "。x", "`"]
)
def test_hostile_repetition_takes_linear_time(piece: str) -> None:
    """Thirty thousand repeats of anything are split in a moment."""
    began = time.perf_counter()
    sentences(piece * 30_000 + "x")
    assert time.perf_counter() - began < 5
