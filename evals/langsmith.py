"""Golden sets, their results and what people say of them, in LangSmith.

An experiment is uploaded from a finished report, never traced while it runs: LangSmith's own
`aevaluate` would send the machine's description and the git author with it. What leaves here is
listed in `antiphon.evals.exchange`, and nothing else does.
"""

from __future__ import annotations

import asyncio
import json
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from antiphon.evals import exchange, experiment
from antiphon.evals.candidates import version_of
from antiphon.evals.exchange import Line, Pulled
from antiphon.evals.experiment import Pair, Results, Traced
from antiphon.evals.golden import Example
from antiphon.tools.errors import AntiphonError, InputError, SettingsError

if TYPE_CHECKING:
    from langsmith import Client
    from langsmith.run_trees import RunTree
    from langsmith.schemas import TracerSession

    from antiphon.evals.run import Asked

CONNECT_MS, READ_MS = 3_000, 15_000
MOST_PARTS, MOST_BYTES = 100, 20_000_000
"""Of one request, where the server does not say what it takes."""
MOST_IDS = 50
"""In one address."""
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a push changed."""

    dataset: str
    created: int
    updated: int
    removed: int
    unchanged: int
    edited: tuple[str, ...]
    """Left alone, because somebody changed them there: `eval pull` brings the change."""
    version: str
    """The tag of this content among the dataset's versions; empty where it holds anything else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """An experiment that is there as a whole."""

    name: str
    rows: int
    sent: int
    """Rows sent by this upload; an earlier one may have sent others."""
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two experiments side by side."""

    name: str
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class _Answered:
    """A run with its score, and which answer of the dataset it is."""

    run: str
    score: float
    started: str
    example: str
    repeat: int


class LangSmith:
    """A connection that sends only what it is told to.

    Without arguments the key and address are LangSmith's own variables: LANGSMITH_API_KEY and
    LANGSMITH_ENDPOINT. Every method raises SettingsError for a key that is refused, AntiphonError
    for a server that is down or refuses, and may then be called again: what was done is not done
    twice.
    """

    def __init__(self, *, api_key: str = "", api_url: str = "") -> None:
        from langsmith import Client
        from langsmith.utils import get_api_key
        from urllib3.util.retry import Retry

        key = api_key or get_api_key(None)
        if not key:
            raise SettingsError(
                "LANGSMITH_API_KEY is not set",
                hint="Set it, or write a file with `--out FILE`; evaluations need no key.",
            )
        self._client = Client(
            api_url or None,
            api_key=key,
            # One request after the other: no background thread that could send anything later.
            auto_batch_tracing=False,
            tracing_sampling_rate=1.0,
            timeout_ms=(CONNECT_MS, READ_MS),
            retry_config=Retry(total=1, backoff_factor=0.2, allowed_methods=None),
        )

    async def push(
        self,
        examples: Sequence[Example],
        name: str,
        *,
        remove: bool = True,
        overwrite: bool = False,
    ) -> Pushed:
        """Make the dataset `name` hold these examples, and tag that version with their hash.

        Examples that were pushed once and are gone from the set are removed. What people added or
        edited there is left alone; `overwrite` gives up their edits of these examples.
        """
        return await self._run(lambda: self._push(examples, name, remove, overwrite))

    async def upload(
        self,
        report: Results,
        examples: Sequence[Example],
        *,
        dataset: str,
        name: str = "",
        steps: bool = False,
    ) -> Uploaded:
        """Upload a report's rows as an experiment; after a failure, those that are missing.

        The examples are pushed first, and none is removed. With `steps` the names and times of the
        nodes go along as child runs.

        Raises InputError too: the report is of other examples, or the name another report's.
        """
        experiment.timed(report)
        inputs = experiment.inputs_of(report, examples)
        pushed = await self.push(examples, dataset, remove=False)

        def rows(owner: uuid.UUID, project: uuid.UUID) -> list[Traced]:
            ids = self._golden_ids(owner)
            return [
                experiment.traced(
                    row,
                    example=uuid.UUID(ids[row.id]),
                    inputs=inputs[row.id],
                    experiment=project,
                    steps=steps,
                )
                for row in report.rows
            ]

        sent = _Progress(name or report.experiment, len(report.rows))
        return await self._run(
            lambda: self._upload(report, dataset, pushed.version, rows, sent), sent.said
        )

    async def compare(
        self, first: Results | str, second: Results | str, *, dataset: str
    ) -> Comparison:
        """Record which of two experiments answered each example better, by their overall score.

        Each is a report that was uploaded under its own name, or an experiment's name.
        """
        names = [each if isinstance(each, str) else each.experiment for each in (first, second)]
        projects = await self._run(lambda: [self._existing(name) for name in names])
        one, two = [
            await self._answered(project, None if isinstance(each, str) else each, dataset)
            for project, each in zip(projects, (first, second), strict=True)
        ]
        common = [key for key in one if key in two]
        if not common:
            raise InputError(f"{names[0]!r} and {names[1]!r} have no example in common")
        golden = await self._run(lambda: self._names_by_id(dataset))
        matched = [
            (
                Pair(
                    id=golden.get(key[0], key[0]),
                    repeat=key[1],
                    first=one[key].score,
                    second=two[key].score,
                ),
                one[key],
                two[key],
            )
            for key in common
        ]
        title = f"{names[0]} vs. {names[1]}"
        await self._run(lambda: self._record(title, projects, matched))
        return Comparison(name=title, pairs=tuple(pair for pair, _, _ in matched))

    async def pull(self, dataset: str, *, projects: Sequence[str] = ()) -> Pulled:
        """Return the dataset's examples, and the answers that people said something of.

        Read are all experiments on the dataset, and other projects by name.
        """
        examples, sessions = await self._run(lambda: self._readable(dataset, projects))
        pulled = Pulled(examples=examples)
        for session in sessions:
            runs = {str(run["id"]): run for run in await self._runs(session)}
            names = list(runs)
            for start in range(0, len(names), MOST_IDS):
                some = names[start : start + MOST_IDS]
                pulled.feedback.extend(await self._run(lambda some=some: self._feedback(some)))  # type: ignore[misc]
            pulled.runs.extend(runs.values())
        return pulled

    async def _run(self, work: Callable[[], Done], note: Callable[[], str] | None = None) -> Done:
        def mapped() -> Done:
            with _mapped(self._client, note):
                return work()

        return await asyncio.to_thread(mapped)

    # The dataset.

    def _push(
        self, examples: Sequence[Example], name: str, remove: bool, overwrite: bool
    ) -> Pushed:
        client = self._client
        if not client.has_dataset(dataset_name=name):
            client.create_dataset(
                name,
                description=exchange.DESCRIPTION,
                metadata={"runtime": {}},  # else the client describes this machine
            )
        owner = client.read_dataset(dataset_name=name).id
        found = exchange.changes(
            examples, self._examples(owner), dataset=owner, overwrite=overwrite
        )
        gone = found.gone if remove else []
        if found.new:
            created = [
                {**line, "reference_outputs": line["outputs"], "outputs": None}
                for line in found.new
            ]
            for each in created:
                del each["outputs"]
            client.create_examples(dataset_id=owner, examples=created)
        if found.changed:
            client.update_examples(dataset_id=owner, updates=found.changed)
        for start in range(0, len(gone), MOST_IDS):
            client.delete_examples(gone[start : start + MOST_IDS])
        same = not found.edited and gone == found.gone
        tag = f"golden-{version_of(examples)}" if same else ""
        if tag:
            self._tag(owner, tag)
        return Pushed(
            dataset=name,
            created=len(found.new),
            updated=len(found.changed),
            removed=len(gone),
            unchanged=found.unchanged,
            edited=tuple(found.edited),
            version=tag,
        )

    def _tag(self, owner: uuid.UUID, tag: str) -> None:
        latest = self._client.read_dataset_version(dataset_id=owner, tag="latest")
        if tag not in (latest.tags or ()):
            self._client.update_dataset_tag(dataset_id=owner, as_of=latest.as_of, tag=tag)

    def _examples(self, owner: uuid.UUID) -> list[Line]:
        return [
            each.model_dump(
                mode="json", include={"id", "inputs", "outputs", "metadata", "source_run_id"}
            )
            for each in self._client.list_examples(dataset_id=owner)
        ]

    def _golden_ids(self, owner: uuid.UUID) -> dict[str, str]:
        there = exchange.marked(self._examples(owner), owner)
        return {name: str(line["id"]) for name, line in there.items()}

    def _names_by_id(self, dataset: str) -> dict[str, str]:
        owner = self._client.read_dataset(dataset_name=dataset).id
        return {name: golden for golden, name in self._golden_ids(owner).items()}

    # An experiment.

    def _upload(
        self,
        report: Results,
        dataset: str,
        version: str,
        rows: Callable[[uuid.UUID, uuid.UUID], list[Traced]],
        sent: _Progress,
    ) -> Uploaded:
        owner = self._client.read_dataset(dataset_name=dataset).id
        project = self._find(sent.name) or self._create(report, owner, version, sent.name)
        metadata = project.metadata
        if project.reference_dataset_id != owner or metadata.get("report") != report.digest:
            raise InputError(
                f"there is another experiment named {sent.name!r}", hint="Choose another name."
            )
        sent.rows = before = int(metadata.get("rows_sent", 0))
        for batch in self._batches(rows(owner, project.id)[before:]):
            self._send([line for row in batch for line in row.lines])
            sent.rows += len(batch)
            metadata = {**metadata, "rows_sent": sent.rows}
            self._client.update_project(project.id, metadata=metadata)
        if project.end_time is None or before < sent.rows:
            self._client.update_project(project.id, metadata=metadata, end_time=datetime.now(UTC))
        return Uploaded(
            name=sent.name, rows=sent.rows, sent=sent.rows - before, url=project.url or ""
        )

    def _find(self, name: str) -> TracerSession | None:
        from langsmith.utils import LangSmithNotFoundError

        try:
            found: TracerSession = self._client.read_project(project_name=name)
        except LangSmithNotFoundError:
            return None
        return found

    def _existing(self, name: str) -> TracerSession:
        project = self._find(name)
        if project is None:
            raise InputError(
                f"there is no experiment {name!r}", hint="`antiphon eval upload` uploads a report."
            )
        return project

    def _create(self, report: Results, owner: uuid.UUID, version: str, name: str) -> TracerSession:
        """Create the experiment as of its first question: queries leave out what came before."""
        began = min(row.at for row in report.rows)
        self._post(
            "/sessions",
            {
                "id": str(uuid.uuid5(owner, name)),
                "name": name,
                "start_time": began.isoformat(),
                "reference_dataset_id": str(owner),
                "extra": {
                    "metadata": {
                        **experiment.metadata_of(report, sent=0),
                        "dataset_version": self._version(owner),
                        **({"dataset_tag": version} if version else {}),
                    }
                },
                "num_examples": len({row.id for row in report.rows}),
                "num_repetitions": report.repetitions,
                "evaluator_keys": report.keys,
            },
        )
        return self._existing(name)

    def _version(self, owner: uuid.UUID) -> str:
        latest = self._client.read_dataset_version(dataset_id=owner, tag="latest")
        return latest.as_of.isoformat()

    def _batches(self, rows: Sequence[Traced]) -> Iterator[list[Traced]]:
        takes = self._client.info.batch_ingest_config or {}
        parts, size = (
            takes.get("size_limit") or MOST_PARTS,
            takes.get("size_limit_bytes") or MOST_BYTES,
        )
        batch: list[Traced] = []
        many = large = 0
        for row in rows:
            more = sum(len(json.dumps(line)) for line in row.lines)
            if batch and (many + len(row.lines) > parts or large + more > size):
                yield batch
                batch, many, large = [], 0, 0
            batch.append(row)
            many, large = many + len(row.lines), large + more
        if batch:
            yield batch

    def _send(self, lines: Sequence[Line]) -> None:
        """Send runs and feedback in one request; what is there already stays as it is."""
        from langsmith.utils import LangSmithConflictError

        files = [
            (name, (None, text, "application/json", {"Content-Length": str(len(text))}))
            for line in lines
            for name, text in _parts(line)
        ]
        self._client.request_with_retries(
            "POST",
            "/runs/multipart",
            request_kwargs={"files": files},
            to_ignore=(LangSmithConflictError,),
        )

    def _post(self, path: str, body: object) -> None:
        from langsmith.utils import LangSmithConflictError

        self._client.request_with_retries(
            "POST",
            path,
            request_kwargs={"data": json.dumps(body).encode()},
            to_ignore=(LangSmithConflictError,),
        )

    # Two experiments.

    async def _answered(
        self, project: TracerSession, report: Results | None, dataset: str
    ) -> dict[tuple[str, int], _Answered]:
        if report is not None:
            ids = await self._run(
                lambda: self._golden_ids(self._client.read_dataset(dataset_name=dataset).id)
            )
            found = [
                _Answered(
                    run=str(experiment.run_id(row, project.id)),
                    score=row.overall,
                    started=row.at.isoformat(),
                    example=ids[row.id],
                    repeat=row.repeat,
                )
                for row in report.rows
                if row.id in ids
            ]
        else:
            found = list(_scored(await self._runs(project)))
        return {(each.example, each.repeat): each for each in found}

    def _record(
        self,
        title: str,
        projects: Sequence[TracerSession],
        matched: Sequence[tuple[Pair, _Answered, _Answered]],
    ) -> None:
        owner = projects[0].reference_dataset_id
        if owner is None or owner != projects[1].reference_dataset_id:
            raise InputError("the two experiments are on different datasets")
        ids = [project.id for project in projects]
        name = uuid.uuid5(ids[0], str(ids[1]))
        self._post(
            "/datasets/comparative",
            {
                "id": str(name),
                "name": title,
                "experiment_ids": [str(each) for each in ids],
                "reference_dataset_id": str(owner),
                "description": None,
                "created_at": datetime.now(UTC).isoformat(),
                "extra": {},
            },
        )
        for pair, one, two in matched:
            group = uuid.uuid5(name, f"{pair.id}/{pair.repeat}")
            both = zip((one, two), _preferences(pair), projects, strict=True)
            for answered, score, project in both:
                self._client.create_feedback(
                    answered.run,
                    "preferred",
                    score=score,
                    comment=f"overall {answered.score:.3f}",
                    feedback_id=uuid.uuid5(group, answered.run),
                    comparative_experiment_id=name,
                    feedback_group_id=group,
                    session_id=project.id,
                    start_time=datetime.fromisoformat(answered.started),
                    stop_after_attempt=2,
                )

    # What people said.

    def _readable(
        self, dataset: str, projects: Sequence[str]
    ) -> tuple[list[Line], list[TracerSession]]:
        from langsmith.utils import LangSmithNotFoundError

        try:
            owner = self._client.read_dataset(dataset_name=dataset).id
        except LangSmithNotFoundError as error:
            raise InputError(
                f"there is no dataset {dataset!r}", hint="`antiphon eval push` makes one."
            ) from error
        sessions: list[TracerSession] = [
            *self._client.list_projects(reference_dataset_id=owner),
            *(self._existing(name) for name in projects),
        ]
        return self._examples(owner), sessions

    def _feedback(self, runs: Sequence[str]) -> list[Line]:
        found = self._client.list_feedback(run_ids=list(runs))
        return [each.model_dump(mode="json", exclude={"extra"}) for each in found]

    async def _runs(self, project: TracerSession) -> list[Line]:
        """Return an experiment's answers, without the steps below them."""
        flags = self._client.info.instance_flags or {}
        if flags.get("sdb_query_enabled"):
            with _mapped(self._client):
                pages = self._client.runs.query_v2(
                    project_ids=[str(project.id)],
                    min_start_time=project.start_time,
                    max_start_time=datetime.now(UTC),
                    is_root=True,
                    selects=[
                        "ID", "NAME", "RUN_TYPE", "START_TIME", "INPUTS", "OUTPUTS", "EXTRA",
                        "REFERENCE_EXAMPLE_ID", "FEEDBACK_STATS",
                    ],
                )  # fmt: skip
                return [run.model_dump(mode="json", exclude_unset=True) async for run in pages]
        return await self._run(lambda: self._older_runs(project.id))

    def _older_runs(self, project: uuid.UUID) -> list[Line]:
        fields = {
            "id", "name", "run_type", "start_time", "inputs", "outputs", "extra",
            "reference_example_id", "feedback_stats",
        }  # fmt: skip
        with warnings.catch_warnings():
            # For servers that know no other way.
            warnings.simplefilter("ignore", DeprecationWarning)
            found = self._client.list_runs(project_id=project, is_root=True, select=sorted(fields))
            return [run.model_dump(mode="json", include=fields) for run in found]


@dataclass(slots=True)
class _Progress:
    """How far an upload came."""

    name: str
    of: int
    rows: int = 0

    def said(self) -> str:
        return (
            f"{self.rows} of {self.of} rows of experiment {self.name!r} are there; the same upload "
            "again sends the rest."
        )


def note_steps(asked: Asked) -> None:
    """Add the steps of what was asked to the run that LangSmith traces here, names and times."""
    from langsmith.run_helpers import get_current_run_tree

    run: RunTree | None = get_current_run_tree()
    if run is None:
        return
    for step in asked.steps:
        began = datetime.fromtimestamp(asked.started + step.at_ms / 1000, UTC)
        ended = datetime.fromtimestamp(asked.started + (step.at_ms + step.ms) / 1000, UTC)
        child = run.create_child(step.node, run_type="chain", inputs={}, start_time=began)
        child.end(outputs={}, end_time=ended)
        child.post()


def _parts(line: Line) -> Iterator[tuple[str, bytes]]:
    """Yield a line as the parts of a request: fields that may be long stand apart."""
    if "key" in line:
        yield f"feedback.{line['id']}", json.dumps(line).encode()
        return
    apart = ("inputs", "outputs", "error", "extra")
    whole = {name: value for name, value in line.items() if name not in apart}
    yield f"post.{line['id']}", json.dumps(whole).encode()
    for name in apart:
        if line.get(name) is not None:
            yield f"post.{line['id']}.{name}", json.dumps(line[name]).encode()


def _preferences(pair: Pair) -> tuple[float, float]:
    return {0: (0.5, 0.5), 1: (1.0, 0.0), 2: (0.0, 1.0)}[pair.preferred]


def _scored(runs: Sequence[Line]) -> Iterator[_Answered]:
    """Yield the runs that have an overall score; of one example's, by when they ran."""
    seen: dict[str, int] = {}
    for run in sorted(runs, key=lambda one: str(one.get("start_time"))):
        example, stats = run.get("reference_example_id"), run.get("feedback_stats")
        overall = stats.get("overall") if isinstance(stats, dict) else None
        score = overall.get("avg") if isinstance(overall, dict) else None
        if isinstance(example, str) and isinstance(score, int | float):
            seen[example] = seen.get(example, 0) + 1
            yield _Answered(
                run=str(run["id"]),
                score=float(score),
                started=str(run["start_time"]),
                example=example,
                repeat=seen[example],
            )


@contextmanager
def _mapped(client: Client, note: Callable[[], str] | None = None) -> Iterator[None]:
    """Turn LangSmith's errors into ours; `note` says what was done before."""
    from langsmith import APIError, AuthenticationError, utils
    from requests import RequestException

    def hint(text: str) -> str:
        return f"{text} {note()}" if note is not None else text

    try:
        yield
    except (utils.LangSmithAuthError, AuthenticationError) as error:
        raise SettingsError(
            "LangSmith refused the key",
            hint=hint("Check LANGSMITH_API_KEY and LANGSMITH_ENDPOINT."),
        ) from error
    except (utils.LangSmithConnectionError, utils.LangSmithRequestTimeout) as error:
        raise AntiphonError(
            f"LangSmith cannot be reached at {client.api_url!r}",
            hint=hint("Check LANGSMITH_ENDPOINT and the network; local results are not affected."),
        ) from error
    except ValidationError as error:
        raise AntiphonError(
            f"LangSmith's answer is not of the shape that its own client knows: {error.title}",
            hint=hint("Is the address in LANGSMITH_ENDPOINT one of LangSmith?"),
        ) from error
    except (utils.LangSmithError, APIError, RequestException) as error:
        raise AntiphonError(
            f"LangSmith did not accept the request: {error}", hint=note() if note else ""
        ) from error
