"""Who watches one training: what is told when."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch: means over its training images as they were seen, then over the images that judge.

    Accuracies are in percent, ``seconds`` those of training and judging.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    loss: float
    accuracy: float
    seconds: float

    def as_dict(self, judge: str) -> dict[str, Any]:
        """With the images that judge in the names: ``test_loss``, or ``validation_loss``."""
        named = {"loss": f"{judge}_loss", "accuracy": f"{judge}_accuracy"}
        return {named.get(key, key): value for key, value in asdict(self).items()}


class Watching:
    """Does nothing; a subclass overrides what it wants to hear."""

    def on_begin(self, network: nn.Module) -> None:
        """Before the first step; the network's parameters and statistics are always the current ones."""

    def on_step(self, epoch: int, step: int, steps: int) -> None:
        """After step ``step`` of ``steps`` in this epoch, both counted from 1."""

    def on_epoch(self, epoch: Epoch) -> None:
        """After the epoch was judged."""
