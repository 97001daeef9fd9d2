"""The words: choose the model, put the strict prompt to it, cite what it rests on, or refuse."""

from __future__ import annotations

from collections.abc import Mapping

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langgraph.runtime import Runtime

from antiphon.nodes.guard import evidence_of, judge_draft, judged
from antiphon.nodes.recover import Aftermath
from antiphon.nodes.state import Context, Node, Said, State, Update, knobs, step
from antiphon.prompts.library import Prompts
from antiphon.tools.claims import Verifier, borne_out
from antiphon.tools.guards import Rail
from antiphon.tools.models import LAST_RESORT, Models, Task
from antiphon.tools.retrieval.citations import cite, support
from antiphon.tools.retrieval.context import fence, fence_result
from antiphon.tools.retrieval.language import detect
from antiphon.tools.tokens import TokenCounter


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
            system = self._prompts.render(
                "answer", passages=fence(state["cards"]), results=self._results(state), **common
            )
        else:
            suggested = "\n".join(
                f"<suggested_reply>{reply}</suggested_reply>" for reply in intent.replies
            )
            system = self._prompts.render("small_talk", suggestions=suggested, **common)
        return [SystemMessage(content=system), *self._said(state)]

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
    models: Models, prompting: Prompting, verifier: Verifier, rail: Rail, *, language: str
) -> Node:
    """Draft the answer, cite it and have it judged: no unjudged word of a model enters the state.

    Without a selection the last resort speaks (degraded mode).

    Claims that the evidence denies or does not know are left out, unless nothing would remain.
    """

    @step
    async def respond(state: State, *, runtime: Runtime[Context]) -> Update:
        context = knobs(runtime)
        messages = prompting.answer(state, context)
        selection = state["selection"]
        if selection is None:
            reply = await models.last_resort(messages)
        else:
            reply = await models.reply(selection, messages)
        evidence = evidence_of(state)
        said = str(reply.message.text)
        spoken = detect(said, otherwise=language)
        if evidence:
            said = await borne_out(verifier, said, evidence, language=spoken) or said
        draft, citations = cite(said, state["cards"], language=spoken)
        fell_back = reply.model == LAST_RESORT and bool(reply.failed)
        verdict = await judge_draft(rail, draft, state, context, language=language)
        return {
            **judged(verdict),
            "citations": citations,
            "support": support(draft, evidence, language=spoken) if evidence else None,
            "model": reply.model,
            "usage": state["usage"] + reply.usage,
            "cost_usd": state["cost_usd"] + reply.cost_usd,
            "model_failures": (*state["model_failures"], *reply.failed),
            "outcome": "degraded" if fell_back or state["failure"] else state["outcome"],
            "phase": "response_generation",
        }

    return respond


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
