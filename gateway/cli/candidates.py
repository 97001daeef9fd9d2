"""`antiphon eval synth|add|feedback|candidates|accept|reject`: how a golden set grows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.opening import opened
from antiphon.gateway.cli.opening import run as complete
from antiphon.gateway.cli.options import AsJson, AssistantFolder, Command, Tenant, User
from antiphon.gateway.cli.output import console, emit, table, visible, write_file
from antiphon.tools.errors import Conflict, InputError, UnknownThread

if TYPE_CHECKING:
    from pydantic import JsonValue

    from antiphon.evals.candidates import Accepted
    from antiphon.evals.synth import Proposed
    from antiphon.graphs.assistant import Assistant
    from antiphon.tools.turns.candidates import Candidate, Origin
    from antiphon.tools.turns.store import SqlTurns

TurnId = Annotated[str, typer.Argument(metavar="TURN", help="The turn_id of a recorded turn.")]
CandidateId = Annotated[str, typer.Argument(metavar="ID", help="Of the candidate.")]
Golden = Annotated[
    Path | None,
    typer.Option(
        "--golden", metavar="FILE", show_default=False, help="Golden set; else the assistant's."
    ),
]
SHOWN = 60
RATINGS = {1: "up", -1: "down", 0: ""}


def add_to(app: typer.Typer) -> None:
    """Register the commands on the `eval` app."""
    for command in (synth, add, feedback, candidates, accept, reject):
        app.command(cls=Command)(command)


def synth(
    count: Annotated[
        int, typer.Option("--count", metavar="N", min=1, help="At most so many.")
    ] = 20,
    corpus: Annotated[
        Path | None,
        typer.Option(
            "--corpus",
            metavar="PATH",
            exists=True,
            show_default=False,
            help="Folder or file to read; else what the tenant's knowledge holds.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another gives others.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", show_default=False, help="Write the proposals there too."
        ),
    ] = None,
    golden: Golden = None,
    tenant: Tenant = "default",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Propose golden lines from the pages; each waits for a person."""
    done, failed = complete(_synth(assistant, tenant, corpus, golden, count, seed))
    rows = [_row(each) for each in done.candidates]
    if out is not None:
        text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        write_file(text, out)
    if as_json:
        emit({
            "candidates": rows, "by_model": done.by_model, "cost_usd": done.cost_usd,
            "failed": failed,
        })  # fmt: skip
        return
    for why in failed:
        console(error=True).print(visible(f"Not read: {why}"))
    _table(done.candidates)
    spent = f", {done.by_model} by a model for ${done.cost_usd:.4f}" if done.by_model else ""
    console().print(f"{len(rows)} proposed{spent}; `antiphon eval accept ID` takes one.")


def add(
    turn: TurnId,
    tenant: Tenant = "default",
    user: User = "",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Propose a recorded turn as a golden line, its answer as the reference."""
    candidate = complete(_from_turn(assistant, turn, tenant, user))
    _proposed(candidate, as_json=as_json)


def feedback(
    turn: TurnId,
    up: Annotated[bool, typer.Option("--up/--down", help="Whether the answer was right.")],
    comment: Annotated[str, typer.Option("--comment", metavar="TEXT", help="Why.")] = "",
    tenant: Tenant = "default",
    user: User = "",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Say whether the answer of a turn was right; it becomes a candidate."""
    rating = 1 if up else -1
    candidate = complete(_from_turn(assistant, turn, tenant, user, rating, comment))
    _proposed(candidate, as_json=as_json)


def candidates(
    all_states: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    tenant: Tenant = "default",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """List the candidates that wait for a person."""
    found = complete(_listed(assistant, tenant, all_states=all_states))
    if as_json:
        emit({"candidates": [_row(each) for each in found]})
        return
    _table(found)


def _table(found: Sequence[Candidate]) -> None:
    rows = [
        (
            each.id,
            each.state,
            each.origin,
            RATINGS[each.rating],
            _cut(_question(each)),
            _cut(each.answer or str(each.example.get("reference", ""))),
            _cut(each.comment),
        )
        for each in found
    ]
    columns = ("id", "state", "from", "said", "question", "answer", "comment")
    table("Candidates", columns, rows)


def accept(
    name: CandidateId,
    edit: Annotated[
        str,
        typer.Option(
            "--edit", metavar="JSON", help='Keys of the line to change: {"reference": "..."}.'
        ),
    ] = "",
    golden: Golden = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of the line with its id.")
    ] = False,
    tenant: Tenant = "default",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Append a candidate to the golden set, changed as `--edit` says."""
    done = complete(_accept(assistant, tenant, name, _edits(edit), golden, replace=replace))
    if as_json:
        emit({"id": done.id, "examples": done.examples, "version": done.version})
    else:
        said = f"Accepted {done.id}; the set has {done.examples} lines, version {done.version}"
        console().print(visible(said))


def reject(
    name: CandidateId,
    tenant: Tenant = "default",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Turn a candidate down; it is not proposed again."""
    complete(_reject(assistant, tenant, name))
    if as_json:
        emit({"id": name, "state": "rejected"})
    else:
        console().print(visible(f"Rejected {name}"))


async def _from_turn(
    assistant: Path | None,
    turn: str,
    tenant: str,
    user: str,
    rating: int = 0,
    comment: str = "",
) -> Candidate:
    from antiphon.evals.candidates import of_turn
    from antiphon.nodes.state import Context

    origin: Origin = "feedback" if rating else "turn"
    async with opened(assistant) as runtime:
        candidate = await of_turn(
            runtime.conversations,
            context=Context(tenant=tenant, user=user),
            turn=turn,
            rating=rating,
            comment=comment,
            origin=origin,
        )
        kept = await runtime.persistence.turns.propose(candidate)
    if kept is None:
        raise UnknownThread("the turn's thread was deleted meanwhile")
    return kept


async def _synth(
    assistant: Path | None,
    tenant: str,
    corpus: Path | None,
    golden: Path | None,
    count: int,
    seed: int,
) -> tuple[Proposed, list[str]]:
    import asyncio

    from antiphon.evals.candidates import lines_of
    from antiphon.evals.synth import passages_of, propose, read_folder
    from antiphon.graphs.declared import prepared

    async with opened(assistant) as runtime:
        services, turns = runtime.services, runtime.persistence.turns
        examples = lines_of(_golden(services.assistant, golden))
        failed: list[str] = []
        if corpus is not None:
            pages, failed = await asyncio.to_thread(read_folder, corpus, services.tokens)
        else:
            await prepared(services.knowledge, tenant)
            pages = await passages_of(services.knowledge, tenant=tenant)
        known = {each.id for each in await turns.candidates(tenant, state="")}
        done = await propose(
            pages, examples, services, tenant=tenant, count=count, seed=seed, known=known
        )
        for each in done.candidates:
            await turns.propose(each)
        return done, failed


async def _listed(assistant: Path | None, tenant: str, *, all_states: bool) -> list[Candidate]:
    async with _store(assistant) as (turns, _):
        return await turns.candidates(tenant, state="" if all_states else "proposed")


async def _accept(
    assistant: Path | None,
    tenant: str,
    name: str,
    edits: Mapping[str, JsonValue],
    golden: Path | None,
    *,
    replace: bool,
) -> Accepted:
    from antiphon.evals.candidates import accept as accepted

    async with _store(assistant) as (turns, form):
        candidate = await _undecided(turns, tenant, name)
        path = _golden(form, golden)
        done = accepted(path, candidate, edits, replace=replace)
        await turns.rule(tenant, name, "accepted")
        return done


async def _reject(assistant: Path | None, tenant: str, name: str) -> None:
    async with _store(assistant) as (turns, _):
        await _undecided(turns, tenant, name)
        await turns.rule(tenant, name, "rejected")


async def _undecided(turns: SqlTurns, tenant: str, name: str) -> Candidate:
    found = await turns.candidate(tenant, name)
    if found is None:
        raise InputError(
            f"there is no candidate {name[:40]!r} in tenant {tenant!r}",
            hint="`antiphon eval candidates` lists them.",
        )
    if found.state != "proposed":
        raise Conflict(f"candidate {name!r} was {found.state} before")
    return found


@asynccontextmanager
async def _store(assistant: Path | None) -> AsyncIterator[tuple[SqlTurns, Assistant]]:
    """Open the records alone: neither models nor knowledge are needed."""
    from antiphon.graphs.folders import chosen_assistant, data_folder
    from antiphon.graphs.persistence import open_persistence
    from antiphon.graphs.settings import read_settings

    settings = read_settings()
    form = chosen_assistant(settings, assistant)
    async with open_persistence(settings, data_folder(settings, form)) as persistence:
        yield persistence.turns, form


def _golden(form: Assistant, given: Path | None) -> Path:
    """Return the golden set: the one given, else the assistant's own."""
    return given or form.folder / form.golden


def _edits(text: str) -> Mapping[str, JsonValue]:
    try:
        edits = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise InputError(f"--edit is not JSON: {error}", hint="Give an object.") from error
    if not isinstance(edits, dict):
        raise InputError("--edit is no JSON object", hint='As in {"reference": "..."}.')
    return edits


def _proposed(candidate: Candidate, *, as_json: bool) -> None:
    if as_json:
        emit(_row(candidate))
        return
    out = console()
    if candidate.state != "proposed":
        out.print(visible(f"Candidate {candidate.id} was {candidate.state} before; noted."))
        return
    out.print(visible(f"Candidate {candidate.id}: {_question(candidate) or '(question not kept)'}"))
    out.print(visible(f"Accept it with: antiphon eval accept {candidate.id}"), style="dim")


def _row(candidate: Candidate) -> dict[str, object]:
    from dataclasses import asdict

    plain = asdict(candidate)
    return {"id": plain.pop("id"), **plain, "rating": RATINGS[candidate.rating]}


def _question(candidate: Candidate) -> str:
    said = candidate.example.get("messages")
    return str(said[-1]) if isinstance(said, list) and said else ""


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"
