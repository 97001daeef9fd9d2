"""Keyword terms."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from antiphon.tools.retrieval.analysis import MAX_QUERY_TERMS, query_terms, terms, word_count


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("What is your return policy?", "en", ["return", "polici"]),
        ("The customer's parcels aren't RETURNED", "en", ["custom", "parcel", "return"]),
        (
            "e-mail order AB-10483, 4.90 EUR",
            "en-GB",
            ["e", "mail", "order", "ab", "10483", "4", "90", "eur"],
        ),
        ("snake_case naïve Straße", "en", ["snake", "case", "naiv", "strass"]),
        ("¿Cuánto cuestan los envíos?", "es", ["cuest", "envi"]),
        ("Wie lange dauert die Rückgabe?", "de", ["lang", "dauert", "ruckgab"]),
        ("東京に行く", "ja", ["東京", "京に", "に行", "行く"]),
        ("हिन्दी में", "hi", ["हिन्द"]),
        ("المُتْحَف والمكتبة ١٩٨٤", "ar", ["متحف", "مكتب", "1984"]),
        ("ISPARTA'da, ısparta'da", "tr", ["ispar", "ispar"]),
        ("bảo tàng", "vi", ["bao", "bảo", "tang", "tàng"]),
        ("พิพิธภัณฑ์", "th", ["พิพิ", "พิธ", "ธภั", "ภัณ", "ณฑ์"]),
        ("박물관의", "ko", ["박물", "물관", "관의"]),
        ("Ποιος ήταν ο διευθυντής;", "el", ["διευθυντ"]),
        ("word", "xx", ["word"]),
        ("", "en", []),
        ("the of and ?!", "en", []),
    ],
)
def test_terms(text: str, language: str, expected: list[str]) -> None:
    """Words are folded, split, freed of stop words and stemmed in their language."""
    assert terms(text, language) == expected


def test_accents_do_not_matter() -> None:
    """A query typed without accents has the terms of the accented page."""
    assert terms("envio a peru", "es") == terms("Envío a Perú", "es")


def test_query_terms_keep_repeats_and_join_languages() -> None:
    """A term counts as often as the query says it, once over all languages, up to a limit."""
    assert query_terms("card card fee", ["en"]) == ["card", "card", "fee"]
    assert query_terms("card", ["en", "es"]) == ["card"]
    assert len(query_terms("word " * 5000, ["en"])) == MAX_QUERY_TERMS


def test_a_query_in_two_languages_keeps_its_own_stop_words_out() -> None:
    """A function word of the question would be rare, so weigh much, among the other's passages."""
    asked = query_terms("What is the fee for the cards?", ["fr", "en"])
    assert {"the", "what", "for"}.isdisjoint(asked)
    assert {"fee", "card"} <= set(asked)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("four words of English", 4),
        ("", 0),
        ("博物馆的馆长是谁", 5),
        ("ใครเป็นผู้อำนวยการของพิพิธภัณฑ์", 7),
        ("박물관의 관장", 2),
    ],
)
def test_words_are_counted_in_any_script(text: str, expected: int) -> None:
    """What is written without spaces counts by the usual length of a word."""
    assert expected == word_count(text)


def test_threads_share_stemmers() -> None:
    """Stemming from many threads gives what one thread gives."""
    texts = [f"returning parcels shipped{i} quickly and happily" for i in range(400)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(terms, texts)) == [terms(text) for text in texts]
