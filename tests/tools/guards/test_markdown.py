"""Links and code are found where they stand in the source."""

from __future__ import annotations

import pytest

from antiphon.tools.guards.markdown import read


def cut(text: str) -> list[tuple[str, list[str]]]:
    links = dict.fromkeys(read(text).links)
    return [(link.href, [text[slice(*span)] for span in link.syntax]) for link in links]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a [b](c 'd') e", [("c", ["[", "](c 'd')"])]),
        ("![b](c\\.d)", [("c.d", ["![b](c\\.d)"])]),
        ("> - x\n>   [b](c\n>   'd') e", [("c", ["[", "](c\n>   'd')"])]),
        ("# [b](c) ##", [("c", ["[", "](c)"])]),
        ("\t\n- a\n\n\t[b](c)", [("c", ["[", "](c)"])]),
        ("<xy:z>", [("xy:z", ["<xy:z>"])]),
        (
            "| [a](b) | `\\|` [a](c) |\n|---|---|\n| \\|\\| ![a](d) | [a](b) |",
            [
                ("b", ["[", "](b)"]),
                ("c", ["[", "](c)"]),
                ("d", ["![a](d)"]),
                ("b", ["[", "](b)"]),
            ],
        ),
        ("[a] [b][]\n\n[A]: x\n  'y'\n", [("x", ["[A]: x\n  'y'"]), ("x", ["[", "]"])]),
        ("a\0[b](c)\r\n[d](e)", [("c", ["[", "](c)"]), ("e", ["[", "](e)"])]),
    ],
)
def test_links_have_their_target_and_their_place(
    text: str, expected: list[tuple[str, list[str]]]
) -> None:
    """Whatever blocks they stand in, and however their target is written."""
    assert sorted(cut(text)) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a `b` ``c ` d``", ["`b`", "``c ` d``"]),
        ("\\`b`", []),
        ("```x\nb\nc\n```\nd", ["b\nc"]),
        ("> ~~~\n> b\n> ~~~", ["> b"]),
        ("```\nb", []),
        ("```\nb\n", []),
        ("```\n```", []),
        ("a\n\n    b\n", ["    b"]),
        ("| ` | `b` | ` |\n|---|---|---|", ["`", "`"]),
        ("<div>\n`b`\n</div>", []),
        ("<i title='`'>b` `c`", ["`", "`"]),
    ],
)
def test_code_is_what_every_dialect_shows_as_code(text: str, expected: list[str]) -> None:
    """With raw HTML and without, with tables and without; a fence has to be closed."""
    assert [text[slice(*span)] for span in read(text).code] == expected


def test_what_is_nested_too_deep_is_said() -> None:
    """Beyond what is parsed a page is not known."""
    assert not read("> " * 5 + "[[[a]]](b)").too_deep
    assert read("> " * 30 + "a").too_deep
    assert read("[" * 30 + "a" + "](b)" * 30).too_deep
