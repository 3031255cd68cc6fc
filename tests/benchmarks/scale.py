"""Time and memory against size: sampling, analysis, report and store, from 100 to 100,000 networks.

    .venv/bin/python tests/benchmarks/scale.py [--most 100000] [-o docs/scale.md]

Trials are synthetic (``synthetic.py``): real samples, errors made up. Times are CPU seconds (user and
system) of whole commands, medians of three (of one from 100,000 on), so that a busy machine counts
little. With ``-o`` the picture is written beside the page. `make bench-scale` runs it.
"""

import argparse
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from synthetic import synthetic_curve, write_synthetic  # beside this file

from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import SPACES
from regnetlab.spaces.template import PAPER
from regnetlab.study.plan_file import load_plan
from regnetlab.study.stages import planned_jobs
from regnetlab.training.budget import CurvePoint, Score
from regnetlab.trials.job import Job, Trial
from regnetlab.trials.store import Store, open_store, row_of

STUDY = """seed = 0
[regime]
flops = "0.4M:4M"
[ranges]
depth = [1, 12]
width = [8, 256]
[[spaces]]
space = "AnyNetA"
n = {n}
"""
COMMANDS = {
    "sample": "sample --space AnyNetA --n {n} -o {folder}/sample.csv",
    "compare": "compare --from {file} --json",
    "fit-regnet": "fit-regnet --from {file} --template small --json",
    "report": "report --from {file} -o {folder}/synthetic.html",
    "resume": "status {study}",
}
Cost = tuple[float, float]
"""CPU seconds and MiB at most."""


def command_cost(words: str) -> Cost:
    """What one whole command takes; raises where it fails."""
    command = [sys.executable, "-m", "regnetlab", *words.split()]
    with (
        tempfile.TemporaryFile() as complaint,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=complaint) as started,
    ):
        _, status, used = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        if started.returncode:
            complaint.seek(0)
            reason = complaint.read().decode() or "nothing on stderr"
            raise RuntimeError(f"{words} ended with {started.returncode}: {reason}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def median_cost(words: str, times: int) -> Cost:
    found = [command_cost(words) for _ in range(times)]
    return statistics.median(seconds for seconds, _ in found), max(memory for _, memory in found)


def cpu(call: Callable[[], object], times: int = 3) -> float:
    """The median CPU seconds of a call in this process."""
    durations = []
    for _ in range(times):
        started = time.process_time()
        call()
        durations.append(time.process_time() - started)
    return statistics.median(durations)


def score_of(job: Job) -> Score:
    """A SYNTHETIC score: made up from the identity, nothing was trained."""
    error = 20 + int(job.identity[:4], 16) / 3_000
    points = synthetic_curve(error)
    curve = tuple(CurvePoint(int(images), loss, trained) for images, loss, trained in points)
    return Score(error, curve, 1.0, int(points[-1][0]), "complete")


def filled_study(folder: Path, n: int) -> tuple[Path, Store, list[Job]]:
    """A study whose n trainings are all in its store."""
    path = folder / f"synthetic-{n}" / "study.toml"
    path.parent.mkdir()
    path.write_text(STUDY.format(n=n))
    plan = load_plan(path)
    jobs = planned_jobs(plan)
    store = open_store(plan.store)
    for start in range(0, n, 1_000):
        store.add_rows(row_of(Trial(job, score_of(job))) for job in jobs[start : start + 1_000])
    return path, store, jobs


def write_costs(store: Store, jobs: Sequence[Job], times: int = 60) -> tuple[float, float]:
    """Median CPU and wall milliseconds of keeping one more training."""
    found = []
    for number, job in enumerate((jobs * times)[:times]):
        trial = Trial(replace(job, replicate=1, seed=number), score_of(job))
        started = time.process_time(), time.perf_counter()
        store.add(trial)
        found.append((time.process_time() - started[0], time.perf_counter() - started[1]))
    return 1e3 * statistics.median(a for a, _ in found), 1e3 * statistics.median(b for _, b in found)


def measured(sizes: Sequence[int]) -> dict[str, dict[int, Any]]:
    """By what was done and size: costs of commands, milliseconds of writes."""
    rows: dict[str, dict[int, Any]] = {name: {} for name in (*COMMANDS, "write")}
    for n in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            file = folder / f"synthetic-{n}.csv"
            write_synthetic(file, n)
            study, store, jobs = filled_study(folder, n)
            for what, words in COMMANDS.items():
                text = words.format(n=n, folder=folder, file=file, study=study)
                rows[what][n] = median_cost(text, 3 if n < 100_000 else 1)
                print(f"{n:>7} {what}: {rows[what][n][0]:.2f} s, {rows[what][n][1]:.0f} MiB", file=sys.stderr)
            rows["write"][n] = write_costs(store, jobs)
            print(f"{n:>7} write: {rows['write'][n][0]:.2f} ms CPU", file=sys.stderr)
            rows.setdefault("page", {})[n] = (folder / "synthetic.html").stat().st_size / 1e6
    return rows


def raw_draws() -> Mapping[str, tuple[float, float]]:
    """Of each space raw draws a CPU second without a window, and those of its random words alone."""
    found = {}
    for name, space in SPACES.items():
        drawn = sample(space, 1_000_000 if name != "RegNet" else 100_000, PAPER).drawn
        whole = cpu(partial(sample, space, 1_000_000 if name != "RegNet" else 100_000, PAPER))
        words = 6 if name == "RegNet" else 8
        philox = np.random.Philox(key=np.zeros(2, np.uint64))
        alone = cpu(partial(philox.random_raw, drawn * words // 2), 5)
        found[name] = drawn / whole, drawn / alone
    return found


def rise(costs: Mapping[int, float]) -> float:
    """The exponent of the time between the two largest sizes: 1 is linear, n log n about 1.1."""
    (n, first), (m, second) = sorted(costs.items())[-2:]
    return math.log(second / first) / math.log(m / n)


def page(rows: Mapping[str, Mapping[int, Any]], draws: Mapping[str, tuple[float, float]]) -> str:
    """The tables as Markdown."""
    sizes = sorted(rows["compare"])
    few = {name: median_cost(f"sample --space {name} --n 64 --flops 360M:400M", 5)[0] for name in SPACES}
    starts = {text: median_cost(text, 7)[0] for text in ("--help", "sample --space AnyNetC --n 64")}
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pandas", "optuna", "plotly"))
    lines = [
        "# Time against size",
        "",
        "Made by `make bench-scale` (`tests/benchmarks/scale.py`)"
        f" on {datetime.now(UTC):%Y-%m-%d}: {_processor()}, {platform.system()},",
        f"Python {platform.python_version()}, {versions}; one core.",
        "Trials are **synthetic**: real samples, errors made up by a formula, nothing trained. Times are CPU",
        "seconds of whole commands, start-up included, medians of three (of one at 100,000).",
        "",
        "![Time against size](scale.svg)",
        "",
        "*Rise* is the exponent of the time between the two largest sizes: 1 is linear, n log n about 1.1.",
        "",
        _row(("networks", *(f"{n:,}" for n in sizes), "rise", "memory at most")),
        _row(("---", *("---:" for _ in sizes), "---:", "---:")),
    ]
    titles = {"resume": "`status` (jobs drawn, store read)"}
    for name in COMMANDS:
        costs = rows[name]
        seconds = {n: cost[0] for n, cost in costs.items()}
        lines.append(
            _row(
                (
                    titles.get(name, f"`{name}`"),
                    *(f"{seconds[n]:.2f} s" for n in sizes),
                    f"{rise(seconds):.2f}",
                    f"{max(memory for _, memory in costs.values()):.0f} MiB",
                )
            )
        )
    lines += [
        _row(("one more training kept, CPU", *(f"{rows['write'][n][0]:.1f} ms" for n in sizes), "", "")),
        _row(("the same, elapsed", *(f"{rows['write'][n][1]:.1f} ms" for n in sizes), "", "")),
        _row(("the page", *(f"{rows['page'][n]:.1f} MB" for n in sizes), "", "")),
        "",
        "Keeping a training is mostly the kernel's writing, so it depends on the disk and its load:",
        "[other runs](scaling-out.md) took 0.3 to 0.6 ms of CPU, and 0.1 ms in memory.",
        "",
        "## Sampling",
        "",
        "Raw draws a CPU second without a window, a million networks (RegNet: 100,000, most of whose raw",
        "draws are no network); the random words of as many draws alone, which no sampler undercuts; and the",
        "whole command for 64 networks of 360 to 400 MF.",
        "",
        _row(("space", "raw draws/s", "words alone, draws/s", "64 of 360–400 MF")),
        _row(("---", "---:", "---:", "---:")),
    ]
    lines += [
        _row((name, f"{fast:,.0f}", f"{floor:,.0f}", f"{few[name]:.2f} s"))
        for name, (fast, floor) in draws.items()
    ]
    lines += ["", "## Start-up", ""]
    lines += [f"- `regnetlab {text}`: {seconds:.2f} s" for text, seconds in starts.items()]
    return "\n".join(lines) + "\n"


def write_picture(rows: Mapping[str, Mapping[int, Any]], path: Path) -> None:
    """Time against size on logarithmic axes, with n log n for comparison."""
    import plotly.graph_objects as go

    figure = go.Figure()
    sizes = sorted(rows["compare"])
    for name in COMMANDS:
        figure.add_scatter(
            x=sizes, y=[rows[name][n][0] for n in sizes], name=name, mode="lines+markers", line={"width": 2}
        )
    guide = [
        rows["report"][sizes[-1]][0] * n * math.log(n) / (sizes[-1] * math.log(sizes[-1])) for n in sizes
    ]
    figure.add_scatter(x=sizes, y=guide, name="n log n", line={"dash": "dot", "color": "#888888"})
    figure.update_layout(
        template="plotly_white",
        xaxis={"type": "log", "title": "networks", "dtick": 1},
        yaxis={"type": "log", "title": "CPU seconds of the command", "range": [-1, 2]},
        title="Time against size (synthetic trials)",
    )
    figure.write_image(path, width=760, height=460)


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line), "")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=100_000)
    parser.add_argument("-o", type=Path)
    arguments = parser.parse_args()
    rows = measured([n for n in (100, 1_000, 10_000, 100_000) if n <= arguments.most])
    text = page(rows, raw_draws())
    if arguments.o is None:
        print(text)
        return
    write_picture(rows, arguments.o.with_suffix(".svg"))
    arguments.o.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
