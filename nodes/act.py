"""The tools part of a turn: choose, ask for approval, run one call at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from langchain_core.messages import BaseMessage
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from antiphon.nodes.state import Context, Node, State, Update, caller, knobs, step, times_run
from antiphon.tools.models import LAST_RESORT, Models, Selection, Task
from antiphon.tools.tokens import TokenCounter
from antiphon.tools.toolbox import Plan, Toolbox, ToolCall, ToolResult, ToolSpec
from antiphon.tools.toolbox.approval import decision, question

MAX_ROUNDS = 3
"""How often a model may ask for more tools within a turn."""

Prompt = Callable[[State, Context], list[BaseMessage]]


def choose_tools(toolbox: Toolbox, models: Models, tokens: TokenCounter, prompt: Prompt) -> Node:
    """Plan the next calls: by the model's own tool calls, or by similarity when none can."""

    @step
    async def choose_tools(state: State, *, runtime: Runtime[Context]) -> Update:
        if times_run(state, "choose_tools") >= MAX_ROUNDS:
            return {"calls": (), "missing": None}
        context = knobs(runtime)
        messages = prompt(state, context)
        selection = models.select(_task(tokens.count_messages(messages), context))
        if selection.model == LAST_RESORT or state["missing"] is not None:
            return _planned(await _by_similarity(toolbox, state))
        return await _by_model(toolbox, models, selection, messages, state)

    return choose_tools


def call_tools(toolbox: Toolbox, *, declined: str) -> Node:
    """Run the next call; what changes the world waits for a person's yes first.

    One call a step: each result is checkpointed before the next call starts, so that an
    interruption or a resume never runs a finished call again.
    """
    specs = {spec.name: spec for spec in toolbox.specs()}

    @step
    async def call_tools(state: State, *, runtime: Runtime[Context]) -> Update:
        call, *rest = state["calls"]
        spec = specs[call.name]
        update: Update = {"calls": tuple(rest), "phase": "tool_execution"}
        approved = True
        if spec.approval:
            approved = _approved(interrupt(_request(spec, call)))
            # The time a person took to decide is not ours: the turn's clock goes on from here.
            update["started"] = time.time() - sum(step["ms"] for step in state["trail"]) / 1000
        if not approved:
            result = ToolResult(
                call_id=call.id, name=call.name, ok=False, content=declined, error="declined"
            )
        else:
            result = await toolbox.execute(call, caller=caller(runtime))
        return {**update, "results": (*state["results"], result)}

    return call_tools


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
) -> Update:
    allowed = state["intent"].tools if state["intent"] else ()
    offered = [spec.tool for spec in toolbox.specs() if not allowed or spec.name in allowed]
    reply = await models.reply(selection, messages, tools=offered)
    if reply.model == LAST_RESORT:
        plan = await _by_similarity(toolbox, state)
    else:
        plan = _joined(
            toolbox.validate(call["name"], call["args"], turn=state["turn"])
            for call in reply.message.tool_calls
            if not allowed or call["name"] in allowed
        )
    done = {result.call_id for result in state["results"]}
    return {
        **_planned(replace(plan, calls=tuple(call for call in plan.calls if call.id not in done))),
        "usage": state["usage"] + reply.usage,
        "cost_usd": state["cost_usd"] + reply.cost_usd,
        "model_failures": (*state["model_failures"], *reply.failed),
    }


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
        "phase": "tool_execution" if plan.calls else "information_gathering",
    }


def _task(input_tokens: int, context: Context) -> Task:
    return Task(
        input_tokens=input_tokens,
        output_tokens=100,
        needs=frozenset({"chat", "tools"}),
        max_cost_usd=context.max_cost_usd,
        min_quality=context.min_quality,
        prefer=context.model,
    )


def _request(spec: ToolSpec, call: ToolCall) -> dict[str, object]:
    """What an approver is shown; plain JSON, so that any client can."""
    return {
        "id": call.id,
        "tool": call.name,
        "arguments": call.arguments,
        "question": question(spec, call),
    }


def _approved(answer: object) -> bool:
    """Read a resume value: true, {"approved": true} or a plain yes; anything else is a no."""
    if isinstance(answer, dict):
        answer = answer.get("approved")
    if isinstance(answer, str):
        answer = decision(answer)
    return answer is True
