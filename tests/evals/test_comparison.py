"""Two runs compared: chance passes, what fell is told, however few or lumpy the scores are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from antiphon.evals.comparison import CHANCE, Comparison, Pair, Verdict, compare

WEIGHTS = {
    "relevance": 0.30,
    "safety": 0.25,
    "factual_accuracy": 0.20,
    "helpfulness": 0.15,
    "coherence": 0.10,
}
FAST = 1000
"""Rounds that are enough to tell 1 in 400."""


def a_pair(before: float, now: float, *slices: str, times: int = 1) -> Pair:
    """Return an example with these overall scores, the same each time it was asked."""
    return Pair(before=[{"overall": before}] * times, now=[{"overall": now}] * times, slices=slices)


def verdicts(found: tuple[Comparison, ...]) -> dict[str, Verdict]:
    """Return what was found of each figure."""
    return {each.of: each.verdict for each in found}


def a_noisy_run(seed: int, *, examples: int, times: int = 1, drop: float = 0.0) -> list[Pair]:
    """Return two runs of one assistant whose model varies; all it says now is worse by `drop`.

    Half of the examples are answered almost alike each time, half are not, and one of twenty of
    these ends otherwise altogether. Scores are bounded; kinds and intents are of uneven size.
    """
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(examples):
        quality = 0.95 - np.abs(random.normal(0, 0.1, len(WEIGHTS)))
        noise, flips = (0.08, 0.05) if random.random() < 0.5 else (0.01, 0.0)

        def answer(
            drop: float,
            quality: np.ndarray = quality,
            noise: float = noise,
            flips: float = flips,
        ) -> Mapping[str, float]:
            marks = np.clip(quality + random.normal(0, noise, len(WEIGHTS)), drop, 1) - drop
            if random.random() < flips:
                marks *= 0.45
            scores = dict(zip(WEIGHTS, marks.tolist(), strict=True))
            return {"overall": sum(WEIGHTS[n] * each for n, each in scores.items()), **scores}

        kind, intent = min(int(random.exponential(2)), 5), int(random.integers(8))
        pairs.append(
            Pair(
                before=[answer(0.0) for _ in range(times)],
                now=[answer(drop) for _ in range(times)],
                slices=(f"kind:{kind}", f"intent:{intent}"),
            )
        )
    return pairs


def alarms(run: Callable[[int], list[Pair]], runs: int) -> int:
    """Count the runs in which anything at all is said to have fallen."""
    return sum("fell" in verdicts(compare(run(n), rounds=FAST)).values() for n in range(runs))


@pytest.mark.parametrize("times", [1, 3])
def test_a_run_of_the_same_assistant_passes(times: int) -> None:
    """An assistant is compared with itself a hundred times: one alarm is the most."""
    assert alarms(lambda n: a_noisy_run(n, examples=60, times=times), 100) <= 1


def test_a_run_with_the_wording_noise_of_the_old_gates_failure_passes() -> None:
    """Noise of sd .03 on each score, with which a gate by example failed 198 of 200 times."""

    def run(seed: int) -> list[Pair]:
        random = np.random.default_rng(seed)
        scores = np.clip(0.97 + random.normal(0, 0.03, (77, 2)), 0, 1)
        return [a_pair(*row, f"kind:{n % 8}") for n, row in enumerate(scores.tolist())]

    assert alarms(run, 100) <= 1


@pytest.mark.parametrize(("examples", "times"), [(250, 1), (150, 3)])
def test_a_real_drop_of_five_percent_is_detected(examples: int, times: int) -> None:
    """Although answers vary: 19 of 20 such runs fail at least, nearly all by the mean itself."""
    found = [
        verdicts(compare(a_noisy_run(n, examples=examples, times=times, drop=0.05), rounds=FAST))
        for n in range(20)
    ]
    assert sum("fell" in each.values() for each in found) >= 19
    assert sum(each["overall"] == "fell" for each in found) >= 17


def test_a_drop_well_within_the_threshold_passes_though_it_is_no_chance() -> None:
    """One percent everywhere is certain, and it is not five."""
    (mean,) = compare([a_pair(0.9, 0.89)] * 100)
    assert mean.chance < CHANCE
    assert (mean.verdict, mean.difference, mean.high) == ("held", -0.01, -0.01)


@pytest.mark.parametrize("varies", [True, False])
@pytest.mark.parametrize(("now", "verdict"), [(0.85, "held"), (0.849, "fell"), (1.0, "held")])
def test_more_than_five_percent_down_fell(now: float, verdict: Verdict, *, varies: bool) -> None:
    """Exactly five, in binary fractions, is none; better never is."""
    (mean,) = compare([a_pair(0.9, now)] * 40, varies=varies)
    assert mean.verdict == verdict


def test_a_slice_fell_though_the_mean_held() -> None:
    """Ten of two hundred examples are a kind of their own; the others got a little better."""
    pairs = [a_pair(0.9, 0.8, "kind:pii")] * 10 + [a_pair(0.9, 0.91, "kind:other")] * 190
    found = verdicts(compare(pairs))
    assert found == {"overall": "held", "kind:other": "held", "kind:pii": "fell"}


def test_one_example_of_three_is_no_slice_that_fell() -> None:
    """It fell fully, which the list of examples shows; the two others did not."""
    pairs = [a_pair(0.9, 0.9, "kind:tool")] * 50
    pairs += [a_pair(1.0, 0.0, "kind:pii"), a_pair(1.0, 1.0, "kind:pii")]
    pairs += [a_pair(1.0, 1.0, "kind:pii")]
    for varies in (True, False):
        assert verdicts(compare(pairs, varies=varies))["kind:pii"] == "unproven"


def test_a_mean_that_does_not_vary_is_what_it_is() -> None:
    """One of eight fell fully: may be chance where answers vary, and is none where they do not."""
    pairs = [a_pair(1.0, 1.0)] * 7 + [a_pair(1.0, 0.0)]
    assert verdicts(compare(pairs)) == {"overall": "unproven"}
    assert verdicts(compare(pairs, varies=False)) == {"overall": "fell"}


def test_few_examples_tell_more_when_asked_again() -> None:
    """All four of a kind fell: once that may be chance, three times over it cannot be."""

    def found(*, times: int, varies: bool = True) -> Verdict:
        pairs = [a_pair(0.9, 0.9, "kind:tool", times=times)] * 50
        pairs += [a_pair(0.9, 0.7, "kind:pii", times=times)] * 4
        return verdicts(compare(pairs, varies=varies))["kind:pii"]

    assert (found(times=1), found(times=3)) == ("unproven", "fell")
    assert found(times=1, varies=False) == "fell"


def test_repeats_of_one_example_are_no_further_examples() -> None:
    """An example asked 20 times fell each time: certain of it, and nothing known of the others."""
    pairs = [a_pair(0.9, 0.1, "kind:pii", times=20)]
    pairs += [a_pair(0.9, 0.9, "kind:pii", times=20)] * 2
    pairs += [a_pair(0.9, 0.9, "kind:tool", times=20)] * 4
    assert verdicts(compare(pairs))["kind:pii"] == "unproven"


def test_slices_of_fewer_than_three_are_left_to_the_list() -> None:
    """A kind of two examples, and one that is the whole set, are no slices."""
    pairs = [a_pair(0.9, 0.9, "all", "kind:a")] * 3 + [a_pair(0.9, 0.1, "all", "kind:b")] * 2
    assert {each.of for each in compare(pairs, varies=False)} == {"overall", "kind:a"}


def test_a_metric_that_fell_is_told_though_its_weight_hides_it() -> None:
    """Coherence weighs a tenth: the mean hardly moves."""
    before = {"overall": 0.9, "coherence": 1.0, "safety": 1.0}
    now = {"overall": 0.88, "coherence": 0.8, "safety": 1.0}
    found = verdicts(compare([Pair(before=[before], now=[now])] * 40))
    assert found == {"overall": "held", "coherence": "fell", "safety": "held"}


def test_a_mark_that_cannot_be_given_any_more_has_fallen() -> None:
    """Silence is no pass mark; a metric that the baseline never gave is not compared."""
    before = {"overall": 0.9, "safety": 1.0}
    found = compare([Pair(before=[before], now=[{"overall": 0.9, "style": 0.0}])] * 40)
    assert verdicts(found) == {"overall": "held", "safety": "fell"}


def test_a_metric_counts_the_examples_that_have_it() -> None:
    """Examples without a mark on either side take no part, and do not thin a fall."""
    with_it = Pair(before=[{"overall": 0.9, "facts": 0.9}], now=[{"overall": 0.9, "facts": 0.8}])
    facts = compare([with_it] * 20 + [a_pair(0.9, 0.9)] * 200)[1]
    assert (facts.of, facts.examples, facts.difference, facts.verdict) == (
        "facts",
        20,
        -0.1,
        "fell",
    )


def test_runs_of_different_length_are_compared() -> None:
    """A baseline asked once and a run asked three times; the same numbers give the same verdict."""
    random = np.random.default_rng(2)
    pairs = [
        Pair(
            before=[{"overall": 0.9 + each[0]}],
            now=[{"overall": 0.8 + each[n]} for n in (1, 2, 3)],
        )
        for each in random.normal(0, 0.03, (60, 4)).tolist()
    ]
    (mean,) = compare(pairs)
    assert mean.difference == pytest.approx(-0.1, abs=0.01)
    assert mean.verdict == "fell"
    assert compare(pairs) == (mean,)


def test_another_threshold_finds_smaller_drops() -> None:
    """Three points of 300 examples, which the five percent let pass."""
    random = np.random.default_rng(4)
    scores = 0.85 + random.normal(0, 0.05, (300, 2)) - [0, 0.03]
    pairs = [a_pair(*row) for row in scores.tolist()]
    assert verdicts(compare(pairs)) == {"overall": "held"}
    assert verdicts(compare(pairs, threshold=0.02)) == {"overall": "fell"}
