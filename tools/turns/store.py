"""The store of turns over either database; its parts are in the files beside this one."""

from __future__ import annotations

from antiphon.tools.turns.candidates import Candidates
from antiphon.tools.turns.deeds import Deeds
from antiphon.tools.turns.leases import Leases
from antiphon.tools.turns.listing import Listing


class SqlTurns(Leases, Listing, Deeds, Candidates):
    """Threads, turns, leases, model calls, effects, decisions and candidates in SQL."""
