"""Golden sets and their results in LangSmith: the only file that knows langsmith.

An experiment is uploaded from a finished report, never traced while it runs: LangSmith's own
`aevaluate` would send every inner step of the graph, the machine's description and the git
author with it. What leaves here is what this file names: questions, expectations, answers, scores.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import JsonValue

from antiphon.evals.golden import Example
from antiphon.evals.report import Report, Row
from antiphon.evals.score import WEIGHTS
from antiphon.tools.errors import AntiphonError, InputError, SettingsError

if TYPE_CHECKING:
    from langsmith import Client

NAMESPACE = uuid.UUID("6b0e0c6e-8f0f-5d3c-9a3f-2f6a4f1f7c11")
"""Of the example ids: the same example of the same set always has the same id."""
CONNECT_MS, READ_MS = 3_000, 15_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """What a push changed."""

    dataset: str
    created: int
    updated: int
    unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An uploaded experiment."""

    name: str
    rows: int


class LangSmith:
    """A connection that sends only what it is told to.

    Without arguments the key and address are LangSmith's own variables: LANGSMITH_API_KEY and
    LANGSMITH_ENDPOINT.
    """

    def __init__(self, *, api_key: str = "", api_url: str = "") -> None:
        from langsmith import Client
        from langsmith.utils import get_api_key
        from urllib3.util.retry import Retry

        key = api_key or get_api_key(None)
        if not key:
            raise SettingsError(
                "LANGSMITH_API_KEY is not set",
                hint="Set it to push golden sets; `antiphon eval run` needs no key and no network.",
            )
        self._client = Client(
            api_url or None,
            api_key=key,
            # One request after the other: no background thread that could send anything later.
            auto_batch_tracing=False,
            omit_traced_runtime_info=True,
            tracing_sampling_rate=1.0,
            timeout_ms=(CONNECT_MS, READ_MS),
            retry_config=Retry(total=1, backoff_factor=0.2, allowed_methods=None),
        )

    async def push(self, examples: Sequence[Example], name: str) -> Pushed:
        """Make the dataset `name` hold these examples; what is there already is left alone.

        Raises:
            AntiphonError: the server is down or refuses.
        """
        return await asyncio.to_thread(self._push, examples, name)

    async def run_experiment(
        self, report: Report, examples: Sequence[Example], *, dataset: str, prefix: str = "antiphon"
    ) -> Experiment:
        """Push the examples, then upload the report's rows as one experiment on the dataset.

        Raises:
            AntiphonError: the server is down or refuses.
        """
        await self.push(examples, dataset)
        return await asyncio.to_thread(self._experiment, report, examples, dataset, prefix)

    def _push(self, examples: Sequence[Example], name: str) -> Pushed:
        with _mapped(self._client):
            if not self._client.has_dataset(dataset_name=name):
                self._client.create_dataset(
                    name,
                    description="Golden set of an Antiphon assistant",
                    metadata={"runtime": {}},  # else the client describes this machine
                )
            dataset = self._client.read_dataset(dataset_name=name).id
            there = {
                each.id: (each.inputs, each.outputs)
                for each in self._client.list_examples(dataset_id=dataset)
            }
            wanted = {example_id(name, each): _content(each) for each in examples}
            new = [
                {"id": key, "inputs": inputs, "reference_outputs": outputs}
                for key, (inputs, outputs) in wanted.items()
                if key not in there
            ]
            changed = [
                {"id": key, "inputs": inputs, "outputs": outputs}
                for key, (inputs, outputs) in wanted.items()
                if key in there and there[key] != (inputs, outputs)
            ]
            if new:
                self._client.create_examples(dataset_id=dataset, examples=new)
            if changed:
                self._client.update_examples(dataset_id=dataset, updates=changed)
        return Pushed(
            dataset=name,
            created=len(new),
            updated=len(changed),
            unchanged=len(wanted) - len(new) - len(changed),
        )

    def _experiment(
        self, report: Report, examples: Sequence[Example], dataset: str, prefix: str
    ) -> Experiment:
        ids = {example.id: example_id(dataset, example) for example in examples}
        missing = [row.id for row in report.rows if row.id not in ids]
        if missing:
            raise InputError(
                f"the report has rows of other examples: {', '.join(missing)}",
                hint="Upload a report with the golden set it was made from.",
            )
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        with _mapped(self._client):
            project = self._client.create_project(
                name,
                reference_dataset_id=self._client.read_dataset(dataset_name=dataset).id,
                metadata={"overall": report.overall, **report.metrics},
                num_examples=len(report.rows),
                evaluator_keys=["overall", *WEIGHTS],
            )
            for row in report.rows:
                self._upload(row, name, project.id, ids[row.id])
            self._client.update_project(project.id, end_time=datetime.now(UTC))
        return Experiment(name=name, rows=len(report.rows))

    def _upload(self, row: Row, name: str, project: uuid.UUID, example: uuid.UUID) -> None:
        run, ended = uuid.uuid4(), datetime.now(UTC)
        self._client.create_run(
            name="antiphon",
            inputs={"question": row.question},
            run_type="chain",
            project_name=name,
            id=run,
            outputs={"answer": row.answer, "outcome": row.outcome, "path": list(row.path)},
            error=row.error or None,
            start_time=ended - timedelta(milliseconds=row.latency_ms),
            end_time=ended,
            reference_example_id=example,
        )
        for key, score in {"overall": row.overall, **row.metrics}.items():
            self._client.create_feedback(
                run,
                key,
                score=score,
                comment="; ".join(row.reasons.get(key, ())) or None,
                session_id=project,
                stop_after_attempt=2,
            )


def example_id(dataset: str, example: Example) -> uuid.UUID:
    """Return the id an example always has in a dataset."""
    return uuid.uuid5(NAMESPACE, f"{dataset}/{example.id}")


Content = tuple[dict[str, JsonValue], dict[str, JsonValue]]


def _content(example: Example) -> Content:
    plain = example.model_dump(mode="json")
    inputs = {"id": plain["id"], "kind": plain["kind"], "messages": plain["messages"]}
    return inputs, {"expected": plain["expected"], "reference": plain["reference"]}


@contextmanager
def _mapped(client: Client) -> Iterator[None]:
    """Turn LangSmith's errors into ours."""
    from langsmith import utils
    from requests import RequestException

    try:
        yield
    except utils.LangSmithAuthError as error:
        raise SettingsError(
            "LangSmith refused the key", hint="Check LANGSMITH_API_KEY and LANGSMITH_ENDPOINT."
        ) from error
    except (utils.LangSmithConnectionError, utils.LangSmithRequestTimeout) as error:
        raise AntiphonError(
            f"LangSmith cannot be reached at {client.api_url!r}",
            hint="Check LANGSMITH_ENDPOINT and the network; local results are not affected.",
        ) from error
    except (utils.LangSmithError, RequestException) as error:
        raise AntiphonError(f"LangSmith did not accept the request: {error}") from error
