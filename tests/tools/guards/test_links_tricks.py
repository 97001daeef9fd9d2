"""Ways around the link guard, judged by what renderers and a linkifier make of what is left."""

from __future__ import annotations

import html
import random
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt

from antiphon.tools.guards.links import Links

OWN = "ok.example"
LINKS = Links([OWN])
TARGETS = {
    "href", "src", "srcset", "action", "formaction", "data", "poster", "background", "ping", "cite",
}  # fmt: skip
ACTIVE = {"script", "style", "iframe", "object", "embed", "form", "base", "meta", "svg", "math"}
LOCAL = {"localhost", "localhost:8000"}
LINKIFIED = re.compile(r"(?:https?://|(?<![\w@])www\.(?=[\w-]+\.\w))[^\s<]+", re.IGNORECASE)


class Rendered(HTMLParser):
    """What is dangerous in a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.bad: list[str] = []
        self._code = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._code += tag == "code"
        if tag in ACTIVE:
            self.bad.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on") or (name in TARGETS and leads_away(value or "")):
                self.bad.append(f"{name}={value}")

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag == "code"

    def handle_data(self, data: str) -> None:
        for match in LINKIFIED.finditer("" if self._code else data):
            if leads_away(match[0] if ":" in match[0][:6] else f"http://{match[0]}"):
                self.bad.append(match[0])


def leads_away(target: str) -> bool:
    """Tell whether a browser would leave for another host, or run something."""
    plain = re.sub(r"[\t\n\r]", "", target).strip("".join(map(chr, range(33)))).replace("\\", "/")
    if plain.startswith("//"):
        plain = f"https:{plain}"
    scheme, colon, rest = plain.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return False
    if scheme.lower() not in ("http", "https"):
        return scheme.lower() not in ("mailto", "tel") or "evil" in rest
    authority = unquote(re.split(r"[/?#]", rest.lstrip("/"), maxsplit=1)[0])
    host = re.sub(r":\d*$", "", authority.rpartition("@")[2]).rstrip(".").lower()
    if re.search(r"[\x00-\x20#/:<>?@\[\\\]^|%]", host) or not re.search(r"\.[a-z]+$", host):
        return False  # no browser follows it, or no public name server knows it
    return "@" in authority or not (host == OWN or host.endswith(f".{OWN}"))


def pages(text: str) -> Iterator[str]:
    """Render a text as differing renderers would."""
    for raw_html in (True, False):
        for tables in (True, False):
            parser = MarkdownIt("commonmark", {"html": raw_html, "maxNesting": 100})
            parser.validateLink = lambda url: True  # type: ignore[method-assign]
            yield (parser.enable("table") if tables else parser).render(text)


def dangers(text: str) -> list[str]:
    found: list[str] = []
    for page in pages(text):
        rendered = Rendered()
        rendered.feed(page)
        rendered.close()
        found += rendered.bad
    return found


TRICKS = [
    # Escapes and entities in a target.
    "![x](https://ok.example\\.evil.com/p.png)",
    "[x](https://ok.example\\@evil.com/)",
    "[x](https://ok.example\\x@evil.com/)",
    "[x](https\\://evil.com)",
    "[x](\\/\\/evil.com/x)",
    "[x](/\\evil.com/x)",
    "[x](\\\\evil.com/x)",
    "[x](https:\\/\\/evil.com)",
    "[x](https&colon;//evil.com)",
    "[x](&#104;ttps://evil.com)",
    "[x](&#x68;ttps&#58;&sol;&sol;evil&period;com)",
    "[x](https://ok.example&commat;evil.com)",
    "[x](https://ok.example&period;evil.com)",
    "[x](/&Tab;/evil.com)",
    "[x](/&NewLine;/evil.com)",
    "[x](java&Tab;script&colon;alert(1))",
    "[x](javascript&#58alert(1))",
    "[x](<https://evil.com/a b>)",
    "[x](https:evil.com)",
    "[x](https:/evil.com)",
    "[x](HTTPS:\\\\evil.com)",
    "[x](https:3232235777)",
    "[x](https:///evil.com)",
    "[x](//user@ok.example@evil.com)",
    "[x](https://evil.com%2f.ok.example.evil.com)",
    "[x](https://ok.example%2eevil.com)",
    "[x](https://ok.example。evil.com)",
    "[x](https://evil.com／.ok.example)",
    "[x](https://\u200bok.example)",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](data:image/svg+xml,<svg/onload=alert(1)>)",
    "[x](vbscript:msgbox)",
    "[x](ms-msdt:id)",
    "[x](mailto:a@evil.com)",
    "[x](mailto:a@evil.com,b@ok.example)",
    "[x](mailto:a@ok.example?cc=b@evil.com)",
    "[x](evil@evil.com)",
    # Other syntax for the same.
    "[x](  https://evil.com  'title'  )",
    '[x](https://evil.com "title" )',
    "[x](https://evil.com (title))",
    "[x][a]\n\n[a]: https\\://evil.com",
    "[a][]\n\n[A]: <https:evil.com>",
    "[a]\n\n[a]:\nhttps&colon;//evil.com\n'title\nof lines'",
    "> [a]: https:evil.com\n\n[a]",
    "- x\n\n  [a]: ms-msdt:id\n\n  ![a]",
    "[a]: /ok\n[a]: https:evil.com\n\n[a]",
    "![a][b]\n\n[b]: //evil.com/p.png",
    "<https:evil.com>",
    "<ms-msdt:id>",
    "<evil@evil.com>",
    "[![x](/ok.png)](https&#58;//evil.com)",
    "[![x](https&#58;//evil.com/p.png)](/ok)",
    "[a *b* `c` ![d](/e.png)](https:evil.com)",
    "# [x](https:evil.com) #",
    "[x](https:evil.com)\n===",
    "> - [x](https:evil.com\n> 'title')",
    "| a | b |\n|---|---|\n| [x](https:evil.com) | `c \\| d` [y](ms-msdt:id) |",
    "| a |\n|---|\n| \\| [x](https:evil.com) |",
    "*a [x*](https:evil.com)",
    "[x\\]](https:evil.com)",
    "[[x](/a)](https:evil.com)",
    "\\![x](https:evil.com)",
    "\\\\[x](https:evil.com)",
    "a[^1]\n\n[^1]: https:evil.com",
    # What looks like code and is none in some renderer.
    "\\`<form action=http:evil.com>\\`",
    "`` <form action=https:evil.com> `",
    "```\n<form action=https:evil.com>",
    "``` <img src=//evil.com/x>",
    "| a | b |\n|---|---|\n| `x | <img src=//evil.com> ` |",
    "| ` | ` <img src=x onerror=alert(1)> ` | ` |\n|---|---|---|\n| a | b | c |",
    "<!--\n```\n-->\n<img src=x onerror=alert(1)>\n```",
    "<div>\n```\n<img src=x onerror=alert(1)>\n```\n</div>",
    "<b title='`'>x <img src=x onerror=alert(1)> `",
    # Raw HTML.
    "<a href=https:evil.com>x</a>",
    "<a href='&#104;ttps://evil.com'>x</a>",
    "<a href=/ok href=//evil.com>x</a>",
    '<a href="/ok" onclick="alert(1)">x</a>',
    '<img src="/ok.png" srcset="//evil.com 2x">',
    "<img\nsrc=//evil.com/p.png>",
    "<img src=x onerror\n=alert(1)",
    "<div title <1 onclick=alert(1)>",
    "<div\n<1 onclick=alert(1)>",
    "<p title<x onclick=alert(1)>x",
    "<table background=//evil.com>",
    "<base href=//evil.com>",
    "<meta http-equiv=refresh content='0;//evil.com'>",
    "<scr<script>x</script>ipt>alert(1)</script>",
    "<<b>script>alert(1)</script>",
    "<svg><a xlink:href=//evil.com>x</a></svg>",
    "<!-- > <img src=//evil.com> -->",
    "<![CDATA[<img src=//evil.com>]]>",
    "<?x <img src=//evil.com> ?>",
    '[x](/a"onmouseover="alert(1))',
    # Bare addresses.
    "https://ok.example/)https://evil.com",
    "https://ok.example).evil.com",
    "https://ok.example'.evil.com",
    'https://ok.example".evil.com',
    "https://ok.example**.evil.com",
    "https://ok.example<@evil.com",
    "https://ok.example\\x@evil.com",
    "https://ok.example)@evil.com",
    "https://ok.example&sol;.evil.com",
    "https://ok.example&sol;**https://evil.com",
    "http://localhost'.evil.com",
    "http://localhost`.evil.com`",
    "https://`x.evil.com",
    "_www.evil.com_",
    "https&#58;//evil.com",
    "https&amp;#58;//evil.com",
    "https\\://evil.com",
    "mailto:a@evil.com",
    "data:text/html,<b>",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_no_trick_leads_away(trick: str) -> None:
    """Nothing that is rendered of the rest links, loads, runs or names what is not allowed."""
    cleaned = LINKS.clean(f"See this: {trick} Thanks.")
    assert dangers(cleaned) == []
    cleaned = LINKS.clean(trick)
    assert cleaned != trick
    assert dangers(cleaned) == []
    assert "https://evil" not in html.unescape(html.unescape(cleaned.replace("\\", "")))


FRAGMENTS = [
    *("[x](", "![x](", ")", "](", "[", "]", "![", "[a]", "[a][b]", "[a]: ", "[b]: <", " 'title'"),
    *(
        "<",
        ">",
        "<a href=",
        "<img src=",
        "<form action=",
        "<div>",
        "<div\n",
        "</div>",
        "<b ",
        "<p\n",
    ),
    *(
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "<script>",
        "</script>",
        "onerror=",
        "<svg/onload=x",
    ),
    *("`", "``", "```\n", "~~~\n", "\n", "\n\n", "    ", "> ", "- ", "1. ", "# ", "|", "\t", "\r"),
    *("| a | b |\n|---|---|\n| ", "\\", "\\\\", "\\.", "\\@", "\\/", "\\:", "\\[", "\\`", "\\<"),
    *("&#46;", "&sol;", "&colon;", "&commat;", "&lt;", "&gt;", "&amp;", "&Tab;", "&NewLine;"),
    *("https:", "https://", "http:/", "//", "/", "@", ".", "?", "#", "%2e", "www.", "。", "\u200b"),
    *("ok.example", "https://ok.example", "[x](https://ok.example", "<https://ok.example"),
    *("evil.com", "evil.example", "javascript:", "alert(1)", "data:text/html,x", "mailto:a@"),
    *("http://localhost", "**", "*", "_", "(", "'", '"', "text", "a ", "&", ";", ":", "="),
]


@pytest.mark.parametrize("seed", range(20))
def test_no_mixture_of_fragments_leads_away(seed: int) -> None:
    """The same holds for syntax thrown together at random."""
    chance = random.Random(seed)
    for _ in range(60):
        text = "".join(chance.choices(FRAGMENTS, k=chance.randint(2, 14)))
        cleaned = LINKS.clean(text)
        assert dangers(cleaned) == [], (text, cleaned)
        assert LINKS.clean(cleaned) == cleaned


def test_what_is_nested_too_deep_to_read_has_no_syntax_left() -> None:
    """Beyond the depth that is parsed, nothing is a link any more."""
    for text in ("> " * 30 + "[x](ms-msdt:id)", "[" * 30 + "![x](ms-msdt:id)" + "](a)" * 30):
        assert dangers(text) != []
        assert dangers(LINKS.clean(text)) == []


PLAIN = [
    "a < b and [1] items[0] c > d",
    "| a | b |\n|---|---|\n| `x \\| y` | [k](/a) |",
    "Note[^1].\n\n[^1]: see chapter 2.",
    "`List<Object>` and ``<svg> ` <form action=/x>``",
    "```html\n<svg onload=x></svg><form action=/x>\n```",
    "- item\n\n  ```php\n  <?php echo $x; ?>\n  <!-- c -->\n  ```",
    "> ```js\n> //console.log(a)\n> ```",
    "    <form method=post>\n",
    "Set online = true and on = 1",
    '[x](page_(a).md) [y](<my file.md>) [z](what\'s.md "t") [e]()',
    "fetch({data:x,y}); handlers[name]() // done",
    "if count < object.size: List<int> v; map<string, int>",
    "- a\n  - b\n    - [c](d.md)",
    "> quote [a](b.md)\n> more <br> text",
    "choose <one> or <your name only>, </one>",
    "`https://` is the scheme, https:// too",
    "[a]: b.md 'title'\n\n[a] text",
    "a\r\nb\r\n[c](d)",
    "AT&amp;T &copy; 2020 \\[not a link\\](x) \\*",
    'use `https://ok.example/a\'b` or "https://ok.example": [x](https://ok.example), ok.',
    "(https://ok.example). See **https://ok.example/a**.",
    '<a href=\'/x\'>t</a><img src="https://ok.example/i.png" alt="a">',
    "https://ok.example/?next=https://ok.example/b&x=1",
    "Mail help@other.example or 12:30//14:00",
]


@pytest.mark.parametrize("text", PLAIN)
def test_what_leads_nowhere_else_stays_to_the_byte(text: str) -> None:
    """Code, tables, footnotes, comparisons and the assistant's own links are not touched."""
    assert LINKS.clean(text) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("> a [x](https:evil.com) b\n> c", "> a x b\n> c"),
        (
            "| a | b |\n|---|---|\n| c \\| d | [x](https:evil.com) |",
            "| a | b |\n|---|---|\n| c \\| d | x |",
        ),
        ("- `a` ![x](https:evil.com)\n- b", "- `a` \n- b"),
        ("`[x](https:evil.com)` [y](ms-msdt:id)", "`x` y"),
        ("a [b *c*](ms-msdt:id 'd') e `f`", "a b *c* e `f`"),
        (
            "1. a\n\n   [r]: ms-msdt:id\n   [s]: /ok\n2. b [r] [s]",
            "1. a\n\n   \n   [s]: /ok\n2. b r [s]",
        ),
    ],
)
def test_no_more_than_the_target_goes(text: str, left: str) -> None:
    """What stands around a foreign target stays where it is, in whatever block."""
    assert LINKS.clean(text) == left
