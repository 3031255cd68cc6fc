"""How fast spaces are sampled: networks a second on one core, by space and regime.

    .venv/bin/python tests/benchmarks/sampling.py

Each figure is the median of five draws in one process, single-threaded. `make bench-sampling` runs this.
"""

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from regnetlab.spaces.regime import Regime, Window
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import SPACES
from regnetlab.spaces.template import PAPER

REGIME = Regime(flops=Window(360e6, 400e6))


def seconds(call: Callable[[], object], times: int = 5) -> float:
    """The median duration of a call."""
    durations = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def main() -> None:
    print(f"{platform.platform()}, Python {platform.python_version()}\n")
    print("| space | networks/s | in 360–400 MF: networks/s | raw draws/s | 64 networks |")
    print("|---|---|---|---|---|")
    for name, space in SPACES.items():
        free = 50_000 / seconds(partial(sample, space, 50_000, PAPER))
        drawn = sample(space, 4_000, PAPER, REGIME).drawn
        window = seconds(partial(sample, space, 4_000, PAPER, REGIME))
        few = seconds(partial(sample, space, 64, PAPER, REGIME))
        print(f"| {name} | {free:,.0f} | {4_000 / window:,.0f} | {drawn / window:,.0f} | {few:.2f} s |")
    for words in (["--help"], ["sample", "--space", "AnyNetC", "--n", "64"]):
        command = [sys.executable, "-m", "regnetlab", *words]
        took = seconds(partial(subprocess.run, command, capture_output=True, check=True))
        print(f"\n`regnetlab {' '.join(words)}`: {took:.2f} s, start-up included")


if __name__ == "__main__":
    main()
