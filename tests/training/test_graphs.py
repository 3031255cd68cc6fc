"""CUDA graphs where there is no CUDA: what is done when a recording fails or records nothing."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

from regnetlab.training import graphs
from regnetlab.training.graphs import Graphed

DEVICE = torch.device("cuda", 0)


class _Stream:
    def wait_stream(self, other: object) -> None:
        pass


class _Cuda:
    """Streams and graphs in name alone; ``recording`` is what happens in a recording."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.streams: list[_Stream] = []
        self.current: object = "default"
        self.recording: BaseException | str | None = None
        self.replayed = 0
        graphs._side_stream.cache_clear()
        for name in ("Stream", "current_stream", "stream", "set_stream", "graph", "CUDAGraph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, f"_{name}"))

    def _Stream(self, device: torch.device) -> _Stream:  # noqa: N802
        self.streams.append(_Stream())
        return self.streams[-1]

    def _current_stream(self, device: torch.device) -> Any:
        found = self.current
        return _Stream() if found == "default" else found

    def _stream(self, stream: _Stream) -> Any:
        return nullcontext()

    def _set_stream(self, stream: object) -> None:
        self.current = "default"

    def _CUDAGraph(self) -> "_Cuda":  # noqa: N802
        return self

    def replay(self) -> None:
        self.replayed += 1

    @contextmanager
    def _graph(self, graph: object, stream: _Stream) -> Iterator[None]:
        self.current = stream
        yield
        if isinstance(self.recording, BaseException):
            raise self.recording  # as capture_end does, and leaves its stream
        self.current = "default"
        if self.recording:
            warnings.warn(self.recording, stacklevel=1)


def _steps(n: int) -> tuple[Graphed, list[int]]:
    """So many steps, and the calls that were computed and not replayed."""
    calls: list[int] = []

    def gradients(batch: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(len(batch))
        return batch.sum(), labels.sum()

    take = Graphed(gradients, DEVICE)
    for _ in range(n):
        take(torch.ones(4, 2), torch.ones(4))
    return take, calls


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Cuda]:
    yield _Cuda(monkeypatch)
    graphs._side_stream.cache_clear()


def test_the_fourth_step_is_recorded_and_replayed_from_then_on(cuda: _Cuda) -> None:
    take, calls = _steps(10)
    assert take.recorded
    assert (len(calls), cuda.replayed) == (4, 7)


def test_all_trainings_of_a_process_warm_up_on_one_stream(cuda: _Cuda) -> None:
    _steps(5)
    _steps(5)
    assert len(cuda.streams) == 1


def test_where_recording_is_not_possible_steps_go_on_on_the_stream_of_before(cuda: _Cuda) -> None:
    cuda.recording = RuntimeError("operation not permitted when stream is capturing")
    take, calls = _steps(10)
    assert not take.recorded
    assert cuda.current == "default"
    assert len(calls) == 11  # the one that was recorded in vain


def test_a_graph_that_recorded_nothing_is_an_error(cuda: _Cuda) -> None:
    cuda.recording = (
        "The CUDA Graph is empty. This usually means that the graph was attempted to be captured on"
    )
    with pytest.raises(RuntimeError, match="graph is empty"):
        _steps(10)


def test_a_recording_without_memory_is_for_the_caller(cuda: _Cuda) -> None:
    cuda.recording = torch.OutOfMemoryError("out of memory")
    with pytest.raises(torch.OutOfMemoryError):
        _steps(10)
