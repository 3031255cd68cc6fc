"""Predicted latency: a line in flops and acts, so that a sample can be drawn to it on any machine.

A measured time differs from machine to machine and from run to run, and a draw must not; so what a
regime judges is the prediction of coefficients that the study file states (docs/latency.md).
"""

import math
from dataclasses import dataclass

from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.complexity import Complexity


@dataclass(frozen=True, slots=True)
class LatencyModel:
    """Milliseconds for one batch: ``base`` + ``flop`` · flops + ``act`` · acts, the counts of one image.

    The other fields say what the coefficients were fitted to, to be confirmed: the batch size,
    ``cpu`` or ``cuda``, and the processor's or GPU's name; a prediction does not depend on them.
    """

    base: float
    flop: float
    act: float
    batch: int = 1
    device: str = "cpu"
    processor: str = ""

    def __post_init__(self) -> None:
        for name in ("base", "flop", "act"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"latency: {name} is {value}", "it must be 0 or more milliseconds")
        if self.flop == self.act == 0:
            raise InputError(
                "latency: flop and act are both 0, so every network is as fast as any other",
                "set one above 0",
            )
        if self.batch < 1:
            raise InputError(f"latency: batch is {self.batch}", "it must be ≥ 1")
        if self.device not in ("cpu", "cuda"):
            raise InputError(f"latency: device is {self.device!r}", "it must be 'cpu' or 'cuda'")

    def predicted(self, counts: Complexity) -> Floats:
        """Milliseconds of n networks, shape (n,)."""
        return self.base + self.flop * counts.flops + self.act * counts.acts
