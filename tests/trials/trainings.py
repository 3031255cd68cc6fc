"""Trainings for the tests of stores: networks of one protocol, with scores that were not trained."""

from typing import Any

from regnetlab.spaces.law import parse_config
from regnetlab.spaces.template import SMALL
from regnetlab.training.budget import Budget, CurvePoint, Recipe, Score
from regnetlab.trials.job import Job, Trial

DATA, OTHER_DATA = "a" * 64, "b" * 64
CPU = "cpu with native kernels"
GOOD = Score(12.5, (CurvePoint(64, 2.25, 80.0), CurvePoint(128, 1.5, 60.0, 12.5)), 1.5, 128, "complete")
BAD = Score(None, (), 0.5, 0, "diverged: the loss was not finite by step 3")


def job(seed: int = 0, model: str = "anynet:d=1,1,2,1;w=8,16,24,32;g=8;b=1") -> Job:
    config = parse_config(model) if model.startswith("anynet:") else None
    budget = Budget(images=128, batch_size=32, validation=100)
    return Job(
        model, SMALL, "fashion-mnist", budget, Recipe(), seed, space="AnyNetA", index=seed, config=config
    )


def trial(seed: int = 0, score: Score = GOOD, data: str = DATA, device: str = CPU, **more: Any) -> Trial:
    return Trial(job(seed, **more), score, data, device, "host/7")
