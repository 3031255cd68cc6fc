"""baselines.csv: every training of the contest, beside trials.csv, which holds the populations alone."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from regnetlab.study.contest import Contender
from regnetlab.study.outcome import Outcome
from regnetlab.study.plan import Plan
from regnetlab.training.budget import Score
from regnetlab.trials.job import FINAL, TUNING, Job

LATENCY_BATCHES = (1, 256)
"""Batch sizes at which the contenders' inference is timed."""

COLUMNS = (
    "stage",
    "contender",
    "model",
    "family",
    "flops",
    "params",
    "acts",
    "lr",
    "seed",
    "error",
    "test_error",
    "ended",
    "images",
    "seconds",
    *(f"latency_{batch}_ms" for batch in LATENCY_BATCHES),
)
"""One row a training. ``error`` is on the validation split, ``test_error`` on the test split; latencies
are medians of one batch."""


def contest_csv(plan: Plan, state: Outcome, latencies: Mapping[str, Any]) -> str:
    """The finished trainings of the contest, tuning first, contenders in the plan's order."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for stage in (TUNING, FINAL):
        for job in state.jobs:
            score = state.scores.get(job.identity)
            if job.space == stage and score is not None:
                contender = state.contest.contenders[job.index]
                writer.writerow(_row(job, score, contender, latencies.get(contender.model, {})))
    return text.getvalue()


def _row(
    job: Job, score: Score, contender: Contender, latency: Mapping[str, tuple[float, float, float]]
) -> Mapping[str, object]:
    times = {
        f"latency_{batch}_ms": f"{latency[str(batch)][0]:.3f}" if str(batch) in latency else ""
        for batch in LATENCY_BATCHES
    }
    return {
        "stage": job.space,
        "contender": contender.name,
        "model": contender.model,
        "family": contender.family,
        "flops": job.flops,
        "params": job.params,
        "acts": job.acts,
        "lr": f"{job.recipe.lr:g}",
        "seed": job.seed,
        "error": "" if score.error is None else repr(score.error),
        "test_error": "" if score.test_error is None else repr(score.test_error),
        "ended": score.ended,
        "images": score.images,
        "seconds": f"{score.seconds:.2f}",
        **times,
    }
