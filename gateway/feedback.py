"""A user's word on an answer, over HTTP: thumbs up or down, and why."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from antiphon.evals.candidates import of_turn
from antiphon.gateway.validation import FeedbackForm, read
from antiphon.nodes.state import Context
from antiphon.tools.errors import UnknownThread


async def give(request: Request) -> JSONResponse:
    """POST /v1/threads/{thread}/runs/{turn}/feedback: say what one's own turn was worth.

    Said again, the last word counts. It is kept with the thread, masked, as a candidate for the
    golden set that a person accepts or rejects.
    """
    form = await read(request, FeedbackForm)
    principal, runtime = request.state.principal, request.app.state.runtime
    turn = str(request.path_params["turn"])
    candidate = await of_turn(
        runtime.conversations,
        context=Context(tenant=principal.tenant, user=principal.user),
        thread=str(request.path_params["thread"]),
        turn=turn,
        rating=1 if form.rating == "up" else -1,
        comment=form.comment,
        origin="feedback",
    )
    if await runtime.persistence.turns.propose(candidate) is None:
        raise UnknownThread("the thread was deleted meanwhile")
    kept = {"turn_id": turn, "rating": form.rating, "comment": candidate.comment}
    return JSONResponse(kept)
