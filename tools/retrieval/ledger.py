"""What a server keeps of a passage and of a tenant, apart from any client library."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import cast

from antiphon.tools.retrieval import records
from antiphon.tools.retrieval.analysis import primary, terms
from antiphon.tools.retrieval.passages import Passage, Where
from antiphon.tools.retrieval.records import Record, digest, record, restore
from antiphon.tools.retrieval.visibility import day, days, places

SCHEMA = 2
"""1 could filter by source alone, and its ledgers name neither tenant nor collection."""
NAMESPACE = uuid.UUID("5a6f7b0e-7f0c-5a53-9a86-6f6a1f0f1b52")
NOTED = ("version", "embedder", "languages", "tenant", "collection")
# `id` is reserved by the server.
PASSAGE = ("passage_id", *records.FIELDS[1:])
FIELDS = (*PASSAGE, "digest", "tongue", "day", "places", "access")
UNLABELLED = "everyone"
CHANGING = "~"
"""Begins the version of a tenant while its passages change."""

Value = str | int | list[str]
Must = Mapping[str, Sequence[str] | tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What is noted per tenant beside its passages."""

    tenant: str
    version: str
    """Sum of the passages' digests, as the SQLite backend has it; empty when there are none."""
    embedder: str
    languages: tuple[str, ...]
    collection: str
    """Where its passages are; empty in version 1 of the schema."""

    @property
    def changing(self) -> bool:
        """Whether a change is under way, or was broken off."""
        return self.version.startswith(CHANGING)

    def is_by(self, writer: str) -> bool:
        """Whether this writer's mark stands in it."""
        return self.version.startswith(CHANGING + writer)

    @property
    def fields(self) -> dict[str, str]:
        """The ledger as it is stored."""
        return {
            "version": self.version,
            "embedder": self.embedder,
            "languages": json.dumps(sorted(self.languages)),
            "tenant": self.tenant,
            "collection": self.collection,
        }


def ledger_of(fields: Mapping[str, Value], tenant: str) -> Ledger:
    """Return a stored ledger."""
    return Ledger(
        tenant=tenant,
        version=str(fields["version"]),
        embedder=str(fields["embedder"]),
        languages=tuple(json.loads(str(fields["languages"]))),
        collection=str(fields.get("collection") or ""),
    )


def ledger_key(tenant: str) -> uuid.UUID:
    """Return where a tenant's ledger is."""
    return uuid.uuid5(NAMESPACE, tenant)


def passage_key(tenant: str, passage: str) -> uuid.UUID:
    """Return where a passage is: the same one is never stored twice."""
    return uuid.uuid5(NAMESPACE, f"{tenant}\n{passage}")


def version_of(digests: Iterable[str], *, base: str = "", gone: Iterable[str] = ()) -> str:
    """Return the version with these digests come and those gone."""
    total = int(base or "0", 16) + sum(int(one, 16) for one in digests)
    total -= sum(int(one, 16) for one in gone)
    total %= 1 << 128
    return f"{total:032x}" if total else ""


def tenant_name(tenant: str) -> str:
    """Fit any tenant into the server's alphabet; the prefixes keep two from ever meeting."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", tenant):
        return f"t-{tenant}"
    return f"h-{blake2b(tenant.encode(), digest_size=24).hexdigest()}"


def fields_of(passage: Passage) -> dict[str, Value]:
    """Return a passage as it is stored: its record, and what it is found and filtered by."""
    return {
        **dict(zip(PASSAGE, record(passage), strict=True)),
        "digest": digest(passage),
        "terms": " ".join(terms(passage.searchable, passage.language)),
        "tongue": primary(passage.language),
        "day": day(passage.updated),
        "places": [_exact(place) for place in places(passage.source)],
        "access": [_exact(label) for label in passage.labels] or [UNLABELLED],
    }


def passage_of(fields: Mapping[str, Value]) -> Passage:
    """Return a stored passage."""
    return restore(cast("Record", tuple(fields[name] for name in PASSAGE)))


def conditions(where: Where) -> Must:
    """Return what the stored fields must hold for a passage to be seen."""
    must: dict[str, Sequence[str] | tuple[int, int]] = {
        "access": [UNLABELLED, *(_exact(label) for label in where.labels)]
    }
    if where.sources:
        must["places"] = [_exact(place) for place in where.sources]
    if where.languages:
        must["tongue"] = [primary(tag) for tag in where.languages]
    between = days(where)
    if between is not None:
        # Day 0 stands for an unknown date.
        must["day"] = (max(between[0], 1), between[1])
    return must


def _exact(text: str) -> str:
    """Quote a name: the server trims values, and `UNLABELLED` must not be a label's name."""
    return json.dumps(text, ensure_ascii=False)
