"""What a training shows while it runs: a row an epoch, and on a terminal the time that is left."""

import sys
import time
from typing import TextIO

from torch import nn

from regnetlab.cli.output import echo
from regnetlab.training.watching import Epoch, Watching

_EVERY = 0.5  # seconds between two looks at the time left
_ROW = "{:>5}  {:>10}  {:>9}  {:>{wide}}  {:>{wide}}  {:>8}"


class Rows(Watching):
    """Prints each epoch to ``stream`` as it ends, and keeps it; ``judge`` names the images that judge."""

    def __init__(self, judge: str, epochs: int, stream: TextIO) -> None:
        self.epochs: list[Epoch] = []
        self.network: nn.Module | None = None
        self.reached = (1, 0, 1)
        """The epoch that goes on, its steps so far, and of how many."""
        self._judge, self._of, self._stream = judge, epochs, stream
        self._live = sys.stderr.isatty()
        self._began = self._shown = time.monotonic()
        self._taken = 0  # steps since then

    def on_begin(self, network: nn.Module) -> None:
        self.network = network
        self._began = time.monotonic()
        self._print(
            "epoch", "train loss", "train acc", f"{self._judge} loss", f"{self._judge} acc", "seconds"
        )

    def on_step(self, epoch: int, step: int, steps: int) -> None:
        now = time.monotonic()
        self.reached = (epoch, step, steps)
        self._taken += 1
        if self._live and now - self._shown > _EVERY:
            self._shown = now
            each = (now - self._began) / self._taken
            left = each * (steps - step)
            whole = left + each * steps * (self._of - epoch)
            more = f", {_clock(whole)} in all" if self._of > epoch else ""
            text = f"epoch {epoch} of {self._of}: step {step:,} of {steps:,}, {_clock(left)} left{more}"
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    def on_epoch(self, epoch: Epoch) -> None:
        self.epochs.append(epoch)
        self._began, self._taken = time.monotonic(), 0
        losses = f"{epoch.train_loss:.4f}", f"{epoch.loss:.4f}"
        accuracies = f"{epoch.train_accuracy:.2f}%", f"{epoch.accuracy:.2f}%"
        self._print(
            str(epoch.epoch), losses[0], accuracies[0], losses[1], accuracies[1], f"{epoch.seconds:.1f}"
        )

    def told(self) -> str:
        """How far an interrupted training came, and which error of it is known."""
        epoch, step, steps = self.reached
        where = f"in epoch {epoch}, after {step:,} of its {steps:,} steps"
        if not self.epochs:
            return f"{where}, and {'never judged' if epoch == 1 else 'not judged since it went on'}"
        last = self.epochs[-1]
        error = f"{100 - last.accuracy:.2f}%"
        return f"{where}; {self._judge} error {error} after epoch {last.epoch}, not judged since"

    def clear(self) -> None:
        """Take the time left away."""
        if self._live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _print(self, *cells: str) -> None:
        self.clear()
        echo(_ROW.format(*cells, wide=len(self._judge) + 5), file=self._stream)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
