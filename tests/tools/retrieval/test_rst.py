"""reStructuredText reads like Markdown: its shapes are kept, its machinery is not shown."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from docutils.core import publish_string

from antiphon.tools.retrieval.rst import rst_text

GRID = """
+------+-------+
| Plan | Price |
+======+=======+
| Day  | 9     |
|      | euro  |
+------+-------+
| Week | 40    |
+------+-------+
"""
LIST = """
.. list-table::
   :header-rows: 1

   * - Plan
     - Price
   * - Day
     - 9 euro
   * - Week
     - 40
"""


def shown(text: str) -> str:
    return rst_text(text).rstrip("\n")


def test_headings_have_the_level_of_their_first_use() -> None:
    """With or without a line above; a title with a line above is another style."""
    text = "=====\nGuide\n=====\n\nInstall\n=======\n\nLinux\n-----\n\nRun\n===\n\n----\n\nEnd.\n"

    assert "# Guide\n\n## Install\n\n### Linux\n\n## Run\n\nEnd." == shown(text)


def test_code_stays_code() -> None:
    """By directive, by two colons, and as a session."""
    text = (
        ".. code-block:: python\n    :caption: a.py\n\n    def f():\n        return 1\n\n"
        "Run it::\n\n    $ f --now\n\nLike so: ::\n\n  a\n\n>>> 1 + 1\n2\n"
    )

    assert (
        "```\ndef f():\n    return 1\n```\n\nRun it:\n\n```\n$ f --now\n```\n\n"
        "Like so:\n\n```\na\n```\n\n```\n>>> 1 + 1\n2\n```"
    ) == shown(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Use ``a_b`` and `c <https://x.example/d>`_.", "Use `a_b` and [c](https://x.example/d)."),
        (":func:`~pkg.mod.run` calls :meth:`.stop`.", "`run` calls `stop`."),
        ("See :doc:`/deploying/index` or :ref:`the list <x>`.", "See deploying or the list."),
        (":pep:`8`, :class:`!Plain`, :py:class:`a.B`", "PEP 8, `Plain`, `a.B`"),
        ("`Up`_ or Up_.\n\n.. _Up: http://u.example", "[Up](http://u.example) or [Up](http://u.example)."),
        ("|v| is out [1]_.\n\n.. |v| replace:: 2.0", "2.0 is out."),
        (r"re\ ``x``\ ed \*not\*", "re`x`ed *not*"),
        ("|f|_ is\n\n.. |f| replace:: ``f()``\n.. _f: http://f.ex", "[`f()`](http://f.ex) is"),
        ("Read `on`__.\n\n__ http://o.example", "Read [on](http://o.example)."),
        ("|logo| of |us| and ``left\n\n.. |logo| image:: l.png", "of |us| and `left"),
        (r":file:`.venv\\bin` and :kbd:`Ctrl`", r"`.venv\bin` and `Ctrl`"),
        ("snake_case_ stays, __dunder__ too", "snake_case_ stays, __dunder__ too"),
    ],
)  # fmt: skip
def test_inline_marks(text: str, expected: str) -> None:
    """Roles, links and substitutions become what a reader sees."""
    assert expected == shown(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".. note:: Mind the gap.", "Mind the gap."),
        (".. warning::\n\n   Hot.\n\n   Very.", "Hot.\n\nVery."),
        (".. warning::\n   Hot at once.\n\n   Very.", "Hot at once.\n\nVery."),
        (".. note:: 请注意", "请注意"),
        (".. only:: html\n\n   Text.", "Text."),
        (".. only:: html\n\n   Title\n   =====\n\n   Text.", "# Title\n\nText."),
        (".. note::\n   :class: tip\n\n   Text.", "Text."),
        (".. note::\n\n   :size: 5\n\n   Text.", "- size: 5\n\nText."),
        (".. change::\n   :tag: a\n   :tag: b\n\n   Done.", "Done."),
        (".. glossary::\n\n   one\n   two\n      A number.", "one, two: A number."),
        ("-q, --quiet  Hush.\n-o FILE  Write.", "- `-q, --quiet`: Hush.\n- `-o FILE`: Write."),
        (".. admonition:: Why\n\n   Because.", "Why: Because."),
        (".. versionadded:: 2.1", "New in version 2.1."),
        (".. deprecated:: 3.0\n   Use `g`.", "Deprecated since version 3.0: Use `g`."),
        (".. toctree::\n   :maxdepth: 2\n\n   a\n   b\n\nText.", "Text."),
        (".. automodule:: x\n   :members:\n\nText.", "Text."),
        (".. a comment\n   of two lines\n\nText.\n\n.. _target:", "Text."),
        (".. figure:: a.png\n   :alt: A\n\n   The plan.", "The plan."),
        (".. something-new:: with words\n   :opt: 1\n\n   Inside.", "with words Inside."),
        (":orphan:\n\nText.", "Text."),
        ("| Line one\n| Line two", "Line one\nLine two"),
    ],
)  # fmt: skip
def test_directives_show_what_they_say(text: str, expected: str) -> None:
    """Prose is shown, what steers the site is not, and the unknown is taken for prose."""
    assert expected.split() == shown(text).split()
    assert ".." not in shown(text)


def test_what_cannot_be_read_is_shown_as_it_stands() -> None:
    """A table drawn wrongly is still what the author wrote."""
    text = "Before.\n\n+--+--+\n| a | b\n+--+--+\n\nAfter."

    assert "Before.\n\n```\n+--+--+\n| a | b\n+--+--+\n```\n\nAfter." == shown(text)


@pytest.mark.parametrize("text", ["- " * 900, ".. |a| replace:: |b|\n.. |b| replace:: |a|\n\n|a|"])
def test_odd_text_is_shown_in_silence(text: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Blocks without end and a text that stands for itself neither raise nor print."""
    assert shown(text)
    assert ("", "") == capfd.readouterr()


def test_no_other_file_is_opened(tmp_path: Path) -> None:
    """A document cannot name a file of this machine and have it read."""
    secret = tmp_path / "secret.csv"
    secret.write_text("open,sesame\n", "utf-8")
    ways = [".. include:: {}", ".. raw:: text\n   :file: {}", ".. csv-table::\n   :file: {}",
            ".. csv-table::\n   :url: file://{}", ".. literalinclude:: {}"]  # fmt: skip

    assert "sesame" not in shown("\n\n".join(way.format(secret) for way in ways))


def test_docutils_itself_is_left_as_it_was() -> None:
    """Its own readers in the same process still know nothing of Sphinx, in any thread."""
    text = ".. role:: ours(strong)\n\n:ours:`a` :func:`b`\n\n.. function:: c\n\n   Words."
    quiet = {"report_level": 5, "output_encoding": "unicode"}
    before = publish_string(":ours:`a` :func:`b`\n\n.. function:: c", settings_overrides=quiet)

    with ThreadPoolExecutor(8) as threads:
        assert {shown(text)} == set(threads.map(shown, [text] * 64))
    after = publish_string(":ours:`a` :func:`b`\n\n.. function:: c", settings_overrides=quiet)
    assert before == after


def test_what_is_described_stands_under_its_name() -> None:
    """A setting or a function can so be cited by its heading."""
    text = "Settings\n========\n\n.. py:data:: TIMEOUT\n\n   Seconds.\n\n   :default: 5\n\nEnd.\n"

    assert "# Settings\n\n## TIMEOUT\n\nSeconds.\n\n- default: 5\n\nEnd." == shown(text)


def test_lists_keep_their_items_together() -> None:
    """Continuation lines and code stay inside; definitions follow their term."""
    text = (
        "* one\n  more\n* two\n\n#. first::\n\n     x = 1\n\n#. second\n\n"
        "term\n    What it is.\n"
    )  # fmt: skip

    assert (
        "- one more\n- two\n\n1. first:\n\n   ```\n   x = 1\n   ```\n\n2. second\n\n"
        "term: What it is."
    ) == shown(text)


@pytest.mark.parametrize(
    "text",
    [
        GRID,
        "====  =======\nPlan  Price\n====  =======\nDay   9 euro\nWeek  40\n====  =======",
        LIST,
        ".. csv-table::\n   :header: Plan,Price\n\n   Day,9 euro\n   Week,40",
    ],
    ids=["grid", "simple", "list", "csv"],
)
def test_every_notation_of_a_table_gives_the_same_rows(text: str) -> None:
    """The header is ruled off, so the chunker carries the column names."""
    assert "| Plan | Price |\n|---|---|\n| Day | 9 euro |\n| Week | 40 |" == shown(text)


def test_a_cell_that_reaches_down_is_told_in_every_row() -> None:
    """A row may stand in a passage of its own; a cell that reaches across is told once."""
    text = """
+-----+-----+
| A   | B   |
+=====+=====+
| one | x   |
|     +-----+
|     | y   |
+-----+-----+
| wide      |
+-----------+
"""

    assert "| A | B |\n|---|---|\n| one | x |\n| one | y |\n| wide |  |" == shown(text)


@pytest.mark.parametrize(
    "text",
    ["`" * 20_000, "a-" * 20_000, ":a" * 20_000, "|a" * 20_000, "\\" * 20_000, "== ==\n" * 4000,
     "+--\n" * 4000, "\n".join(" " * n + "- a" for n in range(600)), "`a <" * 9000,
     "`a`__ " * 16_000, "_`a " * 5000],
    ids=range(11),
)  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    """Work grows with the text, however odd it is."""
    rst_text("The parser is imported.")
    began = time.process_time()

    rst_text(text)

    assert time.process_time() - began < 4
