"""Files are found within their root, decoded or refused with a reason, and never half-read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from antiphon.tools.errors import InputError
from antiphon.tools.retrieval.loaders import LARGEST_BYTES, Source, discover, load
from antiphon.tools.retrieval.passages import Document


def names(*paths: Path) -> list[str]:
    return [source.source for source in discover(paths)]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, content: str | bytes) -> Document:
    return load(Source(path=write(path, content), source=path.name))


def reason(path: Path, content: str | bytes) -> str:
    with pytest.raises(InputError) as caught:
        read(path, content)
    return caught.value.message


class TestDiscover:
    def test_files_are_named_relative_to_their_root_in_order(self, tmp_path: Path) -> None:
        """Folders are walked; a file given directly goes by its own name."""
        for name in ("kb/b.md", "kb/sub/deep/a.txt", "kb/a.md", "other/single.md"):
            write(tmp_path / name, "x")

        found = names(tmp_path / "kb", tmp_path / "other/single.md")

        assert ["a.md", "b.md", "single.md", "sub/deep/a.txt"] == found

    def test_hidden_and_foreign_files_are_left_out_of_folders(self, tmp_path: Path) -> None:
        """Pictures, dot files and version control are no knowledge."""
        for name in ("a.md", ".hidden.md", ".git/x.md", "logo.png", "code.py"):
            write(tmp_path / name, "x")

        assert ["a.md"] == names(tmp_path)

    def test_links_neither_loop_nor_lead_outside(self, tmp_path: Path) -> None:
        """A link out of the folder, into a circle or to nothing is told, and not followed."""
        write(tmp_path / "kb/a.md", "x")
        write(tmp_path / "secret/secret.md", "secret")
        for name, target in {
            "loop": tmp_path / "kb", "up": tmp_path, "out.md": tmp_path / "secret/secret.md",
            "gone.md": tmp_path / "../nowhere.md", "again.md": tmp_path / "kb/a.md",
            "circle.md": tmp_path / "kb/back.md", "back.md": tmp_path / "kb/circle.md",
        }.items():  # fmt: skip
            (tmp_path / "kb" / name).symlink_to(target)

        found = discover([tmp_path / "kb"])
        told = {}
        for source in found:
            try:
                told[source.source] = load(source).text
            except InputError as error:
                told[source.source] = error.message

        outwards = "A link that leads out of the folder"
        assert "x" == told.pop("a.md")
        circles = {told.pop("circle.md"), told.pop("back.md")}
        assert all(why.startswith("Unreadable") for why in circles)
        assert {"up": outwards, "out.md": outwards, "gone.md": outwards} == told

    def test_what_is_no_regular_file_is_not_opened(self, tmp_path: Path) -> None:
        """A pipe would be waited for without end, in a folder or given by name."""
        os.mkfifo(tmp_path / "pipe.md")

        for path in (tmp_path, tmp_path / "pipe.md"):
            (found,) = discover([path])
            with pytest.raises(InputError, match="No regular file"):
                load(found)

    def test_a_root_that_is_a_link_is_followed(self, tmp_path: Path) -> None:
        """Whoever names a link means what it points to."""
        write(tmp_path / "real/a.md", "x")
        (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)

        assert ["a.md"] == names(tmp_path / "link")

    def test_the_same_name_below_two_roots_is_told_apart(self, tmp_path: Path) -> None:
        """The second would otherwise overwrite the first."""
        write(tmp_path / "one/a.md", "1")
        write(tmp_path / "two/a.md", "2")

        assert ["a.md", "two/a.md"] == names(tmp_path / "one", tmp_path / "two")

    def test_a_file_given_twice_counts_once(self, tmp_path: Path) -> None:
        """Overlapping paths do not make copies."""
        path = write(tmp_path / "kb/a.md", "x")

        assert ["a.md"] == names(tmp_path / "kb", path, tmp_path / "kb")

    def test_the_current_folder_works(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Relative paths name sources no differently."""
        write(tmp_path / "kb/a.md", "x")
        monkeypatch.chdir(tmp_path)

        assert ["kb/a.md"] == names(Path())
        assert ["a.md"] == names(Path("kb/a.md"))

    def test_a_missing_path_is_named_with_a_hint(self, tmp_path: Path) -> None:
        """Nothing is ingested when a path is mistyped."""
        with pytest.raises(InputError, match="no-such") as caught:
            discover([tmp_path / "no-such"])
        assert caught.value.hint

    def test_no_document_at_all_says_what_would_do(self, tmp_path: Path) -> None:
        """The hint lists the formats."""
        with pytest.raises(InputError, match="No documents") as caught:
            discover([tmp_path])
        assert ".md" in caught.value.hint

    def test_undecodable_file_names_can_be_stored(self, tmp_path: Path) -> None:
        """A name that is not UTF-8 becomes one that is."""
        name = os.fsdecode(b"caf\xe9.md")
        try:
            write(tmp_path / name, "x")
        except OSError:
            pytest.skip("this file system refuses such names")

        (found,) = names(tmp_path)

        assert found.encode()


class TestLoad:
    def test_offsets_point_into_the_file(self, tmp_path: Path) -> None:
        """The text is the file's, line ends included; front matter is before the body."""
        fields = "title: Sending back\nupdated: 2026-03-04\nlanguage: de-AT\nlabels: [staff]\n"
        raw = f"---\n{fields}---\n# Head\nText.".replace("\n", "\r\n")

        document = read(tmp_path / "a.md", raw)

        assert raw == document.text
        assert "# Head\r\nText." == document.text[document.body_start :]
        assert ("Sending back", "2026-03-04", "de", ("staff",)) == (
            document.title, document.updated, document.language, document.labels,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("text", "title"),
        [
            ("Intro\n\n# Real title #\n\n# Second", "Real title"),
            ("# Real title {#real}\n\nText", "Real title"),
            ("<!-- # No title -->\n# Real title", "Real title"),
            ("```\n# comment\n```\nText", "Return policy eu"),
            ("No heading", "Return policy eu"),
            ("---\ntitle: 2026\n---\nText", "2026"),
            ("---\n\nA rule, no front matter", "Return policy eu"),
            ("---\njust words\n---\nText", "Return policy eu"),
        ],
    )
    def test_the_title_is_what_the_document_says_or_its_file_name(
        self, tmp_path: Path, text: str, title: str
    ) -> None:
        """Front matter first, then the first top heading, then the name in words."""
        assert title == read(tmp_path / "return-policy_eu.md", text).title

    @pytest.mark.parametrize(
        ("value", "expected"),
        [("2026-03-04T10:00:00Z", "2026-03-04"), ("March 2026", ""), ("~", "")],
    )  # fmt: skip
    def test_only_a_real_date_is_a_date(self, tmp_path: Path, value: str, expected: str) -> None:
        """An unreadable date is unknown, not wrong."""
        assert expected == read(tmp_path / "a.md", f"---\ndate: {value}\n---\nText").updated

    @pytest.mark.parametrize(
        ("name", "content", "expected"),
        [
            ("a.md", b"", "Empty"),
            ("a.md", b" \n\t", "Empty"),
            ("a.md", b"\xef\xbb\xbf\n", "Empty"),
            ("a.md", b"---\ntitle: x\n---\n\n", "Empty"),
            ("a.md", b"\x89PNG\r\n\x1a\n\0\0", "NUL"),
            ("a.md", "Text".encode("utf-16-le"), "NUL"),
            ("a.md", b"\xff\xfea\0\0", "Not UTF-16"),
            ("a.ipynb", b"{}", "Not a notebook"),
            ("a.md", b"caf\xe9 au lait", "Not UTF-8: byte 0xe9 at offset 3"),
            ("a.md", b"---\ntitle: a: b\n---\nText", "YAML at line 2"),
            ("a.md", b"---\ndate: 2026-13-45\n---\nText", "YAML"),
            ("a.md", b"---\na: " + b"[" * 3000 + b"\n---\nText", "YAML"),
            ("a.md", b"---\nlabels: {a: b}\n---\nText", "labels"),
            ("a.xyz", b"Text", "Unknown format '.xyz'"),
            ("a.jsonl", b'{"a": 1}\n{', "Not JSON: line 2"),
            ("a.csv", b"", "Empty"),
        ],
    )
    def test_what_cannot_be_read_says_why(
        self, tmp_path: Path, name: str, content: bytes, expected: str
    ) -> None:
        """Each refusal names its reason."""
        assert expected in reason(tmp_path / name, content)

    def test_a_file_too_large_is_not_even_opened(self, tmp_path: Path) -> None:
        """The limit is told."""
        path = tmp_path / "big.md"
        with path.open("wb") as file:
            file.truncate(LARGEST_BYTES + 1)

        with pytest.raises(InputError, match=r"Too large: 20\.0 MiB"):
            load(Source(path=path, source="big.md"))

    def test_a_vanished_file_is_unreadable(self, tmp_path: Path) -> None:
        """Files may go between finding and reading."""
        with pytest.raises(InputError, match="Unreadable: No such file"):
            load(Source(path=tmp_path / "a.md", source="a.md"))

    def test_a_byte_order_mark_is_no_text(self, tmp_path: Path) -> None:
        """Editors that write one are forgiven."""
        assert "Text" == read(tmp_path / "a.txt", b"\xef\xbb\xbfText").text

    def test_a_web_page_keeps_its_structure_and_loses_its_scripts(self, tmp_path: Path) -> None:
        """Headings, items, rows and code stay recognisable to the chunker."""
        page = (
            "<!doctype html><html lang='de-CH'><head><title> Hilfe &amp;\n mehr </title>"
            "<style>x{}</style></head>"
            "<body><nav><a>Menu</a></nav><h2>Versand</h2><p>Drei  Tage,\n <b>meist</b>.</p>"
            "<ul>\n <li>Eins</li>\n <li><p>Zwei</p></li></ul>"
            "<table><tr> <td><p>a</p></td>\n<td>1<br>2</td></tr></table>"
            "<pre>x = 1\n  y</pre><script>alert('<p>')</script></body></html>"
        )  # fmt: skip

        document = read(tmp_path / "a.html", page)

        assert ("Hilfe & mehr", "de") == (document.title, document.language)
        assert (
            "## Versand\n\nDrei Tage, meist.\n\n- Eins\n- Zwei\n\n"
            "| a | 1 2 |\n\n```\nx = 1\n  y\n```"
        ) == document.text

    @pytest.mark.parametrize(
        "page", ["<b>x", "</p>x</div>", "x<p", "<ul><li>x<pre>", "&#x110000;x"]
    )
    def test_broken_markup_does_not_break_the_reader(self, tmp_path: Path, page: str) -> None:
        """What can be read of a page is."""
        assert "x" in read(tmp_path / "a.html", page).text

    def test_each_row_of_a_table_file_is_a_paragraph(self, tmp_path: Path) -> None:
        """Columns are named in every row, so that a row can stand alone."""
        expected = "plan: Basic\nprice: 5\n\nplan: Pro, yearly\nprice: 9"

        assert expected == read(tmp_path / "a.csv", 'plan,price\nBasic,5\n"Pro, yearly",9\n').text
        assert expected == read(tmp_path / "a.tsv", "plan\tprice\nBasic\t5\nPro, yearly\t9\n").text
        rows = '{"plan": "Basic", "price": 5}\n\n{"plan": "Pro, yearly", "price": 9}\n'
        assert expected == read(tmp_path / "a.jsonl", rows).text

    @pytest.mark.parametrize("name", ["a.pdf", "a.docx"])
    def test_a_damaged_file_says_so(self, tmp_path: Path, name: str) -> None:
        """Whatever the reader of the format raises becomes one reason."""
        assert reason(tmp_path / name, b"not really").startswith("Damaged")
        assert reason(tmp_path / name, b"%PDF-1.7\n1 0 obj\n<<").startswith("Damaged")

    def test_a_half_gigabyte_is_not_read(self, tmp_path: Path) -> None:
        """Size is looked at first."""
        path = tmp_path / "huge.md"
        with path.open("wb") as file:
            file.truncate(500 * 2**20)

        with pytest.raises(InputError, match=r"Too large: 500\.0 MiB"):
            load(Source(path=path, source="huge.md"))

    def test_a_page_in_an_older_encoding_is_read_as_it_declares(self, tmp_path: Path) -> None:
        """Without a declaration, or with a false one, it is refused."""
        page = "<meta charset='iso-8859-1'><p>Größe".encode("latin-1")

        assert "Größe" == read(tmp_path / "a.html", page).text
        assert "Not UTF-8" in reason(tmp_path / "a.html", page.replace(b"iso-8859-1", b"no-such"))

    def test_a_page_that_says_when_it_changed_is_dated(self, tmp_path: Path) -> None:
        """Only a real date counts."""
        page = "<meta property='article:modified_time' content='{}'>x"

        assert "2026-04-05" == read(tmp_path / "a.html", page.format("2026-04-05T08:00Z")).updated
        assert "" == read(tmp_path / "a.html", page.format("today")).updated

    def test_the_column_names_of_a_web_table_are_ruled_off(self, tmp_path: Path) -> None:
        """So the chunker knows them; a table without such a row has none."""
        page = (
            "<table><thead><tr><th>Plan</th><th>Price</th></tr></thead>"
            "<tr><th>A</th><td>1</td></tr></table><table><tr><td>b</td></tr></table>"
        )

        expected = "| Plan | Price |\n|---|---|\n| A | 1 |\n\n| b |"
        assert expected == read(tmp_path / "a.html", page).text

    def test_text_that_says_it_is_utf_16_is_read_so(self, tmp_path: Path) -> None:
        """Windows writes such files; the mark at their top is no text."""
        assert "Größe" == read(tmp_path / "a.txt", "Größe".encode("utf-16")).text

    def test_what_cannot_be_stored_is_replaced(self, tmp_path: Path) -> None:
        """Halves of characters come from escapes and from names of files."""
        assert "q: a\ufffdb\ufffd" == read(tmp_path / "a.jsonl", '{"q": "a\\ud800b\\u0000"}').text
        source = Source(path=write(tmp_path / "a.md", "x"), source="a.md")
        (tmp_path / "a.md").rename(odd := tmp_path / os.fsdecode(b"caf\xe9.md"))

        assert "Caf\ufffd" == load(Source(path=odd, source=source.source)).title

    def test_a_restructured_text_has_the_title_it_gives_itself(self, tmp_path: Path) -> None:
        """Its text is the extract, with headings as Markdown has them."""
        document = read(tmp_path / "a.rst", "Set-up\n======\n\nUse :func:`go`.\n")

        assert ("Set-up", "# Set-up\n\nUse `go`.\n") == (document.title, document.text)

    def test_a_notebook_is_its_prose_and_its_code(self, tmp_path: Path) -> None:
        """What the code put out is left out."""
        cells = [
            {"cell_type": "markdown", "source": ["# Plot\n", "A line."]},
            {"cell_type": "code", "source": "draw()", "outputs": [{"text": "noise"}]},
            {"cell_type": "raw", "source": "x"},
        ]

        document = read(tmp_path / "a.ipynb", json.dumps({"cells": cells}))

        assert ("Plot", "# Plot\nA line.\n\n```\ndraw()\n```") == (document.title, document.text)

    def test_a_table_file_may_be_cut_by_semicolons(self, tmp_path: Path) -> None:
        """As spreadsheets write it where the comma is in the numbers."""
        assert "plan: Day\nprice: 9,50" == read(tmp_path / "a.csv", "plan;price\nDay;9,50\n").text

    def test_rows_are_records_without_blank_lines(self, tmp_path: Path) -> None:
        """A blank line sets records apart, so none may be inside one."""
        document = read(tmp_path / "a.jsonl", '{"q": "a", "a": "b\\n\\n\\nc"}\n{"q": "d"}')

        assert ("q: a\na: b\nc\n\nq: d", True) == (document.text, document.records)

    def test_a_page_is_its_main_part(self, tmp_path: Path) -> None:
        """What stands around it leads elsewhere, if the page says which part is its own."""
        said = "Bikes are kept in the hall until noon. " * 8
        page = (
            "<body><div>Shop | Search</div><div role=main><h1>Hall<a href=#h>¶</a></h1>"
            f"<div><p>{said}</p></div></div><footer>Imprint</footer></body>"
        )

        assert f"# Hall\n\n{said.strip()}" == read(tmp_path / "a.html", page).text

    def test_lists_of_links_and_controls_are_left_out(self, tmp_path: Path) -> None:
        """But a list that says something, a page of links only and a tag left open are not."""
        links = "".join(f"<li><a href=#{n}>Part {n}</a></li>" for n in range(6))
        said = "".join(f"<li><a href=#{n}>Part {n}</a> costs {n} euro a day</li>" for n in range(6))

        assert "Text" == read(tmp_path / "a.html", f"<ul>{links}</ul><p>Text").text
        assert "- Part 5 costs 5 euro a day" in read(tmp_path / "a.html", f"<ul>{said}</ul>").text
        assert "- Part 5" in read(tmp_path / "a.html", f"<ul>{links}</ul>").text
        hidden = "<p>Text</p><button>Copy</button><div hidden>Menu<div>x</div>y</div>"
        assert "Text" == read(tmp_path / "a.html", hidden).text
        assert "More" in read(tmp_path / "a.html", "<div hidden>Text<p>More").text

    def test_code_in_a_line_is_marked(self, tmp_path: Path) -> None:
        """A name such as a module's is then not taken for a host."""
        page = (
            "<p>Use <code><span>flask.app</span></code> or <code></code><pre><code>x\n</code></pre>"
        )

        assert "Use `flask.app` or\n\n```\nx\n\n```" == read(tmp_path / "a.html", page).text
