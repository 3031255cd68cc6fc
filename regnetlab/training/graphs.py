"""CUDA graphs: a step of a small network is hundreds of launches; recorded once, it is one (``step``).

On an H100 a training near 1 MF is about three times faster by it, with the same error (docs/benchmarks.md).
"""

import warnings
from collections.abc import Callable
from functools import cache

import torch

GRAPH, EAGER = "graph", "eager"
"""How a GPU computed a training's steps: from a recorded graph, or one launch after the other."""

FIRST = 3  # calls before recording, in which libraries choose algorithms and reserve memory


class Graphed:
    """The same function, of tensors of the same shapes at each call; from the fourth one on a graph.

    Whatever the function changes are tensors on the device. Where recording is not possible (an operation
    that waits for the CPU), it goes on as it was. A graph that recorded nothing is an error: the network
    would stay that of the last step before it.
    """

    def __init__(self, function: Callable[..., None], device: torch.device) -> None:
        self._function, self._device = function, device
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[torch.Tensor, ...]

    @property
    def recorded(self) -> bool:
        return self._graph is not None

    def __call__(self, *given: torch.Tensor) -> None:
        self._calls += 1
        if self._calls <= FIRST:
            self._on_a_stream_of_its_own(*given)
            return
        if self._calls == FIRST + 1:
            self._record(*given)
        if self._graph is None:
            self._function(*given)
            return
        for kept, new in zip(self._inputs, given, strict=True):
            kept.copy_(new)
        self._graph.replay()

    def _on_a_stream_of_its_own(self, *given: torch.Tensor) -> None:
        """Recording needs everything warm on another stream than the default one."""
        stream = _side_stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            self._function(*given)
        torch.cuda.current_stream(self._device).wait_stream(stream)

    def _record(self, *given: torch.Tensor) -> None:
        self._inputs = tuple(each.clone() for each in given)
        graph = torch.cuda.CUDAGraph()
        before = torch.cuda.current_stream(self._device)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                with torch.cuda.graph(graph, stream=_side_stream(self._device)):
                    self._function(*self._inputs)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                torch.cuda.set_stream(before)  # a recording that fails may leave its own one
                if isinstance(error.__context__, torch.OutOfMemoryError):  # of which its end failed, too
                    raise error.__context__ from None
                return
        if any("graph is empty" in str(each.message).lower() for each in warned):
            raise RuntimeError("the recorded CUDA graph is empty")
        self._graph = graph


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """One for each device and process: the libraries' workspaces of a stream stay as long as the process."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
