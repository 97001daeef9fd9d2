"""`antiphon ask`: one message, one answer with its sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.opening import known_model, opened, run
from antiphon.gateway.cli.options import (
    AsJson,
    AssistantFolder,
    Locale,
    Model,
    Tenant,
    Thread,
    User,
)
from antiphon.gateway.cli.output import emit
from antiphon.gateway.cli.turns import announced, read_message, show_turn
from antiphon.tools.locales import language_tag

if TYPE_CHECKING:
    from antiphon.graphs.turns import Turn
    from antiphon.nodes.state import Context


def ask(
    text: Annotated[str, typer.Argument(metavar="TEXT", hidden=True)],
    thread: Thread = "",
    tenant: Tenant = "default",
    user: User = "",
    locale: Locale = "en",
    model: Model = "",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Answer one message, with sources.

    TEXT is the message; "-" reads it from standard input.
    """
    message = read_message(text)
    from antiphon.nodes.state import Context

    context = Context(tenant=tenant, user=user, locale=language_tag(locale), model=model)
    turn = run(_ask(message, context, thread, assistant))
    if as_json:
        emit(turn.as_json())
    else:
        folder = str(assistant) if assistant else ""
        repeated = "" if tenant == "default" else tenant
        show_turn(turn, flags={"--tenant": repeated, "--user": user, "--assistant": folder})


async def _ask(message: str, context: Context, thread: str, assistant: Path | None) -> Turn:
    from antiphon.graphs.turning import outcome

    async with opened(assistant) as runtime:
        known_model(runtime, context.model)
        talk = runtime.conversations
        events = talk.stream(message, context=context, thread=thread)
        return await outcome(announced(events, talk, context))
