"""Foreign targets go; the words and the assistant's own links stay."""

from __future__ import annotations

import re

import pytest

from antiphon.tools.guards import Subject
from antiphon.tools.guards.links import Links

LINKS = Links(["help.example.com"])
ACTIVE = re.compile(r"<script|\bon[a-z]+\s*=|javascript:|data:text|evil", re.IGNORECASE)


@pytest.mark.parametrize(
    "text",
    [
        "[Returns](/help/returns)",
        "[Returns](returns.md#top)",
        "See https://help.example.com/a?b=1.",
        "[x](https://shop.help.example.com/x_(y))",
        "![logo](https://help.example.com/l.png)",
        '[a](https://help.example.com "title")',
        "<https://help.example.com/a>",
        "[us](mailto:a@help.example.com) or [call](tel:+1-555-0100)",
        "if a < b and c > d",
        "Write <order number> here, or <b>this</b>",
        "JavaScript: the good parts. Data: none. Node.js 3.5",
        "AT&amp;T, [1] and C:\\temp",
        "docker run -v ./models:/models:ro -v C:/data:/data image",
        "Open http://127.0.0.1:5000/ or http://localhost:8000/docs.",
        "Use `flask.app` and `site.info.top`.",
        "```html\n<form method=post>\n  <input name=q>\n</form>\n```",
        "~~~\nimport app.io\n~~~",
        "A part like `<converter:name>` of the route",
    ],
)
async def test_own_links_and_plain_text_stay(text: str) -> None:
    """Relative links, allowed hosts and their subdomains, and text that only looks odd."""
    finding = await LINKS.check(text, Subject())
    assert (finding.ok, finding.text) == (True, text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Go to [our shop](https://evil.example/x) now", "Go to our shop now"),
        ("![p](https://evil.example/a.png?q=1)text", "text"),
        ("see https://evil.example/a?b=1, ok", "see , ok"),
        ("[![i](https://evil.example/i.png)](https://evil.example)", ""),
        ("[t][a]\n\n[a]: https://evil.example 'x'", "t\n\n"),
        ("[t](//evil.example/x)", "t"),
        ("[t](https://help.example.com@evil.example)", "t"),
        ("[t](https://help.example.com.evil.example)", "t"),
        ("[t](https:\\\\evil.example)", "t"),
        ("[t](java\tscript:alert(1))", "t"),
        ("[t](JaVaScRiPt:alert(1))", "t"),
        ("<a href='https://evil.example' onclick='x()'>t</a>", "t</a>"),
        ("www.evil.com is", " is"),
        ("models:https:/evil.com/x", "models:"),
        ("[t](http://localhost:8000/x)", "t"),
        ("http://localhost:80@evil.com/x", ""),
        ("http://localhost.evil.com/x", ""),
        ("see flask.app", "see "),
        ("`https://evil.com/x`", "``"),
        ("<https://evil.com/x> and `<https://evil.com/x>`", " and `<>`"),
        ('```\n<img src="https://evil.com/x">\n```', '```\n<img src="">\n```'),
        ("```\n<script>x</script>\n```", "```\n\n```"),
        ("``` <img src=//evil.com/x>", "``` "),
    ],
)
async def test_foreign_targets_go(text: str, left: str) -> None:
    """The words of a link stay, its target goes; a foreign image goes whole."""
    finding = await LINKS.check(text, Subject())
    assert finding.text == left
    assert (finding.ok, finding.severity, finding.action) == (False, "high", "removed")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<scr<script>x</script>ipt>alert(1)</script>",
        "<img src=x:x \\x20onerror=javascript:alert(1)>",
        "<IMG SRC=\"javascript:alert('x')\"",
        "<SCRIPT SRC=//evil.example/.j>",
        '<html onMouseLeave html onMouseLeave="javascript:alert(1)"></html onMouseLeave>',
        "<!--[if<img src=x onerror=javascript:alert(1)//]> -->",
        '&lt;A HREF="http&#58;//evil.example/"&gt;t&lt;/A&gt;',
        '[t]("onerror="alert(1))',
        '<a href="data:text/html;base64,PHNjcmlwdD4=">t</a>',
        "<svg/onload=alert(1)>",
        "<evil-element onfocus=alert(1)>",
    ],
)
async def test_active_html_goes(text: str) -> None:
    """No script, no event handler, no foreign host is left, however it was written."""
    finding = await LINKS.check(text, Subject())
    assert not finding.ok
    assert not ACTIVE.search(finding.text)


async def test_with_no_allowed_host_every_absolute_link_goes() -> None:
    """The default allows relative links only."""
    finding = await Links().check("[a](https://help.example.com) [b](b.md)", Subject())
    assert finding.text == "a [b](b.md)"
