"""Devices: which one trains, and how it is set up for small networks."""

import os
from contextlib import AbstractContextManager, nullcontext

import torch

from regnetlab.errors import InputError, unknown
from regnetlab.models.native.build import libraries
from regnetlab.training.cores import usable_cores


def find_device(name: str = "auto") -> torch.device:
    """``auto`` is CUDA where there is one, else the CPU; also ``cpu``, ``cuda``, ``cuda:1``."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
        raise InputError(f"device {name!r} is not known", "there are auto, cpu, cuda and cuda:0, …")
    if kind == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {name!r}: torch sees no CUDA device here", "use cpu or auto")
    if kind == "cuda" and index and int(index) >= torch.cuda.device_count():
        raise InputError(
            f"device {name!r}: there are {torch.cuda.device_count()} CUDA devices", "they count from cuda:0"
        )
    return torch.device(name)


def is_gpu(device: torch.device) -> bool:
    """Whether steps are recorded, and numbers that change between them lie on the device."""
    return device.type == "cuda"


_CONTEXT_BYTES = 600_000_000
_MOST_PER_GPU = 8

AUTO, NATIVE, TORCH = "auto", "native", "torch"
"""What computes on a CPU: this package's own kernels where they can be had; those, which must be had for the
networks that they take; torch's."""


def check_kernels(name: str) -> None:
    """Raise ``InputError`` unless these kernels are known and can be had."""
    if name not in (AUTO, NATIVE, TORCH):
        raise unknown("kernels", name, (AUTO, NATIVE, TORCH))
    if name == NATIVE and not libraries():
        raise InputError(
            "kernels 'native' can't be compiled here", "install gcc or clang, name it in CC, or use torch"
        )


def kernels_used(name: str, device: str) -> str:
    """What these kernels come to on this machine: ``native`` or ``torch``."""
    return NATIVE if name != TORCH and device == "cpu" and libraries() else TORCH


def set_up(device: torch.device, threads: int = 1) -> None:
    """Make this process train on this device, reproducibly.

    One thread on a CPU: the order of additions, hence every bit of a score, then depends on nothing
    else, and two single-thread processes beat one with two threads on networks of this size. More are for
    one large network alone.
    """
    if device.type == "cpu":
        torch.set_num_threads(threads)
    else:
        if device.index is not None:  # a graph is recorded on the current device, whatever its tensors are on
            torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True


def answers(device: torch.device) -> bool:
    """Whether this process can still use the device.

    After an error on a GPU, such as an assertion that failed there, no call of the process works any more.
    """
    if device.type == "cuda":
        try:
            torch.cuda.synchronize(device)
        except RuntimeError:
            return False
    return True


HALF = torch.bfloat16
"""What a GPU multiplies and adds up in float32."""


def precision(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 arithmetic on a GPU; float32 on a CPU, where bfloat16 was measured slower."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=HALF, cache_enabled=False)
    return nullcontext()


def visible_gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return tuple(each.strip() for each in named.split(",") if each.strip())
    return tuple(map(str, range(torch.cuda.device_count())))


def default_workers(device: torch.device, acts: int | None = None, batch_size: int = 64) -> int:
    """How many trainings to run at once: one per core, or as many as fit on each GPU or on the one named.

    ``acts`` are those of the largest network; where they are not known, a GPU trains one at a time.
    """
    if device.type == "cpu":
        return usable_cores()
    gpus = 1 if device.index is not None else len(visible_gpus())
    if acts is None:
        return gpus
    free = min(torch.cuda.mem_get_info(place)[0] for place in range(torch.cuda.device_count()))
    return gpus * trainings_per_gpu(free, acts, batch_size, usable_cores() // max(gpus, 1))


def most_workers(device: torch.device) -> int:
    """How many trainings may run at once on this machine where something else looks after GPU memory."""
    if device.type == "cpu":
        return usable_cores()
    gpus = max(1, len(visible_gpus()))
    return gpus * max(1, min(usable_cores() // gpus, _MOST_PER_GPU))


def trainings_per_gpu(free: int, acts: int, batch_size: int, cores: int) -> int:
    """How many trainings a GPU with so many free bytes takes at once, a process and a core each.

    A small network leaves a GPU nearly idle between launches. Planned for each are the CUDA context and,
    of every activation of a batch, its value and gradient before and behind the norm in float32; a fifth of
    the memory stays free. On an H100 finished trainings left 0.4 to 2.3 GB in a process (docs/benchmarks.md).
    """
    return max(1, min(cores, _MOST_PER_GPU, usable_bytes(free) // training_bytes(acts, batch_size)))


def training_bytes(acts: int, batch_size: int) -> int:
    """What one training is planned to need of a GPU's memory, from its closed-form activations."""
    return _CONTEXT_BYTES + 4 * 4 * acts * batch_size


def usable_bytes(free: int) -> int:
    """What trainings may be planned into, of so many free bytes of a GPU."""
    return free * 4 // 5
