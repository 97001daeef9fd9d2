"""The approval question, and what is a yes, a no, or neither, in each language."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from langchain_core.tools import StructuredTool

from antiphon.tools.toolbox import ToolCall, ToolSpec
from antiphon.tools.toolbox.approval import asks, decision, question
from antiphon.tools.toolbox.consent import PHRASES


def cancel_order(order_id: str) -> str:
    """Cancel an order."""
    return order_id


TOOL = StructuredTool.from_function(cancel_order)
CALL = ToolCall(
    id="1", name="cancel_order", arguments={"order_id": "A-1001"}, idempotency_key="key"
)


@pytest.mark.parametrize(
    ("confirm", "expected"),
    [
        ("Cancel order {order_id} now?", "Cancel order A-1001 now?"),
        ("", "Shall I go ahead with cancel order (order id A-1001)?"),
        ("Cancel {no_such}?", "Shall I go ahead with cancel order (order id A-1001)?"),
    ],
)
def test_the_question_names_what_will_happen(confirm: str, expected: str) -> None:
    """The confirm sentence is filled in; one that cannot be gives way to a plain question."""
    assert expected == question(ToolSpec(tool=TOOL, confirm=confirm), CALL)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        *(("en", text) for text in (
            "yes", "Yes!", "Yes please.", "YES", "ok", "Sure, go ahead", "do it", "please do", "y",
            "yes yes", "Yes, that\u2019s right.", "ok, thanks!", "yes, perfect", "👍", "👍🏽",
            "yes 😊", "✔\N{VARIATION SELECTOR-16}", "ＹＥＳ", "yes\N{ZERO WIDTH SPACE}", "yes\n",
        )),
        ("de", "Ja"), ("de-AT", "ja bitte"), ("de", "klar, mach das!"), ("de", "OK"), ("es", "Sí"),
        ("es", "si, por favor"), ("es", "vale"), ("fr", "Oui"), ("fr", "oui merci"),
        ("fr", "d\u2019accord"), ("fr", "Vas-y"), ("it", "certo, grazie"),
        ("pt-BR", "Sim, obrigada"), ("nl", "Ja graag"), ("pl", "Tak, proszę"),
        ("ja", "はい、お願いします。"), ("zh", "好的谢谢"), ("zh-Hant", "好的，謝謝！"),
        ("ko", "네~"), ("ko", "네, 부탁드립니다"), ("ar", "نعم، من فضلك"), ("ar", "حسنًا"),
        ("tr", "EVET"), ("tr", "tamam, teşekkürler"),
    ],
)  # fmt: skip
def test_yes_is_read(language: str, text: str) -> None:
    """An agreement is read however it is typed: case, accents, courtesy and signs around it."""
    assert decision(text, [language]) is True


@pytest.mark.parametrize(
    ("language", "text"),
    [
        *(("en", text) for text in (
            "no", "No!", "no thanks", "nope", "don't", "please don't", "please do not", "dont",
            "do not do that", "cancel", "cancel that", "no, cancel that", "no cancel that", "stop",
            "never mind", "no. stop. cancel it.", "n", "👎", "No\nthank you", "no no no",
        )),
        ("de", "Nein"), ("de", "nein danke"), ("de", "abbrechen"), ("de", "lieber nicht"),
        ("es", "no, gracias"), ("es", "no, cancelar"), ("es", "mejor no"), ("fr", "non merci"),
        ("fr", "Non, annulez"), ("it", "no grazie"), ("pt", "Não, obrigado"),
        ("nl", "Nee, laat maar"), ("pl", "Nie, anuluj"), ("ja", "いいえ、結構です"),
        ("zh", "不用谢谢"), ("ko", "아니요 괜찮아요"), ("ar", "لا شكرا"),
        ("tr", "HAYIR"), ("tr", "İPTAL"),
    ],
)  # fmt: skip
def test_no_is_read(language: str, text: str) -> None:
    """A refusal is read as widely."""
    assert decision(text, [language]) is False


@pytest.mark.parametrize(
    ("language", "text"),
    [
        *(("en", text) for text in (
            "", " ", "?", "...", "what does it cost?", "yes?", "y/n", "yes...", '"yes"',
            "yes but not today", "yes, wait", "no wait, yes", "ok, cancel that", "yes, cancel it",
            "ok, stop", "sure, never mind", "ok forget it", "ok abort", "sure, decline it",
            "correct the address to Berlin", "absolutely nothing works here", "definitely a scam",
            "ok thanks bye", "yes, cancel order A-1001", "yeah right", "yeah, no", "don't stop",
            "yesterday I ordered a lamp", "note that I moved", "I would like a refund", "notably",
            "no problem", "no worries", "not sure", "please", "thanks", "great", "fine, thanks",
            "when will it arrive", "parameters", "👍👎", "ja", "nein", "si",
        )),
        ("de", "ja, abbrechen"), ("de", "ja, aber erst morgen"), ("de", "nicht abbrechen"),
        ("es", "si cancela"), ("es", "no cancelar"), ("es", "no pares"), ("es", "y"),
        ("fr", "oui annule"), ("fr", "oui mais pas maintenant"), ("fr", "ne pas annuler"),
        ("pt", "não cancelar"), ("nl", "graag gedaan"), ("pl", "nie anuluj"), ("pl", "no"),
        ("ja", "はい、キャンセルして"), ("ja", "いいですよ"), ("zh", "好吗"),
        ("zh", "好不好"), ("zh", "对不起"),
        ("zh", "不要取消"), ("ko", "네, 취소해 주세요"), ("ko", "네?"), ("ar", "نعم؟"),
        ("tr", "ne"), ("tr", "olur mu"), ("tr", "iptal etme"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_neither(language: str, text: str) -> None:
    """A question, a condition, another subject, or a word more is neither yes nor no."""
    assert decision(text, [language]) is None


MORE = (
    "but not today", "if it is free", "the address to Berlin", "nothing works here", "a scam",
    "tomorrow", "and two more", "to nobody", "cancel that", "never mind", "stop", "wait", "bye",
    "not sure", "maybe", "?", "...", "/n", "👎", "aber erst morgen", "pero mañana",
    "mais pas maintenant", "ma non oggi", "mas agora não", "maar niet nu", "ale nie dziś",
    "キャンセル", "吗", "취소", "غدا", "ama bugün değil",
)  # fmt: skip
"""What takes a yes back or makes another message of it."""


def said(kind: str) -> Iterator[tuple[str, str]]:
    """Yield each phrase of a kind with its language."""
    for language, phrases in PHRASES.items():
        for phrase in getattr(phrases, kind).split(", "):
            yield language, phrase


def test_a_yes_with_anything_more_is_no_yes() -> None:
    """However a yes goes on or begins, in any language, it is not carried out."""
    for language, phrase in said("yes"):
        for more in MORE:
            for text in (f"{phrase} {more}", f"{phrase}, {more}", f"{more}, {phrase}"):
                assert decision(text, [language]) is None, text


@pytest.mark.parametrize("kind", ["yes", "no"])
def test_every_phrase_is_what_its_list_says(kind: str) -> None:
    """Alone, in its language, each phrase decides one way; a question mark undoes it."""
    for language, phrase in said(kind):
        for text in (phrase, f" {phrase.upper()}! ", f"{phrase}, {phrase}"):
            assert (kind == "yes") is decision(text, [language]), (language, text)
        assert decision(f"{phrase}?", [language]) is None, (language, phrase)


def test_no_phrase_is_both() -> None:
    """Whatever languages an assistant has, a yes of one is never carried out against another."""
    verdicts = {"yes": True, "no": False}
    for kind, verdict in verdicts.items():
        for language, phrase in said(kind):
            for other in PHRASES:
                assert decision(phrase, [language, other]) in (verdict, None), (phrase, other)
    assert decision("prima", ["nl"]) is True
    assert decision("prima", ["nl", "it"]) is None
    assert decision("no", ["es", "it"]) is False
    assert decision("no", ["es", "pl"]) is None


@pytest.mark.parametrize("kind", ["courtesy", "neither"])
def test_a_courtesy_alone_decides_nothing_and_asks_nothing(kind: str) -> None:
    """Thanks and "one moment" leave the question where it is."""
    for language, phrase in said(kind):
        assert decision(phrase, [language]) is None, (language, phrase)
        assert not asks(phrase, [language]), (language, phrase)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("thanks", False), ("hm", False), ("ok wait", False), ("One moment, please!", False),
        ("ok, cancel that", False), ("no problem", False), ("ok thanks bye", False), ("🙏", False),
        ("", False), ("yes", False),
        ("?", True), ("yes?", True), ("what does it cost", True), ("yes but tomorrow", True),
        ("cancel my other order", True), ("wait what", True), ("danke", True), ("hello", True),
    ],
)  # fmt: skip
def test_a_message_that_wants_something_asks(text: str, expected: bool) -> None:
    """What is not wholly on the lists deserves an answer of its own."""
    assert expected is asks(text)


@pytest.mark.parametrize("piece", ["yes ", "n", "好", "👍", "a\u0301", ".", "-", "\ufdfa"])
def test_a_huge_message_is_read_quickly(piece: str) -> None:
    """A hundred thousand characters of anything cost nothing."""
    began = time.perf_counter()
    assert decision(piece * 100_000) is None
    assert decision(piece * (200 // len(piece))) in (True, None)
    assert time.perf_counter() - began < 0.1


@pytest.mark.parametrize(
    "reason",
    [
        "ok)?\n\n# Nothing was changed.\n\nMay I show you our opening hours",
        "fine? Shall I tell you more",
        "x" * 500 + " and 5000 EUR to me",
    ],
)
def test_a_value_that_reads_like_a_sentence_stands_in_quotes(reason: str) -> None:
    """What a model wrote cannot turn the question into another one, nor hide what is asked."""
    asked = question(
        ToolSpec(tool=TOOL, confirm="Open a return ({order_id})?"),
        replace(CALL, arguments={"order_id": reason}),
    )
    assert asked.startswith("Shall I go ahead with")
    assert "\n" not in asked
    assert '"' in asked
    assert json.dumps(reason) in asked


@pytest.mark.parametrize(
    "hidden", ["\u202e", "\u2066", "\u200b", "\u3164", "\U000e0041", "\x07", "\U000e0141", "\u2003"]
)
def test_what_cannot_be_seen_is_written_out(hidden: str) -> None:
    """Nothing turns the question around, and nothing in it is blank."""
    for reason in (f"damaged {hidden}nothing", hidden):
        asked = question(
            ToolSpec(tool=TOOL, confirm="Open a return ({order_id})?"),
            replace(CALL, arguments={"order_id": reason}),
        )
        assert hidden not in asked
        assert "\\u" in asked


def test_a_name_that_begins_another_is_not_told_by_it() -> None:
    """Each argument is shown for itself."""
    asked = question(
        ToolSpec(tool=TOOL, confirm="Refund {amount_shown} for {order_id}?"),
        replace(
            CALL,
            arguments={
                "order_id": "LL-1", "order": "every order", "amount_shown": "5 EUR", "amount": 5000,
            },
        ),
    )  # fmt: skip
    assert "every order" in asked
    assert "5000" in asked


def test_an_argument_that_the_sentence_leaves_out_is_added() -> None:
    """A person sees everything that the call will run with."""
    asked = question(
        ToolSpec(tool=TOOL, confirm="Cancel it?"),
        replace(CALL, arguments={"order_id": "A-1001"}),
    )
    assert asked == "Cancel it? (order id A-1001)?"
