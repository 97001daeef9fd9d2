"""A host named without a scheme goes under any ending; prose and code that look alike stay."""

from __future__ import annotations

import pytest

from antiphon.tools.guards.hostnames import named
from antiphon.tools.guards.links import Links

LINKS = Links(["ok.example", "ok.de"])


@pytest.mark.parametrize(
    "name",
    [
        "evil.me/?q=secret",
        "evil.de",
        "EVIL.DE",
        "Evil.De",
        "evil.us?x=1",
        "evil.co.uk",
        "evil.pro",
        "evil.edu/x",
        "t.me/abc",
        "bit.ly/abc",
        "evil.gg:8080/abc",
        "evil.travel#a",
        "evil.рф",
        "пример.рф/x",
        "xn--e1afmkfd.xn--p1ai",
        "evil.中国",
        "evil。com",
        "evil.d\u200be",
        "evil\u00ad.de",
        "ok.example.evil.de/x",
        "ok.de.evil.me",
        "notok.de",
        "evil-.de",
        # Files, fields and calls only where nothing makes an address of them.
        "evil.sh/x",
        "evil.md?x=1",
        "evil.py:80/x",
        "evil.md#secret",
        "secret.evil.sh",
        "user.name/x",
        "secret.user.name",
        "items.to/x",
        "evil.It/x",
        "secret.evil.It",
        "evil.to",
        "a.m.de",
    ],
)
@pytest.mark.parametrize(
    "around", ["{}", "see {} now", "[[{}]]", "({}).", "**{}**", "...{}", "a\n{}"]
)
def test_a_foreign_host_goes_whole(name: str, around: str) -> None:
    """Nothing of the name is left, wherever it stands."""
    left = LINKS.clean(around.format(name))
    assert left == around.format("")


@pytest.mark.parametrize(
    "text",
    [
        "-evil.de",
        "_evil.de_",
        "[1]: x.evil.sh#a",
        "__evil.de__",
        "\\evil.de",
        "evil\\.de",
        "evil&period;de",
    ],
)
def test_syntax_does_not_hide_a_host(text: str) -> None:
    """Emphasis, escapes and entities are read as a renderer reads them."""
    assert "evil" not in LINKS.clean(text)


@pytest.mark.parametrize(
    "text",
    [
        "See ok.de, shop.ok.de/a?b=1, OK.DE and _ok.example_.",
        "Mail max.de@ok.de or help@other.de.",
        # Sentences without a space between them.
        "Thirty days from delivery.It takes a week.No fee.In short: yes.My lamp?",
        "Die Lieferung.Im Lager.Am Montag.Es geht so.So ist es.Die Lampe.Der Preis.Über uns.",
        "All done.Online orders ship first.Support helps.The end.And so on.",
        "Готово.Как дела.Что дальше",
        "你好。中国很大。北京。香港",
        "Wait...it is. Well ...no. Yes?No!So what.",
        # Abbreviations and figures.
        "e.g., i.e., z.B., d.h., u.a., a.m., p.m., U.S.A., Ph.D., e.g.in, z.B.im Lager, i.d.R.",
        "Version 3.11.2, v1.2, 1.000,50 EUR, 10.5 kg, 24.12.2025, 1.2.3.4, $1.5m, §3.2.a, 12.30",
        # Files.
        "README.md, main.py, lib.rs, run.sh, a.pl, b.cc, libfoo.so, a.ts, b.json, c.html, d.zip.",
        "Do you know main.py? In main.py: line 3. (see setup.sh) 'README.md'! docs/README.de.md",
        "[a](b.md#top) [c](v1.2.notes.md) [d](<e.md#f>)\n\n[g]: h.md\n\n[g]",
        "libssl.so.3 foo.tar.gz data.csv config.yaml pyproject.toml .env ./x.sh ../y.py",
        # Code without the marks of code.
        "os.path, self.id, user.name, items.to, order.id, text.strip(), path.is_file(), a.b.c",
        "requests.post(url), items.to(list), torch.cat(x), value.is(y), Array.from(x)",
        "`items.to` `user.name.is` `evil.de` and\n\n```\nevil.me/x\n```",
        "Node.js, Vue.js, and/or, 24/7, c:/a.b, x.y.z, foo_bar.baz, a.com_b, org.junit.Test",
    ],
)
def test_text_that_names_no_foreign_host_stays_to_the_byte(text: str) -> None:
    """Prose with its faults, files, fields and calls come back as they were."""
    assert LINKS.clean(text) == text


def test_a_full_stop_of_another_script_ends_a_host() -> None:
    """A linkifier stops there too, so what follows does not excuse what stands before."""
    assert LINKS.clean("看 evil.de。中国很大。ok.de。evil.me。好") == "看 。中国很大。ok.de。。好"


def test_a_name_is_told_with_where_it_begins_and_its_path() -> None:
    """Emphasis and the stop behind it are not part of it."""
    assert list(named("See __evil.de__ or a.b.me/x?y=1.")) == [(6, "evil.de"), (19, "a.b.me/x?y=1")]
