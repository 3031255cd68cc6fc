"""latency.csv: how long a study's networks take for one batch, on which machine.

A row is one network, device and batch size. Rows of other machines stay where they are, and what was
measured is not measured again; so a killed command loses the last seconds of its work at most.
"""

import csv
import io
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regnetlab.errors import InputError
from regnetlab.files import write_atomically
from regnetlab.study.jobs import planned_jobs
from regnetlab.study.lock import locked
from regnetlab.study.outcome import outcome
from regnetlab.study.plan import Plan
from regnetlab.study.provenance import processor
from regnetlab.study.store import open_store
from regnetlab.trials.job import Job

if TYPE_CHECKING:  # whoever only reads latency.csv does without torch
    import torch

    from regnetlab.training.latency import Latency

_WRITE_EVERY = 5.0  # seconds
_MOST_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class Place:
    """Where latencies are comparable: ``cpu`` or ``cuda``, the CPU's or GPU's name, threads on a CPU."""

    device: str
    processor: str
    threads: int


@dataclass(frozen=True, slots=True)
class Timed:
    """One network's latency: median, lower and upper quartile in milliseconds over ``runs`` batches.

    ``host`` is the name of the machine; it says where to look again and is no part of the ``key``.
    """

    space: str
    index: int
    model: str
    flops: int
    params: int
    acts: int
    device: str
    processor: str
    threads: int
    batch: int
    median_ms: float
    low_ms: float
    high_ms: float
    runs: int
    host: str

    @property
    def place(self) -> Place:
        return Place(self.device, self.processor, self.threads)

    @property
    def key(self) -> tuple[object, ...]:
        return (*self.network, self.place, self.batch)

    @property
    def network(self) -> tuple[object, ...]:
        """What was measured: a template that changes, changes the counts of the same text."""
        return self.space, self.index, self.model, self.flops, self.params, self.acts


COLUMNS = tuple(each.name for each in fields(Timed))
"""Columns of latency.csv."""

_TEXTS = ("space", "model", "device", "processor", "host")
_TIMES = ("median_ms", "low_ms", "high_ms")


def this_place(device: "torch.device") -> Place:
    """This machine, as ``latency`` uses it."""
    import torch

    from regnetlab.training.devices import set_up

    if device.type == "cuda":
        return Place("cuda", torch.cuda.get_device_name(device), 1)
    set_up(device)
    return Place("cpu", processor(), torch.get_num_threads())


def networks_to_time(plan: Plan, most: int | None = None) -> list[Job]:
    """A study's drawn and derived networks, the first ``most`` of each space, one of each space in turn."""
    jobs: Iterable[Job] = (
        outcome(plan, open_store(plan.store)).jobs if plan.store.exists() else planned_jobs(plan)
    )
    chosen = [
        job
        for job in jobs
        if job.config is not None and job.replicate == 0 and (most is None or job.index < most)
    ]
    return sorted(chosen, key=lambda job: job.index)


def network_of(job: Job) -> tuple[object, ...]:
    """``Timed.network`` of a job."""
    return job.space, job.index, job.model, job.flops, job.params, job.acts


def measure(
    plan: Plan,
    jobs: Sequence[Job],
    device: "torch.device",
    batches: Sequence[int],
    seconds: float,
    tell: Callable[[str], None],
) -> list[Timed]:
    """Measure what is missing, keep it in latency.csv as it comes, and return all rows of that file.

    Alone: it holds the study's lock, for trainings beside it would be in its times.
    """
    from regnetlab.models.registry import find_model
    from regnetlab.training.latency import latency

    place = this_place(device)
    rows = read_latencies(plan.latencies) if plan.latencies.exists() else []
    known = {row.key for row in rows}
    missing = [
        (job, batch) for job in jobs for batch in batches if (*network_of(job), place, batch) not in known
    ]
    if not missing:
        return rows
    tell(f"measuring {len(missing)} latencies, about {len(missing) * (seconds + 0.2) / 60:.1f} min")
    with locked(plan.lock):
        written = time.monotonic()
        try:
            for job, batch in missing:
                found = latency(find_model(job.model).build, plan.template, device, batch, seconds)
                rows.append(_timed(job, found, place))
                if time.monotonic() - written > _WRITE_EVERY:
                    write_atomically(plan.latencies, latencies_csv(rows))
                    written = time.monotonic()
                    tell(f"{job.space} {job.index}: {found.median:.3f} ms for a batch of {batch}")
        finally:
            if rows:
                write_atomically(plan.latencies, latencies_csv(rows))
    return rows


def latencies_csv(rows: Iterable[Timed]) -> str:
    """The rows as CSV, sorted by space, index, place and batch size."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(astuple, sorted(rows, key=_order)))
    return text.getvalue()


def read_latencies(path: Path) -> list[Timed]:
    """The rows of a latency.csv; an ``InputError`` names the line of a mistake."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} is over 1 GiB", "it is no latency.csv")
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
        rows = []
        for row in reader:
            rows.append(_row(row))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read: {error}") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(
            f"{path}, line {reader.line_num}: not what `regnetlab latency` writes ({error})",
            "move it away to measure anew",
        ) from None
    return rows


def _row(row: dict[str, Any]) -> Timed:
    if missing := [name for name in COLUMNS if row.get(name) is None]:
        raise ValueError(f"no {missing[0]}")
    values: dict[str, Any] = {name: row[name] for name in COLUMNS}
    values |= {name: float(row[name]) for name in _TIMES}
    values |= {name: int(row[name]) for name in COLUMNS if name not in (*_TEXTS, *_TIMES)}
    timed = Timed(**values)
    if not 0 < timed.median_ms < 1e9:
        raise ValueError(f"median_ms {row['median_ms']}")
    return timed


def _timed(job: Job, found: "Latency", place: Place) -> Timed:
    median, low, high = (float(f"{time:.5g}") for time in (found.median, found.low, found.high))
    return Timed(
        space=job.space,
        index=job.index,
        model=job.model,
        flops=job.flops,
        params=job.params,
        acts=job.acts,
        device=place.device,
        processor=place.processor,
        threads=place.threads,
        batch=found.batch,
        median_ms=median,
        low_ms=low,
        high_ms=high,
        runs=found.runs,
        host=platform.node(),
    )


def _order(row: Timed) -> tuple[str, int, str, str, int, int]:
    return row.space, row.index, row.device, row.processor, row.threads, row.batch
