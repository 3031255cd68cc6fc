"""The kernels for AnyNets: whole trainings against torch's modules, and against what one core can do.

    .venv/bin/python tests/benchmarks/kernels.py [--networks 6] [--pairs 3] [--seed 0] [--images 3200]

Networks near 1 MF at 28 px (those of speed.py) on random images, batches of 64, one thread: the trainer runs
each with ``kernels="native"`` and ``"torch"``, alternately; a network's time is the median of the pairs. The
processor's peak is that of a loop of independent multiply-adds on registers with the kernels' flags;
rates count a network's multiply-adds twice and hold the whole training, also what is no convolution. About
two minutes.
"""

import argparse
import ctypes
import functools
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from regnetlab.models.native import build
from regnetlab.models.registry import find_model
from regnetlab.spaces.config import Config
from regnetlab.spaces.template import SMALL
from regnetlab.training.batches import DeviceData, Images
from regnetlab.training.budget import Budget
from regnetlab.training.devices import NATIVE, TORCH, set_up
from regnetlab.training.trainer import train
from tests.benchmarks.speed import RECIPE, multiply_adds, networks

_ROUNDS = 2_000_000
# Twelve sums fit into 16 registers and hide the latency of two units of 4 cycles.
_LOOP = """
#ifdef __AVX512F__
#define WIDTH 16
#elif defined __AVX__
#define WIDTH 8
#else
#define WIDTH 4
#endif
typedef float vec __attribute__((vector_size(4 * WIDTH)));
long multiply_adds(long rounds, float factor, float *result) {
    vec sum[12], x = (vec){0} + factor;
    for (int i = 0; i < 12; i++) sum[i] = (float)i * x;
    for (long k = 0; k < rounds; k++)
        _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) sum[i] = sum[i] * x + x;
    for (int i = 1; i < 12; i++) sum[0] += sum[i];
    *result = sum[0][0];
    return 12 * WIDTH * rounds;
}
"""


def fma_peak() -> float:
    """GFLOP/s of one core, the fastest of thirty runs of some milliseconds."""
    compiler = build.find_compiler()
    assert compiler is not None
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "peak.c"), Path(folder, "peak.so")
        source.write_text(_LOOP)
        subprocess.run([compiler, *build._FLAGS, "-o", library, source], check=True)
        loop = ctypes.CDLL(str(library)).multiply_adds
    loop.argtypes, loop.restype = [ctypes.c_long, ctypes.c_float, ctypes.c_void_p], ctypes.c_long
    seconds, result = [], ctypes.c_float()
    for _ in range(30):
        started = time.perf_counter()
        n = int(loop(_ROUNDS, 0.5, ctypes.byref(result)))
        seconds.append(time.perf_counter() - started)
    return 2 * n / min(seconds) / 1e9


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def random_images(n: int) -> Images:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (n, SMALL.channels, SMALL.height, SMALL.width), np.uint8)
    labels = random.integers(0, SMALL.classes, n)
    one = torch.ones(1, SMALL.channels, 1, 1)
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels), 127.5 * one, one / 74)


def seconds_to_train(config: Config, data: DeviceData, budget: Budget, kernels: str) -> float:
    build_it: Callable[[], torch.nn.Module] = functools.partial(find_model(config.text).build, SMALL)
    started = time.process_time()
    score = train(build_it, data, budget, RECIPE, 0, kernels)
    assert score.error is not None, score.ended
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=3_200)
    chosen = parser.parse_args()
    set_up(torch.device("cpu"))
    build.libraries()  # compiles, if this machine has not yet
    peak = fma_peak()
    print(f"{processor()}, one core: {peak:.0f} GFLOP/s of multiply-adds, torch {torch.__version__}")
    budget = Budget(images=chosen.images, validation=1_000)
    data = DeviceData(random_images(chosen.images), random_images(budget.validation))
    ratios, shares = [], []
    for config in networks(chosen.networks, chosen.seed):
        spent: dict[str, list[float]] = {NATIVE: [], TORCH: []}
        for _ in range(chosen.pairs):
            for kernels, seconds in spent.items():
                seconds.append(seconds_to_train(config, data, budget, kernels))
        native, torchs = (statistics.median(seconds) for seconds in spent.values())
        operations = 2 * multiply_adds([config], budget) / 1e9
        ratios.append(torchs / native)
        shares.append(100 * operations / native / peak)
        print(
            f"{config.text}: native {operations / native:.0f} GFLOP/s, {shares[-1]:.0f}% of the peak,"
            f" torch {operations / torchs:.0f}: {ratios[-1]:.1f} ×",
            flush=True,
        )
    print(f"median: {statistics.median(shares):.0f}% of the peak, ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
