"""Slots: which of them a training takes."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from regnetlab.execution.local import Slots


def test_what_is_alone_on_a_gpu_waits_for_the_others_there_and_none_joins() -> None:
    slots = Slots(4, ("0", "1"))
    with ExitStack() as held, ThreadPoolExecutor(1) as thread:
        busy = [held.enter_context(ExitStack()) for _ in range(3)]
        gpus = [each.enter_context(slots.taken()).gpu for each in busy]
        assert gpus == ["0", "1", "0"]  # the emptier one is taken
        alone = held.enter_context(ExitStack())
        waits = thread.submit(lambda: alone.enter_context(slots.taken(alone=True)).gpu)
        with pytest.raises(TimeoutError):  # for the one on the emptier GPU
            waits.result(0.2)
        busy[0].close()
        with slots.taken() as beside:
            assert beside.gpu == "0"
        busy[1].close()
        assert waits.result(10) == "1"
        busy[2].close()
        assert [held.enter_context(slots.taken()).gpu for _ in range(2)] == ["0", "0"]
        alone.close()
        assert held.enter_context(slots.taken()).gpu == "1"
