"""Evaluators that an assistant declares beside the five, and how far people agree with each.

One is built in (`faithfulness`), a language model's comes from openevals with a rubric of ours or
of the assistant's folder, any other by dotted path. Each weighs nothing unless the file says so,
and a report says of each how far it agreed with people's ratings, or that nobody has asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
import inspect
import json
import math
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError

from antiphon.evals.faithfulness import Faithfulness
from antiphon.evals.metrics import five
from antiphon.evals.ratings import Agreement, Rated, agreement, rating_named
from antiphon.evals.sample import Evaluator, Sample, Score
from antiphon.evals.score import WEIGHTS
from antiphon.graphs.assistant import FILE, Assistant, EvaluatorForm
from antiphon.graphs.models import check_offered
from antiphon.graphs.services import Services
from antiphon.graphs.settings import Settings
from antiphon.prompts.library import PromptError, PromptFiles, Template, read_template
from antiphon.tools.claims import Verifier
from antiphon.tools.claims.judge import without_model
from antiphon.tools.errors import AssistantError, InputError, SettingsError
from antiphon.tools.models.embeddings import ENGLISH
from antiphon.tools.models.providers import connect, vendor_errors
from antiphon.tools.privacy.detect import PatternDetector
from antiphon.tools.retrieval.context import IN_TEXT
from antiphon.tools.telemetry.tracing import Tracing

NOTES = "calibration.json"
"""In the assistant's folder: how far each evaluator agreed with people."""
BUILT_IN, OPENEVALS = "faithfulness", "openevals"
MARKS = [0.0, 0.25, 0.5, 0.75, 1.0]
"""What a rubric is answered with: people and models alike tell few steps apart."""
DEADLINE_S = 60.0
"""For a model's mark of one answer."""
LONGEST_REASON = 1000

Function = Callable[..., object]
"""An evaluator in the shape of openevals and LangSmith: `inputs`, `outputs`, `reference_outputs`
and `context` in, a mapping with `score` and `comment` out, at once or to be awaited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """An evaluator from the assistant's file."""

    name: str
    weight: float
    evaluator: Evaluator
    fingerprint: str
    """Of all that shapes its marks: another has to be calibrated again."""

    async def evaluate(self, sample: Sample) -> Score:
        """Judge one answer. Raises ValueError for a mark that is none."""
        score = await self.evaluator.evaluate(sample)
        if not 0.0 <= score.value <= 1.0:
            raise ValueError(f"{score.value} is no mark from 0 to 1")
        return score


class Called:
    """An evaluator that is a function."""

    def __init__(self, name: str, function: Function) -> None:
        self.name = name
        self._function = function
        given = inspect.signature(function).parameters.values()
        self._all = any(each.kind is each.VAR_KEYWORD for each in given)
        self._taken = {each.name for each in given}

    async def evaluate(self, sample: Sample) -> Score:
        """Call it with what it takes; a function that blocks runs in a thread."""
        known = {
            "inputs": sample.question,
            "outputs": sample.answer,
            "reference_outputs": sample.reference,
            "context": "\n\n".join(sample.evidence),
        }
        taken = {name: text for name, text in known.items() if self._all or name in self._taken}
        if inspect.iscoroutinefunction(self._function):
            found = await self._function(**taken)
        else:
            found = await asyncio.to_thread(self._function, **taken)
            if inspect.isawaitable(found):
                found = await cast("Awaitable[object]", found)
        return _score(found)


def _score(found: object) -> Score:
    """Return the score of an evaluator's result. Raises ValueError."""
    if isinstance(found, Score):
        return found
    mark = found.get("score") if isinstance(found, Mapping) else found
    if not isinstance(mark, int | float) or not math.isfinite(mark):
        raise ValueError(f"{mark!r} is no mark from 0 to 1")
    comment = found.get("comment") if isinstance(found, Mapping) else None
    reasons = (str(comment)[:LONGEST_REASON],) if comment else ()
    return Score(value=float(mark), reasons=reasons)


def evaluators_of(
    settings: Settings, assistant: Assistant, verifier: Verifier
) -> tuple[Declared, ...]:
    """Return what the assistant declares beside the five, in its order.

    Raises:
        AssistantError: one cannot be had, named by its key.
        SettingsError: a package is not installed, or a model cannot be opened.
    """
    found: list[Declared] = []
    for place, form in enumerate(assistant.evaluators):
        key = f"evaluators.{place}"
        if form.name in {*WEIGHTS, *(each.name for each in found)}:
            raise AssistantError(f"{FILE}: {key}.name: {form.name!r} is taken", hint="Rename it.")
        made, content = _made(form, settings, assistant, verifier, key)
        declared = json.dumps(form.model_dump(mode="json", exclude={"weight"}), sort_keys=True)
        found.append(
            Declared(
                name=form.name,
                weight=form.weight,
                evaluator=made,
                fingerprint=_digest(declared, content),
            )
        )
    return tuple(found)


def jury_of(settings: Settings, services: Services) -> tuple[Declared, ...]:
    """Return all that judges an assistant's answers: the five, then what it declares.

    A judge that claims are put to in a turn has no say in any: it would judge what it let pass.
    """
    verifier = without_model(services.verifier)
    always = five(
        services.embedder,
        PatternDetector(),
        allowed_links=services.assistant.guards.allowed_links,
        verifier=verifier,
        reads="en" if services.embedder.name == ENGLISH else "*",
    )
    weighed = (
        Declared(
            name=each.name,
            weight=WEIGHTS[each.name],
            evaluator=each,
            fingerprint=_digest(each.name, _source(type(each))),
        )
        for each in always
    )
    return (*weighed, *evaluators_of(settings, services.assistant, verifier))


def _made(
    form: EvaluatorForm, settings: Settings, assistant: Assistant, verifier: Verifier, key: str
) -> tuple[Evaluator, str]:
    """Return an evaluator, and what beside its declaration shapes it."""
    if form.use == BUILT_IN:
        if form.options:
            raise AssistantError(f"{FILE}: {key}.options: {BUILT_IN!r} takes none")
        return Faithfulness(verifier), _source(Faithfulness)
    if form.use == OPENEVALS:
        try:
            options = _Judge.model_validate(form.options)
        except ValidationError as error:
            what = error.errors()[0]
            place = ".".join(map(str, what["loc"]))
            raise AssistantError(
                f"{FILE}: {key}.options.{place}: {what['msg']}",
                hint="openevals takes `model` and `rubric`.",
            ) from error
        check_offered(options.model, settings, assistant, key=f"{key}.options.model")
        rubric = _rubric(options.rubric, assistant.folder, key)
        model = partial(
            connect,
            options.model,
            url=settings.model_url,
            key=settings.model_key.get_secret_value(),
            gguf=settings.gguf,
        )
        return RubricJudge(form.name, rubric, model, model_name=options.model), rubric.body
    factory = _factory(form.use, key)
    try:
        made = factory(**form.options)
    except TypeError as error:
        raise AssistantError(f"{FILE}: {key}.options: {form.use}: {error}") from error
    if hasattr(made, "evaluate"):
        return cast("Evaluator", made), _source(type(made))
    if callable(made):
        return Called(form.name, made), _source(factory)
    raise AssistantError(
        f"{FILE}: {key}.use: {form.use} makes no evaluator",
        hint="It returns an object with `async evaluate(sample)`, or a function as openevals has.",
    )


class _Judge(BaseModel):
    """Options of a language model's evaluator."""

    model_config = ConfigDict(extra="forbid")

    model: str
    rubric: str


def _rubric(name: str, folder: Path, key: str) -> Template:
    """Return the rubric of a name, ours or the folder's in its place, or of a file there."""
    try:
        if name.endswith(".md"):
            rubric = read_template(folder / name)
        else:
            overrides = folder / "prompts"
            rubric = PromptFiles(overrides if overrides.is_dir() else None).template(name)
    except PromptError as error:
        raise AssistantError(f"{FILE}: {key}.options.rubric: {error}") from error
    if unknown := rubric.variables - RUBRIC_PLACES:
        raise AssistantError(
            f"{FILE}: {key}.options.rubric: {name!r} has a place for {min(unknown)!r}",
            hint=f"A rubric is given {', '.join(sorted(RUBRIC_PLACES))}.",
        )
    return rubric


RUBRIC_PLACES = frozenset({"question", "answer", "evidence", "reference"})


class RubricJudge:
    """A language model that marks answers by a rubric, by openevals."""

    def __init__(
        self,
        name: str,
        rubric: Template,
        open_model: Callable[[], BaseChatModel],
        *,
        model_name: str,
    ) -> None:
        """Raise SettingsError where openevals is not installed; the model opens at first use."""
        if importlib.util.find_spec("openevals") is None:
            raise SettingsError(
                "openevals is not installed", hint="Install Antiphon with the extra `judge`."
            )
        self.name = name
        self._rubric = rubric
        self._open = open_model
        self._model_name = model_name
        self._judge: Called | None = None
        self._opening = asyncio.Lock()

    async def evaluate(self, sample: Sample) -> Score:
        """Ask for a mark and its reason. Raises ModelError."""
        # openevals traces by itself; what may leave is for Antiphon's own setting to say.
        with vendor_errors(self._model_name), Tracing().around():
            async with asyncio.timeout(DEADLINE_S):
                async with self._opening:
                    if self._judge is None:
                        self._judge = await asyncio.to_thread(self._opened)
                return await self._judge.evaluate(sample)

    def _opened(self) -> Called:
        from openevals.llm import create_async_llm_as_judge

        judge = create_async_llm_as_judge(
            prompt=self._messages, feedback_key=self.name, judge=self._open(), choices=MARKS
        )
        return Called(self.name, judge)

    def _messages(
        self, *, inputs: str, outputs: str, reference_outputs: str, context: str
    ) -> list[Any]:
        """Return the rubric with what is to be judged in its places, none of which it can close."""
        values = {
            "question": inputs,
            "answer": outputs,
            "evidence": context,
            "reference": reference_outputs,
        }
        shown = {name: values[name].translate(IN_TEXT) for name in self._rubric.variables}
        return [{"role": "user", "content": self._rubric.render(**shown)}]


def _factory(path: str, key: str) -> Callable[..., object]:
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise AssistantError(
            f"{FILE}: {key}.use: {module} cannot be imported: {error}",
            hint="Write `package.module:factory`, and install the package.",
        ) from error
    if not callable(found):
        raise AssistantError(f"{FILE}: {key}.use: there is no {name!r} in {module}")
    return cast("Callable[..., object]", found)


def _source(made: object) -> str:
    """Return the file that an object is written in, empty where there is none."""
    module = sys.modules.get(getattr(made, "__module__", ""))
    file = getattr(module, "__file__", None)
    return Path(file).read_text("utf-8", errors="replace") if file else ""


def _digest(*parts: str) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(f"{len(part)}\n{part}".encode())
    return whole.hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How far an evaluator agreed with people, and on what."""

    fingerprint: str
    """Of the evaluator."""
    rating: str
    """Which of the people's ratings."""
    data: str
    """A hash of the rated answers."""
    agreement: Agreement

    def __str__(self) -> str:
        """Say it as a report does."""
        found = self.agreement
        return (
            f"Spearman {found.spearman:.2f} ({found.low:.2f} to {found.high:.2f}), kappa"
            f" {found.kappa:.2f} with {self.rating} by people, {found.rows} answers"
        )


NEVER = "never calibrated: nobody knows whether people agree with it"
_READS: TypeAdapter[dict[str, Calibration]] = TypeAdapter(dict[str, Calibration])


async def calibrate(
    evaluator: Evaluator,
    rows: Sequence[Rated],
    *,
    rating: str,
    fingerprint: str,
    reference: bool = False,
    progress: Callable[[int, int], None] | None = None,
    together: int = 2,
) -> Calibration:
    """Have rated answers judged and compare. Raises InputError; what a judge raises ends it.

    `reference`: whether the evaluator is shown the model answers.
    """
    rated = rating_named(rows, rating)
    places, done = asyncio.Semaphore(together), 0

    async def mark(row: Rated) -> float:
        nonlocal done
        async with places:
            found = await evaluator.evaluate(row.sample(reference=reference))
        done += 1
        if progress is not None:
            progress(done, len(rated))
        return found.value

    marks = await asyncio.gather(*(mark(rows[place]) for place in rated))
    return Calibration(
        fingerprint=fingerprint,
        rating=rating,
        data=_digest(*(rows[place].model_dump_json() for place in rated)),
        agreement=agreement(
            marks,
            list(rated.values()),
            groups=[rows[place].task or str(place) for place in rated],
        ),
    )


def calibrations(folder: Path) -> dict[str, Calibration]:
    """Return what is noted in an assistant's folder, by evaluator. Raises InputError."""
    path = folder / NOTES
    try:
        return _READS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        raise InputError(
            f"{str(path)!r} holds no calibrations: {type(error).__name__}",
            hint="`antiphon eval calibrate` writes it; remove it to begin anew.",
        ) from error


def noted(folder: Path, name: str, made: Calibration) -> str:
    """Return what the folder's file is to hold with a calibration in its place."""
    kept = {**calibrations(folder), name: made}
    return json.dumps({each: asdict(one) for each, one in sorted(kept.items())}, indent=1) + "\n"


def said_of(jury: Sequence[Declared], folder: Path) -> dict[str, dict[str, JsonValue]]:
    """Return for each declared evaluator its weight, and how far people agree with it.

    Of the five those that were calibrated. A calibration of one that has changed since is none.
    """
    noted_before = calibrations(folder)
    found: dict[str, dict[str, JsonValue]] = {}
    for each in jury:
        one = noted_before.get(each.name)
        if one is not None and one.fingerprint == each.fingerprint:
            figures = cast("JsonValue", asdict(one.agreement))
            found[each.name] = {
                "weight": each.weight, "rating": one.rating, "agreement": figures, "said": str(one),
            }  # fmt: skip
        elif each.name not in WEIGHTS:
            found[each.name] = {"weight": each.weight, "agreement": None, "said": NEVER}
    return found
