"""Claims: what an answer says, held against what its evidence says."""

from antiphon.tools.claims.signs import SignsVerifier
from antiphon.tools.claims.split import borne_out, claims_of
from antiphon.tools.claims.verdict import KEPT, Judgement, Verdict, Verifier

__all__ = [
    "KEPT", "Judgement", "SignsVerifier", "Verdict", "Verifier", "borne_out", "claims_of",
]  # fmt: skip
