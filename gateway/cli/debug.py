"""`antiphon debug`: a thread step by step; run on from any step, as it was or changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.opening import opened, run
from antiphon.gateway.cli.options import AsJson, AssistantFolder, Tenant, User
from antiphon.gateway.cli.output import console, emit, table, visible
from antiphon.gateway.cli.turns import show_turn
from antiphon.tools.errors import InputError

if TYPE_CHECKING:
    from pydantic import JsonValue

    from antiphon.graphs.history import StepRecord
    from antiphon.graphs.turns import Turn
    from antiphon.nodes.state import Context

ACTIONS = ("replay", "fork")
SHAPES = "`debug THREAD`, `debug replay THREAD --step N` or `debug fork THREAD --step N --set JSON`"


def debug(
    words: Annotated[list[str], typer.Argument(metavar="[replay|fork] THREAD", hidden=True)],
    step: Annotated[
        int | None, typer.Option("--step", metavar="N", help="The step to show or run on from.")
    ] = None,
    changes: Annotated[
        str | None,
        typer.Option("--set", metavar="JSON", help='Fields to change first: {"question": "..."}'),
    ] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Let replayed calls change things; else the record answers."),
    ] = False,
    tenant: Tenant = "default",
    user: User = "",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show a thread step by step; replay or fork it.

    debug THREAD lists every checkpoint; with --step N, what that step changed.

    debug replay THREAD --step N runs on from a step, in a new thread.

    debug fork THREAD --step N --set JSON does so with fields of the state changed first.
    """
    action, thread = _parsed(words, step, changes)
    from antiphon.nodes.state import Context

    context = Context(tenant=tenant, user=user)
    if action and step is not None:
        turn = run(_run_on(context, thread, step, _fields(changes), assistant, live=live))
        if as_json:
            emit(turn.as_json())
        else:
            show_turn(turn, flags={})
        return
    steps, records = run(_steps(context, thread, assistant))
    chosen = steps if step is None else [_at(steps, step)]
    if as_json:
        emit({"thread_id": thread, "steps": [_row(record) for record in chosen], **records})
    elif step is None:
        _list(thread, steps)
        _records(records)
    else:
        _detail(chosen[0])


def _parsed(words: Sequence[str], step: int | None, changes: str | None) -> tuple[str, str]:
    """Return the action (or nothing) and the thread."""
    action, rest = (words[0], words[1:]) if len(words) > 1 else ("", words)
    if len(rest) != 1 or (action and action not in ACTIONS):
        raise InputError(f"cannot read {' '.join(words)!r}", hint=f"Use {SHAPES}.")
    if action and step is None:
        raise InputError(f"`debug {action}` needs --step N", hint=f"`debug {rest[0]}` lists them.")
    if action == "fork" and changes is None:
        raise InputError("`debug fork` needs --set JSON", hint="`debug replay` changes nothing.")
    if action != "fork" and changes is not None:
        raise InputError("--set belongs to `debug fork`", hint=f"Use {SHAPES}.")
    return action, rest[0]


def _fields(changes: str | None) -> dict[str, JsonValue] | None:
    if changes is None:
        return None
    try:
        fields = json.loads(changes)
    except json.JSONDecodeError as error:
        raise InputError(f"--set is not JSON: {error}", hint="Quote it for the shell.") from error
    if not isinstance(fields, dict) or not fields:
        raise InputError("--set must be a JSON object of fields", hint='{"question": "..."}')
    return fields


async def _steps(
    context: Context, thread: str, assistant: Path | None
) -> tuple[list[StepRecord], dict[str, JsonValue]]:
    from antiphon.graphs.history import History

    async with opened(assistant) as runtime:
        talk = runtime.conversations
        steps = await History(talk).steps(context=context, thread=thread)
        return steps, await talk.records(context=context, thread=thread)


async def _run_on(
    context: Context,
    thread: str,
    step: int,
    fields: dict[str, JsonValue] | None,
    assistant: Path | None,
    *,
    live: bool,
) -> Turn:
    from antiphon.graphs.history import History

    async with opened(assistant) as runtime:
        past = History(runtime.conversations)
        if fields is None:
            return await past.replay(context=context, thread=thread, step=step, live=live)
        return await past.fork(context=context, thread=thread, step=step, changes=fields, live=live)


def _at(steps: Sequence[StepRecord], step: int) -> StepRecord:
    for record in steps:
        if record.step == step:
            return record
    known = f"{steps[0].step} to {steps[-1].step}" if steps else "none"
    raise InputError(f"there is no step {step}", hint=f"The thread's steps: {known}.")


def _row(record: StepRecord) -> dict[str, object]:
    return {
        "step": record.step,
        "checkpoint_id": record.checkpoint_id,
        "node": record.node,
        "next": list(record.next),
        "changed": {name: list(pair) for name, pair in record.changed.items()},
        "ms": record.ms,
    }


def _list(thread: str, steps: Sequence[StepRecord]) -> None:
    rows = [
        (r.step, r.node, round(r.ms, 1), ", ".join(r.next), ", ".join(r.changed)) for r in steps
    ]
    table(f"Thread {thread}", ("step", "node", "ms", "next", "changed"), rows)
    console().print(f"`antiphon debug {thread} --step N` shows what a step changed.", style="dim")


def _records(records: Mapping[str, JsonValue]) -> None:
    """Print the turns with what they cost, what was changed, and who decided."""
    shown = {
        "turns": ("seq", "kind", "state", "outcome", "cost_usd", "id"),
        "effects": ("tool", "state", "arguments", "turn"),
        "decisions": ("tool", "approved", "by", "reason", "interrupt_id"),
    }
    for name, columns in shown.items():
        rows = records[name]
        if isinstance(rows, list) and rows:
            cells = [[row[one] for one in columns] for row in rows if isinstance(row, dict)]
            table(name.capitalize(), columns, cells)


def _detail(record: StepRecord) -> None:
    out = console()
    after = ", ".join(record.next) or "the end"
    out.print(f"Step {record.step}: {record.node} ({record.ms:.1f} ms), then {after}", style="bold")
    out.print(f"checkpoint {record.checkpoint_id}", style="dim")
    for name, (before, now) in record.changed.items():
        out.print(f"\n{name}", style="bold")
        for sign, value, style in (("-", before, "red"), ("+", now, "green")):
            shown = json.dumps(value, ensure_ascii=False, indent=2, default=str)
            lines = "\n".join(f"  {sign} {line}" for line in shown.splitlines())
            out.print(visible(lines), style=style)
