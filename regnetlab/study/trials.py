"""trials.csv and the status of a study: what a finished or unfinished study looks like from outside."""

import csv
import io
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from regnetlab.spaces.config import Config
from regnetlab.spaces.ratio import ratio_text
from regnetlab.study.jobs import Job
from regnetlab.study.outcome import Outcome
from regnetlab.study.plan import DERIVED, FINAL, TUNING, Plan
from regnetlab.training.budget import COMPLETE, Score

NETWORK_COLUMNS = (
    "id",
    "depths",
    "widths",
    "group_widths",
    "bottleneck_ratios",
    "flops",
    "params",
    "acts",
    "w0",
    "wa",
    "wm",
    "error",
    "ended",
)
"""What every table of trainings says of a network and its score."""
COLUMNS = (
    "space",
    "index",
    "replicate",
    *NETWORK_COLUMNS,
    "seed",
    "images",
    "epochs",
    "batch_size",
    "seconds",
    "curve",
)
"""Columns of trials.csv, one row a training. Lists are numbers with spaces between; ``curve`` is JSON:
a list of [images, train loss, train error %, validation error % or null]."""


def trials_csv(plan: Plan, state: Outcome) -> str:
    """The finished trainings as CSV, sorted by space, index and replicate."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for job in sorted(state.jobs, key=lambda job: (job.space, job.index, job.replicate)):
        score = state.scores.get(job.identity)
        if score is not None and job.config is not None:
            writer.writerow(_row(plan, job, job.config, score))
    return text.getvalue()


def status(
    plan: Plan, state: Outcome, running: int, workers: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """How many models of each space are planned, complete and failed, and their errors.

    ``planned`` counts derived RegNets and the contest from the start, although they are settled only
    later. Errors are those on the validation split. ``workers`` are those of the run that goes on, or of
    the last one (``study.workers``).
    """
    spaces: list[dict[str, Any]] = []
    names = [draw.space.name for draw in plan.draws] + ([DERIVED] if plan.derived else [])
    names += [TUNING, FINAL] if plan.baselines is not None else []
    later = _pending(plan, state)
    for name in names:
        jobs = [job for job in state.jobs if job.space == name]
        done = [state.scores[job.identity] for job in jobs if job.identity in state.scores]
        errors = [s.error for s in done if s.ended == COMPLETE and s.error is not None]
        spaces.append(
            {
                "space": name,
                "planned": len(jobs) + later.get(name, 0),
                "complete": len(errors),
                "failed": len(done) - len(errors),
                "min": min(errors, default=None),
                "median": statistics.median(errors) if errors else None,
            }
        )
    totals = {key: sum(each[key] for each in spaces) for key in ("planned", "complete", "failed")}
    return {"study": plan.name, **totals, "running": running, "spaces": spaces, "workers": list(workers)}


def _row(plan: Plan, job: Job, config: Config, score: Score) -> Mapping[str, object]:
    return {
        "space": job.space,
        "index": job.index,
        "replicate": job.replicate,
        "id": config.id,
        "depths": _spaced(config.depths),
        "widths": _spaced(config.widths),
        "group_widths": _spaced(config.group_widths),
        "bottleneck_ratios": _spaced(map(ratio_text, config.bottleneck_ratios)),
        "flops": job.flops,
        "params": job.params,
        "acts": job.acts,
        **{name: f"{value:g}" for name, value in job.law},
        "error": "" if score.error is None else repr(score.error),
        "ended": score.ended,
        "seed": job.seed,
        "images": score.images,
        "epochs": plan.budget.epochs,
        "batch_size": plan.budget.batch_size,
        "seconds": f"{score.seconds:.2f}",
        "curve": curve_text(score),
    }


def curve_text(score: Score) -> str:
    """The learning curve as it stands in tables: JSON, see ``COLUMNS``."""
    points = [
        [point.images, _short(point.train_loss), _short(point.train_error), point.error]
        for point in score.curve
    ]
    return json.dumps(points, separators=(",", ":"))


def _pending(plan: Plan, state: Outcome) -> dict[str, int]:
    """Trainings of stages that are planned but not settled yet; those of baselines at most so many."""
    if plan.baselines is None:
        pending = {}
    else:
        known = len(state.contest.contenders)
        most = len(plan.baselines.names) * len(plan.baselines.forms) + plan.baselines.regnets
        contenders = known or most
        tuned = state.contest.chosen is not None
        pending = {
            TUNING: 0 if known else contenders * len(plan.baselines.lr) * plan.baselines.tuning_seeds,
            FINAL: 0 if tuned else contenders * plan.baselines.seeds,
        }
    return pending | {DERIVED: 0 if state.derived else plan.derived * plan.seeds}


def _spaced(values: Iterable[int | str]) -> str:
    return " ".join(map(str, values))


def _short(value: float) -> float:
    return float(f"{value:.5g}")
