"""A stand-in for CUDA on a CPU: streams in name alone, and graphs that record operations and replay them.

As on a GPU, a recording computes nothing that lasts, and a replay sees no Python: it repeats the recorded
operations on the tensors of then. A number that changes between steps and does not lie in a tensor stays as
it was, and shows as another result.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from regnetlab.training import batches, graphs, judging, prepared, step

_WAITING = ("aten::_local_scalar_dense", "aten::nonzero", "aten::lift_fresh")
"""Operations that can't be recorded: they wait for the device, or bring numbers from Python."""
_WRITTEN = ("running_mean", "running_var")
"""Arguments that an operation writes into without saying so."""


class _Stream:
    def wait_stream(self, other: object) -> None:
        pass


class Recording(TorchDispatchMode):
    """Keeps every operation with its tensors; what it writes into is as before at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}
        self._drawn = torch.random.get_rng_state()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func._schema.name in _WAITING:
            raise RuntimeError("operation not permitted when stream is capturing")
        if not self._is_view(func):
            for argument, value in zip(func._schema.arguments, args, strict=False):
                if argument.name in _WRITTEN or (
                    argument.alias_info is not None and argument.alias_info.is_write
                ):
                    for each in filter(torch.is_tensor, tree_leaves(value)):
                        storage = each.untyped_storage()
                        self._before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        out = func(*args, **kwargs)
        if not self._is_view(func):
            self.operations.append((func, args, kwargs, out))
        return out

    @staticmethod
    def _is_view(func: Any) -> bool:
        aliases = [each.alias_info for each in func._schema.returns]
        return any(each is not None and not each.is_write for each in aliases)

    def undo(self) -> None:
        torch.random.set_rng_state(self._drawn)
        for storage, before in self._before.values():
            storage.copy_(before)

    def replay(self) -> None:
        with torch.no_grad():
            for func, args, kwargs, out in self.operations:
                again = func(*args, **kwargs)
                for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                    if torch.is_tensor(old) and old is not new:
                        old.copy_(new)


class Replaying:
    """``recording`` is what happens at the end of a recording; counts streams, recordings and replays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.streams: list[_Stream] = []
        self.current: object = "default"
        self.recording: BaseException | str | None = None
        self.operations = self.replayed = 0
        self._graph_of_this: Recording | None = None
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

    def _CUDAGraph(self) -> "Replaying":  # noqa: N802
        return self

    def replay(self) -> None:
        assert self._graph_of_this is not None
        self.replayed += 1
        self._graph_of_this.replay()

    @contextmanager
    def _graph(self, graph: object, stream: _Stream) -> Iterator[None]:
        self.current = stream
        recording = Recording()
        try:
            with recording:
                yield
        finally:
            recording.undo()
        if isinstance(self.recording, BaseException):
            raise self.recording  # as capture_end does, and leaves its stream
        self.current = "default"
        self._graph_of_this, self.operations = recording, len(recording.operations)
        if self.recording:
            warnings.warn(self.recording, stacklevel=1)


def as_if_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Replaying:
    """From now on trainings on the CPU take a GPU's way: recorded steps, in bfloat16 like there."""
    for module in (batches, prepared, step):
        monkeypatch.setattr(module, "is_gpu", lambda device: True)
    for module in (step, judging):
        monkeypatch.setattr(module, "precision", lambda device: torch.autocast("cpu", torch.bfloat16))
    return Replaying(monkeypatch)
