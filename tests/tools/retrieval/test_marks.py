"""Marks between a model and us, apart from whatever brackets a text has of its own."""

from __future__ import annotations

import random
import re

import pytest

from antiphon.tools.retrieval.marks import bracketed, free_tag, private, read, write

PIECES = (
    "items[0]", "m[1][2]", "[2]", "[^1]", "[1]: https://a.example", "[text](https://a.example)",
    "[1](https://a.example)", "![i](x.png)", "| a [3] | b |\n|---|---|", "- [x] done", "- [ ] open",
    "`a[1]`", "```\nb[2]\n```", "[1, 2]", "[001]", "[1][2]", "[a][1]", "[[1]]", "⟦1⟧", "⟦c2⟧",
    "⟦x⟧", "【1】", "\\[1\\]", "{1}", "(1)", "[١]", "漢字[1]。", "naïve", "end.", "Why?",
    "5 EUR", " ", "  ", "\n", "\n\n", "# H", "> q", "*", "_", "a",
    "🙂", "\u200b", "\t", "[", "]", "⟦", "⟧",
)  # fmt: skip


def text_of(chance: random.Random) -> str:
    """Return a text with brackets of every kind."""
    pieces = chance.choices(PIECES, k=chance.randrange(1, 14))
    return "".join(piece + chance.choice(("", " ")) for piece in pieces).strip()


@pytest.mark.parametrize("seed", range(400))
def test_a_text_comes_through_apart_from_the_markers(seed: int) -> None:
    """Wherever marks stand, taking the ids of citations out again leaves the text."""
    chance = random.Random(seed)
    text = text_of(chance)
    tag = free_tag([text])
    places = sorted(chance.sample(range(len(text) + 1), k=min(3, len(text))))
    answer, at = "", 0
    for number, place in enumerate(places, start=1):
        answer, at = answer + text[at:place] + private(number, tag), place
    answer += text[at:]

    marked = read(answer, tag=tag, texts=[text])
    taken = bracketed(marked.text)
    ids = [[1000 + mark.numbers[0]] for mark in marked.marks]
    said = write(marked, ids)

    assert not taken & {1001, 1002, 1003}
    # Blanks before a mark are the mark's: models write one.
    left, right = ("".join(one.split()) for one in (re.sub(r"\[100\d\]", "", said), text))
    assert left == right


@pytest.mark.parametrize("seed", range(200))
def test_without_marks_every_character_stays(seed: int) -> None:
    """A text that the model was given is not read for marks, whatever it holds."""
    text = text_of(random.Random(seed))
    marked = read(text, tag=free_tag([text]), texts=[text])
    assert write(marked, [[] for _ in marked.marks]) == text
    assert all(mark.shown for mark in marked.marks)


def test_a_mark_occurs_in_no_text() -> None:
    """Where one holds such a thing, another tag is taken, and never a long one."""
    assert free_tag(["Sections [1] and items[0]"]) == ""
    assert free_tag(["The meaning ⟦1⟧ of a term"]) == "c"
    assert free_tag(["⟦1⟧", "⟦ c2⟧ and ⟦ccc3⟧"]) == "cc"
    hostile = "".join(f"⟦{'c' * length}1⟧" for length in range(50)) + f"⟦{'c' * 10_000}1⟧"
    assert len(free_tag([hostile])) == 50


@pytest.mark.parametrize(
    ("answer", "text", "numbers"),
    [
        ("Refunds take 5 days ⟦1⟧.", "Refunds take 5 days.", [(1,)]),
        ("Refunds take 5 days.⟦1⟧⟦3⟧ Then", "Refunds take 5 days. Then", [(1, 3)]),
        ("Refunds take 5 days. ⟦ 1, 2 ⟧", "Refunds take 5 days.", [(1, 2)]),
        ("Refunds take 5 days. ⟦1]", "Refunds take 5 days.", [(1,)]),
        ("See items[1] ⟦2⟧ and [1].", "See items[1] and [1].", [(2,)]),
        ("one ⟦1⟧two", "one two", [(1,)]),
        ("`code ⟦1⟧`", "`code `", []),
        ("here ⟦1⟧(https://a.example)", "here (https://a.example)", []),
        ("⟦c1⟧ is not ours", "⟦c1⟧ is not ours", []),
    ],
    ids=[
        "before the stop", "two", "spaced", "half", "own beside", "between words", "code", "link",
        "another tag",
    ],
)  # fmt: skip
def test_private_marks(answer: str, text: str, numbers: list[tuple[int, ...]]) -> None:
    """As models write them; where there is one, plain brackets are the text's."""
    marked = read(answer)
    assert (marked.text, [mark.numbers for mark in marked.marks]) == (text, numbers)


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("Refunds take 5 days [1].", [(1,)]),
        ("Refunds take 5 days. [1] Returns are free.[2]", [(1,), (2,)]),
        ("Refunds take 5 days\n[1]", [(1,)]),
        ("| 5 days [1] |", [(1,)]),
        ("as shown in earlier work [2] by Smith", []),
        ("Read items[1].", []),
        ("The cell matrix[1][2].", []),
        ("The cell matrix[1][2] [3].", [(3,)]),
        ("f(x)[1].", []),
        ("[1] Smith, 2001.", []),
        ("[1]: https://a.example", []),
        ("[1](https://a.example).", []),
        ("A note[^1].", []),
        ("`a [1]`.", []),
    ],
    ids=[
        "end", "behind sentences", "line of its own", "cell", "within a sentence", "index",
        "matrix", "marker behind an index", "of a call", "reference", "definition", "link",
        "footnote", "code",
    ],
)  # fmt: skip
def test_plain_marks_are_read_where_they_can_be_nothing_else(
    answer: str, numbers: list[tuple[int, ...]]
) -> None:
    """For models that know no others."""
    assert [mark.numbers for mark in read(answer).marks] == numbers


def test_a_plain_mark_is_doubtful_where_a_text_has_its_number() -> None:
    """After the same letters it is the text's own."""
    texts = ["Tides turn twice a day, as shown by Smith [2]. See items[1]."]
    assert read("It was shown by Smith [2].", texts=texts).marks == ()
    (doubtful,) = read("Tides turn twice [2].", texts=texts).marks
    assert (doubtful.shown, doubtful.numbers) == ("[2]", (2,))
    (sure,) = read("Tides turn twice [3].", texts=texts).marks
    assert sure.shown == ""


@pytest.mark.parametrize(
    ("text", "cut", "left"),
    [
        ("One. Two. Three.", "Two.", "One. Three."),
        ("One. Two.", "One.", "Two."),
        ("- One\n- Two\n- Three", "Two", "- One\n- Three"),
        ("1. One. More.\n2. Two.", "More.", "1. One.\n2. Two."),
    ],
    ids=["middle", "first", "item", "end of an item"],
)
def test_a_sentence_goes_with_its_marks(text: str, cut: str, left: str) -> None:
    """And with its line, where that leaves a marker only; others' marks move along."""
    start = text.index(cut)
    end = start + len(cut)
    answer = f"{text[:end]}⟦1⟧{text[end:]}⟦2⟧"
    marked = read(answer).edited([(start, end)])
    assert marked.text.strip() == left
    assert [mark.numbers for mark in marked.marks] == ([(2,)] if end < len(text) else [])
    assert write(marked, [[7] for _ in marked.marks]) == left + "[7]" * len(marked.marks)


def test_sentences_go_together() -> None:
    """With a line that several filled, and beside one that is said more of."""
    text = "- One. Two.\n- Three. Four. Five.\n- Six."
    spans = {word: (text.index(word), text.index(word) + len(word)) for word in text.split()}
    marked = read("".join(f"{word}⟦{n}⟧" if word in spans and word != "-" else word
                          for n, word in enumerate(re.split(r"(\s+)", text))))  # fmt: skip
    assert marked.text == text
    gone = [spans[word] for word in ("One.", "Two.", "Four.", "Five.")]
    left = marked.edited(gone, [spans["Three."]], " (?)")
    assert left.text == "- Three. (?)\n- Six."
    assert write(left, [[9] for _ in left.marks]) == "- Three. (?)\n- Six.[9]"
