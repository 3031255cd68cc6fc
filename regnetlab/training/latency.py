"""Inference latency: how long a network takes for one batch, on this machine."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from regnetlab.spaces.template import Template
from regnetlab.training.devices import set_up

_LEAST_RUNS = 5
_WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds for one batch: the median of ``runs``, and the quarter and three quarters around it."""

    batch: int
    median: float
    low: float
    high: float
    runs: int


def latency(
    build: Callable[[Template], nn.Module],
    template: Template,
    device: torch.device,
    batch: int,
    seconds: float = 0.5,
) -> Latency:
    """Measure for about so many seconds, five runs at least, after a warm-up; weights are fresh ones.

    On a CPU with one thread, as trainings are.
    """
    set_up(device)
    model = build(template).to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    images = torch.randn(batch, template.channels, template.height, template.width, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(_WARM_UP):
            model(images)
        ends = time.perf_counter() + seconds
        while len(times) < _LEAST_RUNS or time.perf_counter() < ends:
            _wait(device)
            started = time.perf_counter()
            model(images)
            _wait(device)
            times.append(1e3 * (time.perf_counter() - started))
    low, median, high = statistics.quantiles(times, n=4)
    return Latency(batch, median, low, high, len(times))


def _wait(device: torch.device) -> None:
    """Until the device has done everything it was asked for; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
