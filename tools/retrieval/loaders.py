"""Files to documents: find them below the given paths, decode them, name them.

Markdown and plain text keep their own text but for what steers a site generator, so offsets point
into the file. Of other formats the extracted text is the document. What cannot be read raises
InputError with the reason. A document is dated by what it says itself: the time stamps of files
tell when they were copied.
"""

from __future__ import annotations

import json
import os
import re
import stat
import warnings
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from antiphon.tools.errors import InputError
from antiphon.tools.retrieval.analysis import primary
from antiphon.tools.retrieval.chunking import ANCHOR
from antiphon.tools.retrieval.dialects import blanked
from antiphon.tools.retrieval.front_matter import front_matter
from antiphon.tools.retrieval.office import Extract, read_docx
from antiphon.tools.retrieval.passages import Document
from antiphon.tools.retrieval.pdf import read_pdf
from antiphon.tools.retrieval.rst import rst_text
from antiphon.tools.retrieval.webpages import html_text

LARGEST_BYTES = 20 * 1024 * 1024
OUTWARDS = "A link that leads out of the folder"
DECLARED = re.compile(rb"<meta[^>]{1,200}?charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
"""How a page that is not UTF-8 names its encoding."""
UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
"""Halves of characters, as escapes in JSON and the names of files may hold them."""
BLANK_LINES = re.compile(r"\n[ \t]*(?=\n)")
DELIMITERS = ",;\t|"
TOP_HEADING = re.compile(r"^ {0,3}#[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file to ingest."""

    path: Path
    source: str
    """Its name in the knowledge: relative to the ingested root, with forward slashes."""
    url: str = ""
    """Where it is fetched from; `path` then only tells where it was put."""
    refused: str = ""
    """Why it may not be read."""


def discover(paths: Sequence[Path], owners: Mapping[str, str] | None = None) -> tuple[Source, ...]:
    """Return the files at and below the paths, by name; hidden ones are left out.

    A name is the path below the one given, longer where another of these, or the folder that
    `owners` has for the name, gave it to a file of its own. A link out of its folder and what is no
    regular file are among them, refused.

    Raises:
        InputError: a path does not exist, or there is no file at all.
    """
    found: dict[str, Source] = {}
    seen: set[str] = set()
    for given in paths:
        for path, root, refused in _files(given):
            real = os.path.realpath(path)
            if real in seen and not refused:
                continue
            seen.add(real)
            name = _name(path, root, found, owners or {})
            found[name] = Source(path=path, source=name, refused=refused)
    if not found:
        raise InputError(
            "No documents in " + ", ".join(repr(str(path)) for path in paths),
            hint="Give files or folders with any of: " + " ".join(sorted(FORMATS)),
        )
    return tuple(found[name] for name in sorted(found))


def load(source: Source) -> Document:
    """Return a file's document.

    Raises:
        InputError: it is empty, too large, unreadable, of unknown format, or not text.
    """
    read = FORMATS.get(source.path.suffix.lower())
    if source.refused:
        raise InputError(source.refused)
    if read is None:
        raise InputError(
            f"Unknown format {source.path.suffix!r}", hint="Known: " + " ".join(sorted(FORMATS))
        )
    try:
        status = source.path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError("No regular file")
        if status.st_size > LARGEST_BYTES:
            raise InputError(
                f"Too large: {status.st_size / 2**20:.1f} MiB, "
                f"the limit is {LARGEST_BYTES // 2**20} MiB",
                hint="Split the file.",
            )
        document = read(source)
    except OSError as error:
        raise InputError(f"Unreadable: {error.strerror or error}") from error
    if not document.text[document.body_start :].strip():
        raise InputError("Empty: it holds no text")
    text, title = (UNSTORABLE.sub("\ufffd", part) for part in (document.text, document.title))
    return replace(document, text=text, title=title)


def _files(given: Path) -> Iterator[tuple[Path, Path, str]]:
    """Yield each file of a given path, the folder its name is relative to, and why not to read."""
    if not os.path.lexists(given):
        raise InputError(f"There is no file or folder {str(given)!r}", hint="Check the path.")
    if not given.is_dir():
        yield given, given.parent, ""
        return
    denied: list[OSError] = []
    inside = os.path.realpath(given)
    for folder, folders, files in os.walk(given, onerror=denied.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            # Links to folders are not walked; one that stays inside is met by its real name.
            path = Path(folder, name)
            if path.is_symlink() and not _within(path, inside):
                yield path, given, OUTWARDS
        for path in (Path(folder, name) for name in sorted(files) if not name.startswith(".")):
            if path.suffix.lower() in FORMATS:
                yield path, given, "" if _within(path, inside) else OUTWARDS
    # A folder that may not be listed is reported like a file that cannot be read.
    yield from ((Path(error.filename), given, f"Unreadable: {error.strerror}") for error in denied)


def _within(path: Path, inside: str) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(inside)


def _name(path: Path, root: Path, taken: Mapping[str, Source], owners: Mapping[str, str]) -> str:
    """Return the path relative to its root; longer where another root has that name already."""
    home = os.path.realpath(root)
    parts = Path(os.path.realpath(path) if path == root else path.absolute()).parts
    shortest = 1 if path == root else len(path.relative_to(root).parts)
    for count in range(shortest, len(parts) + 1):
        # Undecodable bytes of a file name cannot be stored, so they are replaced.
        name = os.fsencode("/".join(parts[-count:])).decode("utf-8", "replace")
        if name not in taken and owners.get(name, home) == home:
            return name
    raise InputError(f"Two files are called {str(path)!r}", hint="Rename one of them.")


def _decoded(source: Source) -> str:
    """Return the text of a file that has to be UTF-8, or UTF-16 that says so."""
    data = source.path.read_bytes()
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise InputError("Not UTF-16, as it says", hint="Save it as UTF-8.") from error
    if b"\0" in data:
        raise InputError("Not text: it holds NUL bytes", hint="Save it as UTF-8 text.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"Not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}",
            hint="Save it as UTF-8.",
        ) from error


def _markdown(source: Source) -> Document:
    text = _decoded(source)
    front = front_matter(text)
    text = blanked(text, front.end, modules=source.path.suffix.lower() == ".mdx")
    # A hash in a fence is a comment, so headings are looked for above the first.
    heading = TOP_HEADING.search(text.partition("```")[0], front.end)
    title = front.title or (ANCHOR.sub("", heading.group(1).strip()) if heading else "")
    return Document(
        source=source.source,
        text=text,
        title=title or _words(source.path),
        language=front.language,
        updated=front.updated,
        body_start=front.end,
        labels=front.labels,
    )


def _plain(source: Source) -> Document:
    text = _decoded(source)
    return Document(source=source.source, text=text, title=_words(source.path), language="")


def _restructured(source: Source) -> Document:
    text = rst_text(_decoded(source))
    heading = TOP_HEADING.match(text)
    title = heading.group(1) if heading else _words(source.path)
    return Document(source=source.source, text=text, title=title, language="")


def _html(source: Source) -> Document:
    page = html_text(_page(source))
    return Document(
        source=source.source,
        text=page.text,
        title=page.title or _words(source.path),
        language=primary(page.language) if page.language else "",
        updated=page.updated,
    )


def _page(source: Source) -> str:
    """Return the markup of a page, in UTF-8 or the encoding that it declares."""
    try:
        return _decoded(source)
    except InputError:
        data = source.path.read_bytes()
        declared = DECLARED.search(data[:1024])
        try:
            return data.decode(declared.group(1).decode("ascii") if declared else "utf-8")
        except (LookupError, UnicodeDecodeError):
            pass
        raise


def _jsonl(source: Source) -> Document:
    rows: list[str] = []
    for number, line in enumerate(_decoded(source).splitlines(), 1):
        try:
            row = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError) as error:
            raise InputError(f"Not JSON: line {number}") from error
        if row is not None:
            fields = row.items() if isinstance(row, dict) else [("", row)]
            rows.append("\n".join(f"{key}: {value}".removeprefix(": ") for key, value in fields))
    return _table(source, rows)


def _csv(source: Source) -> Document:
    header = _decoded(source).lstrip().partition("\n")[0]
    # Spreadsheets put what the country uses, and name it in no place.
    delimiter = max(DELIMITERS, key=header.count)
    with warnings.catch_warnings():
        # The library announces its retirement on import; users can do nothing about it.
        warnings.simplefilter("ignore", DeprecationWarning)
        from langchain_community.document_loaders.csv_loader import CSVLoader

        loader = CSVLoader(
            source.path,
            encoding="utf-8-sig",
            csv_args={"delimiter": delimiter, "restkey": "more"},
        )
        try:
            rows = loader.load()
        except (RuntimeError, ValueError, AttributeError) as error:
            raise InputError(f"Damaged: {error}") from error
    return _table(source, (row.page_content for row in rows))


def _notebook(source: Source) -> Document:
    """Return a notebook's prose and code; what the code put out is left out."""
    try:
        cells = json.loads(_decoded(source))["cells"]
        parts = [(cell["cell_type"], "".join(cell["source"]).strip()) for cell in cells]
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        raise InputError("Not a notebook: its cells cannot be read") from error
    shown = {"markdown": "{}", "code": "```\n{}\n```"}
    text = "\n\n".join(shown[kind].format(said) for kind, said in parts if kind in shown and said)
    heading = TOP_HEADING.search(text.partition("```")[0])
    title = heading.group(1).strip() if heading else _words(source.path)
    return Document(source=source.source, text=blanked(text), title=title, language="")


def _table(source: Source, rows: Iterable[str]) -> Document:
    """Return records as paragraphs, without blank lines inside."""
    text = "\n\n".join(BLANK_LINES.sub("", row.strip()) for row in rows)
    title = _words(source.path)
    return Document(source=source.source, text=text, title=title, language="", records=True)


def _extracted(read: Callable[[Path], Extract]) -> Callable[[Source], Document]:
    def load_extract(source: Source) -> Document:
        found = read(source.path)
        return Document(
            source=source.source,
            text=found.text,
            title=found.title or _words(source.path),
            language=found.language,
            updated=found.updated,
        )

    return load_extract


FORMATS: Mapping[str, Callable[[Source], Document]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".mdx": _markdown,
    ".txt": _plain,
    ".text": _plain,
    ".rst": _restructured,
    ".html": _html,
    ".htm": _html,
    ".xhtml": _html,
    ".ipynb": _notebook,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".csv": _csv,
    ".tsv": _csv,
    ".pdf": _extracted(read_pdf),
    ".docx": _extracted(read_docx),
}
"""How each file name ending is read."""


def _words(path: Path) -> str:
    """Return a file name as a title: `return-policy.md` is "Return policy"."""
    words = re.sub(r"[-_\s]+", " ", path.stem).strip() or path.stem
    return words[:1].upper() + words[1:]
