"""What goes to LangSmith and what comes back, as plain data in LangSmith's own shapes.

The one list of what leaves this machine; `antiphon.evals.langsmith` sends nothing else.

- Dataset: its name, one fixed sentence as description.
- Example: an id; inputs: the `messages`; outputs: what is expected and the reference; split: its
  kind; metadata `antiphon`: its id and kind in the golden set and a hash of its content.
- Experiment: name, times, the dataset, how many examples and repetitions, the metrics' names;
  metadata: means, models, tokens, cost, times, fingerprints (`experiment.FINGERPRINTS`), the
  dataset's version, a hash of the report and how many of its rows were sent.
- Run, one a row: an id, times, the example's `messages`; answer, outcome, path; the error;
  metadata: id, kind and repetition, model, tokens and cost.
- Step, a child run each, only when asked for: the node's name, its times, an error's code.
- Feedback: the score and reasons of each metric, expectation and retrieval figure; of a comparison:
  which of two answers is preferred.

Never: prompts, passages, threads, users, the machine, the environment, the repository's author.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from pydantic import JsonValue

from antiphon.evals.golden import Example
from antiphon.tools.errors import InputError

Line = dict[str, JsonValue]
MARK = "antiphon"
"""The key in an example's metadata that says which golden line it is."""
DESCRIPTION = "Golden set of an Antiphon assistant"
SPLITS = "dataset_split"
"""Where LangSmith keeps an example's splits, in its metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """Lines as LangSmith has them."""

    examples: list[Line] = field(default_factory=list)
    runs: list[Line] = field(default_factory=list)
    feedback: list[Line] = field(default_factory=list)

    @property
    def lines(self) -> list[Line]:
        """All of them."""
        return [*self.examples, *self.runs, *self.feedback]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What makes a dataset hold a golden set."""

    new: list[Line] = field(default_factory=list)
    changed: list[Line] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    """Ids of examples that were pushed once and are in the golden set no more."""
    edited: list[str] = field(default_factory=list)
    """Golden ids of examples that somebody changed there; they are left alone."""
    unchanged: int = 0


def example_line(example: Example) -> Line:
    """Return an example in LangSmith's shape, without an id."""
    plain: Line = example.model_dump(mode="json")
    inputs: Line = {"messages": plain.pop("messages")}
    mark: Line = {"id": plain.pop("id"), "kind": plain.pop("kind")}
    return {
        "inputs": inputs,
        "outputs": plain,
        "metadata": {MARK: {**mark, "hash": content_hash(inputs, plain)}},
        "split": [example.kind],
    }


def content_hash(inputs: object, outputs: object) -> str:
    """Return what tells whether an example was edited since it was pushed."""
    text = json.dumps([inputs, outputs], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def changes(
    examples: Sequence[Example],
    there: Sequence[Line],
    *,
    dataset: uuid.UUID,
    overwrite: bool = False,
) -> Changes:
    """Compare a golden set with the examples of a dataset.

    Examples that people made or edited there are never removed, nor changed unless `overwrite`.
    """
    found = Changes()
    known, unchanged = marked(there, dataset), 0
    for example in examples:
        line = example_line(example)
        remote = known.get(example.id)
        if remote is None:
            found.new.append({"id": str(example_id(dataset, example.id)), **line})
        elif _as_wanted(line, remote):
            unchanged += 1
        elif edited(remote) and content_of(remote) != content_of(line) and not overwrite:
            found.edited.append(example.id)
        else:
            found.changed.append(_updated(line, remote))
    wanted = {example.id for example in examples}
    for name, remote in known.items():
        if name not in wanted:
            if edited(remote):
                found.edited.append(name)
            else:
                found.gone.append(str(remote["id"]))
    return replace(found, unchanged=unchanged)


def marked(there: Sequence[Line], dataset: uuid.UUID) -> dict[str, Line]:
    """Return the examples that came from here by their golden ids; of copies, the original."""
    found: dict[str, Line] = {}
    for line in there:
        name = mark_of(line).get("id")
        if isinstance(name, str) and (
            name not in found or line["id"] == str(example_id(dataset, name))
        ):
            found[name] = line
    return found


def example_id(dataset: uuid.UUID, name: str) -> uuid.UUID:
    """Return the id an example always has in a dataset."""
    return uuid.uuid5(dataset, name)


def mark_of(line: Line) -> Mapping[str, JsonValue]:
    """Return what an example says of the golden line it came from; empty for one of theirs."""
    mark = as_dict(line.get("metadata")).get(MARK)
    return mark if isinstance(mark, dict) else {}


def content_of(line: Line) -> tuple[JsonValue, JsonValue]:
    """Return an example's inputs and outputs."""
    return line.get("inputs"), line.get("outputs")


def edited(line: Line) -> bool:
    """Whether somebody changed an example since it was pushed."""
    return content_hash(*content_of(line)) != mark_of(line).get("hash")


def _as_wanted(line: Line, remote: Line) -> bool:
    (kind,) = cast("list[str]", line["split"])
    return (
        content_of(line) == content_of(remote)
        and mark_of(line) == mark_of(remote)
        and kind in splits(remote)
    )


def _updated(line: Line, remote: Line) -> Line:
    """Return the update, keeping what people added: other metadata, other splits."""
    before, kind = mark_of(remote).get("kind"), cast("list[str]", line["split"])[0]
    kept = [each for each in splits(remote) if each not in (before, kind)]
    metadata = {k: v for k, v in as_dict(remote.get("metadata")).items() if k != SPLITS}
    return {
        "id": remote["id"],
        "inputs": line["inputs"],
        "outputs": line["outputs"],
        "metadata": {**metadata, **as_dict(line["metadata"])},
        "split": [kind, *kept],
    }


def splits(line: Line) -> list[str]:
    """Return the splits that an example is in, where LangSmith or a file keeps them."""
    given = as_dict(line.get("metadata")).get(SPLITS, line.get("split"))
    return [str(each) for each in given] if isinstance(given, list) else [str(given or "")]


def as_dict(value: object) -> Line:
    """Return a JSON object, empty where the value is none."""
    return cast("Line", value) if isinstance(value, dict) else {}


def written(lines: Sequence[Mapping[str, object]]) -> str:
    """Return the lines of a file."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read(path: Path) -> Pulled:
    """Read exported examples, runs and feedback, told apart by their keys. Raises InputError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}") from error
    pulled = Pulled()
    for number, raw in enumerate(text.split("\n"), start=1):
        if not raw.strip():
            continue
        try:
            line = json.loads(raw)
        except json.JSONDecodeError as error:
            raise InputError(f"{path.name}:{number}: not JSON: {error.msg}") from error
        if isinstance(line, dict) and "key" in line and "run_id" in line:
            pulled.feedback.append(line)
        elif isinstance(line, dict) and "run_type" in line:
            pulled.runs.append(line)
        elif isinstance(line, dict) and isinstance(line.get("inputs"), dict):
            pulled.examples.append(line)
        else:
            raise InputError(
                f"{path.name}:{number}: neither an example, a run nor feedback",
                hint="An example has inputs, a run run_type, feedback run_id and key.",
            )
    return pulled
