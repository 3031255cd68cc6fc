"""A regime of predicted latency: a pure function of flops, acts and stated coefficients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnetlab.errors import InputError
from regnetlab.spaces.complexity import Complexity, config_complexity
from regnetlab.spaces.latency import LatencyModel
from regnetlab.spaces.regime import Regime, Window, parse_window
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import ANYNET_A
from regnetlab.spaces.template import SMALL

MODEL = LatencyModel(base=0.5, flop=1e-7, act=2e-5)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [(":2ms", 0, 2), ("350us:2ms", 0.35, 2), ("0.5 ms : 1s", 0.5, 1000), ("1.1ms:", 1.1, np.inf)],
)
def test_a_window_of_latency_is_in_milliseconds(text: str, low: float, high: float) -> None:
    window = parse_window("latency", text)
    assert (window.low, window.high) == (low, high)
    assert parse_window("latency", window.text) == window


@pytest.mark.parametrize("text", ["2", ":2", ":2m", "2ms", ":", "3ms:2ms", ":2M", ":-1ms", ":nanms"])
def test_a_window_without_unit_or_order_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="latency window"):
        parse_window("latency", text)


def test_a_window_needs_coefficients() -> None:
    with pytest.raises(InputError, match=r"\[latency\] section"):
        Regime(latency=Window(0, 2, "ms"))


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"base": -1.0, "flop": 1.0, "act": 1.0}, "base is -1.0"),
        ({"base": 0.0, "flop": float("nan"), "act": 1.0}, "flop is nan"),
        ({"base": 0.0, "flop": 0.0, "act": float("inf")}, "act is inf"),
        ({"base": 1.0, "flop": 0.0, "act": 0.0}, "both 0"),
        ({"base": 1.0, "flop": 1.0, "act": 0.0, "batch": 0}, "batch is 0"),
        ({"base": 1.0, "flop": 1.0, "act": 0.0, "device": "tpu"}, "'tpu'"),
    ],
)
def test_coefficients_that_can_not_be_are_refused(values: dict[str, float], part: str) -> None:
    with pytest.raises(InputError, match=part):
        LatencyModel(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_coefficients_are_of_a_cpu_or_a_gpu(device: str) -> None:
    assert LatencyModel(base=0.0, flop=0.0, act=1e-5, device=device).device == device


@given(st.integers(0, 10**10), st.integers(0, 10**8))
def test_more_of_anything_is_never_predicted_faster(flops: int, acts: int) -> None:
    counts = Complexity(*(np.array(each) for each in ([flops, flops + 1], [0, 0], [acts, acts + 1])))
    first, second = MODEL.predicted(counts)
    assert 0.5 <= first < second


def test_every_network_of_a_sample_lies_in_the_window_and_none_before_it_was_left_out() -> None:
    regime = Regime(latency=Window(1.0, 1.5, "ms"), model=MODEL)
    found = sample(ANYNET_A, 40, SMALL, regime, seed=4)
    assert found.latency is not None
    assert np.array_equal(found.latency, MODEL.predicted(found.complexity))
    for config in found.population.configs():
        counts = config_complexity(config, SMALL)
        assert 1.0 <= 0.5 + 1e-7 * counts["flops"] + 2e-5 * counts["acts"] <= 1.5
    free = sample(ANYNET_A, 4_000, SMALL, seed=4)
    inside = [
        c.text for c, ok in zip(free.population.configs(), regime.holds(free.complexity), strict=True) if ok
    ]
    drawn = [config.text for config in found.population.configs()]
    assert drawn[: len(inside)] == inside[: len(drawn)]
    assert len(inside) > 5


def test_windows_of_counts_and_of_latency_are_each_of_their_own_and_closed() -> None:
    counts = Complexity(*(np.array(each) for each in ([1, 2, 3, 4], [5, 5, 5, 5], [10, 10, 10, 10])))
    model = LatencyModel(base=0.0, flop=0.25, act=0.0)
    regime = Regime(flops=Window(2, 3), latency=Window(0.5, 1.0, "ms"), model=model)
    assert regime.holds(counts).tolist() == [False, True, True, False]
    tighter = Regime(flops=Window(2, 4), latency=Window(0.5, 0.75, "ms"), model=model)
    assert tighter.holds(counts).tolist() == [False, True, True, False]


def test_a_window_that_no_network_meets_says_what_was_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regnetlab.spaces.sampler._PATIENCE", 4_096)
    with pytest.raises(InputError, match=r"latency 0.1ms:0.2ms.*latency 0\.\d+ms to [\d.e+]+ms"):
        sample(ANYNET_A, 1, SMALL, Regime(latency=Window(0.1, 0.2, "ms"), model=MODEL))
