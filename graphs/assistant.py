"""The typed form of `assistant.yaml`: what this bot is. Where it runs is in `settings.py`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from antiphon.tools.claims.examine import Contradicted, NotFound
from antiphon.tools.errors import AssistantError
from antiphon.tools.telemetry.turn import Response

FILE = "assistant.yaml"


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnowledgeForm(_Form):
    """What the assistant knows and how it looks it up."""

    paths: tuple[str, ...] = Field(
        default=("knowledge",), description="Files and folders, relative to the assistant's folder."
    )
    alpha: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Weight of the vector leg, the rest is BM25's; without it, half, and less "
        "where the embedder does not read the assistant's languages.",
    )
    top_k: int = Field(default=10, ge=1, le=100, description="Passages considered for an answer.")
    budget_tokens: int = Field(
        default=1500, ge=200, description="Tokens of passages a model may read."
    )
    min_confidence: float = Field(
        default=0.5, ge=0, le=1, description="Below this retrieval confidence the bot abstains."
    )
    redact: bool = Field(
        default=False, description="Mask emails, phones, cards and the like before storing text."
    )


class IntentForm(_Form):
    """One thing people come for."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Stable name, lower case.")
    examples: tuple[str, ...] = Field(min_length=2, description="Utterances that mean it.")
    needs: tuple[Literal["knowledge", "tools"], ...] = Field(
        default=(), description="What answering takes; empty for small talk."
    )
    tools: tuple[str, ...] = Field(default=(), description="Tool names it may use; empty: all.")
    replies: tuple[str, ...] = Field(
        default=(), description="What to say when no language model speaks."
    )
    label: str = Field(default="", description="How a clarification question names it.")


class IntentsForm(_Form):
    """The intents and when to doubt."""

    threshold: float = Field(
        default=0.45, ge=0, le=1, description="Below this confidence the intent is unknown."
    )
    margin: float = Field(
        default=0.05, ge=0, le=1, description="Two intents closer than this are ambiguous."
    )
    declared: tuple[IntentForm, ...] = Field(min_length=1, description="The intents.")


class ToolForm(_Form):
    """One tool and the policy around it."""

    path: str = Field(
        pattern=r"^[\w.]+:\w+$",
        description="`tools:name` for the folder's tools.py, else `package.module:name`.",
    )
    side_effects: bool = Field(default=False, description="Whether a call changes anything.")
    approval: bool = Field(default=False, description="Ask a person before each call.")
    idempotent: bool = Field(default=False, description="Honours an idempotency key.")
    timeout_s: float = Field(default=30.0, gt=0, le=40, description="Deadline of a call, seconds.")
    confirm: str = Field(default="", description="Sentence shown to the approver.")
    reply: str = Field(default="", description="How to say a result without a language model.")
    ask: dict[str, str] = Field(default_factory=dict, description="Question per missing argument.")
    examples: tuple[str, ...] = Field(default=(), description="Utterances that call for it.")


class ModelForm(_Form):
    """A model the router may choose; prices of known models are looked up when left out."""

    name: str
    quality: float = Field(default=0.5, ge=0, le=1)
    context_tokens: int = Field(default=8192, ge=256)
    input_usd_per_mtok: float | None = Field(default=None, ge=0)
    output_usd_per_mtok: float | None = Field(default=None, ge=0)
    first_token_s: float = Field(default=0.8, ge=0)
    tokens_per_s: float = Field(default=60.0, gt=0)
    tools: bool = Field(default=True, description="Whether it can call tools.")


class WeightsForm(_Form):
    """How much each mark counts; the guide's values."""

    cost: float = Field(default=0.4, ge=0)
    latency: float = Field(default=0.3, ge=0)
    quality: float = Field(default=0.3, ge=0)


class ModelsForm(_Form):
    """Which models may answer and how they are chosen."""

    weights: WeightsForm = WeightsForm()
    max_cost_usd: float = Field(default=0.10, gt=0, description="Unacceptable cost of an answer.")
    catalogue: tuple[ModelForm, ...] = Field(default=(), description="Beside what settings name.")
    output_tokens: int = Field(default=400, ge=16, description="Longest answer, tokens.")


class MemoryForm(_Form):
    """How much is remembered; the guide's values."""

    window_tokens: int = Field(default=4000, ge=100)
    keep_last: int = Field(default=10, ge=2)
    long_term_items: int = Field(default=100, ge=0)
    recalled: int = Field(default=5, ge=0)


def _named(entry: object) -> object:
    return {"use": entry} if isinstance(entry, str) else entry


class GuardForm(_Form):
    """One entry of a rail: a built-in name, or `guardrails:package.module:Validator`."""

    use: str
    options: dict[str, JsonValue] = Field(default_factory=dict)
    critical: bool | None = Field(
        default=None, description="Fail closed when it breaks; each guard has a default."
    )


GuardEntry = Annotated[GuardForm, BeforeValidator(_named)]


class GuardsForm(_Form):
    """The two rails, in order."""

    input: tuple[GuardEntry, ...] = tuple(
        GuardForm(use=name) for name in ("size", "control_characters", "pii", "injection")
    )
    output: tuple[GuardEntry, ...] = tuple(
        GuardForm(use=name) for name in ("pii", "links", "grounding")
    )
    allowed_links: tuple[str, ...] = Field(
        default=(), description="Hosts that answers may link to, with their subdomains."
    )
    max_chars: int = Field(default=8000, ge=100, description="Longest message.")


class ClaimsForm(_Form):
    """What becomes of an answer's claims that its pages and tools do not bear out."""

    contradicted: Contradicted = Field(
        default="remove",
        description="A claim that the evidence denies: take it out, ask the model once more with "
        "the reasons, or refuse the answer.",
    )
    not_found: NotFound = Field(
        default="drop",
        description="A claim that the evidence does not know: take it out, say behind it that it "
        "is not confirmed, or take it out and ask about it.",
    )
    critical: bool = Field(
        default=False,
        description='Refuse an answer that could not be judged; else it is an "I don\'t know".',
    )


class JudgeForm(_Form):
    """A language model that is asked about claims which cannot be settled without one."""

    model: str = Field(
        min_length=1,
        description="One of the models on offer. `antiphon bench judge --model` prints how far it "
        "agrees with labelled claims.",
    )
    deadline_s: float = Field(
        default=8.0, gt=0, le=10, description="Seconds it may take; the claims then stay as found."
    )
    turn_tokens: int = Field(
        default=8000, ge=200, description="Tokens in and out that a turn may spend on it."
    )
    turn_cost_usd: float = Field(
        default=0.01, gt=0, description="Estimated cost that a turn may spend on it."
    )
    twice: bool = Field(
        default=True,
        description="Ask again with claims and verdicts in reverse, where both fit the budget, and "
        "change only what both agree on.",
    )


class EvaluatorForm(_Form):
    """An evaluator of answers beside the five, for `antiphon eval`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Stable name, lower case.")
    use: str = Field(
        pattern=r"^(faithfulness|openevals|[\w.]+:\w+)$",
        description="`faithfulness`, `openevals` (extra `judge`), or `package.module:factory`.",
    )
    options: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="What the factory takes; for openevals `model`, one of those on offer, and "
        "`rubric`, the name of a prompt or a Markdown file in the folder.",
    )
    weight: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="In the overall score, where the five together have 1. Calibrate it first.",
    )


class CacheForm(_Form):
    """The exact response cache."""

    enabled: bool = True
    ttl_s: int = Field(default=86_400, ge=1)
    personal: bool = Field(default=False, description="Answers differ by user: key by user too.")


class ApprovalsForm(_Form):
    """How long a question to a person stands."""

    expire_s: float = Field(
        default=86_400, gt=0, description="Seconds after which a pending call is not made any more."
    )


class RetentionForm(_Form):
    """What is kept of a conversation, and for how long; `antiphon prune` and `serve` sweep."""

    full_steps_turns: int = Field(
        default=3, ge=1, description="Turns of a thread that can be stepped through in full."
    )
    full_steps_hours: float = Field(
        default=0, ge=0, description="Hours for which any turn can be stepped through in full."
    )
    last_step_turns: int = Field(
        default=10, ge=1, description="Turns of a thread that keep their last step."
    )
    turns: int = Field(default=400, ge=1, description="Turns of a thread that are kept on record.")
    thread_days: float = Field(
        default=365, gt=0, description="Days after its last message that a thread is kept."
    )


class IncidentsForm(_Form):
    """What is done about each type of incident.

    Automatic is what can harm nobody: a model that is down answers nobody anyway, and of a
    knowledge that is out turns only say so. The rest gives up quality or answers for everyone in
    its scope, so it is only advised unless this says otherwise.
    """

    high_latency: Response = Field(
        default="advised", description="Choose the fastest model, where models are what is slow."
    )
    high_error_rate: Response = Field(
        default="advised",
        description="Freeze a tool that mostly fails; answer without language models where these "
        "are what fails.",
    )
    cost_spike: Response = Field(default="advised", description="Choose the cheapest model.")
    safety_violation: Response = Field(
        default="advised", description="Let guards block high violations as they do critical ones."
    )
    model_outage: Response = Field(
        default="automatic", description="Leave the model out until it answers again."
    )
    knowledge_outage: Response = Field(
        default="automatic", description="Watch until a search works; nothing is switched."
    )


class LogsForm(_Form):
    """How long turn records and incidents are kept."""

    days: float = Field(default=30, gt=0, description="Age at which they are removed.")
    megabytes: float = Field(
        default=100, gt=0, description="Size of all turn records at which the oldest are removed."
    )


class WordingForm(_Form):
    """The fixed sentences."""

    clarify: str = "I want to be sure I help with the right thing. Is this about {options}?"
    clarify_open: str = "Could you tell me a little more about what you need?"
    abstain: str = "I don't know: the help pages I have do not answer that."
    nearest: str = "The nearest pages are:"
    unconfirmed: str = "(I could not confirm this.)"
    unsure: str = (
        "I found nothing about this, so I am not sure of it: {claims} Could you tell me more?"
    )
    refused: str = "I can't help with that request ({reason})."
    apology: str = (
        "Sorry, something went wrong on our side and I could not answer. Please try again."
    )
    unreachable: str = (
        "I can't reach the pages I answer from right now, so I can't answer that. "
        "Please try again in a few minutes."
    )
    loading: str = (
        "I am still reading the pages I answer from, so I can't answer that yet. "
        "Please ask again in a moment."
    )
    declined: str = "All right, I have not done that."
    waiting: str = "One thing still waits for your yes or no: {question}"
    expired: str = "The request that waited for your decision has expired, so I have not done it."
    again: str = (
        "I started this before and was interrupted, so I don't know whether it took effect: "
        "{what}. Please check first. Shall I do it again?"
    )
    done: str = "This was done: {what}."
    doubtful: str = "This may or may not have taken effect: {what}."
    broken: str = "Something went wrong after that, so I could not finish my answer."


class Assistant(_Form):
    """One bot: persona, knowledge, intents, tools, models, guards, memory, golden set."""

    name: str = Field(min_length=1)
    id: str = Field(
        default="",
        pattern=r"^([a-z0-9][a-z0-9-]*)?$",
        description="Names its data; when not set, the folder's place does.",
    )
    description: str = ""
    persona: str = Field(default="You are a helpful, brief and honest support assistant.")
    languages: tuple[str, ...] = Field(default=("en",), min_length=1)
    knowledge: KnowledgeForm = KnowledgeForm()
    intents: IntentsForm
    tools: tuple[ToolForm, ...] = ()
    models: ModelsForm = ModelsForm()
    memory: MemoryForm = MemoryForm()
    guards: GuardsForm = GuardsForm()
    claims: ClaimsForm = ClaimsForm()
    judge: JudgeForm | None = Field(
        default=None, description="Asked about claims that are open; without it nobody is."
    )
    cache: CacheForm = CacheForm()
    approvals: ApprovalsForm = ApprovalsForm()
    retention: RetentionForm = RetentionForm()
    incidents: IncidentsForm = IncidentsForm()
    logs: LogsForm = LogsForm()
    wording: WordingForm = WordingForm()
    evaluators: tuple[EvaluatorForm, ...] = Field(
        default=(), description="Beside the five metrics and their weights."
    )
    golden: str = Field(default="golden.jsonl", description="The golden set, for `antiphon eval`.")
    folder: Path = Field(default=Path(), exclude=True, json_schema_extra={"readOnly": True})
    """Where it was read from; not part of the file."""
    fingerprint: str = Field(default="", exclude=True, json_schema_extra={"readOnly": True})
    """Hash of the file: part of every cache key."""


def load_assistant(folder: Path) -> Assistant:
    """Read and check `assistant.yaml` in `folder`.

    Raises:
        AssistantError: with one `file:line: key: what is wrong` per mistake in `problems`.
    """
    path = folder / FILE
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except FileNotFoundError as error:
        raise AssistantError(
            f"there is no {FILE} in {str(folder)!r}",
            hint="`antiphon init DIR` writes a working assistant.",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise AssistantError(f"{path} cannot be read: {error}", hint="Save it as UTF-8.") from error
    try:
        tree = YAML(typ="rt").load(text)
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or "not YAML"
        raise _mistakes(path, (f"{FILE}:{line}: {what}",)) from error
    if not isinstance(tree, Mapping):
        raise _mistakes(path, (f"{FILE}:1: the file must be a mapping of keys to values",))
    for key in ("folder", "fingerprint"):
        if key in tree:
            raise _mistakes(path, (f"{FILE}:{_line(tree, (key,))}: {key}: unknown key; remove it",))
    try:
        form = Assistant.model_validate(_plain(tree))
    except ValidationError as error:
        raise _mistakes(path, tuple(_located(tree, error))) from error
    fingerprint = hashlib.sha256(raw).hexdigest()[:16]
    return form.model_copy(update={"folder": folder.resolve(), "fingerprint": fingerprint})


def line_of(folder: Path, keys: Sequence[str | int]) -> int:
    """Return the 1-based line of a key in the folder's file, which must be loadable."""
    return _line(YAML(typ="rt").load((folder / FILE).read_text("utf-8")), keys)


def _mistakes(path: Path, problems: tuple[str, ...]) -> AssistantError:
    count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    listed = "\n".join(f"  {problem}" for problem in problems)
    return AssistantError(
        f"{path} has {count}:\n{listed}",
        hint="`antiphon check DIR` checks the whole folder.",
        problems=problems,
    )


def _plain(value: object) -> object:
    """Turn ruamel's commented containers into plain ones."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    return value


def _located(tree: object, error: ValidationError) -> Iterator[str]:
    for item in error.errors():
        keys = tuple(part for part in item["loc"] if part != "function-before[_named()]")
        name = ".".join(str(part) for part in keys)
        remedy = "unknown key; remove it" if item["type"] == "extra_forbidden" else item["msg"]
        yield f"{FILE}:{_line(tree, keys)}: {name}: {remedy}"


def _line(tree: object, keys: Sequence[str | int]) -> int:
    """Return the 1-based line of the deepest part of `keys` that exists in the file."""
    line = 0
    for key in keys:
        marks = getattr(tree, "lc", None)
        if isinstance(tree, Mapping) and key in tree and marks is not None:
            line = marks.key(key)[0]
            tree = tree[key]
        elif isinstance(tree, list) and isinstance(key, int) and key < len(tree):
            line = marks.item(key)[0] if marks is not None else line
            tree = tree[key]
        else:
            break
    return line + 1
