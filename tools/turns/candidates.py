"""Candidates for a golden set: proposed by whom or what, until a person accepts or rejects them.

They lie beside the turns, so that what came of a thread goes with it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Literal, cast

from pydantic import JsonValue

from antiphon.tools.turns.database import Row, Transaction, Value
from antiphon.tools.turns.sql import Sql, dumped, key_of

Origin = Literal["synth", "turn", "feedback", "pull"]
"""synth: from the pages; turn: picked by a person; feedback: a user's word on a turn; pull: from
LangSmith."""
CandidateState = Literal["proposed", "accepted", "rejected"]
MOST_LISTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One line that a golden set could get."""

    tenant: str
    key: str
    """What it is about: two proposals under one key are one. `turn:ID` for a recorded turn."""
    origin: Origin
    example: dict[str, JsonValue]
    """The line as it would be; parts that only a person can say may be missing."""
    answer: str = ""
    """What was answered, where it came from a turn: not always what should have been."""
    rating: int = 0
    """1: thumbs up, -1: thumbs down, 0: nobody said."""
    comment: str = ""
    thread: str = ""
    turn: str = ""
    by: str = ""
    """The user whose turn it was; empty for an anonymous one, or none."""
    state: CandidateState = "proposed"
    created: float = 0.0
    """Seconds since the epoch; the store sets it."""
    id: str = field(init=False)

    def __post_init__(self) -> None:
        """Name it by what it is about."""
        named = hashlib.sha256(f"{self.tenant}\x1f{self.key}".encode()).hexdigest()[:12]
        object.__setattr__(self, "id", named)


class Candidates(Sql):
    """Proposals as they stand."""

    async def propose(self, candidate: Candidate) -> Candidate | None:
        """Keep a proposal, or renew the one that stands; return it as it stands now.

        What a person decided stands: only rating and comment still change. What carries neither
        leaves those that are there. Nothing is kept, and None returned, for a thread that was
        deleted.
        """

        def work() -> Transaction[Candidate | None]:
            yield self._sql(
                "INSERT INTO antiphon_candidates (tenant, id, key, origin, thread, turn, owner,"
                " rating, comment, answer, example, state, created)"
                " SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'proposed', {now}"
                " WHERE ? = '' OR EXISTS"
                " (SELECT 1 FROM antiphon_threads WHERE key = ? AND state <> 'deleted')"
                " ON CONFLICT (tenant, id) DO UPDATE SET"
                " example = CASE WHEN antiphon_candidates.state = 'proposed'"
                " THEN excluded.example ELSE antiphon_candidates.example END,"
                " rating = CASE WHEN excluded.rating <> 0"
                " THEN excluded.rating ELSE antiphon_candidates.rating END,"
                " comment = CASE WHEN excluded.rating <> 0"
                " THEN excluded.comment ELSE antiphon_candidates.comment END"
            ), (
                candidate.tenant, candidate.id, candidate.key, candidate.origin, candidate.thread,
                candidate.turn, candidate.by, candidate.rating, candidate.comment,
                candidate.answer, dumped(candidate.example), candidate.thread,
                key_of(candidate.tenant, candidate.thread),
            )  # fmt: skip
            return (yield from _one(candidate.tenant, candidate.id))

        return await self._run(work())

    async def candidate(self, tenant: str, name: str) -> Candidate | None:
        """Return a candidate by its id."""
        return await self._read(_one(tenant, name))

    async def candidates(
        self, tenant: str, *, state: CandidateState | Literal[""] = "proposed"
    ) -> list[Candidate]:
        """Return the candidates in a state, or all of them, oldest first."""

        def work() -> Transaction[list[Candidate]]:
            values: tuple[Value, ...] = (tenant, state, state, MOST_LISTED)
            rows = yield (
                "SELECT * FROM antiphon_candidates WHERE tenant = ? AND (? = '' OR state = ?)"
                " ORDER BY created, id LIMIT ?"
            ), values  # fmt: skip
            return [_candidate_of(row) for row in rows]

        return await self._read(work())

    async def rule(self, tenant: str, name: str, state: CandidateState) -> bool:
        """Note what a person decided; return whether there was such a candidate, undecided."""

        def work() -> Transaction[bool]:
            rows = yield (
                "UPDATE antiphon_candidates SET state = ? WHERE tenant = ? AND id = ?"
                " AND state = 'proposed' RETURNING id"
            ), (state, tenant, name)  # fmt: skip
            return bool(rows)

        return await self._run(work())


def _one(tenant: str, name: str) -> Transaction[Candidate | None]:
    rows = yield "SELECT * FROM antiphon_candidates WHERE tenant = ? AND id = ?", (tenant, name)
    return _candidate_of(rows[0]) if rows else None


def _candidate_of(row: Row) -> Candidate:
    return Candidate(
        tenant=row["tenant"],
        key=row["key"],
        origin=cast("Origin", row["origin"]),
        example=json.loads(row["example"]),
        answer=row["answer"],
        rating=int(row["rating"]),
        comment=row["comment"],
        thread=row["thread"],
        turn=row["turn"],
        by=row["owner"],
        state=cast("CandidateState", row["state"]),
        created=float(row["created"]),
    )
