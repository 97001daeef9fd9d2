"""Hard expectations of an example: each holds or does not, beside the scores and never in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from antiphon.evals.golden import Expected
from antiphon.evals.sample import Sample

OK = "ok"
"""What an expectation that holds is told as; one that does not, by the reason."""


def check(sample: Sample) -> dict[str, str]:
    """Return each expectation that the example states: `ok`, or why it does not hold."""
    return {name: _CHECKS[name](sample) or OK for name in stated(sample.expected)}


def stated(expected: Expected) -> tuple[str, ...]:
    """Return the names of what an example asserts."""
    return tuple(name for name in _CHECKS if getattr(expected, name))


def says(answer: str, *wordings: str) -> bool:
    """Tell whether any wording stands in the answer as whole words; case and spaces are equal."""
    plain = " ".join(answer.casefold().split())
    return any(
        re.search(rf"(?<!\w){re.escape(' '.join(each.casefold().split()))}(?!\w)", plain)
        for each in wordings
    )


def in_order(wanted: Sequence[str], path: Sequence[str]) -> bool:
    """Tell whether all that is wanted comes in this order; other steps may stand between."""
    steps = iter(path)
    return all(node in steps for node in wanted)


def _outcome(sample: Sample) -> str:
    wanted = " or ".join(sample.expected.outcome)
    return "" if sample.as_expected else f"outcome is {sample.outcome}, expected {wanted}"


def _facts(sample: Sample) -> str:
    missing = [fact[0] for fact in sample.expected.facts if not says(sample.answer, *fact)]
    return f"does not say {', '.join(map(repr, missing))}" if missing else ""


def _absent(sample: Sample) -> str:
    said = [text for text in sample.expected.absent if says(sample.answer, text)]
    return f"says {', '.join(map(repr, said))}" if said else ""


def _path(sample: Sample) -> str:
    if in_order(sample.expected.path, sample.path):
        return ""
    return f"did not go {' > '.join(sample.expected.path)}"


def _sources(sample: Sample) -> str:
    if not set(sample.expected.sources).isdisjoint(sample.sources):
        return ""
    return f"does not cite {' or '.join(sample.expected.sources)}"


def _effects(sample: Sample) -> str:
    left = list(sample.effects)
    missing: list[str] = []
    for wanted in sample.expected.effects:
        done = next(
            (
                deed
                for deed in left
                if deed.tool == wanted.tool
                and all(deed.arguments.get(n) == value for n, value in wanted.arguments.items())
            ),
            None,
        )
        if done is None:
            missing.append(str(wanted))
        else:
            left.remove(done)
    return f"did not do {', '.join(missing)}" if missing else ""


_CHECKS: Mapping[str, Callable[[Sample], str]] = {
    "outcome": _outcome,
    "facts": _facts,
    "absent": _absent,
    "path": _path,
    "sources": _sources,
    "effects": _effects,
}
"""By the name of the key in `expected`."""
