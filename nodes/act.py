"""The tools part of a turn: choose, ask a person where one is needed, run one call at a time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from pydantic import JsonValue

from antiphon.nodes.state import (
    NOT_THEIRS,
    Approval,
    Context,
    Node,
    Ruling,
    Said,
    State,
    Update,
    caller,
    fresh_turn,
    knobs,
    step,
    stranger_to,
    taken_up,
    times_run,
    turn_id,
)
from antiphon.tools.guards import Rail, Subject
from antiphon.tools.models import LAST_RESORT, Models, Selection, Task
from antiphon.tools.tokens import TokenCounter
from antiphon.tools.toolbox import Caller, Plan, Toolbox, ToolCall, ToolResult
from antiphon.tools.toolbox.approval import question
from antiphon.tools.toolbox.schema import spoken
from antiphon.tools.turns.effects import Effects, changes_things
from antiphon.tools.turns.records import Decided

MAX_ROUNDS = 3
"""How often a model may ask for more tools within a turn."""
UNTOLD = "a call was not made: it fits no tool on offer"
"""Instead of a reason that would repeat what may not be said."""
RESUMED = "antiphon_resumed"
"""Metadata of a run inside a host's run that resumes something."""
LONGEST_ASKED = 2000
"""Characters of a question to an approver: what nobody reads to its end nobody consents to."""
MAX_CALLS = 5
"""How many calls a message may lead to at once; more are refused with the reason."""

Prompt = Callable[[State, Context], list[BaseMessage]]


def choose_tools(
    toolbox: Toolbox, models: Models, tokens: TokenCounter, prompt: Prompt, rail: Rail
) -> Node:
    """Plan the next calls: by the model's own tool calls, or by similarity when none can.

    A model's arguments are judged by the output rail before they enter the state: what it would
    remove from an answer is no argument either.
    """
    guarded = {spec.name for spec in toolbox.specs() if spec.approval}

    @step
    async def choose_tools(state: State, *, runtime: Runtime[Context]) -> Update:
        if times_run(state, "choose_tools") >= MAX_ROUNDS:
            return {"calls": (), "missing": None, "rejected": ()}
        context = knobs(runtime)
        messages = prompt(state, context)
        selection = models.select(_task(tokens.count_messages(messages), context))
        if selection.model == LAST_RESORT or state["missing"] is not None:
            plan = _bounded(await _by_similarity(toolbox, state), state, guarded)
            # Nobody could choose better for knowing why.
            return _planned(replace(plan, rejected=()))
        plan, spent = await _by_model(toolbox, models, selection, messages, state)
        plan = await _presentable(rail, plan, state, context)
        return {**spent, **_planned(_bounded(plan, state, guarded))}

    return choose_tools


def ask_approval(
    toolbox: Toolbox,
    effects: Effects,
    rail: Rail,
    *,
    wording: str,
    expire_s: float,
    clock: Callable[[], float] = time.time,
) -> Node:
    """Put the next call to a person, in words that passed the output rail.

    `wording`: how to ask about a call whose outcome is unknown, with a place for `what`.
    """
    specs = {spec.name: spec for spec in toolbox.specs()}

    @step
    async def ask_approval(state: State, *, runtime: Runtime[Context]) -> Update:
        call, again = state["calls"][0], state["doubt"]
        asked = question(specs[call.name], call)
        if again:
            asked = wording.format(what=spoken(call.name))
        subject = Subject(tenant=knobs(runtime).tenant, evidence=(state["question"],))
        verdict = await rail.judge(asked, subject)
        long = len(asked) > LONGEST_ASKED
        if long or not verdict.allowed or verdict.text != asked:
            # What would be asked is not what would be run.
            why = f"what it would ask a person {'is too long' if long else 'may not be shown'}"
            return {
                "calls": state["calls"][1:],
                "results": (*state["results"], _refused(call, why)),
                "violations": (*state["violations"], *verdict.violations),
                "doubt": False,
            }
        await effects.plan(call, caller=caller(runtime), turn=state["turn"])
        known = await effects.look(call, caller=caller(runtime)) if again else None
        attempts = max(known.attempts, 1) if known is not None else int(again)
        approval = Approval(
            # One consent is good for one attempt, so each attempt has a name of its own.
            id=f"{call.idempotency_key[:20]}{f'-again-{attempts}' if again else ''}",
            question=verdict.text,
            calls=state["calls"],
            results=state["results"],
            message=state["question"],
            standalone=state["standalone"],
            intent=state["intent"],
            cards=state["cards"],
            asked=(now := clock()),
            expires=now + expire_s,
            again=attempts,
            # LangGraph hands a decision that led here on to whatever a host's next run asks.
            named=_resumed() or times_run(state, "await_decision") > 0,
        )
        said = AIMessage(content=verdict.text, id=f"{state['turn']}-approval-{len(state['trail'])}")
        return {
            "awaiting": approval,
            "answer": verdict.text,
            "messages": Said(messages=(said,)),  # type: ignore[typeddict-item]
            "outcome": "awaiting_approval",
            "phase": "tool_execution",
            "violations": (*state["violations"], *verdict.violations),
            "calls": (),
            "doubt": False,
        }

    return ask_approval


def await_decision(toolbox: Toolbox, *, clock: Callable[[], float] = time.time) -> Node:
    """Wait for a person; the turn goes on once a decision names what waits.

    A decision about anything else, or with arguments the tool does not take, leaves it waiting
    and says why. It is waited for once a run of the node: the next one is another task, so that
    nothing that was given before is ever read again.
    """

    @step
    async def await_decision(state: State, *, runtime: Runtime[Context]) -> Update:
        approval = state["awaiting"]
        assert approval is not None, "only a pending call leads here"  # noqa: S101
        given = interrupt({**request(approval), "answer": state["answer"]})
        read = _ruling(given, approval, toolbox, strict=runtime.server_info is not None)
        if stranger_to(state, runtime):
            # Under another name from now on: what a stranger said is never taken for the owner's.
            name = f"{approval.id.partition('~')[0]}~{secrets.token_hex(8)}"
            renamed = replace(approval, id=name, named=True)
            return {"awaiting": replace(renamed, problem=NOT_THEIRS.reason), "decided": None}
        if isinstance(read, str):
            return {"awaiting": replace(approval, problem=read), "decided": None}
        approval = replace(approval, problem="")
        return {
            **fresh_turn(turn_id(runtime), clock()),
            **taken_up(approval),
            "decided": replace(read, expired=clock() > approval.expires),
        }

    return await_decision


def call_tools(toolbox: Toolbox, effects: Effects, *, declined: str, expired: str) -> Node:
    """Run the next call; what changes something is noted first and never run twice.

    One call a step: each result is checkpointed before the next call starts.
    """
    specs = {spec.name: spec for spec in toolbox.specs()}

    @step
    async def call_tools(state: State, *, runtime: Runtime[Context]) -> Update:
        call, *rest = state["calls"]
        spec, who = specs.get(call.name), caller(runtime)
        approval, ruling = state.get("awaiting"), state["decided"]
        update: Update = {"calls": tuple(rest), "phase": "tool_execution", "decided": None}
        if spec is None:
            # The assistant changed while the call waited.
            gone = _refused(call, "there is no such tool any more")
            return {**update, "awaiting": None, "results": (*state["results"], gone)}
        again = 0
        if ruling is not None and approval is not None:
            update["awaiting"] = None
            again = approval.again
            known = await effects.look(call, caller=who)
            out = known is not None and known.out
            edited = None if out else ruling.arguments
            plan = toolbox.revalidate(call, edited)
            call = next(iter(plan.calls), call)
            await effects.decided(_on_record(ruling, approval, call, state["turn"], who))
            result = _not_run(call, ruling, plan, declined=declined, expired=expired)
            if known is not None and out and (result is not None or ruling.arguments is not None):
                # Whatever was decided now: it went out, and what came of it is told.
                result = None if known.state == "done" else _unknown(call)
            if result is not None:
                return {**update, "results": (*state["results"], result)}
        elif spec.approval:
            # No edge leads here; if one ever does, nothing runs without its yes.
            return {**update, "results": (*state["results"], _refused(call, "nobody approved it"))}
        if not changes_things(spec):
            done: ToolResult | None = await toolbox.execute(call, caller=who)
        else:
            done = await effects.run(
                spec,
                call,
                lambda one: toolbox.execute(one, caller=who),
                caller=who,
                turn=state["turn"],
                again=again,
            )
        if done is None and update.get("awaiting", approval) is None:
            return {**update, "calls": (call, *rest), "doubt": True}
        # One question at a time: while another call waits, this one is only told of.
        done = done or _unknown(call)
        return {**update, "results": (*state["results"], done)}

    return call_tools


def remind(
    effects: Effects,
    *,
    wording: str,
    expired: str,
    doubtful: str,
    clock: Callable[[], float] = time.time,
) -> Node:
    """Say again what waits for a person, after whatever else was answered; or that it expired."""

    @step
    async def remind(state: State, *, runtime: Runtime[Context]) -> Update:
        approval = state.get("awaiting")
        assert approval is not None, "only a pending call leads here"  # noqa: S101
        over = clock() > approval.expires
        said = wording.format(question=approval.question)
        if over:
            known = await effects.look(approval.calls[0], caller=caller(runtime))
            out = known is not None and known.out
            said = doubtful.format(what=spoken(approval.calls[0].name)) if out else expired
        message = AIMessage(content=said, id=f"{state['turn']}-reminder")
        update: Update = {
            "answer": f"{state['answer']}\n\n{said}".strip(),
            "messages": Said(messages=(message,)),  # type: ignore[typeddict-item]
            "decided": None,
        }
        return {**update, "awaiting": None} if over else update

    return remind


def _resumed() -> bool:
    """Say whether the host's run resumes something, and so holds a decision already."""
    given = (var_child_runnable_config.get() or {}).get("metadata", {})
    return bool(given.get(RESUMED))


def request(approval: Approval) -> dict[str, JsonValue]:
    """Return what an approver is shown: plain JSON, so that any client can."""
    call = approval.calls[0]
    shown: dict[str, JsonValue] = {
        "interrupt_id": approval.id,
        "id": call.id,
        "tool": call.name,
        "arguments": call.arguments,
        "question": approval.question,
        "expires": datetime.fromtimestamp(approval.expires, UTC).isoformat(timespec="seconds"),
    }
    return {**shown, "problem": approval.problem} if approval.problem else shown


def _ruling(given: object, approval: Approval, toolbox: Toolbox, *, strict: bool) -> Ruling | str:
    """Read a resume value, or say what is wrong with it.

    A host graph resumes its own interrupt and may leave the id out; over a server (`strict`) a
    late click could meet another call than the one that was seen, so there it must be named.
    """
    value = {"approved": given} if isinstance(given, bool) else given
    if not isinstance(value, Mapping) or not isinstance(value.get("approved"), bool):
        return 'a decision is {"approved": true or false, "interrupt_id": "..."}'
    named = value.get("interrupt_id")
    if named != approval.id and (named is not None or strict or approval.named):
        return f"the decision is not about what waits: its interrupt_id is {approval.id!r}"
    arguments = value.get("arguments")
    if arguments is not None:
        if not isinstance(arguments, dict):
            return "arguments must be an object"
        plan = toolbox.revalidate(approval.calls[0], arguments)
        if not plan.calls:
            return plan.why
    return Ruling(
        approved=value["approved"], arguments=arguments, reason=str(value.get("reason") or "")
    )


def _not_run(
    call: ToolCall, ruling: Ruling, plan: Plan, *, declined: str, expired: str
) -> ToolResult | None:
    """Return why a decided call is not made; None when it is."""
    if ruling.expired:
        said, code = expired, "expired"
    elif not ruling.approved:
        said, code = declined, "declined"
    elif not plan.calls:
        return _refused(call, plan.why)
    else:
        return None
    return ToolResult(call_id=call.id, name=call.name, ok=False, content=said, error=code)


def _on_record(
    ruling: Ruling, approval: Approval, call: ToolCall, turn: str, who: Caller
) -> Decided:
    return Decided(
        tenant=who.tenant,
        thread=who.thread,
        interrupt_id=approval.id,
        turn=turn,
        tool=call.name,
        arguments=call.arguments,
        approved=ruling.approved and not ruling.expired,
        by=who.user,
        reason=ruling.reason,
    )


async def _by_similarity(toolbox: Toolbox, state: State) -> Plan:
    if state["results"]:
        return Plan()
    intent = state["intent"]
    return await toolbox.choose(
        state["question"] if state["missing"] else state["standalone"],
        turn=state["turn"],
        among=intent.tools if intent else (),
        pending=state["missing"],
    )


async def _by_model(
    toolbox: Toolbox,
    models: Models,
    selection: Selection,
    messages: list[BaseMessage],
    state: State,
) -> tuple[Plan, Update]:
    allowed = state["intent"].tools if state["intent"] else ()
    offered = [spec.tool for spec in toolbox.specs() if not allowed or spec.name in allowed]
    reply = await models.reply(selection, messages, tools=offered)
    if reply.model == LAST_RESORT:
        plan = await _by_similarity(toolbox, state)
    else:
        plan = _joined(
            toolbox.validate(call["name"], call["args"], turn=state["turn"])
            if not allowed or call["name"] in allowed
            else Plan(rejected=(f"{call['name'][:100]}: this tool is not offered here",))
            for call in reply.message.tool_calls
        )
    done = {result.call_id for result in state["results"]}
    spent: Update = {
        "usage": state["usage"] + reply.usage,
        "cost_usd": state["cost_usd"] + reply.cost_usd,
        "model_failures": (*state["model_failures"], *reply.failed),
    }
    left = tuple(call for call in plan.calls if call.id not in done)
    return replace(plan, calls=left), spent


async def _presentable(rail: Rail, plan: Plan, state: State, context: Context) -> Plan:
    """Refuse whatever holds what may not be said: no unjudged word of a model goes on.

    A call is judged whole, names and numbers too; so is one that lacks an argument, and the reason
    why another was turned away.
    """
    evidence = (state["question"], *(card.text for card in state["cards"]))
    subject = Subject(tenant=context.tenant, evidence=evidence)

    async def passes(value: JsonValue) -> bool:
        text = "\n".join(_words(value))
        if not text.strip():
            return True
        verdict = await rail.judge(text, subject)
        return verdict.allowed and verdict.text == text

    kept = [call for call in plan.calls if await passes(call.arguments)]
    missing = plan.missing
    if missing is not None and not await passes(missing.arguments):
        missing = None
    refused = [call.name for call in plan.calls if call not in kept]
    refused += [plan.missing.tool] if plan.missing is not None and missing is None else []
    return replace(
        plan,
        calls=tuple(kept),
        missing=missing,
        rejected=(
            *[why if await passes(why) else UNTOLD for why in plan.rejected],
            *(f"{name}: an argument holds what may not be passed on" for name in refused),
        ),
    )


def _words(value: JsonValue) -> Iterable[str]:
    """Yield all that stands in a value: texts, numbers, and the names of its fields."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _words(item)
    elif isinstance(value, list):
        for item in value:
            yield from _words(item)
    elif value is not None:
        yield str(value)


def _bounded(plan: Plan, state: State, guarded: set[str]) -> Plan:
    """Keep what may run now, and say why the rest may not."""
    kept: list[ToolCall] = []
    rejected = list(plan.rejected)
    for call in plan.calls:
        if len(kept) == MAX_CALLS:
            rejected.append(f"{call.name}: at most {MAX_CALLS} calls are made for a message")
        elif call.name in guarded and state.get("awaiting") is not None:
            rejected.append(f"{call.name}: another action waits for a decision first")
        else:
            kept.append(call)
    return replace(plan, calls=tuple(kept), rejected=tuple(rejected))


def _joined(plans: Iterable[Plan]) -> Plan:
    """Return one plan for all the calls of a model's message; the first question comes first."""
    plans = tuple(plans)
    return Plan(
        calls=tuple(call for plan in plans for call in plan.calls),
        missing=next((plan.missing for plan in plans if plan.missing), None),
        rejected=tuple(why for plan in plans for why in plan.rejected),
    )


def _planned(plan: Plan) -> Update:
    return {
        "calls": plan.calls,
        "missing": plan.missing,
        "rejected": plan.rejected,
        "phase": "tool_execution" if plan.calls else "information_gathering",
    }


def _unknown(call: ToolCall) -> ToolResult:
    return ToolResult(
        call_id=call.id,
        name=call.name,
        ok=False,
        content=f"It is not known whether the {spoken(call.name)} call took effect.",
        error="unknown",
        doubtful=True,
    )


def _refused(call: ToolCall, why: str) -> ToolResult:
    sentence = f"The {spoken(call.name)} call was not made: {why}."
    return ToolResult(call_id=call.id, name=call.name, ok=False, content=sentence, error="invalid")


def _task(input_tokens: int, context: Context) -> Task:
    return Task(
        input_tokens=input_tokens,
        output_tokens=100,
        needs=frozenset({"chat", "tools"}),
        max_cost_usd=context.max_cost_usd,
        min_quality=context.min_quality,
        prefer=context.model,
        tenant=context.tenant,
    )
