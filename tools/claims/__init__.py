"""Claims: what an answer says, held against what its evidence says."""

from antiphon.tools.claims.examine import Examined, Examiner, Policy
from antiphon.tools.claims.signs import SignsVerifier
from antiphon.tools.claims.split import claims_of
from antiphon.tools.claims.verdict import KEPT, Judgement, Verdict, Verifier

__all__ = [
    "KEPT", "Examined", "Examiner", "Judgement", "Policy", "SignsVerifier", "Verdict", "Verifier",
    "claims_of",
]  # fmt: skip
