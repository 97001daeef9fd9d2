"""Candidates become golden lines: made from turns and users' words, accepted by a person.

Whatever proposes lines (pages, turns, feedback, LangSmith) makes a `Candidate` here, masked, and
`SqlTurns.propose` keeps it until a person accepts or rejects it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from langchain_core.messages import HumanMessage
from pydantic import JsonValue, ValidationError

from antiphon.evals.fingerprint import content_hash, golden_hash
from antiphon.evals.golden import Example, load_golden
from antiphon.graphs.persistence import storage_errors
from antiphon.graphs.threads import Conversations
from antiphon.graphs.turns import Turn
from antiphon.nodes.guard import WITHHELD
from antiphon.nodes.state import Context
from antiphon.tools.errors import Conflict, InputError, StorageUnwritable
from antiphon.tools.notes import locked
from antiphon.tools.privacy import Detector, PatternDetector, mask
from antiphon.tools.turns.candidates import Candidate, Origin
from antiphon.tools.turns.records import TurnEntry

LONGEST_COMMENT = 2000
LANDMARKS = (
    "guard_input", "rewrite_query", "retrieve_context", "choose_tools", "call_tools", "respond",
    "abstain", "clarify", "refuse", "guard_output", "account",
)  # fmt: skip
"""Nodes that say which way a turn went; the others depend on settings and on what is cached."""
_WORD = re.compile(r"[^\W_]+")
_MARKER = re.compile(r" ?\[(\d+)\]")
_KINDS = {
    "refused": "injection",
    "abstained": "unanswerable",
    "clarifying": "ambiguous",
    "awaiting_approval": "tool",
}


def proposal(
    example: Mapping[str, JsonValue],
    *,
    tenant: str,
    origin: Origin,
    key: str,
    answer: str = "",
    rating: int = 0,
    comment: str = "",
    thread: str = "",
    turn: str = "",
    by: str = "",
    detector: Detector | None = None,
) -> Candidate:
    """Return a candidate without personal data.

    `example` is a golden line, of which what only a person can say may be missing; `key` tells two
    proposals of the same thing from proposals of two things.
    """
    finder = detector or PatternDetector()
    return Candidate(
        tenant=tenant,
        origin=origin,
        key=key,
        example={name: _masked(value, finder) for name, value in example.items()},
        answer=_mask(answer, finder),
        rating=rating,
        comment=_mask(comment[:LONGEST_COMMENT], finder),
        thread=thread,
        turn=turn,
        by=by,
    )


async def of_turn(
    talk: Conversations,
    *,
    context: Context,
    turn: str,
    thread: str = "",
    rating: int = 0,
    comment: str = "",
    origin: Origin = "turn",
) -> Candidate:
    """Return the candidate of a recorded turn of the caller's own.

    What it answered is the proposed reference, unless its user says it was wrong. `thread` may be
    left out by whoever may know the tenant's turns by their ids.

    Raises UnknownThread, Forbidden, Conflict (the turn has not ended).
    """
    entry = await talk.recorded(context=context, thread=thread, turn=turn)
    if not entry.settled or entry.result is None:
        raise Conflict(
            f"turn {turn!r} has no answer" if entry.settled else f"turn {turn!r} has not ended",
            hint="Choose a turn that was answered.",
        )
    result = Turn.from_json(entry.result)
    questions = await _questions(talk, entry)
    return proposal(
        line_of(questions, result, wrong=rating < 0),
        tenant=context.tenant,
        origin=origin,
        key=f"turn:{entry.id}",
        answer=result.answer,
        rating=rating,
        comment=comment,
        thread=entry.thread,
        turn=entry.id,
        by=entry.owner,
    )


def line_of(questions: Sequence[str], turn: Turn, *, wrong: bool = False) -> dict[str, JsonValue]:
    """Return the golden line that a turn would be; of a wrong one only what was asked."""
    kind = _KINDS.get(turn.outcome, "answerable" if turn.citations else "tool")
    line: dict[str, JsonValue] = {
        "id": f"turn-{_slug(questions[-1] if questions else turn.turn_id)}-{turn.turn_id[:6]}",
        "kind": "multi_turn" if len(questions) > 1 else kind,
        "messages": list(questions),
    }
    if wrong:
        return line
    sources = dict.fromkeys(str(each["source"]) for each in turn.citations)
    cited = {str(each["id"]) for each in turn.citations}
    return {
        **line,
        "expected": {
            "outcome": turn.outcome,
            "sources": list(sources),
            "path": [
                node
                for node in turn.path
                if node in LANDMARKS and (len(questions) > 1 or node != "rewrite_query")
            ],
            "facts": [],
            "absent": [],
        },
        # The markers of its citations are the runtime's, not the answer's.
        "reference": _MARKER.sub(lambda m: "" if m[1] in cited else m[0], turn.answer).strip(),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A line that is in the golden set now."""

    id: str
    examples: int
    version: str
    """Of the set's content, see `version_of`."""


def accept(
    golden: Path, candidate: Candidate, edits: Mapping[str, JsonValue], *, replace: bool = False
) -> Accepted:
    """Append a candidate's line to a golden set, with what a person changed about it.

    With `replace` it takes the place of the line with its id. Other processes that do the same
    wait; a reader sees the file before or after. A line that is there as it is counts as accepted.

    Raises InputError (the line is no good, or asks what another asks already), StorageUnwritable.
    """
    example = checked({**candidate.example, **_merged(candidate.example, edits)})
    golden = golden.resolve()
    try:
        with locked(golden):
            there = lines_of(golden)
            if example not in there:
                others = [each for each in there if not (replace and each.id == example.id)]
                _refuse_twice(example, others)
                _write(golden, example, replace=len(others) < len(there))
                there = (*others, example)
    except OSError as error:
        raise StorageUnwritable(
            f"the golden set {str(golden)!r} cannot be written: {error.strerror}",
            hint="`--golden FILE` names another.",
        ) from error
    return Accepted(id=example.id, examples=len(there), version=version_of(there))


def lines_of(golden: Path) -> tuple[Example, ...]:
    """Return a golden set that may have to grow first: none, where there is no file or line.

    Raises AssistantError, InputError.
    """
    return load_golden(golden) if golden.exists() and golden.read_bytes().strip() else ()


def checked(line: Mapping[str, JsonValue]) -> Example:
    """Return a golden line. Raises InputError naming what is missing or wrong."""
    try:
        example = Example.model_validate(line)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'line'}: {item['msg']}" for item in error.errors()
        )
        raise InputError(
            f"the candidate is not a golden line yet: {wrong}",
            hint='--edit \'{"expected": {"outcome": "answered", "facts": ["30 days"]}}\' says it.',
        ) from error
    if not example.questions:
        raise InputError("the candidate asks nothing", hint='--edit \'{"messages": ["..."]}\'')
    try:
        written(example).encode()
    except UnicodeEncodeError as error:
        raise InputError("the line is not valid UTF-8", hint="Give whole characters.") from error
    return example


def version_of(examples: Sequence[Example]) -> str:
    """Return a name for what a golden set holds, the same as a report of its run carries."""
    return golden_hash({example.id: content_hash(example) for example in examples})


def asked(questions: Sequence[str]) -> str:
    """Return what is asked as plain words: two that differ in spelling alone are the same."""
    return " / ".join(" ".join(_WORD.findall(each.casefold())) for each in questions)


def written(example: Example) -> str:
    """Return a golden line as the file has it: what is as by default is left out."""
    line = example.model_dump(mode="json", exclude_defaults=True)
    line["messages"] = [
        each.content if each.role == "user" else each.model_dump() for each in example.messages
    ]
    expected = line["expected"]
    expected["outcome"] = _short(expected["outcome"])
    if "facts" in expected:
        expected["facts"] = [_short(each) for each in expected["facts"]]
    return json.dumps(line, ensure_ascii=False)


def _short(value: JsonValue) -> JsonValue:
    """Return the one string of a list as itself: a golden set takes either."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _refuse_twice(example: Example, there: Sequence[Example]) -> None:
    for other in there:
        if other.id == example.id:
            raise InputError(
                f"the golden set has another line {example.id!r}",
                hint='--replace puts this one in its place; --edit \'{"id": "..."}\' renames it.',
            )
        if asked(other.questions) == asked(example.questions):
            raise InputError(
                f"the golden set asks that already: {other.id}",
                hint="Reject the candidate, or change the line in the file.",
            )


def _write(golden: Path, example: Example, *, replace: bool) -> None:
    """Put the file in place anew, the other lines as they stand."""
    lines = (golden.read_bytes() if golden.exists() else b"").split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    mine = written(example).encode()
    if replace:
        lines = [mine if _id_of(line) == example.id else line for line in lines]
    else:
        lines.append(mine)
    fresh = golden.with_name(f"{golden.name}.{secrets.token_hex(4)}")
    try:
        with fresh.open("xb") as file:
            file.write(b"\n".join(lines) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if golden.exists():
            shutil.copymode(golden, fresh)
        fresh.replace(golden)
    finally:
        with suppress(OSError):
            fresh.unlink()


def _id_of(line: bytes) -> str:
    return str(json.loads(line)["id"]) if line.strip() else ""


def _merged(base: Mapping[str, JsonValue], edits: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the edits, those of an object laid over what that object holds."""
    return {
        name: {**before, **value}
        if isinstance(value, dict) and isinstance(before := base.get(name), dict)
        else value
        for name, value in edits.items()
    }


async def _questions(talk: Conversations, entry: TurnEntry) -> list[str]:
    """Return what the user had said by the end of a turn; nothing where that is not kept."""
    if entry.kind == "decision" or not entry.checkpoint:
        return []
    config = talk.runner.config(entry, entry.token)
    config["configurable"]["checkpoint_id"] = entry.checkpoint
    with storage_errors():
        snapshot = await talk.graph.aget_state(config)
    said = [
        each.text for each in snapshot.values.get("messages", ()) if isinstance(each, HumanMessage)
    ]
    # Without its last message a line asks nothing; an earlier one is merely missed.
    return [] if not said or said[-1] == WITHHELD else [each for each in said if each != WITHHELD]


def _slug(text: str) -> str:
    return "-".join(re.findall(r"[a-z0-9]+", text.casefold()))[:40].strip("-") or "line"


def _masked(value: JsonValue, detector: Detector) -> JsonValue:
    if isinstance(value, str):
        return _mask(value, detector)
    if isinstance(value, list):
        return [_masked(each, detector) for each in value]
    if isinstance(value, dict):
        return {name: _masked(each, detector) for name, each in value.items()}
    return value


def _mask(text: str, detector: Detector) -> str:
    return mask(text, detector.find(text))[0]
