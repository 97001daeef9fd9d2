"""Structured personal data is found, order numbers are not, and masks are stable."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest

from antiphon.tools.privacy import PatternDetector, mask

DATA = Path(os.environ.get("ANTIPHON_TEST_DATA", "data")) / "pii" / "presidio_synth.jsonl"
OURS = {
    "CREDIT_CARD": "CREDIT_CARD",
    "US_SSN": "US_SSN",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
}


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("write to Ana.B+x@mail.example.org.", "EMAIL", "Ana.B+x@mail.example.org"),
        ("card 4111-1111-1111-1111 please", "CREDIT_CARD", "4111-1111-1111-1111"),
        ("IBAN DE89 3704 0044 0532 0130 00", "IBAN", "DE89 3704 0044 0532 0130 00"),
        ("ssn 078-05-1120", "US_SSN", "078-05-1120"),
        ("from 203.0.113.7 today", "IP", "203.0.113.7"),
        ("from 2001:db8::8a2e:370:7334", "IP", "2001:db8::8a2e:370:7334"),
        (
            "https://bob:hunter2@example.com/x",
            "URL_CREDENTIALS",
            "https://bob:hunter2@example.com/x",
        ),
        ("key AKIA" + "ABCDEFGHIJKLMNOP", "SECRET", "AKIAABCDEFGHIJKLMNOP"),
        ("use sk-proj-" + "a1" * 15, "SECRET", "sk-proj-" + "a1" * 15),
        ("+1 (202) 555-0143 works", "PHONE", "+1 (202) 555-0143"),
        ("202-555-0143", "PHONE", "202-555-0143"),
        ("call me on 2025550143", "PHONE", "2025550143"),
        ("030 901820 in Berlin", "PHONE", "030 901820"),
    ],
)
def test_structured_values_are_found(text: str, kind: str, value: str) -> None:
    """Each kind, whole and nothing but the value."""
    assert [(s.kind, text[s.start : s.end]) for s in PatternDetector().find(text)] == [
        (kind, value)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Where is LL-10482?",
        "order 9498777106 has not come",
        "order number 2025550143",
        "tracking number is 1234 5678 9012",
        "4111 1111 1111 1112 fails the checksum",
        "on 2024-11-22 at 10:30",
        "1 000 000 visitors, $1,299.00",
        "version 10.2.3 of the app",
        "SKU 12345678 and 90210-1234",
        "invoice 2024-000123-77",
        "my password is not accepted",
        "DE00 3704 0044 0532 0130 00",
    ],
)
def test_other_numbers_are_left_alone(text: str) -> None:
    """A masked order number would break the conversation."""
    assert PatternDetector().find(text) == ()


def test_the_same_value_has_the_same_placeholder() -> None:
    """Placeholders count up per kind, and equal values share one."""
    text = "a@example.org, b@example.org, A@example.org, 203.0.113.7"
    masked, counts = mask(text, PatternDetector().find(text))
    assert masked == "<EMAIL_1>, <EMAIL_2>, <EMAIL_1>, <IP_1>"
    assert counts == {"EMAIL": 3, "IP": 1}


def test_a_masked_text_is_clean() -> None:
    """Masking twice changes nothing."""
    text = "call 202-555-0143 or write a@example.org"
    masked, _ = mask(text, PatternDetector().find(text))
    assert PatternDetector().find(masked) == ()


def test_recall_on_the_public_set() -> None:
    """At least 95 % of the structured values of presidio's synthetic set are covered."""
    if not DATA.exists():
        pytest.skip(f"{DATA.name} is not on this machine")
    found = total = 0
    for line in DATA.read_text("utf-8").rstrip("\n").split("\n"):
        row = json.loads(line)
        covered = {
            place
            for span in PatternDetector().find(row["text"])
            for place in range(span.start, span.end)
        }
        for span in row["spans"]:
            if span["type"] in OURS:
                total += 1
                places = range(span["start"], span["end"])
                found += all(place in covered for place in places if row["text"][place].isalnum())
    assert found / total >= 0.95


def test_what_is_found_first_keeps_its_place() -> None:
    """Kinds come in order of precedence; a later one takes only what is still free."""
    text = "sk-ana4111111111111111bcdefg 4111 1111 1111 1111 ana@example.org 030 1234567"
    spans = PatternDetector().find(text)
    assert [span.kind for span in spans] == ["SECRET", "CREDIT_CARD", "EMAIL", "PHONE"]
    assert all(one.end <= other.start for one, other in pairwise(spans))


def test_the_same_value_has_the_same_number() -> None:
    """Numbers count distinct values of a kind, in order of their first appearance."""
    text = "a@x.org b@x.org A@x.org 4111 1111 1111 1111 c@x.org"
    masked, kinds = mask(text, PatternDetector().find(text))
    assert masked == "<EMAIL_1> <EMAIL_2> <EMAIL_1> <CREDIT_CARD_1> <EMAIL_3>"
    assert kinds == {"EMAIL": 4, "CREDIT_CARD": 1}
