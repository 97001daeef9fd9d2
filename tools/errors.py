"""Every error Antiphon raises on purpose, in one tree.

AntiphonError
├── InputError            the caller's words or settings are at fault (exit code 2)
│   ├── MessageError      empty, too large, not UTF-8
│   ├── SettingsError     an ANTIPHON_* variable or a command-line value
│   ├── AssistantError    a mistake in an assistant's folder: file, line, key
│   ├── UnknownThread     no such thread for this caller
│   ├── UnknownModel      a model name that is in no catalogue
│   ├── Forbidden         the credential does not reach this
│   └── Conflict          what is asked for does not fit how things stand (409)
│       ├── ThreadBusy    another message of the thread is being answered (retryable)
│       ├── NotPending    a decision about what does not wait for one
│       └── RequestKeyReused
├── ModelError            a language model could not answer
│   ├── KeyMissing        the provider's key is not set
│   ├── ModelUnavailable  down, overloaded or too slow (retryable)
│   └── ModelRejected     the provider refused the request as it stands
├── KnowledgeError        passages could not be stored or searched
│   ├── KnowledgeMissing
│   ├── KnowledgeCorrupt
│   ├── KnowledgeLoading  being read for the first time
│   └── KnowledgeUnavailable  (retryable)
├── StorageError          sessions, memory or cache could not be read or written
│   ├── StorageCorrupt
│   ├── StorageUnwritable read-only or full
│   ├── StorageBusy       another process holds the lock (retryable)
│   ├── StorageUnavailable  the database server is down or too slow (retryable)
│   └── LeaseLost         another process runs this thread now
│       └── TurnStopped   somebody asked for the turn to be stopped
├── ToolFailure           a tool raised, hung or is switched off
└── GuardBroken           a guard itself failed
"""

from __future__ import annotations

from typing import ClassVar


class AntiphonError(Exception):
    """The root: a message for the log, a sentence that is safe to show a user, and a remedy."""

    code: ClassVar[str] = "error"
    """Stable identifier in JSON output and metrics."""
    retryable: ClassVar[bool] = False
    """Whether the same call may succeed shortly."""
    user_message: ClassVar[str] = "Something went wrong on our side."
    """What an end user may be told; never contains internals."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(AntiphonError):
    """The caller can mend this by changing what they sent."""

    code = "bad_input"
    user_message = "That request could not be understood."


class MessageError(InputError):
    """A message is empty, too large, or not text."""

    code = "bad_message"
    user_message = "That message could not be read."


class SettingsError(InputError):
    """A setting is missing, contradictory or out of range."""

    code = "bad_setting"


class AssistantError(InputError):
    """An assistant's folder has mistakes; `problems` lists each one."""

    code = "bad_assistant"

    def __init__(self, message: str, *, hint: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class UnknownThread(InputError):
    """No thread of that id belongs to this caller."""

    code = "unknown_thread"
    user_message = "There is no such conversation."


class UnknownModel(InputError):
    """A model name that no catalogue or provider knows."""

    code = "unknown_model"


class Forbidden(InputError):
    """The verified credential does not reach the thing asked for."""

    code = "forbidden"
    user_message = "You do not have access to that."


class Conflict(InputError):
    """What is asked for does not fit how things stand now."""

    code = "conflict"


class ThreadBusy(Conflict):
    """Another message of the thread is still being answered."""

    code = "thread_busy"
    retryable = True
    user_message = "I am still answering your last message."


class NotPending(Conflict):
    """A decision about something that does not wait for one; `pending` is what does, if any."""

    code = "not_pending"

    def __init__(
        self, message: str, *, hint: str = "", pending: dict[str, object] | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.pending = pending


class RequestKeyReused(Conflict):
    """A request key that came with another request before."""

    code = "request_key_reused"


class ModelError(AntiphonError):
    """A language model could not answer."""

    code = "model_error"
    user_message = "The language model could not answer."


class KeyMissing(ModelError):
    """The provider needs a key that is not set."""

    code = "key_missing"


class ModelUnavailable(ModelError):
    """The model is down, overloaded or too slow."""

    code = "model_unavailable"
    retryable = True


class ModelRejected(ModelError):
    """The provider refused the request as it stands; sending it again will not help."""

    code = "model_rejected"


class KnowledgeError(AntiphonError):
    """Passages could not be stored or searched."""

    code = "knowledge_error"
    user_message = "The knowledge base could not be read."


class KnowledgeMissing(KnowledgeError):
    """Nothing was ever ingested, or its source is gone."""

    code = "knowledge_missing"


class KnowledgeCorrupt(KnowledgeError):
    """The knowledge file is damaged."""

    code = "knowledge_corrupt"


class KnowledgeLoading(KnowledgeError):
    """The assistant's pages are still being read; the reading goes on."""

    code = "knowledge_loading"
    user_message = "The knowledge base is being read for the first time."


class KnowledgeUnavailable(KnowledgeError):
    """The knowledge server is unreachable or too slow."""

    code = "knowledge_unavailable"
    retryable = True


class StorageError(AntiphonError):
    """Sessions, memory or cache could not be read or written."""

    code = "storage_error"
    user_message = "The conversation could not be saved."


class StorageCorrupt(StorageError):
    """A database file is damaged."""

    code = "storage_corrupt"


class StorageUnwritable(StorageError):
    """The disk is full or read-only."""

    code = "storage_unwritable"


class StorageBusy(StorageError):
    """Another process holds the lock."""

    code = "storage_busy"
    retryable = True


class LeaseLost(StorageError):
    """The thread was deleted, or another process took it over; nothing more is written."""

    code = "lease_lost"


class TurnStopped(LeaseLost):
    """Somebody asked for the turn to be stopped: it goes no further."""

    code = "turn_stopped"


class StorageUnavailable(StorageError):
    """The database server is down, unreachable or too slow."""

    code = "storage_unavailable"
    retryable = True


class ToolFailure(AntiphonError):
    """A tool raised, hung, or is switched off."""

    code = "tool_failure"
    user_message = "A service we depend on did not answer."


class GuardBroken(AntiphonError):
    """A guard itself failed, so its verdict is unknown."""

    code = "guard_broken"
    user_message = "A safety check could not be completed."


def transient(error: Exception) -> bool:
    """Say whether what raised `error` may simply be tried again."""
    return isinstance(error, AntiphonError) and error.retryable
