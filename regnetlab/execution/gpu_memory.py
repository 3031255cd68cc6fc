"""GPU memory as a resource of Dask: workers announce what they have, trainings ask for what they need.

A worker without a GPU announces nothing, and where nobody announces anything nothing is asked for. The
scheduler then keeps as many trainings on a worker as its memory is planned to hold (``training_bytes``).
"""

from collections.abc import Mapping
from typing import Any

from regnetlab.execution.worker import Task

RESOURCE = "gpu_memory"
_STEP = 100_000_000  # bytes to which a need is rounded up


def announced() -> dict[str, float]:
    """What a worker of this machine has for trainings, in bytes over all GPUs that it may use."""
    import torch

    from regnetlab.training.devices import usable_bytes

    if not torch.cuda.is_available():
        return {}
    gpus = range(torch.cuda.device_count())
    return {RESOURCE: float(sum(usable_bytes(torch.cuda.mem_get_info(each)[0]) for each in gpus))}


def most_of_one(workers: Mapping[str, Mapping[str, Any]]) -> float:
    """The most that one of these workers (``scheduler_info``'s) announced; 0 where none did."""
    return max((each.get("resources", {}).get(RESOURCE, 0.0) for each in workers.values()), default=0.0)


def asked_for(task: Task, most: float) -> float:
    """Bytes that this training asks for where a worker has ``most``: all of it if it is to be alone,
    and never more, since it would wait for ever."""
    needed = -(-task.gpu_bytes // _STEP) * _STEP
    return most if task.alone else min(most, float(needed))
