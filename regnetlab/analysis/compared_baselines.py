"""Everything that ``compare-baselines`` answers, as one document."""

from collections.abc import Mapping
from typing import Any

from regnetlab.analysis.guessing import has_learned, not_learned
from regnetlab.analysis.standings import Match, Spread, Standing, matches, study_standings
from regnetlab.errors import InputError
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import guessing_in, recorded
from regnetlab.training.guessing import Guessing


def compared_baselines(plan: Plan) -> dict[str, Any]:
    """The contest of a study; raises ``InputError`` where it has none or has not come to it."""
    if plan.baselines is None:
        raise InputError(
            f"study {plan.name} has no [baselines]",
            'add to its study.toml: [baselines] with names = ["resnet18"] and forms = ["1MF"]',
        )
    found = study_standings(plan)
    if not found:
        raise InputError(
            f"study {plan.name} has not come to its baselines yet", f"go on with: regnetlab run {plan.name}"
        )
    ranked = sorted(found, key=lambda s: (s.test is None, s.test.mean if s.test is not None else 0.0))
    guesses = guesses_of(recorded(plan))
    wanted = plan.baselines.seeds
    done = all(
        (s.lr is None and all(error is None for _, error in s.tries)) or _finals(s) == wanted for s in found
    )
    return {
        "study": plan.name,
        "final": done,
        "majority_error": _majority_error(guesses["validation"]),
        "majority_error_test": _majority_error(guesses["test"]),
        "not_learned": list(filter(None, (contender_not_learned(each, guesses) for each in ranked))),
        "contenders": [
            _described(each) | {"learned": has_learned(*judged_by(each, guesses))} for each in ranked
        ],
        "tuning_seeds": plan.baselines.tuning_seeds,
        "comparisons": [_match(each) for each in matches(found)],
    }


def guesses_of(facts: Mapping[str, Any]) -> dict[str, Guessing | None]:
    """What guessing gives on each split."""
    return {split: guessing_in(facts, split) for split in ("validation", "test")}


def judged_by(
    standing: Standing, guesses: Mapping[str, Guessing | None]
) -> tuple[list[float], Guessing | None]:
    """A contender's mean error over its seeds, and what guessing gives on the same split: test, if it was
    judged there."""
    for split, spread in (("test", standing.test), ("validation", standing.validation)):
        if spread is not None:
            return [spread.mean], guesses[split]
    return [], None


def contender_not_learned(standing: Standing, guesses: Mapping[str, Guessing | None]) -> str:
    """A sentence where it is not clearly better than guessing; else empty."""
    errors, guess = judged_by(standing, guesses)
    return not_learned(standing.name, errors, guess)


def _majority_error(guess: Guessing | None) -> float | None:
    return None if guess is None else guess.majority_error


def _finals(standing: Standing) -> int:
    return standing.failed + (len(standing.test.errors) if standing.test is not None else 0)


def _described(standing: Standing) -> dict[str, Any]:
    return {
        "name": standing.name,
        "model": standing.model,
        "family": standing.family,
        "flops": standing.flops,
        "params": standing.params,
        "acts": standing.acts,
        "lr": standing.lr,
        "lr_at_edge": standing.at_edge,
        "tries": [{"lr": lr, "validation_error": error} for lr, error in standing.tries],
        "test": _spread(standing.test),
        "validation": _spread(standing.validation),
        "failed": standing.failed,
        "seconds": standing.seconds,
        "latency_ms": {str(batch): value for batch, value in standing.latencies.items()},
    }


def _spread(spread: Spread | None) -> dict[str, Any] | None:
    if spread is None:
        return None
    return {"mean": spread.mean, "sd": spread.sd, "errors": spread.errors}


def _match(match: Match) -> dict[str, Any]:
    return {
        "flops": match.flops,
        "a": match.a.name,
        "b": match.b.name,
        "verdict": match.verdict,
        "difference": match.difference.estimate,
        "interval": [match.difference.low, match.difference.high],
        "tried_once": match.tried_once,
    }
