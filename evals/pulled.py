"""What people did and said in LangSmith, as candidates for the golden set."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from antiphon.evals.candidates import asked, proposal, written
from antiphon.evals.exchange import (
    Line,
    Pulled,
    as_dict,
    content_hash,
    content_of,
    edited,
    example_line,
    mark_of,
    splits,
)
from antiphon.evals.experiment import feedback_id
from antiphon.evals.golden import Example
from antiphon.tools.turns.candidates import Candidate

QUESTION_KEYS = ("question", "input", "query", "text", "prompt")
ANSWER_KEYS = ("reference", "answer", "output", "text", "response", "content")
GOOD = 0.5
"""A score from here on is praise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What of it a person should look at, and what could not be read."""

    candidates: list[Candidate]
    skipped: list[str]
    """Why, one a line."""


def found(pulled: Pulled, local: Sequence[Example], *, tenant: str) -> Found:
    """Return edited and added examples and people's words on answers as candidates."""
    here = {example.id: example for example in local}
    candidates: list[Candidate] = []
    skipped: list[str] = []
    for line in pulled.examples:
        candidate = _from_example(line, here, tenant, skipped)
        if candidate is not None:
            candidates.append(candidate)
    runs = {str(run.get("id")): run for run in pulled.runs}
    marks = {str(line.get("id")): str(mark_of(line).get("id", "")) for line in pulled.examples}
    for run, words in _by_people(pulled.feedback).items():
        if run not in runs:
            skipped.append(f"feedback on the run {run}, which is not an answer as a whole")
            continue
        known = here.get(marks.get(str(runs[run].get("reference_example_id")), ""))
        candidate = _from_feedback(runs[run], words, known, tenant, skipped)
        if candidate is not None:
            candidates.append(candidate)
    return Found(candidates=candidates, skipped=skipped)


def _from_example(
    line: Line, here: Mapping[str, Example], tenant: str, skipped: list[str]
) -> Candidate | None:
    mark = mark_of(line)
    if mark and not edited(line):
        return None
    content = content_hash(*content_of(line))
    name = str(mark.get("id") or f"langsmith-{str(line.get('id') or content)[:8]}")
    questions = messages_of(line.get("inputs"))
    if not questions:
        skipped.append(f"example {line.get('id')}: its inputs hold no question")
        return None
    known = here.get(name)
    if known is not None and content_of(example_line(known)) == content_of(line):
        return None
    outputs = as_dict(line.get("outputs"))
    given: Line = {key: outputs[key] for key in ("expected", "reference") if key in outputs}
    if not given and (answer := _answer(outputs)):
        given = {"reference": answer}
    wanted: Line = {
        "id": name,
        "kind": _kind(line, str(mark.get("kind", ""))),
        "messages": questions,
        **given,
    }
    if known is None and _asked_already(wanted, here):
        return None
    return proposal(
        wanted,
        tenant=tenant,
        origin="pull",
        key=f"langsmith:example:{line.get('id') or name}:{content}",
        comment="edited in LangSmith" if mark else "added in LangSmith",
    )


def _asked_already(wanted: Line, here: Mapping[str, Example]) -> bool:
    said = wanted["messages"]
    questions = [each for each in said if isinstance(each, str)] if isinstance(said, list) else []
    return any(
        asked(questions) == asked(other.questions)
        and wanted.get("reference", "") == other.reference
        for other in here.values()
    )


def _kind(line: Line, before: str) -> str:
    among = [each for each in splits(line) if each and each != "base"]
    return before if before in among or not among else among[0]


def _by_people(feedback: Sequence[Line]) -> dict[str, list[Line]]:
    """Return what neither we nor a model said, by run."""
    by_run: dict[str, list[Line]] = defaultdict(list)
    for line in feedback:
        run, key = line.get("run_id"), str(line.get("key"))
        source = as_dict(line.get("feedback_source")).get("type")
        if not isinstance(run, str) or source == "model" or line.get("comparative_experiment_id"):
            continue
        if not _is_ours(line, run, key):
            by_run[run].append(line)
    return by_run


def _is_ours(line: Line, run: str, key: str) -> bool:
    try:
        return str(line.get("id")) == str(feedback_id(uuid.UUID(run), key))
    except ValueError:
        return False


def _from_feedback(
    run: Line, words: Sequence[Line], known: Example | None, tenant: str, skipped: list[str]
) -> Candidate | None:
    said = sorted(words, key=lambda one: str(one.get("created_at") or ""))
    ratings = [rating for one in said if (rating := _rating(one.get("score")))]
    rating = min(ratings, default=0)
    comment = "; ".join(filter(None, map(_words, said)))
    corrected = next((text for one in reversed(said) if (text := _correction(one))), "")
    if known is not None and not (corrected or comment or rating < 0):
        return None  # praise of an answer that the golden set asks for already
    questions = messages_of(run.get("inputs"))
    if not questions:
        skipped.append(f"run {run.get('id')}: its inputs hold no question")
        return None
    line: Line = (
        json.loads(written(known))
        if known is not None
        else {
            "id": f"langsmith-{str(run.get('id'))[-8:]}",
            "kind": "langsmith",
            "messages": questions,
        }
    )
    answer = _answer(as_dict(run.get("outputs")))
    if corrected:
        line["reference"] = corrected
    elif known is None and rating > 0:
        line["reference"] = answer
    return proposal(
        line,
        tenant=tenant,
        origin="pull",
        key=f"langsmith:run:{run.get('id')}:{content_hash(comment, corrected)}",
        answer=answer,
        rating=rating,
        comment=comment,
    )


def _rating(score: object) -> int:
    """Return up, down or nothing said; a scale that is not known says nothing."""
    if not isinstance(score, bool | int | float) or not -1 <= score <= 1:
        return 0
    return 1 if score >= GOOD else -1


def _words(feedback: Line) -> str:
    value = feedback.get("value") if feedback.get("value") is not None else feedback.get("score")
    said = str(feedback.get("comment") or "").strip()
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    if not said and _rating(feedback.get("score")):
        return ""  # thumbs, which the rating holds
    shown = "" if value is None else f" {value}"
    return f"{feedback.get('key')}{shown}: {said}".rstrip(": ")


def _correction(feedback: Line) -> str:
    given = feedback.get("correction")
    return given.strip() if isinstance(given, str) else _answer(as_dict(given))


def messages_of(inputs: object) -> list[JsonValue]:
    """Return what was said, in the golden set's form, of messages, a question or one text.

    Empty where the user says nothing in it.
    """
    plain = as_dict(inputs)
    said: list[JsonValue] = []
    messages = plain.get("messages")
    if isinstance(messages, list):
        said.extend(read for each in messages if (read := _message(each)) is not None)
        return said if any(isinstance(each, str) for each in said) else []
    texts = [text for key in QUESTION_KEYS if isinstance(text := plain.get(key), str) and text]
    if not texts and len(plain) == 1:
        texts = [text for text in plain.values() if isinstance(text, str) and text]
    said.extend(texts[:1])
    return said


def _message(given: JsonValue) -> JsonValue | None:
    """Return a user's message as its text, an assistant's as role and content, no other."""
    plain = as_dict(given)
    plain = as_dict(plain["kwargs"]) if isinstance(plain.get("kwargs"), dict) else plain
    content, role = plain.get("content"), plain.get("role") or plain.get("type")
    if isinstance(given, str):
        content, role = given, "user"
    if not isinstance(content, str) or not content:
        return None
    if role in ("user", "human"):
        return content
    return {"role": "assistant", "content": content} if role in ("assistant", "ai") else None


def _answer(outputs: Line) -> str:
    texts = [value for key in ANSWER_KEYS if isinstance(value := outputs.get(key), str) and value]
    if not texts:
        texts = [value for value in outputs.values() if isinstance(value, str) and value][:1]
    return texts[0] if texts else ""
