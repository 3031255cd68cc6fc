"""What only a GPU shows; skipped where there is none."""

from pathlib import Path

import pytest
import torch

from regnetlab.execution.base import DeviceLostError, Setting, Task
from regnetlab.execution.local import Slot
from regnetlab.spaces.template import SMALL
from regnetlab.training.budget import COMPLETE, Budget, Recipe
from regnetlab.training.graphs import GRAPH
from regnetlab.trials.job import Job

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def fail_an_assertion() -> None:
    """On the device: an index that is out of range."""
    torch.zeros(2, device="cuda")[torch.tensor([5], device="cuda")]
    torch.cuda.synchronize()


def test_a_failed_assertion_on_a_gpu_costs_its_process_and_no_result(data_dir: Path) -> None:
    budget = Budget(images=640, batch_size=32, validation=100)
    job = Job("anynet:d=1,1,1,1;w=8,16,16,32;g=8;b=1", SMALL, "fashion-mnist", budget, Recipe(), 1)
    slot, setting = Slot("0"), Setting(data_dir, "cuda")
    first = slot.train(setting, Task(job)).score
    assert (first.ended, first.ran) == (COMPLETE, GRAPH)
    with pytest.raises(RuntimeError, match="assert"):
        slot.call(fail_an_assertion, ())
    with pytest.raises(DeviceLostError, match="assert"):
        slot.train(setting, Task(job))
    again = slot.train(setting, Task(job)).score
    assert (again.error, again.curve) == (first.error, first.curve)
    slot.close()
