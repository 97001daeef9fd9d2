"""Passages are slices of their document and cover it once, whatever the document looks like."""

from __future__ import annotations

import random
import re
import time

import pytest

from antiphon.tools.retrieval.chunking import chunk
from antiphon.tools.retrieval.passages import Document, Passage
from antiphon.tools.tokens import ApproximateCounter

TOKENS = ApproximateCounter()
PIECES = (
    "# Title\n", "## Refunds ##\n", "### \n", "#hashtag\n", "Underlined\n=====\n", "Also\n---\n",
    "\n", "\n\n", "\r\n", " \t\n", "---\n", "***\n", "```sh\n# not a heading\n\nls\n```\n", "```\n",
    "~~~\nopen fence\n", "| a | b |\n|---|---|\n| 1 | 2 |\n", "| row without end\n", "|\n",
    "- item one. Two.\n", "  continued\n", "1. first\n", "* \n", "> quoted. text\n",
    "Plain words, e.g. these. And 3.5 of those! ", "Ünïcödé 日本語。中文！ ", "x" * 130 + " ",
    "word " * 60, "a. B. c? D! ", "<b>&amp;</b>", "[1](http://e.test) ", "\u2028", "\x0c", "🙂 ",
)  # fmt: skip


def document(text: str, **changes: object) -> Document:
    return Document(**{"source": "a.md", "text": text, "title": "Title", **changes})  # type: ignore[arg-type]


def texts(passages: tuple[Passage, ...]) -> list[str]:
    return [passage.text for passage in passages]


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]", text)


@pytest.mark.parametrize("seed", range(150))
def test_any_document_is_covered_once_by_slices_within_the_limit(seed: int) -> None:
    """Random Markdown: each passage is a verbatim slice, none overlap, no word is lost."""
    chance = random.Random(seed)
    text = "".join(chance.choices(PIECES, k=chance.randint(0, 60)))
    body_start = chance.randint(0, len(text) // 3)
    limit = chance.choice([5, 20, 60, 220])

    found = chunk(document(text, body_start=body_start), tokens=TOKENS, max_tokens=limit)

    at = body_start
    for passage in found:
        assert passage.text == text[passage.start : passage.end]
        assert passage.text.strip() == passage.text != ""
        assert passage.start >= at
        # Between passages stand only white space, rules and headings that have a body.
        assert not words(re.sub(r"(?m)^ {0,3}#{1,6}[ \t].*$|^.*\n[ \t]*(=+|-{2,})[ \t]*$", "",
                                text[at : passage.start]))  # fmt: skip
        at = passage.end
    assert not words(text[at:])
    assert len({passage.id for passage in found}) == len(found)
    for passage in found:
        assert TOKENS.count(passage.text) <= limit * 4


def test_headings_are_carried_into_each_passage() -> None:
    """The path of headings names where a passage stands; the document's own title is not in it."""
    text = (
        "# Title\n\nIntro.\n\n## Refunds\n\nText.\n\n### Sale items ##\n\nFinal.\n\n## Post\n\nEnd."
    )

    found = chunk(document(text), tokens=TOKENS)

    assert [
        ("", "Intro."),
        ("Refunds", "Text."),
        ("Refunds > Sale items", "Final."),
        ("Post", "End."),
    ] == [(passage.heading, passage.text) for passage in found]


def test_another_top_heading_than_the_title_stays_in_the_path() -> None:
    """Only a heading that repeats the title is left out."""
    (found,) = chunk(document("# Overview\n\n## Prices\n\nTen."), tokens=TOKENS)

    assert "Overview > Prices" == found.heading


def test_a_heading_with_nothing_beneath_is_a_passage() -> None:
    """Lists of headings are knowledge too."""
    found = chunk(
        document("# Title\n\n## We never sell data\n\n## We ship worldwide\n"), tokens=TOKENS
    )

    assert ["## We never sell data", "## We ship worldwide"] == texts(found)


def test_underlined_headings_count() -> None:
    """Setext headings open sections as well."""
    (found,) = chunk(document("Delivery\n--------\nThree days."), tokens=TOKENS)

    assert ("Delivery", "Three days.") == (found.heading, found.text)


def test_a_hash_in_code_is_no_heading_and_code_stays_whole() -> None:
    """A fence keeps its blank lines and comments together with what stands around it."""
    text = "Run:\n\n```sh\n# comment\n\nls\n```\n\nDone."

    assert [text] == texts(chunk(document(text), tokens=TOKENS))
    assert "```sh\n# comment\n\nls\n```" in texts(
        chunk(document(text), tokens=TOKENS, max_tokens=6)
    )


def test_paragraphs_are_merged_up_to_the_limit() -> None:
    """Short paragraphs share a passage, and a passage ends where the next would not fit."""
    paragraphs = [f"{letter * 39}." for letter in "abcde"]

    found = chunk(document("\n\n".join(paragraphs)), tokens=TOKENS, max_tokens=25)

    assert ["\n\n".join(paragraphs[:2]), "\n\n".join(paragraphs[2:4]), paragraphs[4]] == texts(
        found
    )


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    """No sentence that fits is torn apart."""
    text = " ".join(f"Sentence number {n} says something." for n in range(20))

    found = texts(chunk(document(text), tokens=TOKENS, max_tokens=40))

    assert len(found) > 3
    assert all(part.startswith("Sentence") and part.endswith("something.") for part in found)


def test_list_items_keep_their_markers() -> None:
    """A long list is cut before a marker, not behind it."""
    text = "\n".join(f"- Item number {n} of the list" for n in range(20))

    found = texts(chunk(document(text), tokens=TOKENS, max_tokens=30))

    assert len(found) > 2
    assert all(part.startswith("- Item") and part.endswith("list") for part in found)


def test_a_table_is_whole_up_to_twice_the_limit_then_cut_by_rows() -> None:
    """Half a table says little; of a very long one each part is told the column names."""
    head = "| Plan | Price |\n|------|-------|\n"
    rows = [f"| Plan {n:02} | {n:02} euro |" for n in range(30)]

    whole = chunk(document(head + "\n".join(rows[:10])), tokens=TOKENS, max_tokens=40)
    cut = texts(chunk(document(head + "\n".join(rows)), tokens=TOKENS, max_tokens=40))

    assert 1 == len(whole)
    assert cut[0].startswith(head)
    assert rows == "\n".join(cut).splitlines()[2:]
    found = chunk(document("## Fees\n\n" + head + "\n".join(rows)), tokens=TOKENS, max_tokens=40)
    assert ["Fees", "Fees > Plan | Price"] == [passage.heading for passage in found[:2]]
    assert "Plan | Price" in found[-1].searchable


def test_rows_without_column_names_carry_none() -> None:
    """A first row that is not ruled off is a row like the others."""
    found = chunk(
        document("\n".join(f"| a{n} | b{n} |" for n in range(60))), tokens=TOKENS, max_tokens=40
    )

    assert {""} == {passage.heading for passage in found}


def test_the_same_content_has_the_same_id_and_a_change_another() -> None:
    """Ids follow text, place, title and date, so that an upsert embeds only what changed."""
    first, again = (chunk(document("One.\n"), tokens=TOKENS)[0].id for _ in range(2))

    assert first == again
    for other in (
        document("Two.\n"), document("\nOne.\n"), document("One.\n", source="b.md"),
        document("One.\n", title="Other"), document("One.\n", updated="2026-01-02"),
        document("One.\n", labels=("staff",)), document("One.\n", language="de"),
    ):  # fmt: skip
        assert first != chunk(other, tokens=TOKENS)[0].id


def test_front_matter_is_not_chunked() -> None:
    """Passages begin at `body_start`."""
    text = "---\ntitle: Title\n---\nBody."

    assert ["Body."] == texts(chunk(document(text, body_start=21), tokens=TOKENS))


def test_metadata_is_carried() -> None:
    """Language, date and labels of the document are those of its passages."""
    (found,) = chunk(
        document("Text.", language="de", updated="2026-05-01", labels=("staff",)), tokens=TOKENS
    )

    assert ("de", "2026-05-01", ("staff",)) == (found.language, found.updated, found.labels)


@pytest.mark.parametrize("text", ["", " \n\t\n", "---\n\n***\n"], ids=["empty", "blank", "rules"])
def test_nothing_to_say_makes_no_passage(text: str) -> None:
    """White space and rules are no passages."""
    assert () == chunk(document(text), tokens=TOKENS)


def test_a_large_file_without_breaks_is_cut_in_reasonable_time() -> None:
    """One endless word, one endless line: still bounded work and bounded passages."""
    began = time.perf_counter()

    for text in (
        "x" * 200_000,
        "word " * 40_000,
        "One sentence. " * 15_000,
        "| a |\n" * 30_000,
        "| a |\n|" + "- " * 20_000 + "x\n" + "| b |\n" * 5000,
    ):
        found = chunk(document(text), tokens=TOKENS)
        assert all(TOKENS.count(passage.text) <= 220 for passage in found)
        assert len(words(text)) == sum(len(words(passage.text)) for passage in found)

    assert time.perf_counter() - began < 20


def test_each_record_is_a_passage_and_a_long_one_carries_its_first_line() -> None:
    """A row answers for itself; what looks like a heading inside is part of it."""
    text = f"q: Colour?\n# a: Red.\n\nq: Size?\na: {'Long words here. ' * 70}"

    first, second, third, *rest = chunk(document(text, records=True), tokens=ApproximateCounter())

    assert ("q: Colour?\n# a: Red.", "") == (first.text, first.heading)
    assert second.text.startswith("q: Size?")
    assert ("", "q: Size?") == (second.heading, third.heading)
    assert all(passage.heading == "q: Size?" for passage in rest)


def test_many_records_are_cut_in_reasonable_time() -> None:
    """Work grows with the number of rows, not with its square; so for tables."""
    began = time.process_time()

    rows = "\n\n".join(f"q: Number {n}?" for n in range(20_000))
    table = "| n | m |\n|---|---|\n" + "\n".join(f"| {n} | x |" for n in range(8000))
    passages = chunk(document(rows, records=True), tokens=ApproximateCounter())
    cut = chunk(document(f"{table}\n\nEnd.\n\n{table}"), tokens=ApproximateCounter())

    assert 20_000 == len(passages)
    assert {"n | m", ""} == {passage.heading for passage in cut}
    assert time.process_time() - began < 8


def test_the_anchor_of_a_heading_is_not_shown() -> None:
    """Site generators take it for a link's name."""
    (passage,) = chunk(document("# Set-up {#setup}\n\nText."), tokens=ApproximateCounter())

    assert "Set-up" == passage.heading
