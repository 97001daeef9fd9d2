"""What may come in over HTTP: size, encoding and shape, checked before anything runs."""

from __future__ import annotations

import json
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from antiphon.gateway.auth import Principal
from antiphon.nodes.state import Context
from antiphon.tools.errors import InputError, MessageError
from antiphon.tools.locales import language_tag

MAX_BODY_BYTES = 1_048_576
MAX_KEY_CHARS = 255
JSON = "application/json"
_MOST_SAID = 5
_LONGEST_NAME = 60
ModelName = Annotated[str, Field(max_length=200, pattern=r"^[ -~]*$")]
Body = TypeVar("Body", bound=BaseModel)


class _Theirs(BaseModel):
    """A shape of OpenAI or LangGraph clients: what we have no use for is passed over."""

    model_config = ConfigDict(extra="ignore")


class _Ours(BaseModel):
    """A shape of our own: a key that we do not know is a slip that would go unnoticed."""

    model_config = ConfigDict(extra="forbid")


class Part(_Theirs):
    """A piece of a message; only text is read."""

    type: str = "text"
    text: str = ""


class Message(_Theirs):
    """A chat message as OpenAI and LangGraph clients send it."""

    role: Literal["user", "human", "assistant", "ai", "system", "developer", "tool"] = "user"
    content: str | list[Part] | None = ""

    @property
    def text(self) -> str:
        """The message's text."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class Knobs(_Ours):
    """What a client may turn; who it is never comes from here."""

    locale: Annotated[str, AfterValidator(language_tag)] = "en"
    model: ModelName = ""
    min_quality: float = Field(default=0.0, ge=0, le=1)
    max_cost_usd: float = Field(default=0.10, gt=0, allow_inf_nan=False)

    def context(self, principal: Principal) -> Context:
        """Return the run's context for a verified caller."""
        return Context(tenant=principal.tenant, user=principal.user, **self.model_dump())


class Resume(_Ours):
    """A decision about what waits for approval; it names what it is about."""

    approved: bool
    interrupt_id: str = Field(min_length=1)
    arguments: dict[str, JsonValue] | None = None
    """As the approver edited them; left out, they stay as they were shown."""
    reason: str = Field(default="", max_length=2000)


class Command(_Ours):
    """LangGraph's way to resume."""

    resume: Resume


class Messages(_Ours):
    """LangGraph's way to send a message."""

    messages: list[Message] = Field(min_length=1)


class FeedbackForm(_Ours):
    """The body of feedback: what a turn was worth to its user."""

    rating: Literal["up", "down"]
    comment: str = Field(default="", max_length=2000)


class RunForm(_Ours):
    """The body of runs/wait and runs/stream."""

    message: str | None = None
    input: Messages | None = None
    command: Command | None = None
    on_disconnect: Literal["continue", "cancel"] = "continue"
    """What becomes of a streamed turn when its client leaves."""
    context: Knobs = Knobs()

    def text(self) -> str:
        """Return the message to run. Raises MessageError when there is none."""
        said = self.message
        if said is None and self.input is not None:
            said = self.input.messages[-1].text
        if said is None:
            raise MessageError(
                "the body has neither message, input.messages nor command.resume",
                hint='Send {"message": "..."} or'
                ' {"command": {"resume": {"approved": true, "interrupt_id": "..."}}}.',
            )
        return said

    def decision(self) -> Resume | None:
        """Return the decision, if the body is one."""
        return self.command.resume if self.command is not None else None


class ChatForm(_Theirs):
    """The body of /v1/chat/completions; options of models we do not have are ignored."""

    model: ModelName = ""
    messages: list[Message] = Field(min_length=1)
    stream: bool = False
    user: str = ""
    """The client's own name of its user; tells conversations apart, proves nothing."""


def request_key(request: Request) -> str:
    """Return the `Idempotency-Key`: the same request again is the same turn again.

    Raises InputError when it is too long or not printable ASCII.
    """
    key = request.headers.get("idempotency-key", "")
    if len(key) > MAX_KEY_CHARS or not key.isascii() or not key.isprintable():
        raise InputError(
            "the Idempotency-Key cannot be read",
            hint=f"Up to {MAX_KEY_CHARS} printable ASCII characters, such as a UUID.",
        )
    return key


def limit_of(request: Request, *, default: int, most: int) -> int:
    """Return the query's `limit`, from 1 to `most`. Raises InputError for anything else."""
    asked = request.query_params.get("limit", str(default))
    if not asked.isdecimal() or len(asked) > len(str(most)) or not 1 <= int(asked) <= most:
        raise InputError(f"limit cannot be {asked[:20]!r}", hint=f"1 to {most}.")
    return int(asked)


async def read(request: Request, form: type[Body]) -> Body:
    """Return the request's body as `form`.

    Raises:
        HTTPException: 413, too large; 415, of another kind.
        InputError: not UTF-8, not JSON, or of another shape.
    """
    size = 0
    pieces: list[bytes] = []
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise HTTPException(413, f"the body is larger than {MAX_BODY_BYTES:,} bytes")
        pieces.append(piece)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if size and kind != JSON:
        # A page of another origin may send any other kind without asking the browser's leave.
        raise HTTPException(415, f"the body must be {JSON}: say so in content-type")
    try:
        plain = json.loads(b"".join(pieces).decode("utf-8") or "{}")
        return form.model_validate(plain)
    except UnicodeDecodeError as error:
        raise MessageError("the body is not valid UTF-8", hint="Send JSON in UTF-8.") from error
    except ValidationError as error:
        raise InputError(f"the body has the wrong shape: {_wrong(error)}") from error
    except (ValueError, RecursionError) as error:
        # Not only JSONDecodeError: a number of ten thousand digits is a plain ValueError.
        raise InputError(f"the body is not JSON: {error}", hint="Send a JSON object.") from error


def _wrong(error: ValidationError) -> str:
    """Name the first places that are wrong, without repeating what was sent."""
    said: list[str] = []
    for item in error.errors(include_input=False, include_url=False)[:_MOST_SAID]:
        where = ".".join(str(part)[:_LONGEST_NAME] for part in item["loc"]) or "body"
        unknown = item["type"] == "extra_forbidden"
        said.append(f"{where}: {'there is no such key' if unknown else item['msg']}")
    return "; ".join(said)
