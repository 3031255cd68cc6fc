"""Networks an hour on a GPU: this package against the plain loop, on the same networks and the same GPU.

    make bench-gpu [ARGS="--pairs 1 --networks 4"]

Small networks (near 1 MF at 28 px, images in the GPU's memory) and the paper's (360 to 400 MF at 224 px, from
a pack, 1,000 classes), of random images, in one process and in eight; eight also with NVIDIA's
Multi-Process Service where its daemon is installed, which this starts and stops. Then, in this process, the
same trainings from recorded steps and without, and how near they come to the *roofline*: the time that the
GPU's fastest matrix product and copy would take for a network's operations and activations (Williams et al.
2009). The plain loop (``plain.py``) is torch in float32 with a DataLoader.

The last line is ``gpu ratio R``, the least of the ratios above. About six minutes on one H100 with the
defaults, as estimated; needs no package beyond torch, torchvision, pandas, SciPy, safetensors, typer.
"""

import argparse
import gzip
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from regnetlab.execution import make_executor
from regnetlab.execution.base import Request, Setting, Task
from regnetlab.models.registry import find_model
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.regime import Regime, Window
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import space_named
from regnetlab.spaces.template import PAPER, SMALL, Template
from regnetlab.training import graphs
from regnetlab.training.batches import on_device
from regnetlab.training.budget import COMPLETE, Budget, Recipe
from regnetlab.training.datasets import DataSet, load_data
from regnetlab.training.devices import HALF, find_device, set_up
from regnetlab.training.packs.datasets import pack_indexed
from regnetlab.training.sources.parts import Split
from regnetlab.training.trainer import train
from regnetlab.trials.job import Job
from tests.benchmarks.plain import plain_sets, train_plainly
from tests.benchmarks.speed import networks as small_networks

RECIPE = Recipe()
_MPS = "nvidia-cuda-mps-control"
_TOUCHES = 14
"""How often a value behind a convolution is read or written, forwards and backwards, by convolution, norm and
ReLU as separate operations."""


class Case(NamedTuple):
    """Networks of one size, and what they are trained on."""

    name: str
    template: Template
    data: str
    data_dir: Path
    budget: Budget
    configs: list[Config]


def small_case(folder: Path, n: int, seed: int, images: int) -> Case:
    """Random images in Fashion-MNIST's format."""
    random = np.random.default_rng(seed)
    for stem, count in (("train", images * 2), ("t10k", 100)):
        for kind, array in (
            ("images-idx3", random.integers(0, 256, (count, 28, 28))),
            ("labels-idx1", np.arange(count) % 10),
        ):
            header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
            file = folder / f"{stem}-{kind}-ubyte.gz"
            file.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes(), 1))
    budget = Budget(images=images, validation=images // 4)
    return Case("1 MF, 28 px", SMALL, "fashion-mnist", folder, budget, small_networks(n, seed))


class _Noise:
    """Random pictures of 3×224×224; labels count up to 1,000 and begin again."""

    classes = tuple(map(str, range(1_000)))

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, at: int) -> tuple[np.ndarray, int]:
        return np.random.default_rng(at).integers(0, 256, (224, 224, 3), np.uint8), at % 1_000


def large_case(folder: Path, n: int, seed: int, images: int) -> Case:
    """Random images in a pack."""
    packed = folder / "noise"
    pack_indexed(packed, _Noise(images), _Noise(images // 4), _Noise(8), side=224)
    regime = Regime(flops=Window(360e6, 400e6))
    found = sample(space_named("RegNet"), n, PAPER, regime, seed)
    budget = Budget(images=images, batch_size=128, validation=images // 4)
    return Case("400 MF, 224 px", PAPER, f"pack:{packed}", folder, budget, list(found.population.configs()))


def hourly(networks: int, seconds: float) -> float:
    return 3600 * networks / seconds


def plain_seconds(case: Case, device: torch.device) -> float:
    data = load_data(case.data, case.template, case.data_dir)
    sets = plain_sets(on_device(data, torch.device("cpu")), case.budget)
    took = 0.0
    for number, config in enumerate([case.configs[0], *case.configs]):
        began = time.perf_counter()
        build = partial(find_model(config.text).build, case.template)
        train_plainly(build, sets, case.budget, RECIPE, 0, device)
        took += (time.perf_counter() - began) * (number > 0)  # the first one warms up
    return took


def package_seconds(case: Case, device: str, processes: int) -> float:
    """Through the executor that ``regnetlab run`` uses, when all its processes have begun."""
    pool = make_executor("local", Request(processes, device))
    setting = Setting(case.data_dir, device)

    def job(config: Config) -> Job:
        acts = config_complexity(config, case.template)["acts"]
        return Job(config.text, case.template, case.data, case.budget, RECIPE, 0, acts=acts)

    try:
        for each in [pool.train(setting, Task(job(case.configs[0]))) for _ in range(processes)]:
            each.result()
        began = time.perf_counter()
        scores = [
            each.result().score
            for each in [pool.train(setting, Task(job(config))) for config in case.configs]
        ]
        took = time.perf_counter() - began
    finally:
        pool.shutdown()
    failed = {score.ended for score in scores} - {COMPLETE}
    if failed:
        raise SystemExit(f"a training ended: {min(failed)}")
    return took


def under_mps(arguments: list[str], folder: Path) -> str | None:
    """What this program prints with these arguments while the Multi-Process Service runs."""
    if shutil.which(_MPS) is None:
        return None
    where = {
        "CUDA_MPS_PIPE_DIRECTORY": str(folder / "pipe"),
        "CUDA_MPS_LOG_DIRECTORY": str(folder / "log"),
    }
    for each in where.values():
        Path(each).mkdir()
    environment = os.environ | where
    if subprocess.run([_MPS, "-d"], env=environment, check=False).returncode:
        return None
    try:
        words = [sys.executable, __file__, *arguments]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else f"failed: {done.stderr.strip()[-300:]}\n"
    finally:
        subprocess.run([_MPS], input="quit\n", text=True, env=environment, check=False)


def fastest(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of several calls."""

    def waited() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    times = []
    for _ in range(10):
        began = waited()
        call()
        times.append(waited() - began)
    return min(times)


def roofline(case: Case, device: torch.device) -> float:
    """Seconds that the networks' training steps would take at least."""
    side, values = (8192, 2**30) if device.type == "cuda" else (512, 2**24)
    a = torch.randn(side, side, device=device, dtype=HALF)
    operations = 2 * side**3 / fastest(lambda: a @ a, device)
    source = torch.zeros(values, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    bandwidth = 2 * values / fastest(lambda: target.copy_(source), device)
    print(f"  matrix product {operations / 1e12:,.0f} TFLOP/s, copy {bandwidth / 1e9:,.0f} GB/s")
    images = case.budget.images * case.budget.epochs
    seconds = 0.0
    for config in case.configs:
        counts = config_complexity(config, case.template)
        seconds += images * max(
            3 * 2 * counts["flops"] / operations, _TOUCHES * 2 * counts["acts"] / bandwidth
        )
    return seconds


def in_memory(data: DataSet) -> DataSet:
    def moved(split: Split) -> Split:
        return Split(np.asarray(split.images[:]), split.labels)

    return replace(data, train=moved(data.train), validation=moved(data.validation))


def recorded_and_not(case: Case, device: torch.device) -> None:
    """The trainings one after another in this process, images in the device's memory."""
    data = on_device(in_memory(load_data(case.data, case.template, case.data_dir)), device)
    budget = case.budget
    took = {}
    usual = graphs.FIRST
    for name, first in (("recorded", usual), ("launched one by one", 10**9)):
        graphs.FIRST = first
        seconds = 0.0
        for number, config in enumerate([case.configs[0], *case.configs]):
            build = partial(find_model(config.text).build, case.template)
            score = train(build, data, budget, RECIPE, 0)
            seconds += score.seconds * (number > 0)
        took[name] = seconds
        print(f"  {name}: {hourly(len(case.configs), seconds):,.0f} networks an hour, {score.ran}")
    graphs.FIRST = usual
    least = roofline(case, device)
    print(f"  share of the roofline: {100 * least / took['recorded']:.1f}% (with evaluation and norms)")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=6_400, help="of a small network; a third at 224 px")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--package-only", action="store_true")
    chosen = parser.parse_args()
    device = find_device(chosen.device)
    set_up(device)
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    if not chosen.package_only:
        print(f"{where}, {os.cpu_count()} cores, torch {torch.__version__}; {time.strftime('%Y-%m-%d')}")
    ratios = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cases = [
            small_case(folder, chosen.networks, chosen.seed, chosen.images),
            large_case(folder, chosen.networks, chosen.seed, chosen.images // 3 // 128 * 128 or 128),
        ]
        for case in cases:
            n = len(case.configs)
            plain = [] if chosen.package_only else [plain_seconds(case, device) for _ in range(chosen.pairs)]
            for processes in chosen.processes:
                package = [package_seconds(case, chosen.device, processes) for _ in range(chosen.pairs)]
                ours = statistics.median(package)
                print(f"{case.name}, {processes} processes: package {hourly(n, ours):,.0f} networks an hour")
                if plain:
                    theirs = statistics.median(plain)
                    ratios.append(theirs / ours)
                    print(f"  plain {hourly(n, theirs):,.0f}, ratio {ratios[-1]:.2f}", flush=True)
            if plain:
                recorded_and_not(case, device)
        if not chosen.package_only:
            words = ["--package-only", "--processes", str(max(chosen.processes)), "--pairs", "1"]
            words += ["--networks", str(chosen.networks), "--images", str(chosen.images)]
            found = under_mps([*words, "--device", chosen.device], folder)
            print(f"with the Multi-Process Service:\n{found}" if found else f"{_MPS} is not installed")
    if ratios:
        print(f"gpu ratio {min(ratios):.2f}")


if __name__ == "__main__":
    main()
