"""A question made independent of what was said before, without a language model.

A turn leans on the history when it points back (a pronoun, "what about ...") or says too little to
be searched for by itself. Then the user's previous turn is put in front of it: on MTRAG, joining
the last two user turns raises nDCG@10, joining all of them lowers it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from antiphon.tools.retrieval.analysis import terms

_POINTS_BACK = re.compile(
    r"""^\s*(and|but|or|so|also|what\ about|how\ about|what\ if|why\ not|then)\b
      | \b(it|its|they|them|their|that\ one|this\ one|these|those|the\ same)\b
      | \b(either|both|there|instead)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_FEWEST_TERMS = 2


def standalone(question: str, earlier: Sequence[str]) -> str:
    """Return `question`, preceded by the latest of the `earlier` user turns when it leans on it."""
    if not earlier or not leans(question):
        return question
    return f"{earlier[-1]} {question}"


def leans(question: str) -> bool:
    """Say whether a question cannot be understood by itself."""
    return len(terms(question)) < _FEWEST_TERMS or bool(_POINTS_BACK.search(question))
