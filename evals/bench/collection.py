"""A BEIR folder: what is searched, what is asked, and which passages are right.

`metadata` of a query may say more: `history` (earlier turns), `answerable`, `answers`. A file of
labelled claims, as the grounding bench reads it, is a collection too: claims are the queries, and
the evidence that decides one, for or against it, is right.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from antiphon.tools.errors import InputError
from antiphon.tools.retrieval.language import detect
from antiphon.tools.retrieval.passages import Passage

SHAPE = "a folder with corpus.jsonl, queries.jsonl and qrels/test.tsv, as BEIR has them"
CLAIMS = "one JSON object a line with claim, evidence and label"
DECIDED = ("supported", "contradicted")
"""Labels of a claim that its evidence decides."""

VOTERS = 400
"""Documents that say which language a set is in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question with what is known about its answer."""

    text: str
    relevant: Mapping[str, float]
    """Gain by document; empty where nothing is relevant."""
    history: tuple[tuple[str, str], ...] = ()
    """Earlier turns as role and text, oldest first."""
    answerable: bool = True
    answers: tuple[str, ...] = ()

    @property
    def earlier(self) -> tuple[str, ...]:
        """What the user said before."""
        return tuple(text for role, text in self.history if role == "user")

    @property
    def joined(self) -> str:
        """The last two of the user's turns as one text."""
        return " ".join((*self.earlier[-1:], self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Documents and the queries put to them."""

    documents: tuple[Passage, ...]
    """Each is its own source, so that a ranking of passages is one of documents."""
    queries: tuple[Query, ...]
    language: str
    """A set is in one language: that of most documents, where none is given."""


def read(data: Path, *, language: str = "", limit: int | None = None) -> Collection:
    """Read a folder, the first `limit` queries of it; without `language`, its texts tell it.

    Raises:
        InputError: naming the file and line that is wrong.
    """
    if data.is_file():
        return _claims(data, language=language, limit=limit)
    if not data.is_dir():
        raise InputError(f"{str(data)!r} is not a folder", hint=f"Expected {SHAPE}.")
    corpus = data / "corpus.jsonl"
    found = [(line, _text(record, "_id", line), record) for line, record in _records(corpus)]
    texts = [_text(record, "text", line, empty=True) for line, _, record in found]
    spoken = language or _most_heard(texts)
    documents = {
        key: _passage(key, _title(record, line), text, spoken)
        for (line, key, record), text in zip(found, texts, strict=True)
    }
    if not documents:
        raise InputError(f"{str(corpus)!r} holds no document", hint=f"Expected {SHAPE}.")
    relevant = _qrels(data / "qrels" / "test.tsv")
    queries = tuple(
        _query(record, relevant, line) for line, record in _records(data / "queries.jsonl")
    )[:limit]
    if not any(query.relevant for query in queries):
        raise InputError(
            f"{str(data)!r}: none of {len(queries)} queries has a relevant document",
            hint="Compare the query-id column of qrels/test.tsv with _id in queries.jsonl.",
        )
    return Collection(documents=tuple(documents.values()), queries=queries, language=spoken)


def _claims(path: Path, *, language: str, limit: int | None) -> Collection:
    """Read labelled claims; what is tagged partial is neither right nor wrong, and left out."""
    numbers: dict[str, str] = {}
    relevant: dict[str, dict[str, float]] = {}
    for line, record in _records(path, shape=CLAIMS):
        if record.get("tag") == "partial":
            continue
        claim, evidence = _text(record, "claim", line), _text(record, "evidence", line)
        number = numbers.setdefault(evidence, str(len(numbers)))
        if _text(record, "label", line) in DECIDED:
            relevant.setdefault(claim, {})[number] = 1.0
    if not relevant:
        raise InputError(f"{str(path)!r}: no claim is decided", hint=f"Expected {CLAIMS}.")
    spoken = language or _most_heard([*numbers])
    queries = tuple(Query(text=claim, relevant=right) for claim, right in relevant.items())
    documents = tuple(_passage(number, "", text, spoken) for text, number in numbers.items())
    return Collection(documents=documents, queries=queries[:limit], language=spoken)


def _most_heard(texts: Sequence[str]) -> str:
    """Return the language of most of a sample; English where no text tells."""
    sample = texts[:: max(1, len(texts) // VOTERS)]
    heard = Counter(filter(None, (detect(text, otherwise="") for text in sample)))
    return next((tag for tag, _ in heard.most_common(1)), "en")


@dataclass(frozen=True, slots=True)
class _Line:
    """Where in which file something stands, for the message when it is wrong."""

    path: Path
    number: int
    shape: str = SHAPE

    def wrong(self, what: str) -> InputError:
        return InputError(f"{self.path}:{self.number}: {what}", hint=f"Expected {self.shape}.")


def _records(path: Path, shape: str = SHAPE) -> Iterator[tuple[_Line, Mapping[str, object]]]:
    for line, text in _lines(path, shape):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except ValueError as error:
            raise line.wrong(f"not JSON: {error}") from error
        if not isinstance(record, dict):
            raise line.wrong("not a JSON object")
        yield line, record


def _lines(path: Path, shape: str = SHAPE) -> Iterator[tuple[_Line, str]]:
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, text in enumerate(lines, start=1):
                yield _Line(path, number, shape), text
    except UnicodeDecodeError as error:
        raise _Line(path, number + 1, shape).wrong("not UTF-8") from error
    except OSError as error:
        raise InputError(
            f"cannot read {str(path)!r}: {error.strerror}", hint=f"Expected {shape}."
        ) from error


def _text(record: Mapping[str, object], key: str, line: _Line, *, empty: bool = False) -> str:
    value = record.get(key)
    if key == "_id" and isinstance(value, int):
        return str(value)
    if not isinstance(value, str) or not (value or empty):
        raise line.wrong(f"{key!r} must be text")
    return value


def _title(record: Mapping[str, object], line: _Line) -> str:
    return _text(record, "title", line, empty=True) if record.get("title") else ""


def _passage(key: str, title: str, text: str, language: str) -> Passage:
    return Passage(
        id=key, source=key, title=title, heading="", text=text, start=0, end=len(text),
        language=language,
    )  # fmt: skip


def _query(
    record: Mapping[str, object], relevant: Mapping[str, Mapping[str, float]], line: _Line
) -> Query:
    metadata = record.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise line.wrong("'metadata' must be an object")
    answers = metadata.get("answers") or []
    if not isinstance(answers, list):
        raise line.wrong("'metadata.answers' must be a list")
    return Query(
        text=_text(record, "text", line),
        relevant=relevant.get(_text(record, "_id", line), {}),
        history=tuple(_turns(metadata.get("history") or [], line)),
        answerable=bool(metadata.get("answerable", True)),
        answers=tuple(map(str, answers)),
    )


def _turns(history: object, line: _Line) -> Iterator[tuple[str, str]]:
    try:
        for turn in history:  # type: ignore[attr-defined]
            yield str(turn["role"]), str(turn["content"])
    except (TypeError, KeyError) as error:
        raise line.wrong("'metadata.history' must be a list of {role, content}") from error


def _qrels(path: Path) -> dict[str, dict[str, float]]:
    """Return the gain of each relevant document by query; a gain of 0 says it is not."""
    found: dict[str, dict[str, float]] = {}
    for line, text in _lines(path):
        row = next(csv.reader([text], delimiter="\t", quoting=csv.QUOTE_NONE), [])
        try:
            query, document, gain = row[0], row[1], float(row[2])
        except (IndexError, ValueError) as error:
            if not row or line.number == 1:
                continue
            raise line.wrong("not query-id, corpus-id and score, by tabs") from error
        if gain > 0:
            found.setdefault(query, {})[document] = gain
    return found
