"""PDF and Word files say what they hold, or why they cannot."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import docx
import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from antiphon.tools.errors import InputError
from antiphon.tools.retrieval.chunking import chunk
from antiphon.tools.retrieval.loaders import Source, load
from antiphon.tools.tokens import ApproximateCounter


def loaded(path: Path) -> tuple[str, str, str]:
    document = load(Source(path=path, source=path.name))
    return document.text, document.title, document.updated


def pdf(
    path: Path,
    pages: list[list[str]],
    password: str | None = None,
    outline: Sequence[tuple[str, int]] = (),
    title: str = "Rental terms",
) -> Path:
    """Write a PDF with one line of text below the other."""
    writer = PdfWriter()
    font = DictionaryObject({
        NameObject("/Type"): NameObject("/Font"), NameObject("/Subtype"): NameObject("/Type1"),
        NameObject("/BaseFont"): NameObject("/Helvetica"),
    })  # fmt: skip
    for lines in pages:
        page = writer.add_blank_page(width=400, height=400)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        content = DecodedStreamObject()
        shown = " ".join(f"({line}) Tj T*" for line in lines)
        content.set_data(f"BT /F1 12 Tf 14 TL 20 350 Td {shown} ET".encode())
        page[NameObject("/Contents")] = writer._add_object(content)
    for name, at in outline:
        writer.add_outline_item(title=name, page_number=at)
    writer.add_metadata({"/Title": title, "/ModDate": "D:20260504120000Z"})
    if password is not None:
        writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
    writer.write(path)
    return path


def test_a_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    """Words torn at a line's end are mended; title and date are its own."""
    path = pdf(tmp_path / "a.pdf", [["Bring the bi-", "cycle back."], ["By noon."]])

    text = "###### Page 1\n\nBring the bicycle back.\n\n###### Page 2\n\nBy noon."
    assert (text, "Rental terms", "2026-05-04") == loaded(path)


def test_a_sentence_that_goes_on_overleaf_stays_whole(tmp_path: Path) -> None:
    """It belongs to the page where it begins, and page headers do not get into it."""
    path = pdf(
        tmp_path / "a.pdf",
        [
            ["Rental terms", "Bikes are kept", "1"],
            ["Rental terms", "in the hall. Carts", "2"],
            ["Rental terms", "Are outside.", "3"],
        ],
    )

    assert (
        "###### Page 1\n\nBikes are kept\nin the hall.\n\n###### Page 2\n\nCarts\n\n"
        "###### Page 3\n\nAre outside."
    ) == loaded(path)[0]


def test_the_outline_of_a_pdf_gives_its_sections(tmp_path: Path) -> None:
    """Each passage is so found under its section and its page."""
    path = pdf(
        tmp_path / "a.pdf",
        [["Terms", "All with tax.", "2. Prices", "A day is 9 euro."], ["A week is 40.", "Ask us."]],
        outline=[("Prices", 0), ("Contact", 1)],
    )

    passages = chunk(load(Source(path=path, source="a.pdf")), tokens=ApproximateCounter())

    assert [
        ("Page 1", "Terms\nAll with tax."),
        ("Prices > Page 1", "A day is 9 euro."),
        ("Contact > Page 2", "A week is 40.\nAsk us."),
    ] == [(passage.heading, passage.text) for passage in passages]


@pytest.mark.parametrize(
    "title", ["Microsoft Word - terms_v2.doc", r"C:\\work\\a", "terms.indd", "(anonymous)"]
)
def test_a_title_that_is_a_file_name_is_none(tmp_path: Path, title: str) -> None:
    """Programs leave it there; the file's present name says more."""
    assert "Price list" == loaded(pdf(tmp_path / "price-list.pdf", [["x"]], title=title))[1]


def test_a_table_of_contents_and_comments_of_a_pdf_mislead_nobody(tmp_path: Path) -> None:
    """Lines of dots to a page number go; a hash in an example is no heading."""
    lines = ["Brakes . . . . . . . . 12", "Bells......13", "Version 1.3.5.7.9", "# do not edit"]

    text = loaded(pdf(tmp_path / "a.pdf", [lines]))[0]

    assert "Version 1.3.5.7.9\n    # do not edit" == text


def test_an_encrypted_pdf_is_refused_and_a_merely_protected_one_read(tmp_path: Path) -> None:
    """A password to open it is needed or not; one against changes does not matter."""
    with pytest.raises(InputError, match="Encrypted"):
        loaded(pdf(tmp_path / "a.pdf", [["Secret."]], password="word"))
    assert "Open." == loaded(pdf(tmp_path / "b.pdf", [["Open."]], password=""))[0]


def test_a_pdf_of_pictures_says_so(tmp_path: Path) -> None:
    """A scan has pages but no text."""
    with pytest.raises(InputError, match="pictures but no text"):
        loaded(pdf(tmp_path / "a.pdf", [[], []]))


def test_a_word_file_keeps_its_structure(tmp_path: Path) -> None:
    """Headings, list items and tables in the order of the page."""
    document = docx.Document()
    document.core_properties.title = "Tariffs"
    document.core_properties.modified = datetime(2026, 3, 4, tzinfo=UTC)
    document.add_heading("Prices", 2)
    document.add_paragraph("All with tax.")
    document.add_paragraph("Bikes", style="List Bullet")
    document.add_paragraph("Carts", style="List Bullet")
    table = document.add_table(2, 2)
    for cell, text in zip(table._cells, ["Plan", "Price", "Day", "9 euro"], strict=True):
        cell.text = text
    document.add_paragraph("End.")
    document.save(str(tmp_path / "a.docx"))

    text, title, updated = loaded(tmp_path / "a.docx")

    assert (
        "## Prices\n\nAll with tax.\n\n- Bikes\n- Carts\n\n"
        "| Plan | Price |\n|---|---|\n| Day | 9 euro |\n\nEnd."
    ) == text
    assert ("Tariffs", "2026-03-04") == (title, updated)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """What it would unpack to is looked at first."""
    with zipfile.ZipFile(tmp_path / "a.docx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("word/document.xml", b" " * (65 * 2**20))

    with pytest.raises(InputError, match="Too large: it unpacks to 65 MiB"):
        loaded(tmp_path / "a.docx")


def test_a_zip_that_is_no_word_file_is_damaged(tmp_path: Path) -> None:
    """Any archive can be called .docx."""
    with zipfile.ZipFile(tmp_path / "a.docx", "w") as packed:
        packed.writestr("hello.txt", "hello")

    with pytest.raises(InputError, match="Damaged"):
        loaded(tmp_path / "a.docx")
