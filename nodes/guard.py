"""The two rails: nothing goes on before guard_input, nothing is said before guard_output."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.runtime import Runtime

from antiphon.nodes.state import (
    NOT_THEIRS,
    Context,
    Judged,
    Node,
    Ruling,
    Said,
    State,
    Update,
    fresh_turn,
    knobs,
    owner_of,
    step,
    stranger_to,
    taken_up,
    turn_id,
    unread,
)
from antiphon.tools.claims import Judgement
from antiphon.tools.guards import Rail, Subject, Verdict, Violation
from antiphon.tools.toolbox.approval import decision
from antiphon.tools.turns.current import CURRENT

SMALL_TALK = "small_talk"
"""Marks an answer to what asked for nothing: a follow-up does not lean on it."""
WITHHELD = "[message withheld by a guard]"
"""What stands in the thread in place of a message that was refused."""
SENT = "antiphon_sent"
"""Metadata of a run that waited in a server's queue: when it was put there, in seconds."""
MOST_UNREAD = 8
"""How many messages one run may bring; a run that brings more is refused."""


def guard_input(
    rail: Rail,
    *,
    languages: Sequence[str] = ("en",),
    clock: Callable[[], float] = time.time,
) -> Node:
    """Start the turn: empty the last one's fields, judge every new message, or refuse.

    Where a call waits for a person, a plain yes or no in one of the `languages` decides it.
    """

    @step
    async def guard_input(state: State, *, runtime: Runtime[Context]) -> Update:
        turn = fresh_turn(turn_id(runtime), clock())
        subject = Subject(tenant=knobs(runtime).tenant)
        new = unread(state)
        if stranger_to(state, runtime):
            kept = [HumanMessage(content=WITHHELD, id=message.id) for message in new]
            said = Said(messages=tuple(kept))
            refusal = {"outcome": "refused", "violations": (NOT_THEIRS,)}
            return {**turn, **refusal, "messages": said}  # type: ignore[typeddict-item]
        verdicts = [await rail.judge(message.text, subject) for message in new[:MOST_UNREAD]]
        if 1 < len(new) <= MOST_UNREAD and all(verdict.allowed for verdict in verdicts):
            # Read together as they are answered: what each hides a piece of shows in the whole.
            verdicts = await _together(rail, verdicts, subject)
        violations = tuple(item for verdict in verdicts for item in verdict.violations)
        violations += _miscounted(len(new))
        refused = bool(_miscounted(len(new))) or not all(item.allowed for item in verdicts)
        question = "" if refused else "\n".join(verdict.text for verdict in verdicts)
        kept = [
            HumanMessage(content=_kept(verdicts, place, refused=refused), id=message.id)
            for place, message in enumerate(new)
        ]
        return {
            **turn,
            "owner": owner_of(runtime),
            "messages": Said(messages=tuple(kept)),  # type: ignore[typeddict-item]
            "question": question,
            "violations": violations,
            "outcome": "refused" if refused else "answered",
            **_still_waiting(state),
            **({} if refused else _decided(state, question, languages, clock())),
        }

    return guard_input


async def _together(rail: Rail, verdicts: list[Verdict], subject: Subject) -> list[Verdict]:
    whole = await rail.judge("\n".join(verdict.text for verdict in verdicts), subject)
    if whole.allowed:
        return verdicts
    return [replace(verdicts[0], allowed=False, violations=whole.violations), *verdicts[1:]]


def _kept(verdicts: Sequence[Verdict], place: int, *, refused: bool) -> str:
    if place >= len(verdicts) or not verdicts[place].allowed:
        return WITHHELD
    # What came with a refused message is not answered, so nothing later may lean on it.
    return WITHHELD if refused else verdicts[place].text


def _miscounted(count: int) -> tuple[Violation, ...]:
    if 0 < count <= MOST_UNREAD:
        return ()
    why = f"{count} messages at once" if count else "there is no message to answer"
    return (Violation(guard="input", severity="warning", action="blocked", reason=why),)


def _still_waiting(state: State) -> Update:
    """Forget what was wrong with a decision once something else is said."""
    approval = state.get("awaiting")
    if approval is None or not approval.problem:
        return {}
    return {"awaiting": replace(approval, problem="")}


def _decided(state: State, said: str, languages: Sequence[str], now: float) -> Update:
    """Read the message as the decision that is waited for, if it is one."""
    approval = state.get("awaiting")
    # While a question of another kind is open too, a yes may be meant for that one.
    if approval is None or state.get("pending") is not None or _sent_before(approval.asked):
        return {}
    approved = decision(said, languages)
    if approved is None:
        return {}
    return {
        **taken_up(approval),
        "decided": Ruling(approved=approved, expired=now > approval.expires),
    }


def _sent_before(asked: float) -> bool:
    """Say whether the message may have been sent before the question was there to be seen.

    Nobody says yes to what they have not seen: not with a second click, nor a message that waited
    while another turn had the thread.
    """
    running = CURRENT.get()
    if running is not None:
        return running.late
    sent = (var_child_runnable_config.get() or {}).get("metadata", {}).get(SENT)
    return isinstance(sent, float) and sent <= asked


def evidence_of(state: State) -> tuple[str, ...]:
    """Return what a draft may rest on: the passages and what the tools said."""
    return (
        *(card.text for card in state["cards"]),
        *(result.said or result.content for result in state["results"]),
    )


async def judge_draft(
    rail: Rail,
    draft: str,
    state: State,
    context: Context,
    *,
    language: str,
    judgements: tuple[Judgement, ...] | None = None,
) -> Verdict:
    """Hold a draft against the output rail and the turn's evidence.

    `judgements`: of its claims, where they were judged already.
    """
    evidence = evidence_of(state)
    subject = Subject(
        tenant=context.tenant,
        evidence=evidence,
        language=next((card.language for card in state["cards"] if card.language), language),
        expects_evidence=bool(evidence)
        and not state["cached"]
        and state["outcome"] in ("answered", "degraded"),
        judgements=judgements,
    )
    return await rail.judge(draft, subject)


def judged(verdict: Verdict) -> Update:
    """Return a judged draft as it may enter the state: what did not pass is not in it."""
    passed = verdict.allowed and not _ungrounded(verdict.violations)
    return {
        "draft": verdict.text if passed else "",
        "judged": Judged(allowed=verdict.allowed, violations=verdict.violations),
    }


def guard_output(rail: Rail, *, language: str) -> Node:
    """Let only a draft that passes become the answer and join the conversation.

    A model's draft was judged before it entered the state; any other is judged here.
    `language`: of the evidence where no passage says its own.
    """

    @step
    async def guard_output(state: State, *, runtime: Runtime[Context]) -> Update:
        verdict, draft = state["judged"], state["draft"]
        if verdict is None:
            found = await judge_draft(rail, draft, state, knobs(runtime), language=language)
            verdict = Judged(allowed=found.allowed, violations=found.violations)
            draft = found.text
        violations = (*state["violations"], *verdict.violations)
        gone: Update = {"violations": violations, "draft": "", "citations": (), "judged": None}
        if not verdict.allowed:
            return {**gone, "outcome": "refused"}
        if _ungrounded(verdict.violations):
            return {**gone, "outcome": "abstained"}
        intent = state["intent"]
        said = AIMessage(
            content=draft,
            id=f"{state['turn']}-answer",
            response_metadata={SMALL_TALK: intent is not None and not intent.needs},
        )
        return {
            "violations": violations,
            "answer": draft,
            "messages": Said(messages=(said,)),  # type: ignore[typeddict-item]
        }

    return guard_output


def _ungrounded(violations: Sequence[Violation]) -> bool:
    return any(item.guard == "grounding" for item in violations)
