"""What a report was made with, by content, so that two reports can be held against each other.

Where and when a run took place is no part of it: the same files give the same fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.evals.golden import Example
from antiphon.evals.score import WEIGHTS, evaluate
from antiphon.graphs.declared import prepared
from antiphon.graphs.services import Services
from antiphon.tools.errors import AntiphonError
from antiphon.tools.models import LAST_RESORT, Models, Task

if TYPE_CHECKING:
    from antiphon.evals.metrics import Evaluator

ROOT = Path(__file__).parents[1]
CODE = ("evals", "graphs", "nodes", "prompts", "tools")
"""Folders whose files shape an answer or its score; the doors in do not."""
APART = ("bench", "baselines", "training")
"""What lies within them and does not."""
LIBRARIES = (
    "langgraph",
    "langchain-core",
    "numpy",
    "onnxruntime",
    "tokenizers",
    "sentence-transformers",
    "snowballstemmer",
)
PROBE = "The parcel with lamp 4711 left on 3 May; its number doesn't work, is it lost?"
"""Its vector tells whether two machines compute alike: int8 kernels differ between processors."""
HEX = 16
NO_PART = ("libraries", "varies", "marks_vary", "golden", "examples")
"""Fields that are no hash of a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Hashes of all that an evaluation depends on."""

    assistant: str
    """Its id, or its name where it has none: two assistants are never compared."""
    declaration: str
    """The assistant's file and the Python beside it."""
    model: str
    """The models on offer with their parameters, the embedder and the reranker."""
    prompt: str
    knowledge: str
    """The passages themselves, wherever they are stored."""
    code: str
    evaluators: str
    libraries: Mapping[str, str]
    """Their versions."""
    arithmetic: str
    """What this machine makes of one fixed sentence."""
    varies: bool
    """Whether the same question may be answered otherwise the next time."""
    marks_vary: bool
    """Whether an answer may be marked otherwise: evaluators beside the five may ask models."""
    golden: str
    examples: Mapping[str, str]
    """Each example's own hash, by id."""

    def changed(self, before: Fingerprint) -> tuple[str, ...]:
        """Name what is not as it was, the golden set aside."""
        found = [
            field.name
            for field in fields(self)
            if field.name not in NO_PART
            and getattr(self, field.name) != getattr(before, field.name)
        ]
        for name in sorted({*self.libraries, *before.libraries}):
            old, new = (each.libraries.get(name, "none") for each in (before, self))
            if old != new:
                found.append(f"{name} {old} -> {new}")
        return tuple(found)


async def fingerprint(
    services: Services, examples: Sequence[Example], *, jury: Sequence[Evaluator], tenant: str
) -> Fingerprint:
    """Name all that the answers to these examples, and their scores, depend on."""
    form = services.assistant
    beside = sorted(form.folder.glob("*.py"))
    reranker = services.reranker.name if services.reranker else ""
    hashes = {example.id: content_hash(example) for example in examples}
    return Fingerprint(
        assistant=form.id or form.name,
        declaration=_digest([form.fingerprint, *(path.read_bytes() for path in beside)]),
        model=_digest([services.models.fingerprint, services.embedder.name, reranker]),
        prompt=services.prompts.fingerprint[:HEX],
        knowledge=await _knowledge(services, tenant),
        code=_code(),
        evaluators=_evaluators(jury),
        libraries=dict(_versions()),
        arithmetic=await _arithmetic(services),
        varies=_varies(services.models, tenant),
        marks_vary=any(each.name not in WEIGHTS for each in jury),
        golden=golden_hash(hashes),
        examples=hashes,
    )


def content_hash(example: Example) -> str:
    """Hash what an example asks and expects.

    How its line is written does not matter, nor a key that a later release knows and it leaves out.
    """
    stated = example.model_dump(mode="json", exclude_defaults=True)
    return _digest([json.dumps(stated, sort_keys=True)])


def golden_hash(hashes: Mapping[str, str]) -> str:
    """Hash a golden set by its examples' own hashes; their order does not matter."""
    return _digest(f"{name} {digest}" for name, digest in sorted(hashes.items()))


async def _knowledge(services: Services, tenant: str) -> str:
    # Without knowledge the questions will say what is wrong with it.
    with suppress(AntiphonError):
        await prepared(services.knowledge, tenant)
        return (await services.knowledge.inventory(tenant=tenant)).version
    return ""


async def _arithmetic(services: Services) -> str:
    with suppress(AntiphonError):
        return _digest([json.dumps(await services.embedder.embed([PROBE]))])
    return ""


def _varies(models: Models, tenant: str) -> bool:
    choice = models.select(Task(input_tokens=1, output_tokens=1, tenant=tenant))
    return choice.model != LAST_RESORT or bool(choice.alternatives)


def _code() -> str:
    return _digest(_sources())


def _sources() -> Iterable[str | bytes]:
    """Yield the name and content of each of the package's own files."""
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*")):
            place = path.relative_to(ROOT)
            hidden = any(part.startswith((".", "__pycache__")) for part in place.parts)
            if path.is_file() and not hidden and place.parts[1] not in APART:
                yield place.as_posix()
                yield path.read_bytes()


def _evaluators(jury: Sequence[Evaluator]) -> str:
    """Hash the files that the evaluators are written in, and what one says that it is made of."""
    modules = {type(each).__module__ for each in jury} | {evaluate.__module__}
    files = (getattr(sys.modules.get(name), "__file__", None) for name in sorted(modules))
    made_of = (f"{each.name} {getattr(each, 'fingerprint', '')}" for each in jury)
    return _digest([*made_of, *(Path(file).read_bytes() for file in files if file)])


def _versions() -> Iterable[tuple[str, str]]:
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            yield name, version(name)


def _digest(parts: Iterable[str | bytes]) -> str:
    """Hash the parts with their lengths: nothing moves from one into the next unnoticed."""
    whole = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        whole.update(f"{len(content)}\n".encode() + content)
    return whole.hexdigest()[:HEX]
