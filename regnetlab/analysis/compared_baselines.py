"""Everything that ``compare-baselines`` answers, as one document."""

from typing import Any

from regnetlab.analysis.standings import Match, Spread, Standing, matches, study_standings
from regnetlab.errors import InputError
from regnetlab.study.plan import Plan


def compared_baselines(plan: Plan) -> dict[str, Any]:
    """The contest of a study; raises ``InputError`` where it has none or has not come to it."""
    if plan.baselines is None:
        raise InputError(
            f"study {plan.name} has no [baselines]; add to its study.toml:"
            ' [baselines] with names = ["resnet18"] and forms = ["1MF"]'
        )
    found = study_standings(plan)
    if not found:
        raise InputError(
            f"study {plan.name} has not come to its baselines yet; go on with: regnetlab run {plan.name}"
        )
    ranked = sorted(found, key=lambda s: (s.test is None, s.test.mean if s.test is not None else 0.0))
    wanted = plan.baselines.seeds
    done = all(
        (s.lr is None and all(error is None for _, error in s.tries)) or _finals(s) == wanted for s in found
    )
    return {
        "study": plan.name,
        "final": done,
        "contenders": [_described(each) for each in ranked],
        "tuning_seeds": plan.baselines.tuning_seeds,
        "comparisons": [_match(each) for each in matches(found)],
    }


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
