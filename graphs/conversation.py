"""The table: one user turn. Nodes with their policies, then every transition; nothing else."""

from __future__ import annotations

from langgraph.graph import START, StateGraph
from langgraph.types import RetryPolicy

from antiphon.graphs.edges import (
    after_account,
    after_asking,
    after_call,
    after_choice,
    after_decision,
    after_guard_input,
    after_guard_output,
    after_intent,
    after_look_up,
    after_recovery,
    after_retrieval,
    before_the_end,
)
from antiphon.graphs.services import Services
from antiphon.nodes.account import account
from antiphon.nodes.act import ask_approval, await_decision, call_tools, choose_tools, remind
from antiphon.nodes.cached import keep_answer, look_up_answer
from antiphon.nodes.guard import guard_input, guard_output
from antiphon.nodes.intent import ask_clarification, classify_intent
from antiphon.nodes.recall import recall, rewrite_query
from antiphon.nodes.recover import Aftermath, recover, to_apology, to_recovery
from antiphon.nodes.remember import remember
from antiphon.nodes.respond import Prompting, refuse, respond, select_model
from antiphon.nodes.retrieve import abstain, retrieve_context
from antiphon.nodes.state import Context, Input, Output, State
from antiphon.tools.cache import release
from antiphon.tools.claims import Examiner, Policy
from antiphon.tools.errors import KnowledgeLoading, KnowledgeUnavailable, transient
from antiphon.tools.models.accounted import Accounted
from antiphon.tools.retrieval.rewrite import Rewriter
from antiphon.tools.retrieval.search import Retriever
from antiphon.tools.turns.effects import changes_things

CAN_FAIL = {"recover": "failed"}

# What the static check (properties.py) reads: which nodes write a draft, and which let it out.
WRITES, GUARDS, DISCARDS = ({"draft": role} for role in ("writes", "guards", "discards"))
BOUNDED = {"bounded": "by how often it ran, or by what it leaves in state"}


TRANSIENT = RetryPolicy(max_attempts=2, initial_interval=0.2, retry_on=transient)


def aftermath(s: Services) -> Aftermath:
    """Return how a turn that failed is closed."""
    say = s.assistant.wording
    return Aftermath(
        effectful=frozenset(spec.name for spec in s.toolbox.specs() if changes_things(spec)),
        apology=say.apology,
        done_words=say.done,
        doubt_words=say.doubtful,
        broken=say.broken,
    )


def examiner(s: Services) -> Examiner:
    """Return what holds answers against their evidence, by the assistant's policy."""
    say, claims = s.assistant.wording, s.assistant.claims
    policy = Policy(unconfirmed=say.unconfirmed, unsure=say.unsure, **claims.model_dump())
    return Examiner(s.verifier, s.embedder, policy)


def build_conversation(s: Services) -> StateGraph[State, Context, Input, Output]:
    """Declare one turn; returned before compile, so that a host may add to it."""
    a, say, t = s.assistant, s.assistant.wording, s.deadlines
    prompting = Prompting(s.prompts, persona=a.persona)
    know = {"top_k": a.knowledge.top_k, "budget_tokens": a.knowledge.budget_tokens}
    labels = {intent.name: intent.label for intent in a.intents.declared}
    order = s.reranker.name if s.reranker else ""
    shaped_by = (
        release(),
        a.fingerprint,
        s.prompts.fingerprint,
        s.models.fingerprint,
        s.embedder.name,
        order,
    )
    asked = {spec.name for spec in s.toolbox.specs() if spec.approval}
    after = aftermath(s)
    table: StateGraph[State, Context, Input, Output] = (
        StateGraph(State, context_schema=Context, input_schema=Input, output_schema=Output)
        .set_node_defaults(timeout=t.default, error_handler=to_recovery)  # type: ignore[arg-type]  # langgraph has no type for (state, error)
        # what comes in
        .add_node("guard_input", guard_input(s.input_rail, languages=a.languages), timeout=t.guard, destinations=CAN_FAIL)
        .add_node("look_up_answer", look_up_answer(s.cache, s.knowledge, enabled=a.cache.enabled, personal=a.cache.personal, shaped_by=shaped_by), destinations=CAN_FAIL)
        .add_node("recall", recall(s.memory), destinations=CAN_FAIL)
        .add_node("rewrite_query", rewrite_query(Rewriter(Accounted(s.models, "rewrite"), s.prompts, s.tokens), s.output_rail), destinations=CAN_FAIL)
        .add_node("classify_intent", classify_intent(s.intents), destinations=CAN_FAIL)
        .add_node("ask_clarification", ask_clarification(labels, closed=say.clarify, open_ended=say.clarify_open), metadata=DISCARDS, destinations=CAN_FAIL)
        # what is known, what is done
        .add_node("retrieve_context", retrieve_context(Retriever(s.knowledge, reranker=s.reranker), s.tokens, **know), timeout=t.retrieve, retry_policy=TRANSIENT, destinations=CAN_FAIL)
        .add_node("abstain", abstain(wording=say.abstain, nearest=say.nearest, aftermath=after), metadata=BOUNDED, destinations=CAN_FAIL)
        .add_node("choose_tools", choose_tools(s.toolbox, Accounted(s.models, "tools"), s.tokens, prompting.choice, s.output_rail), timeout=t.respond, metadata={**WRITES, **BOUNDED}, destinations=CAN_FAIL)
        .add_node("ask_approval", ask_approval(s.toolbox, s.effects, s.output_rail, wording=say.again, expire_s=a.approvals.expire_s), timeout=t.guard, metadata={**DISCARDS, **BOUNDED}, destinations=CAN_FAIL)
        .add_node("await_decision", await_decision(s.toolbox), metadata=BOUNDED, destinations=CAN_FAIL)
        .add_node("call_tools", call_tools(s.toolbox, s.effects, declined=say.declined, expired=say.expired), timeout=t.tools, metadata=BOUNDED, destinations=CAN_FAIL)
        # what is said
        .add_node("select_model", select_model(s.models, prompting, s.tokens, output_tokens=a.models.output_tokens), destinations=CAN_FAIL)
        .add_node("respond", respond(Accounted(s.models, "answer"), prompting, examiner(s), s.output_rail, language=a.languages[0]), timeout=t.respond, metadata=WRITES, destinations=CAN_FAIL)
        .add_node("guard_output", guard_output(s.output_rail, language=a.languages[0]), timeout=t.guard, metadata=GUARDS, destinations=CAN_FAIL)
        .add_node("refuse", refuse(refused=say.refused, because={KnowledgeUnavailable.code: say.unreachable, KnowledgeLoading.code: say.loading}, aftermath=after), metadata=DISCARDS, destinations=CAN_FAIL)
        # what stays
        .add_node("keep_answer", keep_answer(s.cache, ttl_s=a.cache.ttl_s), destinations=CAN_FAIL)
        .add_node("remember", remember(s.memory), destinations=CAN_FAIL)
        .add_node("remind", remind(s.effects, wording=say.waiting, expired=say.expired, doubtful=say.doubtful), destinations=CAN_FAIL)
        .add_node("account", account(s.telemetry, s.respond_to), destinations=CAN_FAIL)
        .add_node("recover", recover(aftermath=after), error_handler=to_apology(after), metadata={**DISCARDS, **BOUNDED})  # type: ignore[call-overload]
        .add_edge(START, "guard_input")
        .add_conditional_edges("guard_input", after_guard_input(a.languages))
        .add_conditional_edges("look_up_answer", after_look_up)
        .add_edge("recall", "rewrite_query")
        .add_edge("rewrite_query", "classify_intent")
        .add_conditional_edges("classify_intent", after_intent)
        .add_conditional_edges("retrieve_context", after_retrieval(a.knowledge.min_confidence))
        .add_conditional_edges("choose_tools", after_choice(asked))
        .add_conditional_edges("ask_approval", after_asking(asked))
        .add_conditional_edges("await_decision", after_decision)
        .add_conditional_edges("call_tools", after_call(asked))
        .add_edge("select_model", "respond")
        .add_edge("respond", "guard_output")
        .add_edge("abstain", "guard_output")
        .add_conditional_edges("guard_output", after_guard_output)
        .add_edge("keep_answer", "remember")
        .add_edge("ask_clarification", "remember")
        .add_conditional_edges("remember", before_the_end)
        .add_conditional_edges("refuse", before_the_end)
        .add_edge("remind", "account")
        .add_conditional_edges("recover", after_recovery)
        .add_conditional_edges("account", after_account)
    )  # fmt: skip
    return table
