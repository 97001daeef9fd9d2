"""The words: choose the model, put the strict prompt to it, cite what it rests on, or refuse."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import replace

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langgraph.runtime import Runtime

from antiphon.nodes.guard import evidence_of, judge_draft, judged
from antiphon.nodes.recover import Aftermath
from antiphon.nodes.state import Context, Node, Said, State, Update, knobs, step
from antiphon.prompts.library import Prompts
from antiphon.tools.claims import Examined, Examiner, Judgement
from antiphon.tools.errors import ModelUnavailable
from antiphon.tools.guards import Action, Rail, Verdict, Violation
from antiphon.tools.models import LAST_RESORT, Models, Reply, Task
from antiphon.tools.retrieval.context import IN_TEXT, fence, fence_result
from antiphon.tools.retrieval.marks import free_tag
from antiphon.tools.tokens import TokenCounter

AGAIN_S = 20.0
"""How long after its start a node may ask a model again, and how long that may take."""


class Prompting:
    """The prompt of a turn: one place that knows what a model gets to read."""

    def __init__(self, prompts: Prompts, *, persona: str) -> None:
        self._prompts = prompts
        self._persona = persona

    def answer(self, state: State, context: Context) -> list[BaseMessage]:
        """Return the messages that ask for the answer."""
        intent = state["intent"]
        common = {
            "persona": self._persona,
            "locale": context.locale,
            "summary": state.get("summary", ""),
            "memories": "\n".join(f"- {memory.text}" for memory in state["memories"]),
        }
        if state["cards"] or state["results"] or intent is None or intent.needs:
            passages = fence(state["cards"], tag=self.tag(state))
            system = self._prompts.render(
                "answer", passages=passages, results=self._results(state), **common
            )
        else:
            suggested = "\n".join(
                f"<suggested_reply>{reply}</suggested_reply>" for reply in intent.replies
            )
            system = self._prompts.render("small_talk", suggestions=suggested, **common)
        return [SystemMessage(content=system), *self._said(state)]

    def tag(self, state: State) -> str:
        """Return the tag of this turn's marks: nothing that a model reads holds one like it."""
        intent = state["intent"]
        return free_tag(
            (
                *evidence_of(state),
                *(message.text for message in self._said(state)),
                *(memory.text for memory in state["memories"]),
                *(intent.replies if intent else ()),
                state.get("summary", ""),
            )
        )

    def revision(
        self, messages: Sequence[BaseMessage], said: str, wrong: Sequence[Judgement]
    ) -> list[BaseMessage]:
        """Return the messages that ask for the answer again, with what was wrong with it."""
        problems = "\n".join(
            f"- {one.claim} ({one.reason})\n  {one.quote}".rstrip().translate(IN_TEXT)
            for one in wrong
        )
        asked = self._prompts.render("revise", problems=problems)
        return [*messages, AIMessage(content=said), HumanMessage(content=asked)]

    def choice(self, state: State, context: Context) -> list[BaseMessage]:
        """Return the messages that ask a model which tools to call."""
        system = self._prompts.render("choose_tools", persona=self._persona, locale=context.locale)
        refused = "\n".join(
            fence_result("refused", False, why) for why in state.get("rejected", ())
        )
        results = "\n".join(filter(None, (self._results(state), refused)))
        told = [SystemMessage(content=results)] if results else []
        return [SystemMessage(content=system), *told, *self._said(state)]

    def _said(self, state: State) -> list[BaseMessage]:
        earlier = state["messages"][:-1]
        window = earlier[len(earlier) - state["window"] :] if state["window"] else []
        return [*window, HumanMessage(content=state["standalone"] or state["question"])]

    def _results(self, state: State) -> str:
        return "\n".join(
            fence_result(result.name, result.ok, result.said or result.content)
            for result in state["results"]
        )


def select_model(
    models: Models, prompting: Prompting, tokens: TokenCounter, *, output_tokens: int
) -> Node:
    """Score the models for this prompt; the choice and its reasons stay in state."""

    @step
    async def select_model(state: State, *, runtime: Runtime[Context]) -> Update:
        context = knobs(runtime)
        task = Task(
            input_tokens=tokens.count_messages(prompting.answer(state, context)),
            output_tokens=output_tokens,
            max_cost_usd=context.max_cost_usd,
            min_quality=context.min_quality,
            prefer=context.model,
            tenant=context.tenant,
        )
        return {"selection": models.select(task), "phase": "response_generation"}

    return select_model


def respond(
    models: Models, prompting: Prompting, examiner: Examiner, rail: Rail, *, language: str
) -> Node:
    """Draft the answer and have it judged: no unjudged word of a model enters the state.

    Without a selection the last resort speaks (degraded mode).

    The claims are judged once; what is left of the draft, its citations, its support and what the
    rail makes of it come from the same judgements. A model that contradicted its evidence is asked
    again, once, where the policy says so and neither time nor budget forbids it.
    """

    @step
    async def respond(state: State, *, runtime: Runtime[Context]) -> Update:
        began = time.perf_counter()
        context = knobs(runtime)
        messages = prompting.answer(state, context)
        selection = state["selection"]

        evidence, tag = evidence_of(state), prompting.tag(state)

        async def examined(reply: Reply) -> Examined:
            return await examiner.examine(
                reply.message.text,
                question=state["standalone"] or state["question"],
                cards=state["cards"],
                evidence=evidence,
                texts=(*evidence, state["question"]),
                tag=tag,
                language=language,
            )

        if selection is None:
            reply = await models.last_resort(messages)
        else:
            reply = await models.reply(selection, messages)
        found = await examined(reply)
        usage, cost = state["usage"] + reply.usage, state["cost_usd"] + reply.cost_usd
        again = (
            examiner.policy.contradicted == "regenerate"
            and selection is not None
            and bool(found.contradicted)
            and reply.model != LAST_RESORT
            and time.perf_counter() - began < AGAIN_S
            and cost + selection.cost_usd <= context.max_cost_usd
        )
        if again and selection is not None:
            asked = prompting.revision(messages, reply.message.text, found.contradicted)
            second = await _within(AGAIN_S, models.reply(selection, asked))
            if second is not None:
                usage, cost = usage + second.usage, cost + second.cost_usd
                reply, found = second, await examined(second)
        if found.fault:
            passed = judged(_withheld(found, critical=examiner.policy.critical))
        else:
            verdict = await judge_draft(
                rail, found.answer, state, context, language=language, judgements=found.judgements
            )
            noted = (*_notes(found), *verdict.violations)
            passed = judged(replace(verdict, violations=noted))
        fell_back = reply.model == LAST_RESORT and bool(reply.failed)
        return {
            **passed,
            "citations": found.citations,
            "support": found.support,
            "model": reply.model,
            "usage": usage,
            "cost_usd": cost,
            "model_failures": (*state["model_failures"], *reply.failed),
            "outcome": "degraded" if fell_back or state["failure"] else state["outcome"],
            "phase": "response_generation",
        }

    return respond


async def _within(seconds: float, asking: Awaitable[Reply]) -> Reply | None:
    """Return a reply, or None where there is none in time: the first one is there."""
    try:
        async with asyncio.timeout(seconds):
            return await asking
    except (TimeoutError, ModelUnavailable):
        return None


def _withheld(found: Examined, *, critical: bool) -> Verdict:
    """Return the verdict on a draft that may not be given: refused, or an "I don't know"."""
    blocked = found.fault == "blocked" or (found.fault == "failed" and critical)
    action: Action = "failed" if found.fault == "failed" else "blocked" if blocked else "removed"
    violation = Violation(guard="grounding", severity="high", action=action, reason=found.reason)
    return Verdict(allowed=not blocked, text="", violations=(violation,))


def _notes(found: Examined) -> Iterator[Violation]:
    """Yield what was done to claims that were not borne out."""
    for one in found.removed:
        reason = f"{one.verdict}: {one.reason}"
        yield Violation(guard="claims", severity="info", action="removed", reason=reason)
    for one in found.flagged:
        yield Violation(guard="claims", severity="info", action="noted", reason=one.reason)


def refuse(*, refused: str, because: Mapping[str, str], aftermath: Aftermath) -> Node:
    """Say in fixed words why there is no answer: a guard blocked it, or recovery found no way.

    `because`: what to say instead of the apology, by the code of the failure. What was done before
    is always told: nobody is asked to try again what has happened already.
    """

    @step
    async def refuse(state: State, *, runtime: Runtime[Context]) -> Update:
        blocked = [item for item in state["violations"] if item.action in ("blocked", "failed")]
        if state["failure"] is not None:
            said = aftermath.words(state, because.get(state["failure"].code))
        else:
            why = blocked[-1].reason if blocked else "not allowed"
            said = " ".join((*aftermath.done(state), refused.format(reason=why)))
        return {
            "messages": Said(  # type: ignore[typeddict-item]
                messages=(AIMessage(content=said, id=f"{state['turn']}-answer"),)
            ),
            "answer": said,
            "draft": "",
            "citations": (),
            "outcome": "degraded" if state["failure"] else "refused",
        }

    return refuse
