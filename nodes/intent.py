"""What the message is after, and the question to ask when that is unclear."""

from __future__ import annotations

from collections.abc import Mapping

from langchain_core.messages import AIMessage
from langgraph.runtime import Runtime

from antiphon.nodes.state import Context, Node, Pending, Said, State, Update, step
from antiphon.tools.intent import Intent, IntentClassifier

CHANGED_SUBJECT = 0.6
"""Confidence above which a reply to an argument question is read as a new request."""


def classify_intent(intents: IntentClassifier) -> Node:
    """Read the message; an answer to our own question is read in its light."""

    @step
    async def classify_intent(state: State, *, runtime: Runtime[Context]) -> Update:
        pending = state.get("pending")
        if pending is not None and pending.missing is not None:
            fresh = await intents.classify(state["question"])
            tool = pending.missing.tool
            if not _another_subject(fresh, tool):
                asked = Intent(
                    name=pending.among[0] if pending.among else tool,
                    confidence=1.0,
                    certainty="sure",
                    needs=("tools",),
                    tools=(tool,),
                )
                return {"intent": asked, "missing": pending.missing, "phase": "processing"}
            return {"intent": fresh, "standalone": state["question"], "phase": "processing"}
        if pending is None and state["standalone"] != state["question"]:
            fresh = await intents.classify(state["question"])
            if fresh.certainty == "sure" and not fresh.needs:
                # "Thanks" is short enough to lean on what was said, but asks for nothing.
                return {"intent": fresh, "standalone": state["question"], "phase": "processing"}
        among = pending.among if pending is not None else ()
        read = await intents.classify(state["standalone"], among=among)
        return {"intent": read, "phase": "processing"}

    return classify_intent


def ask_clarification(labels: Mapping[str, str], *, closed: str, open_ended: str) -> Node:
    """Ask the one question that is missing, and remember what it was about."""

    @step
    async def ask_clarification(state: State, *, runtime: Runtime[Context]) -> Update:
        missing, intent = state["missing"], state["intent"]
        among: tuple[str, ...]
        if missing is not None:
            question, among = missing.question, ((intent.name,) if intent else ())
        elif intent is not None and intent.certainty == "ambiguous":
            among = intent.candidates[:3]
            options = [labels.get(name) or name.replace("_", " ") for name in among]
            question = closed.format(options=" or ".join(options))
        else:
            question, among = open_ended, ()
        return {
            "messages": Said(  # type: ignore[typeddict-item]
                messages=(AIMessage(content=question, id=f"{state['turn']}-answer"),)
            ),
            "answer": question,
            "outcome": "clarifying",
            "phase": "intent_clarification",
            "pending": Pending(question=state["standalone"], among=among, missing=missing),
        }

    return ask_clarification


def _another_subject(fresh: Intent, tool: str) -> bool:
    return (
        fresh.certainty == "sure"
        and fresh.confidence >= CHANGED_SUBJECT
        and tool not in fresh.tools
    )
