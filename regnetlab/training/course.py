"""Where a training stands: what is known of it so far, kept in its checkpoint and put back."""

import math
import time
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

import torch
from torch import nn

from regnetlab.training.budget import Budget, CurvePoint
from regnetlab.training.checkpoints import Checkpoint
from regnetlab.training.step import Step

_KEPT = ("step", "since", "images", "epoch_loss", "epoch_wrong")


@dataclass(slots=True)
class Course:
    """What is known of a training so far, however it ends; ``curve`` and ``ran`` as in its score.

    ``since`` counts the images since the curve's last point; loss and wrong answers are those of the epoch
    up to there. ``seconds`` were used before an interruption.
    """

    curve: list[CurvePoint] = field(default_factory=list)
    ran: str | None = None
    step: int = 0
    since: int = 0
    images: int = 0
    epoch_loss: float = 0.0
    epoch_wrong: int = 0
    seconds: float = 0.0


class Keeper:
    """Keeps where a training stands in its checkpoint now and then, and puts it back."""

    def __init__(
        self, checkpoint: Checkpoint, network: nn.Module, step: Step, budget: Budget, started: float
    ) -> None:
        self._checkpoint, self._network, self._optimizer = checkpoint, network, step.optimizer
        self._budget, self._started = budget, started
        average = () if step.average is None else step.average.vectors
        sums = (step.loss_sum, step.wrong_sum, *average)
        self._sums = {f"sum{i}": each for i, each in enumerate(sums)}

    def keep(self, course: Course) -> None:
        """Write a checkpoint if one is due; an interrupt that waited for it is raised then."""
        if not self._checkpoint.due():
            return
        facts = {name: getattr(course, name) for name in _KEPT}
        seconds = course.seconds + time.monotonic() - self._started
        curve = [astuple(each) for each in course.curve]
        self._checkpoint.save(self._tensors(), facts | {"seconds": seconds, "curve": curve})
        if self._checkpoint.asked:
            raise KeyboardInterrupt

    def restore(self, course: Course) -> None:
        """Go on where the checkpoint was written, if there is one."""
        found = self._checkpoint.load()
        if found is None:
            return
        tensors, facts = found
        curve = _curve(facts, self._budget)
        if _forms(self._tensors()) != _forms(tensors) or curve is None:
            return
        names = self._network.state_dict().keys()
        self._network.load_state_dict({name: tensors[f"network.{name}"] for name in names})
        for i, vector in enumerate(self._vectors()):
            self._optimizer.state[vector]["momentum_buffer"] = tensors[f"momentum{i}"].to(vector.device)
        for name, each in self._sums.items():
            each.copy_(tensors[name])
        torch.random.set_rng_state(tensors["torch"])
        if "cuda" in tensors:
            torch.cuda.set_rng_state(tensors["cuda"], self._vectors()[0].device)
        course.curve += curve
        for name in (*_KEPT, "seconds"):
            setattr(course, name, facts[name])

    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors = {f"network.{name}": each for name, each in self._network.state_dict().items()}
        for i, vector in enumerate(self._vectors()):
            momentum = self._optimizer.state[vector].get("momentum_buffer")  # none before the first step
            tensors[f"momentum{i}"] = torch.zeros_like(vector) if momentum is None else momentum
        tensors |= self._sums
        if (device := self._vectors()[0].device).type == "cuda":
            tensors["cuda"] = torch.cuda.get_rng_state(device)
        return tensors | {"torch": torch.random.get_rng_state()}

    def _vectors(self) -> list[torch.Tensor]:
        return [group["params"][0] for group in self._optimizer.param_groups]


def _forms(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.dtype, torch.Size]]:
    return {name: (each.dtype, each.shape) for name, each in tensors.items()}


def _curve(facts: Mapping[str, Any], budget: Budget) -> list[CurvePoint] | None:
    """The curve in a checkpoint; none where something in it can't be so of this budget."""
    for name in (*_KEPT, "seconds"):
        if type(facts.get(name)) not in (int, float) or not 0 <= facts[name] < math.inf:
            return None
    step, since, images = (facts[name] for name in _KEPT[:3])
    try:
        curve = [CurvePoint(*each) for each in facts["curve"]]
        seen = [0, *(each.images for each in curve)]
        sound = all(type(each) is int for each in (step, since, images, *seen)) and seen == sorted(set(seen))
        sound &= all(math.isfinite(each.train_loss + each.train_error + (each.error or 0)) for each in curve)
    except (KeyError, TypeError):
        return None
    judged = sum(each.error is not None for each in curve)
    sound &= 0 < step <= budget.steps and judged == step // budget.steps_per_epoch
    return curve if sound and seen[-1] == images - since else None
