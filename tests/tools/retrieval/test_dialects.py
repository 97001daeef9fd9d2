"""What steers a site generator is blanked, at its place; what is read stays verbatim."""

from __future__ import annotations

import pytest

from antiphon.tools.retrieval.dialects import blanked


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("(anchor)=\n# Head", "# Head"),
        ("<!-- a\n\nb -->\nText", "Text"),
        ("<p align=center>\n  <img src=a.png>\n</p>\nText", "Text"),
        ("<Tabs groupId='os'>\nText\n</Tabs>", "Text"),
        ("[![build](https://a.example/b.svg)](https://a.example)\nText", "Text"),
        ("!!! note\n    Text", "Text"),
        ('??? tip "Title"\n    Text', '"Title"\n    Text'),
        ('=== "Linux"\n    Text', '"Linux"\n    Text'),
        (":::note\nText\n:::", "Text"),
        ("> [!WARNING]\n> Text", "> Text"),
        ("{% raw %}\nText {{ name }}\n{: .wide}", "Text {{ name }}"),
        ("```{note}\n:class: dim\n\nText\n```\nMore", "Text\n   \nMore"),
        ("```{admonition} Two words\nText\n```", "Two words\nText"),
        ("```{toctree}\n:hidden:\n```\nText", "Text"),
        ("```{eval-rst}\n.. currentmodule:: a\n```\nText", "Text"),
        ("```{code} sh\n:caption: a\n\nls\n```", "```{code} sh\n           \n\nls\n```"),
        ("````{note}\n```python\nx = 1\n```\n````", "```python\nx = 1\n```"),
        ("[TOC]\nText", "[TOC]\nText"),
        ("```\n<!-- kept -->\n(kept)=\n<p>\n```", "```\n<!-- kept -->\n(kept)=\n<p>\n```"),
        ("a < b, <b>bold</b> <!-- in line -->", "a < b, <b>bold</b> <!-- in line -->"),
        ("<order number>", "<order number>"),
    ],
)  # fmt: skip
def test_lines_that_say_nothing_go(text: str, left: str) -> None:
    """Code and prose that only looks like it stay; no offset moves."""
    found = blanked(text)

    assert left == found.strip()
    assert len(text) == len(found)
    assert [at for at, c in enumerate(text) if c == "\n"] == [
        at for at, c in enumerate(found) if c == "\n"
    ]


def test_front_matter_and_modules() -> None:
    """What stands before the body is left alone; imports go in MDX only."""
    text = "---\n<p>\n---\nimport A from 'a'\n\nText"

    assert text == blanked(text, 12)
    assert "---\n<p>\n---\n                 \n\nText" == blanked(text, 12, modules=True)
