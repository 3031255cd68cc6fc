"""Networks an hour: this package against the plain loop, on the same networks, alternately.

    .venv/bin/python tests/benchmarks/speed.py [--networks 12] [--pairs 3] [--seed 0] [--images 6400]
                                               [--device cpu] [--workers N]

Networks near 1 MF at 28 px: AnyNetA with group widths of 1 to 32, then RegNets. Each pair trains all of them
with the plain loop (``plain.py``: one process, all threads) and then through the package's own executor (one
process a core; with ``--device cuda`` both on the GPU, in as many processes as ``--workers`` says). Start-up
is told apart; it happens once a study. The last line is ``ratio R``, the median of the pairs' ratios of
networks an hour. About six minutes on two cores. Results are in docs/benchmarks.md.
"""

import argparse
import functools
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from regnetlab.execution import make_executor
from regnetlab.execution.base import Request, Setting, Task
from regnetlab.execution.worker import work
from regnetlab.models.native.engine import NativeAnyNet
from regnetlab.models.registry import find_model
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, Window
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import space_named
from regnetlab.spaces.template import SMALL
from regnetlab.training import trainer
from regnetlab.training.batches import Images, on_device
from regnetlab.training.budget import Budget, Recipe, Score
from regnetlab.training.cores import usable_cores
from regnetlab.training.datasets import load_data
from regnetlab.training.devices import default_workers, find_device, kernels_used
from regnetlab.training.step import VectorSgd
from regnetlab.trials.job import Job
from tests.benchmarks.plain import plain_sets, train_plainly

RECIPE = Recipe()


def networks(n: int, seed: int) -> list[Config]:
    """Three quarters from AnyNetA, the first one with each group width; the rest RegNets."""
    ranges = Ranges(depth=(1, 12), width=(8, 256))
    regime = Regime(flops=Window(0.8e6, 1.2e6))
    regnets = max(1, n // 4)
    found = [*sample(space_named("RegNet").within(ranges), regnets, SMALL, regime, seed).population.configs()]
    for place in range(n - regnets):
        g = ranges.group_width[place % len(ranges.group_width)]
        space = space_named("AnyNetA").within(ranges.changed(group_width=(g,)))
        turn = place // len(ranges.group_width)
        found.append(sample(space, turn + 1, SMALL, regime, seed).population.config(turn))
    return found


def multiply_adds(configs: list[Config], budget: Budget) -> float:
    """Of all trainings: forwards and twice as much backwards, norms and evaluation forwards."""
    forwards = (
        3 * budget.images * budget.epochs + RECIPE.precise_bn * budget.images_per_step + budget.validation
    )
    return sum(config_complexity(each, SMALL)["flops"] for each in configs) * float(forwards)


def matmul_peak(threads: int, device: torch.device) -> float:
    """GFLOP/s of the fastest of several products of two 1,024 × 1,024 matrices in float32."""
    kept = torch.get_num_threads()
    torch.set_num_threads(threads)
    a, b = (torch.randn(1024, 1024, device=device) for _ in range(2))
    times = []
    for _ in range(20):
        started = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    torch.set_num_threads(kept)
    return 2 * 1024**3 / min(times[5:]) / 1e9


@contextmanager
def timed(parts: dict[str, tuple[Any, str]], seconds: dict[str, float]) -> Iterator[None]:
    """Adds up the seconds that these functions or methods take."""

    def wrapped(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[part] = seconds.get(part, 0.0) + time.perf_counter() - started

        return call

    kept = [(owner, name, getattr(owner, name)) for owner, name in parts.values()]
    for part, (owner, name) in parts.items():
        setattr(owner, name, wrapped(part, getattr(owner, name)))
    try:
        yield
    finally:
        for owner, name, function in kept:
            setattr(owner, name, function)


def job_of(config: Config, budget: Budget, seed: int) -> Job:
    acts = config_complexity(config, SMALL)["acts"]
    return Job(config.text, SMALL, "fashion-mnist", budget, RECIPE, seed, acts=acts)


def package_shares(configs: list[Config], setting: Setting, budget: Budget) -> dict[str, float]:
    """Where a worker's time goes, measured in this process on one thread."""
    parts = {
        "data": (Images, "normalised"),
        "forward": (NativeAnyNet, "_train_forward"),
        "backward": (NativeAnyNet, "_backward"),
        "optimizer": (VectorSgd, "step"),
        "evaluation": (trainer, "evaluate"),
        "norms": (trainer, "recompute_norms"),
    }
    work(setting, job_of(configs[0], budget, 0))  # loads the data
    seconds: dict[str, float] = {}
    started = time.perf_counter()
    with timed(parts, seconds):
        for each in configs:
            work(setting, job_of(each, budget, 0))
    seconds["other"] = time.perf_counter() - started - sum(seconds.values())
    return seconds


def shown(seconds: dict[str, float]) -> str:
    total = sum(seconds.values())
    return ", ".join(f"{part} {100 * spent / total:.0f}%" for part, spent in seconds.items())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=6_400)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--data-dir", type=Path)
    chosen = parser.parse_args()
    budget = Budget(images=chosen.images)
    configs = networks(chosen.networks, chosen.seed)
    device = find_device(chosen.device)
    largest = max(config_complexity(each, SMALL)["acts"] for each in configs)
    workers = chosen.workers or default_workers(device, largest, budget.images_per_step)
    setting = Setting(chosen.data_dir, chosen.device)
    cores = usable_cores()
    peak = matmul_peak(cores, device)
    operations = 2 * multiply_adds(configs, budget)
    print(f"{platform.system()} {platform.machine()}, {cores} cores, torch {torch.__version__}")
    where = f"{cores} threads" if device.type == "cpu" else torch.cuda.get_device_name(device)
    print(f"kernels {kernels_used('auto', device.type)}; matrix product {peak:,.0f} GFLOP/s on {where}")
    print(
        f"{len(configs)} networks near 1 MF, {budget.images:,} images, {budget.validation:,} to validate on"
    )

    data = load_data("fashion-mnist", SMALL, chosen.data_dir)
    sets = plain_sets(on_device(data, torch.device("cpu")), budget)
    started = time.perf_counter()
    pool = make_executor("local", Request(workers, chosen.device))
    for each in [pool.train(setting, Task(job_of(configs[0], budget, 0))) for _ in range(workers)]:
        each.result()
    start_up = time.perf_counter() - started

    ratios, errors = [], []
    plain_seconds: dict[str, float] = {}
    for pair in range(chosen.pairs):
        started = time.perf_counter()
        plain = []
        for each in configs:
            build = functools.partial(find_model(each.text).build, SMALL)
            error, seconds = train_plainly(build, sets, budget, RECIPE, pair, device)
            plain.append(error)
            for part, spent in seconds.items():
                plain_seconds[part] = plain_seconds.get(part, 0.0) + spent
        plain_took = time.perf_counter() - started
        started = time.perf_counter()
        calls = [pool.train(setting, Task(job_of(each, budget, pair))) for each in configs]
        scores: list[Score] = [each.result().score for each in calls]
        took = time.perf_counter() - started
        ratios.append(plain_took / took)
        errors += [
            score.error - error for score, error in zip(scores, plain, strict=True) if score.error is not None
        ]
        rates = [3600 * len(configs) / each for each in (plain_took, took)]
        speeds = [operations / each / 1e9 for each in (plain_took, took)]
        print(
            f"pair {pair + 1}: plain {rates[0]:,.0f} networks an hour ({speeds[0]:.1f} GFLOP/s), package"
            f" {rates[1]:,.0f} ({speeds[1]:.1f} GFLOP/s, {100 * speeds[1] / peak:.0f}% of matrix products)"
            f": {ratios[-1]:.2f} ×",
            flush=True,
        )
    pool.shutdown()
    spread = statistics.stdev(errors) / len(errors) ** 0.5
    print(
        f"error, package − plain: {statistics.mean(errors):+.2f} ± {spread:.2f} points (mean, standard error)"
    )
    print(f"plain: {shown(plain_seconds)}")
    if device.type == "cpu":
        print(f"package, of one worker: {shown(package_shares(configs[:6], setting, budget))}")
    print(f"start-up of {workers} workers with their first network: {start_up:.1f} s, once a study")
    print(f"ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
