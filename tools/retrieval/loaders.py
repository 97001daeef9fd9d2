"""Files to documents: find them below the given paths, decode them, name them.

Markdown and plain text keep their own text, so offsets point into the file. Of other formats the
extracted text is the document. What cannot be read raises InputError with the reason.
"""

from __future__ import annotations

import json
import os
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from antiphon.tools.errors import InputError
from antiphon.tools.retrieval.analysis import primary
from antiphon.tools.retrieval.front_matter import front_matter
from antiphon.tools.retrieval.passages import Document
from antiphon.tools.retrieval.webpages import html_text

if TYPE_CHECKING:
    from langchain_community.document_loaders.base import BaseLoader

MALFORMED = (
    ArithmeticError, AttributeError, LookupError, RuntimeError, SyntaxError, TypeError, ValueError,
    BadZipFile, zlib.error,
)  # fmt: skip
"""What parsers of foreign formats raise at damaged files."""
LARGEST_BYTES = 20 * 1024 * 1024
TOP_HEADING = re.compile(r"^ {0,3}#[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file to ingest."""

    path: Path
    source: str
    """Its name in the knowledge: relative to the ingested root, with forward slashes."""


def discover(paths: Sequence[Path]) -> tuple[Source, ...]:
    """Return the files at and below the paths, by name; hidden ones and links outwards left out.

    Raises:
        InputError: a path does not exist, or there is no file at all.
    """
    found: dict[str, Source] = {}
    seen: set[Path] = set()
    for path, root in chain.from_iterable(_files(given) for given in paths):
        if (real := path.resolve()) in seen:
            continue
        seen.add(real)
        name = _name(path, root, found)
        found[name] = Source(path=path, source=name)
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
    if read is None:
        raise InputError(
            f"Unknown format {source.path.suffix!r}", hint="Known: " + " ".join(sorted(FORMATS))
        )
    try:
        size = source.path.stat().st_size
        if size > LARGEST_BYTES:
            raise InputError(
                f"Too large: {size / 2**20:.1f} MiB, the limit is {LARGEST_BYTES // 2**20} MiB",
                hint="Split the file.",
            )
        document = read(source)
    except OSError as error:
        raise InputError(f"Unreadable: {error.strerror or error}") from error
    if not document.text[document.body_start :].strip():
        raise InputError("Empty: it holds no text")
    return document


def _files(given: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each file of a given path with the folder its name is relative to."""
    if not given.exists():
        raise InputError(f"There is no file or folder {str(given)!r}", hint="Check the path.")
    if not given.is_dir():
        yield given, given.parent
        return
    denied: list[OSError] = []
    inside = given.resolve()
    for folder, folders, files in os.walk(given, onerror=denied.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(folder, name) for name in sorted(files) if not name.startswith(".")):
            known = path.suffix.lower() in FORMATS and path.is_file()
            if known and path.resolve().is_relative_to(inside):
                yield path, given
    # A folder that may not be listed is reported like a file that cannot be read.
    yield from ((Path(error.filename), given) for error in denied)


def _name(path: Path, root: Path, taken: Mapping[str, Source]) -> str:
    """Return the path relative to its root; longer where another root has that name already."""
    parts = path.resolve().parts if path == root else path.absolute().parts
    shortest = 1 if path == root else len(path.relative_to(root).parts)
    for count in range(shortest, len(parts) + 1):
        # Undecodable bytes of a file name cannot be stored, so they are replaced.
        name = os.fsencode("/".join(parts[-count:])).decode("utf-8", "replace")
        if name not in taken:
            return name
    raise InputError(f"Two files are called {str(path)!r}", hint="Rename one of them.")


def _decoded(source: Source) -> str:
    """Return the text of a file that has to be UTF-8."""
    data = source.path.read_bytes()
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
    # A hash in a fence is a comment, so headings are looked for above the first.
    heading = TOP_HEADING.search(text.partition("```")[0], front.end)
    title = front.title or (heading.group(1).strip() if heading else "")
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
    return Document(source=source.source, text=_decoded(source), title=_words(source.path))


def _html(source: Source) -> Document:
    page = html_text(_decoded(source))
    return Document(
        source=source.source,
        text=page.text,
        title=page.title or _words(source.path),
        language=primary(page.language),
    )


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
    return Document(source=source.source, text="\n\n".join(rows), title=_words(source.path))


def _csv(source: Source) -> Document:
    _decoded(source)
    delimiter = "\t" if source.path.suffix.lower() == ".tsv" else ","

    def loader() -> BaseLoader:
        from langchain_community.document_loaders.csv_loader import CSVLoader

        return CSVLoader(
            source.path, encoding="utf-8-sig", csv_args={"delimiter": delimiter, "restkey": "more"}
        )

    return _extracted(source, loader)


def _pdf(source: Source) -> Document:
    def loader() -> BaseLoader:
        from langchain_community.document_loaders.pdf import PyPDFLoader

        return PyPDFLoader(source.path)

    errors = _required("pypdf.errors", source)
    try:
        return _extracted(source, loader)
    except errors.PyPdfError as error:
        raise InputError(f"Damaged: {error}") from error


def _docx(source: Source) -> Document:
    def loader() -> BaseLoader:
        from langchain_community.document_loaders.word_document import Docx2txtLoader

        return Docx2txtLoader(source.path)

    _required("docx2txt", source)
    return _extracted(source, loader)


def _required(module: str, source: Source) -> ModuleType:
    """Import what one format alone needs, so that it is no dependency of all."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise InputError(
            f"Reading {source.path.suffix} files needs the package {package!r}",
            hint=f"pip install {package}",
        ) from error


def _extracted(source: Source, loader: Callable[[], BaseLoader]) -> Document:
    """Return what a langchain-community loader extracts, page by page or row by row."""
    try:
        with warnings.catch_warnings():
            # The library announces its retirement on import; users can do nothing about it.
            warnings.simplefilter("ignore", DeprecationWarning)
            parts = loader().load()
    except MALFORMED as error:
        raise InputError(f"Damaged: {type(error).__name__}: {error}") from error
    text = "\n\n".join(part.page_content.strip() for part in parts)
    return Document(source=source.source, text=text, title=_words(source.path))


FORMATS: Mapping[str, Callable[[Source], Document]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".txt": _plain,
    ".html": _html,
    ".htm": _html,
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".tsv": _csv,
    ".pdf": _pdf,
    ".docx": _docx,
}
"""How each file name ending is read."""


def _words(path: Path) -> str:
    """Return a file name as a title: `return-policy.md` is "Return policy"."""
    words = re.sub(r"[-_\s]+", " ", path.stem).strip() or path.stem
    return words[:1].upper() + words[1:]
