"""What a drill showed: clients, ledger, model server and store, held against each other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from antiphon.evals.bench.drill.assistant import MODEL
from antiphon.evals.bench.drill.clients import Story
from antiphon.evals.bench.drill.model import ANSWERED, DONE, Seen
from antiphon.evals.bench.drill.service import Entry
from antiphon.tools.turns.database import Transaction
from antiphon.tools.turns.store import SqlTurns

TOOLS = {"deposit": "pay_in", "dispatch": "send_parcel"}
"""The tool of each kind of message that changes something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the store holds at the end."""

    turns: Sequence[Mapping[str, Any]]
    """id, thread, request_key, state."""
    calls: Sequence[Mapping[str, Any]]
    """turn, model, output_tokens, cost_usd, ok."""
    held: Sequence[str]
    """Threads whose lease nobody gave back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that is known after a drill."""

    stories: Sequence[Story]
    entries: Sequence[Entry]
    seen: Sequence[Seen]
    states: Mapping[str, Mapping[str, Any]]
    """What each thread says of itself, by its name."""
    repeated: Mapping[str, Mapping[str, Any]]
    """What requests were answered when they came again, by their key."""
    deaf: Sequence[str]
    """Threads that did not take another message."""
    stored: Stored


@dataclass(slots=True, kw_only=True)
class Faults:
    """What should not have been, each with its place."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    unaccounted: list[str] = field(default_factory=list)


async def read_store(turns: SqlTurns, tenant: str) -> Stored:
    """Read what a tenant's drill left in the store. Raises what the driver raises."""

    def work() -> Transaction[Stored]:
        rows = yield (
            "SELECT id, thread, request_key, state FROM antiphon_turns WHERE tenant = ?",
            (tenant,),
        )
        calls = yield (
            "SELECT c.turn, c.model, c.output_tokens, c.cost_usd, c.ok FROM antiphon_calls c"
            " JOIN antiphon_turns t ON c.turn = t.id WHERE t.tenant = ?"
        ), (tenant,)  # fmt: skip
        held = yield (
            "SELECT id FROM antiphon_threads WHERE tenant = ? AND holder <> ''",
            (tenant,),
        )
        return Stored(
            turns=[dict(row) for row in rows],
            calls=[dict(row) for row in calls],
            held=[str(row["id"]) for row in held],
        )

    return await turns.database.run(work())


def judge(evidence: Evidence) -> Faults:
    """Name every fault there is."""
    faults = Faults()
    for story in evidence.stories:
        _answers(story, evidence, faults)
        _effects(story, evidence, faults)
    _repeats(evidence, faults)
    _rest(evidence, faults)
    _accounts(evidence, faults)
    return faults


def _answers(story: Story, evidence: Evidence, faults: Faults) -> None:
    """Every request has an answer, and the thread holds it once."""
    for sent in story.sent:
        if not sent.answered:
            faults.lost.append(f"{sent.key}: no answer (last status {sent.status})")
    messages = evidence.states.get(story.thread, {}).get("messages", ())
    said = [one["content"] for one in messages]
    asked = sum(story.reference in one["content"] for one in messages if one["role"] == "user")
    answers = sum(found == story.reference for text in said for found in ANSWERED.findall(text))
    if asked > 1:
        faults.doubled.append(f"{story.reference}: the message stands {asked} times")
    if answers > 1:
        faults.doubled.append(f"{story.reference}: answered {answers} times")
    told = any(
        story.reference in ANSWERED.findall(str(sent.turn.get("answer", ""))) for sent in story.sent
    )
    if told and not answers:
        faults.lost.append(f"{story.reference}: its answer is not in the thread")


def _effects(story: Story, evidence: Evidence, faults: Faults) -> None:
    """What was done is what was asked for, once."""
    done = [entry for entry in evidence.entries if entry.reference == story.reference]
    # The service of the idempotent tool takes a key once, however often it comes.
    times = len({entry.key for entry in done}) if story.kind == "deposit" else len(done)
    if times > 1:
        faults.doubled.append(f"{story.reference}: {story.kind} done {times} times")
    if story.kind not in TOOLS and done:
        faults.doubled.append(f"{story.reference}: {done[0].tool} was never asked for")
    if story.kind == "dispatch" and done and not story.approved:
        faults.doubled.append(f"{story.reference}: done though nobody said yes")
    claimed = DONE.format(story.reference) in str(story.last.turn.get("answer", ""))
    if story.kind in TOOLS and claimed and not times:
        faults.lost.append(f"{story.reference}: said to be done and was not")


def _repeats(evidence: Evidence, faults: Faults) -> None:
    """The same request again is the same turn again."""
    first = {sent.key: sent for story in evidence.stories for sent in story.sent}
    for key, again in evidence.repeated.items():
        turn = first[key].turn
        if (again.get("turn_id"), again.get("answer")) != (turn.get("turn_id"), turn.get("answer")):
            faults.doubled.append(f"{key}: came again and was answered anew")


def _rest(evidence: Evidence, faults: Faults) -> None:
    """Nothing runs, waits or holds a thread after all is quiet."""
    faults.stuck += [f"{thread}: takes no message" for thread in evidence.deaf]
    faults.stuck += [f"{thread}: its lease is held" for thread in evidence.stored.held]
    for row in evidence.stored.turns:
        if row["state"] in ("queued", "running"):
            faults.stuck.append(f"{row['thread']}: turn {row['id']} is {row['state']}")


def _accounts(evidence: Evidence, faults: Faults) -> None:
    """Each call that the model server saw is on the account of a turn of its thread.

    One that came back is found by its number; one whose process died is an estimate, without one.
    """
    threads = {str(row["id"]): str(row["thread"]) for row in evidence.stored.turns}
    of = {story.reference: story.thread for story in evidence.stories}
    known: set[int] = set()
    estimates: Counter[str] = Counter()
    for call in evidence.stored.calls:
        if call["model"] != MODEL:
            continue
        if call["cost_usd"] <= 0:
            faults.unaccounted.append(f"turn {call['turn']}: a call without a cost")
        if call["ok"]:
            known.add(int(call["output_tokens"]))
        else:
            estimates[threads[str(call["turn"])]] += 1
    missing: defaultdict[str, list[Seen]] = defaultdict(list)
    for one in evidence.seen:
        if one.number not in known:
            missing[of.get(one.reference, "?")].append(one)
    for thread, calls in missing.items():
        for one in calls[estimates[thread] :]:
            faults.unaccounted.append(f"{thread}: model call {one.number} for {one.reference}")
    for story in evidence.stories:
        for sent in story.sent:
            turn = str(sent.turn.get("turn_id", ""))
            if turn and turn not in threads:
                faults.unaccounted.append(f"{sent.key}: turn {turn} is not on record")


def given_up(stories: Sequence[Story]) -> int:
    """Count requests that were closed because their process died before it began; they say so."""
    return sum(
        "its process ended before it began" in str(sent.turn.get("degraded_because"))
        for story in stories
        for sent in story.sent
    )
