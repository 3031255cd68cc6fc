"""CUDA graphs where there is no CUDA: what is done when a recording fails or records nothing."""

from collections.abc import Iterator

import pytest
import torch

from regnetlab.training import graphs
from regnetlab.training.graphs import Graphed
from tests.training.replaying import Replaying

DEVICE = torch.device("cuda", 0)


def _steps(n: int) -> tuple[Graphed, list[int], torch.Tensor]:
    """So many steps with 0, 1, 2, … of four places each, the calls that were computed and not replayed, and
    the sum of all that was seen."""
    calls: list[int] = []
    total = torch.zeros(())

    def function(batch: torch.Tensor) -> None:
        calls.append(len(batch))
        total.add_(batch.sum())

    take = Graphed(function, DEVICE)
    for step in range(n):
        take(torch.full((4,), float(step)))
    return take, calls, total


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replaying]:
    yield Replaying(monkeypatch)
    graphs._side_stream.cache_clear()


def test_the_fourth_step_is_recorded_and_replayed_from_then_on(cuda: Replaying) -> None:
    take, calls, total = _steps(10)
    assert take.recorded
    assert (len(calls), cuda.replayed) == (4, 7)
    assert total.item() == 4 * sum(range(10))


def test_all_trainings_of_a_process_warm_up_on_one_stream(cuda: Replaying) -> None:
    _steps(5)
    _steps(5)
    assert len(cuda.streams) == 1


def test_where_recording_is_not_possible_steps_go_on_on_the_stream_of_before(cuda: Replaying) -> None:
    cuda.recording = RuntimeError("operation not permitted when stream is capturing")
    take, calls, total = _steps(10)
    assert not take.recorded
    assert cuda.current == "default"
    assert len(calls) == 11  # the one that was recorded in vain
    assert total.item() == 4 * sum(range(10))


def test_a_graph_that_recorded_nothing_is_an_error(cuda: Replaying) -> None:
    cuda.recording = (
        "The CUDA Graph is empty. This usually means that the graph was attempted to be captured on"
    )
    with pytest.raises(RuntimeError, match="graph is empty"):
        _steps(10)


def test_a_recording_without_memory_is_for_the_caller(cuda: Replaying) -> None:
    cuda.recording = torch.OutOfMemoryError("out of memory")
    with pytest.raises(torch.OutOfMemoryError):
        _steps(10)
    cuda.recording = RuntimeError("invalidated")  # as its end then says
    cuda.recording.__context__ = torch.OutOfMemoryError("out of memory")
    with pytest.raises(torch.OutOfMemoryError):
        _steps(10)
