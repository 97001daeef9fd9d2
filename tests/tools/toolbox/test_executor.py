"""Tools are chosen, checked and run under breaker and deadline; failure is data."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import Field, JsonValue

from antiphon.tools.errors import AssistantError
from antiphon.tools.models.embeddings import make_embedder
from antiphon.tools.resilience import Switch, Switches
from antiphon.tools.toolbox import AssistantToolbox, Caller, Plan, ToolCall, ToolSpec

ADA = Caller(tenant="acme", user="ada", thread="t-1")
WORDS = ("order", "where", "refund", "money", "weather", "hello")


class WordVectors:
    """An embedder with one dimension a word, and a last one for all else."""

    name = "words"
    dimensions = len(WORDS) + 1

    def __init__(self) -> None:
        self.batches: list[int] = []

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return unit vectors of which words occur."""
        self.batches.append(len(texts))
        return [self._vector(text.lower()) for text in texts]

    def _vector(self, text: str) -> list[float]:
        marks = [float(word in text) for word in WORDS]
        marks.append(float(not any(marks)))
        size = sum(mark * mark for mark in marks) ** 0.5
        return [mark / size for mark in marks]


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def order_status(
    order_id: Annotated[str, Field(pattern=r"^[A-Z]-\d{4}$")], config: RunnableConfig
) -> dict[str, JsonValue]:
    """Tell where an order is."""
    who = config["configurable"]
    return {"status": "shipped", "tenant": who["tenant"], "user": who["user"], "eta": None}


async def refund(
    order_id: Annotated[str, Field(pattern=r"^[A-Z]-\d{4}$")],
    reason: Literal["late", "broken"],
    copies: int = 1,
) -> str:
    """Give the money back: a refund."""
    return f"{order_id} {reason} {copies}"


def spec(function: Callable[..., Any], **policy: Any) -> ToolSpec:
    """Declare `function` as a tool."""
    is_async = asyncio.iscoroutinefunction(function)
    tool: BaseTool = StructuredTool.from_function(
        None if is_async else function, coroutine=function if is_async else None
    )
    return ToolSpec(tool=tool, **policy)


def toolbox(*specs: ToolSpec, **options: Any) -> AssistantToolbox:
    """Return a toolbox over word vectors on a fixed day."""
    given = {"embedder": WordVectors(), "switches": Switches(), **options}
    return AssistantToolbox(specs, today=lambda: date(2026, 5, 6), **given)


def only_call(plan: Plan) -> ToolCall:
    """Return the plan's single call."""
    (call,) = plan.calls
    return call


async def test_a_message_becomes_a_call() -> None:
    """The likest tool is chosen and its argument read from the message."""
    box = toolbox(spec(order_status), spec(refund))
    call = only_call(await box.choose("where is my order A-1001?", turn="t"))
    assert ("order_status", {"order_id": "A-1001"}) == (call.name, call.arguments)


async def test_tools_are_embedded_once_in_one_batch() -> None:
    """The first message brings descriptions, examples and itself in one batch; later ones one."""
    embedder = WordVectors()
    box = toolbox(spec(order_status, examples=("where is it",)), spec(refund), embedder=embedder)
    await box.choose("where is my order A-1001?", turn="t")
    await box.choose("money back", turn="t")
    assert [4, 1] == embedder.batches


async def test_an_unlike_message_chooses_no_tool() -> None:
    """Below the threshold the plan is empty, unless only one tool is allowed anyway."""
    box = toolbox(spec(order_status), spec(refund))
    assert Plan() == await box.choose("how is the weather A-1001", turn="t")
    call = only_call(
        await box.choose("how is the weather A-1001", turn="t", among=["order_status"])
    )
    assert "order_status" == call.name
    assert Plan() == await box.choose("where is my order A-1001", turn="t", among=["gone"])


async def test_missing_arguments_are_asked_for_one_by_one() -> None:
    """Each reply fills what was asked, and anything else it states, until the call is whole."""
    box = toolbox(spec(refund, ask={"order_id": "Which order?"}))
    first = await box.choose("I want a refund", turn="t1")
    assert first.missing is not None
    assert ("order_id", "Which order?") == (first.missing.argument, first.missing.question)
    second = await box.choose("it's a-1001", turn="t2", pending=first.missing)
    assert second.missing is not None
    assert "Which reason (late or broken) is it?" == second.missing.question
    call = only_call(await box.choose("broken", turn="t3", pending=second.missing))
    assert {"order_id": "A-1001", "reason": "broken", "copies": 1} == call.arguments
    both = await box.choose("A-1001, it came late", turn="t4", pending=first.missing)
    assert "late" == only_call(both).arguments["reason"]


async def test_a_reply_that_is_no_answer_leaves_the_plan_empty() -> None:
    """Another subject after a question is read afresh, not forced into the argument."""
    box = toolbox(spec(order_status))
    asked = await box.choose("where is my order", turn="t")
    assert asked.missing is not None
    assert Plan() == await box.choose("what do you cost?", turn="t", pending=asked.missing)


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("no_such", {}, "no_such: no such tool; there are order_status, refund"),
        ("order_status", {"order_id": "x"}, "order_id: String should match pattern"),
        ("order_status", {"order_id": "A-1001", "size": 1}, "unknown argument 'size'; it takes"),
        ("order_status", {"order_id": "A-1001", "user": "eve"}, "'user' is set by the runtime"),
        ("order_status", {"order_id": "A-1001", "tenant": "x"}, "'tenant' is set by the runtime"),
        ("order_status", {"order_id": "A-1001", "config": {}}, "'config' is set by the runtime"),
        ("refund", {"order_id": "A-1001", "reason": "bored"}, "reason: Input should be 'late' or"),
        ("refund", {"order_id": "A-1001", "reason": "late", "copies": "x"}, "copies: Input should"),
    ],
)
def test_a_bad_call_is_rejected_with_its_reason(
    name: str, arguments: dict[str, JsonValue], reason: str
) -> None:
    """What a model got wrong is said in words it can act on."""
    plan = toolbox(spec(order_status), spec(refund)).validate(name, arguments, turn="t")
    assert ((), None) == (plan.calls, plan.missing)
    assert reason in plan.rejected[0]


def test_values_are_coerced_and_empty_ones_asked_for() -> None:
    """A number in quotes is a number; an empty or absent required value is a question."""
    box = toolbox(spec(refund))
    good = box.validate("refund", {"order_id": "A-1001", "reason": "late", "copies": "3"}, turn="t")
    assert 3 == only_call(good).arguments["copies"]
    for arguments in ({"reason": "late"}, {"order_id": "", "reason": "late"}):
        plan = box.validate("refund", {**arguments}, turn="t")
        assert plan.missing is not None
        assert ("order_id", {"reason": "late"}) == (
            plan.missing.argument,
            {k: v for k, v in plan.missing.arguments.items() if k == "reason"},
        )


def test_plain_json_schema_tools_are_checked_too() -> None:
    """A tool of another server, known by JSON schema alone, gets the same checks."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1}, "unit": {"default": "km"}},
        "required": ["n"],
    }
    tool = StructuredTool(name="far", description="Far.", args_schema=schema, func=lambda **_: 1)
    box = toolbox(ToolSpec(tool=tool))
    assert {"n": 3, "unit": "km"} == only_call(box.validate("far", {"n": "3"}, turn="t")).arguments
    assert "minimum" in box.validate("far", {"n": 0}, turn="t").rejected[0]
    missing = box.validate("far", {}, turn="t").missing
    assert missing is not None
    assert "n" == missing.argument


def test_the_idempotency_key_is_the_calls_own() -> None:
    """The same call of a turn has one key in any order of arguments; any change, another."""
    box = toolbox(spec(refund))
    arguments: dict[str, JsonValue] = {"order_id": "A-1001", "reason": "late"}
    key = only_call(box.validate("refund", arguments, turn="t")).idempotency_key
    same = box.validate("refund", dict(reversed(arguments.items())), turn="t")
    explicit = box.validate("refund", {**arguments, "copies": 1}, turn="t")
    assert {key} == {only_call(same).idempotency_key, only_call(explicit).idempotency_key}
    other_turn = box.validate("refund", arguments, turn="u")
    other_call = box.validate("refund", {**arguments, "copies": 2}, turn="t")
    assert key not in {
        only_call(other_turn).idempotency_key,
        only_call(other_call).idempotency_key,
    }


async def test_a_success_is_json_and_words_on_behalf_of_the_caller() -> None:
    """The result is JSON, put into words by the reply template; identity is the caller's."""
    box = toolbox(spec(order_status, reply="Order {order_id} is {status}."))
    call = only_call(box.validate("order_status", {"order_id": "A-1001"}, turn="t"))
    result = await box.execute(call, caller=ADA)
    assert '{"status": "shipped", "tenant": "acme", "user": "ada", "eta": null}' == result.content
    assert (True, "Order A-1001 is shipped.", "") == (result.ok, result.said, result.error)


async def test_a_reply_with_an_empty_place_is_left_unsaid() -> None:
    """A template that names an absent or null field says nothing at all."""
    for template in ("Arrives {eta}.", "By {carrier}."):
        box = toolbox(spec(order_status, reply=template))
        call = only_call(box.validate("order_status", {"order_id": "A-1001"}, turn="t"))
        assert "" == (await box.execute(call, caller=ADA)).said


async def test_the_idempotency_key_reaches_the_tool() -> None:
    """A tool reads its key, tenant, user and thread from its config."""
    seen: list[dict[str, Any]] = []

    async def look(config: RunnableConfig) -> None:
        """Look."""
        seen.append(config["configurable"])

    box = toolbox(spec(look))
    call = only_call(box.validate("look", {}, turn="t"))
    await box.execute(call, caller=ADA)
    expected = {"tenant": "acme", "user": "ada", "thread": "t-1", "data_dir": ""}
    assert [{**expected, "idempotency_key": call.idempotency_key}] == seen


async def test_a_raising_tool_is_a_failed_result_without_its_words() -> None:
    """What an exception says stays inside; a side effect in doubt is said to be so."""

    def pay() -> None:
        """Pay."""
        raise RuntimeError("password=hunter2")

    box = toolbox(spec(pay, side_effects=True))
    result = await box.execute(only_call(box.validate("pay", {}, turn="t")), caller=ADA)
    assert (False, "raised") == (result.ok, result.error)
    assert "The pay service failed. It may still have taken effect." == result.content


async def test_a_tool_says_no_in_its_own_words() -> None:
    """A ToolException is the tool's answer, and no mark against it."""

    def find(number: int) -> None:
        """Find."""
        raise ToolException(f"There is no order {number}.")

    box = toolbox(spec(find))
    for number in range(8):
        call = only_call(box.validate("find", {"number": number}, turn="t"))
        result = await box.execute(call, caller=ADA)
        assert (f"There is no order {number}.", "said_no") == (result.content, result.error)


async def test_a_dead_tool_is_left_alone_until_it_recovers() -> None:
    """Five failures open the breaker for 30 s; then one trial closes it again."""
    clock, calls, broken = Clock(), [0], [True]

    async def flaky() -> str:
        """Flake."""
        calls[0] += 1
        if broken[0]:
            raise OSError
        return "fine"

    box = toolbox(spec(flaky), clock=clock)
    call = only_call(box.validate("flaky", {}, turn="t"))
    errors = [(await box.execute(call, caller=ADA)).error for _ in range(7)]
    assert (["raised"] * 5 + ["unavailable"] * 2, 5) == (errors, calls[0])
    clock.now, broken[0] = 30.0, False
    assert "fine" == (await box.execute(call, caller=ADA)).content
    assert "fine" == (await box.execute(call, caller=ADA)).content


async def test_what_one_tenant_breaks_works_for_another() -> None:
    """Neither its failures nor its hung calls keep a tool from anyone else."""
    go = asyncio.Event()

    async def fragile(order: str) -> str:
        """Look an order up."""
        if order == "slow":
            await go.wait()
        return {"known": "there"}[order]

    box = toolbox(spec(fragile))
    rival = Caller(tenant="rival", user="mallory", thread="t")

    async def ask(order: str, caller: Caller) -> str:
        call = only_call(box.validate("fragile", {"order": order}, turn="t"))
        return (await box.execute(call, caller=caller)).error

    assert [await ask("unknown", rival) for _ in range(6)] == ["raised"] * 5 + ["unavailable"]
    assert await ask("known", ADA) == ""
    other = Caller(tenant="other", user="eve", thread="t")
    waiting = [asyncio.create_task(ask("slow", other)) for _ in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await ask("known", ADA) == ""
    go.set()
    assert (await asyncio.gather(*waiting)).count("unavailable") == 4


async def test_a_hung_tool_ends_at_its_deadline() -> None:
    """Async or blocking, a tool that hangs is a timeout, and holds no shared thread."""
    release = threading.Event()

    def block() -> None:
        """Block."""
        release.wait(20)

    async def hang() -> None:
        """Hang."""
        await asyncio.sleep(20)

    box = toolbox(spec(block, timeout_s=0.05), spec(hang, timeout_s=0.05))
    began = time.perf_counter()
    for name in ("block", "hang"):
        call = only_call(box.validate(name, {}, turn="t"))
        result = await box.execute(call, caller=ADA)
        assert (f"The {name} service did not answer in time.", "timeout") == (
            result.content,
            result.error,
        )
    hung = [one for one in threading.enumerate() if one.name == "tool-block"]
    release.set()
    assert time.perf_counter() - began < 5
    assert [True] == [one.daemon for one in hung]


async def test_a_tool_cannot_pile_up_threads() -> None:
    """Past sixteen calls of a tenant at once, further ones are turned away."""
    release = threading.Event()

    def block() -> str:
        """Block."""
        release.wait(20)
        return "done"

    box = toolbox(spec(block))
    call = only_call(box.validate("block", {}, turn="t"))
    waiting = [asyncio.create_task(box.execute(call, caller=ADA)) for _ in range(17)]
    await asyncio.sleep(0.05)
    release.set()
    results = await asyncio.gather(*waiting)
    assert ["", "unavailable"] == sorted({result.error for result in results})
    assert 16 == sum(result.ok for result in results)


async def test_a_call_runs_each_time_it_is_told_to() -> None:
    """What ran before is known to whoever keeps the calls; here nothing is held back."""
    done: list[str] = []

    def book(day: str) -> str:
        """Book."""
        done.append(day)
        return day

    box = toolbox(spec(book, side_effects=True))
    call = only_call(box.validate("book", {"day": "Monday"}, turn="t"))
    assert [True, True] == [(await box.execute(call, caller=ADA)).ok for _ in range(2)]
    assert ["Monday", "Monday"] == done


class Unprintable:
    """Comes back from a tool, and cannot be put into words."""

    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError


def huge_number() -> int:
    """Count."""
    return 10**5000


def endless() -> list[object]:
    """List."""
    ring: list[object] = []
    ring.append(ring)
    return ring


def unprintable() -> object:
    """Give something."""
    return Unprintable()


@pytest.mark.parametrize("function", [huge_number, endless, unprintable])
async def test_a_result_that_cannot_be_read_is_a_failed_result(function: Callable[[], Any]) -> None:
    """Whatever a tool returns, running it raises nothing."""
    box = toolbox(spec(function, side_effects=True))
    result = await box.execute(only_call(box.validate(function.__name__, {}, turn="t")), caller=ADA)
    assert (False, "raised", True) == (result.ok, result.error, result.doubtful)


async def hang() -> None:
    """Hang."""
    await asyncio.sleep(20)


async def crash() -> None:
    """Crash."""
    raise OSError


async def refuse() -> None:
    """Refuse."""
    raise ToolException("No.")


async def work() -> str:
    """Work."""
    return "done"


@pytest.mark.parametrize(
    ("function", "error", "doubtful"),
    [
        (hang, "timeout", True),
        (crash, "raised", True),
        (refuse, "said_no", False),
        (work, "", False),
    ],
)
async def test_an_effect_that_may_have_happened_is_in_doubt(
    function: Callable[..., Any], error: str, doubtful: bool
) -> None:
    """So it is after a timeout and a crash of what changes something, and never of what reads."""
    for side_effects in (True, False):
        box = toolbox(spec(function, side_effects=side_effects, timeout_s=0.02))
        call = only_call(box.validate(function.__name__, {}, turn="t"))
        result = await box.execute(call, caller=ADA)
        assert (error, doubtful and side_effects) == (result.error, result.doubtful)


async def test_a_call_that_was_turned_away_is_not_in_doubt() -> None:
    """An open breaker, a frozen tool and a full one have certainly not run it."""
    box = toolbox(spec(crash, side_effects=True))
    call = only_call(box.validate("crash", {}, turn="t"))
    results = [await box.execute(call, caller=ADA) for _ in range(6)]
    assert ("unavailable", False) == (results[-1].error, results[-1].doubtful)
    frozen = toolbox(
        spec(work, side_effects=True),
        switches=Switches(thrown=frozenset({Switch(name="frozen_tools", item="work")})),
    )
    result = await frozen.execute(only_call(frozen.validate("work", {}, turn="t")), caller=ADA)
    assert ("unavailable", False) == (result.error, result.doubtful)
    full = toolbox(spec(hang, side_effects=True, timeout_s=0.05))
    call = only_call(full.validate("hang", {}, turn="t"))
    crowd = await asyncio.gather(*(full.execute(call, caller=ADA) for _ in range(17)))
    assert {("timeout", True), ("unavailable", False)} == {(r.error, r.doubtful) for r in crowd}


async def test_a_call_that_waited_is_checked_again() -> None:
    """As it was or as an approver changed it, it stays the same call with the same key."""
    box = toolbox(spec(refund))
    call = only_call(box.validate("refund", {"order_id": "A-1001", "reason": "late"}, turn="t"))
    assert Plan(calls=(call,)) == box.revalidate(call, None)
    edited = only_call(
        box.revalidate(call, {"order_id": "A-1002", "reason": "late", "copies": "2"})
    )
    assert (call.id, call.idempotency_key) == (edited.id, edited.idempotency_key)
    assert {"order_id": "A-1002", "reason": "late", "copies": 2} == edited.arguments


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"order_id": "nonsense", "reason": "late"}, "refund: order_id: "),
        ({"order_id": "A-1001", "reason": "late", "user": "bob"}, "'user' is set by the runtime"),
        ({"order_id": "A-1001", "reason": "late", "copies": 10**400}, "refund: copies: "),
        ({"order_id": "A-1001"}, "refund: reason is missing"),
        ({}, "refund: order_id is missing"),
    ],
)
async def test_an_edit_that_the_tool_does_not_take_is_rejected(
    arguments: dict[str, JsonValue], why: str
) -> None:
    """An approver is not asked for what is missing: the edit is refused as it stands."""
    box = toolbox(spec(refund))
    call = only_call(box.validate("refund", {"order_id": "A-1001", "reason": "late"}, turn="t"))
    plan = box.revalidate(call, arguments)
    assert ((), None) == (plan.calls, plan.missing)
    assert why in plan.rejected[0]


async def test_a_call_of_a_tool_that_changed_meanwhile_is_rejected() -> None:
    """A restart may have taken the tool away or given it another form."""
    call = ToolCall(id="1", name="refund", arguments={"order": "A-1001"}, idempotency_key="k")
    assert "unknown argument 'order'" in toolbox(spec(refund)).revalidate(call, None).rejected[0]
    assert "no such tool" in toolbox(spec(order_status)).revalidate(call, None).rejected[0]


async def test_a_frozen_tool_is_unavailable() -> None:
    """A frozen tool is not run until it is thawed; another tenant's callers may."""
    frozen = Switch(name="frozen_tools", item="order_status", tenant=ADA.tenant)
    switches = Switches(thrown=frozenset({frozen}))
    box = toolbox(spec(order_status), switches=switches)
    call = only_call(box.validate("order_status", {"order_id": "A-1001"}, turn="t"))
    result = await box.execute(call, caller=ADA)
    assert ("unavailable", "The order status service is unavailable at the moment.") == (
        result.error,
        result.content,
    )
    assert (await box.execute(call, caller=Caller(tenant="other"))).ok
    switches.thrown = frozenset()
    assert (await box.execute(call, caller=ADA)).ok


async def test_a_huge_result_is_cut_with_a_note() -> None:
    """No more than 8000 characters are passed on, and the rest is counted."""

    def dump() -> str:
        """Dump."""
        return "x" * 9000

    box = toolbox(spec(dump))
    result = await box.execute(only_call(box.validate("dump", {}, turn="t")), caller=ADA)
    assert "x" * 8000 + " ... [1000 more characters left out]" == result.content


async def test_a_cancelled_turn_cancels_the_tool() -> None:
    """Cancelling is passed on, not turned into a result."""

    async def hang() -> None:
        """Hang."""
        await asyncio.sleep(20)

    box = toolbox(spec(hang))
    call = only_call(box.validate("hang", {}, turn="t"))
    task = asyncio.create_task(box.execute(call, caller=ADA))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelled_calls_do_not_condemn_a_tool() -> None:
    """Callers who hang up leave the breaker closed."""
    hangs = [True]

    async def book() -> str:
        """Book."""
        if hangs[0]:
            await asyncio.sleep(20)
        return "booked"

    box = toolbox(spec(book, side_effects=True))
    call = only_call(box.validate("book", {}, turn="t"))

    async def give_up() -> None:
        task = asyncio.create_task(box.execute(call, caller=ADA))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for _ in range(6):
        await give_up()
    hangs[0] = False
    assert (await box.execute(call, caller=ADA)).ok


async def test_a_call_of_an_unknown_tool_is_invalid() -> None:
    """A call kept from before a tool was removed fails as data."""
    call = ToolCall(id="1", name="gone", arguments={}, idempotency_key="k")
    assert "invalid" == (await toolbox(spec(refund)).execute(call, caller=ADA)).error


def test_two_tools_of_one_name_are_a_mistake() -> None:
    """Names must tell tools apart."""
    with pytest.raises(AssistantError, match="two tools are named 'refund'"):
        toolbox(spec(refund), spec(refund))


async def test_the_shipped_embedder_chooses_among_real_descriptions() -> None:
    """With the real vectors, paraphrases find their tool and small talk finds none."""
    box = toolbox(spec(order_status), spec(refund), embedder=make_embedder("minilm"))
    found = await box.choose("has my order A-1001 been sent yet?", turn="t")
    assert "order_status" == only_call(found).name
    back = await box.choose("A-1001 was broken, please refund my money", turn="t")
    assert {"order_id": "A-1001", "reason": "broken", "copies": 1} == only_call(back).arguments
    assert Plan() == await box.choose("good morning to you", turn="t")
