"""Hostile text costs time in proportion to its length, in every guard, detector and reader."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from datetime import date

import pytest

from antiphon.tools.claims import claims_of
from antiphon.tools.claims.polarity import opposed
from antiphon.tools.claims.quantities import quantities
from antiphon.tools.guards.injection import assess
from antiphon.tools.guards.links import Links
from antiphon.tools.guards.text import visible
from antiphon.tools.memory.extract import facts
from antiphon.tools.privacy import PatternDetector, mask
from antiphon.tools.retrieval.analysis import terms, word_count
from antiphon.tools.retrieval.citations import cite, support, units
from antiphon.tools.retrieval.context import Card
from antiphon.tools.retrieval.language import detect
from antiphon.tools.retrieval.marks import free_tag, read
from antiphon.tools.retrieval.sentences import sentences
from antiphon.tools.toolbox.arguments import answer, extract
from antiphon.tools.toolbox.dates import find_date
from antiphon.tools.toolbox.schema import Argument

SIZE = 100_000
GROWTH = 3.0
"""Times longer that twice the text may take; in square time it would be four."""
CERTAIN_S = 0.1
"""Below it a text is quick enough, however its time grows."""
MOST_S = 2.0
"""At full size; on an idle core it is a twentieth of that but for a text full of links."""

PASSAGE = "You can return a lamp within thirty days of delivery. "
CARDS = [
    Card(
        number=n, source="a", title="b", heading="", text=PASSAGE * 20, start=0, tokens=9, score=1.0
    )
    for n in (1, 2, 3)
]
TODAY = date(2025, 1, 1)
DETECTOR = PatternDetector()
ARGUMENTS = (
    Argument(name="mail", kind="string", format="email"),
    Argument(name="reason", kind="string", required=True),
    Argument(name="city", kind="string"),
    Argument(name="day", kind="string", format="date"),
    Argument(name="order", kind="string", pattern=r"^LL-\d{5}$"),
    Argument(name="size", kind="string", choices=("express plus", "refund")),
    Argument(name="gift wrap", kind="boolean"),
)
NUMBERS = Argument(name="n", kind="array", items=Argument(name="x", kind="integer", maximum=9e9))
COUNT = Argument(name="quantity", kind="integer")

READERS: dict[str, Callable[[str], object]] = {
    "links": Links(["ok.example"]).clean,
    "injection": assess,
    "unseen characters": visible,
    "personal data": lambda text: mask(text, DETECTOR.find(text)),
    "grounding": lambda text: support(text, (text,)),
    "citations": lambda text: cite(text, CARDS),
    "cuts": lambda text: read(text).edited(units(text)[::2]),
    "tags": lambda text: free_tag([text]),
    "quantities": quantities,
    "opposites": lambda text: opposed(text[:2000], text),
    "claims": claims_of,
    "memory": facts,
    "language": detect,
    "sentences": sentences,
    "terms": terms,
    "words": word_count,
    "dates": lambda text: find_date(text, today=TODAY),
    "arguments": lambda text: extract(ARGUMENTS, text, today=TODAY),
    "numbers": lambda text: extract([NUMBERS, COUNT], text, today=TODAY),
    "answer": lambda text: answer(ARGUMENTS[1], text, today=TODAY),
}

UNITS = {
    "spaces": " ",
    "tabs": "\t",
    "lines": "\n",
    "letters": "a",
    "accents": "é",
    "Thai": "ก",
    "digits": "123 ",
    "brackets": "[",
    "brackets and closers": "[a][b]",
    "images": "![",
    "links": "[a](",
    "whole links": "[a](https://evil.example/x) ",
    "definitions": "[a]: b\n",
    "begun definitions": "[a]:\n",
    "tags": "<a ",
    "less-than": "<",
    "scripts": "<script>",
    "begun scripts": "<script ",
    "comments": "<!--",
    "code spans": "`a ",
    "fences": "```\n",
    "quotes": '"',
    "opening quotes": "“",
    "entities": "&amp;",
    "escapes": "\\.",
    "emphasis": "*a **",
    "block quotes": "> ",
    "lists": "- a\n",
    "rows": "|a|b|\n|-|-|\n",
    "addresses": "https://evil.example/ ",
    "joined addresses": "https://ok.example/;",
    "slashes": "//a",
    "schemes": "a.b+",
    "dots": "a.",
    "bare hosts": "evil.de ",
    "joined hosts": "evil.de.",
    "underlined hosts": "_a.de_",
    "fields": "user.name ",
    "e-mails": "a@example.org ",
    "joined e-mails": "a@b.",
    "cards": "4111 1111 1111 1111 ",
    "phones": "030 123456 ",
    "networks": "1.1.1.1 ",
    "accounts": "DE89 3704 0044 0532 0130 00 ",
    "private keys": "-----BEGIN PRIVATE KEY-----",
    "passwords": "password=",
    "tokens": "eyJabcdefghij-",
    "orders to the model": "ignore all your previous ",
    "roles": "you are a ",
    "spaced letters": "i g n o r e ",
    "markers": " [1, 2]",
    "private marks": " ⟦1, 2⟧",
    "begun marks": "⟦1 ",
    "tagged marks": "⟦ccc1⟧. ",
    "marked code": "`a` [1] b. ",
    "stops": "A b c. ",
    "questions": "a? ",
    "claims": PASSAGE,
    "because": "because a ",
    "names": "my name is ",
    "mixed": 'a [b](<c> `d` &e; ![f]( "g" 1 -- ',
}


def hostile(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


def seconds(read: Callable[[str], object], text: str) -> float:
    # Neither what else the machine does nor a collection of others' garbage counts.
    gc.disable()
    try:
        began = time.thread_time()
        read(text)
        return time.thread_time() - began
    finally:
        gc.enable()


@pytest.mark.parametrize("reader", READERS)
def test_time_grows_with_the_text_and_no_faster(reader: str) -> None:
    """Twice the text takes some twice the time, and the whole of it is soon over."""
    read = READERS[reader]
    # One opener before a long run is another family than many openers.
    texts = {name: ("", unit) for name, unit in UNITS.items()} | {
        "a link of spaces": ("[a](", " "),
        "a definition of spaces": ("[a]:", " "),
        "a tag of letters": ("<", "a"),
        "a reason of spaces": ("because a", " "),
        "an address of letters": ("https://", "a"),
        "a host of hyphens": ("a.", "-"),
        "a host of stops": ("a.de", "._"),
    }
    for name, (opener, unit) in texts.items():
        whole = seconds(read, opener + hostile(unit, SIZE))
        assert whole < MOST_S, f"{name}: {whole:.2f} s"
        # Caches of a processor that others use may make one measurement long, not all three.
        times = (
            seconds(read, opener + hostile(unit, SIZE))
            / seconds(read, opener + hostile(unit, SIZE // 2))
            for _ in range(3 if whole > CERTAIN_S else 0)
        )
        assert whole <= CERTAIN_S or any(each < GROWTH for each in times), name
