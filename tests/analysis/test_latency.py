"""Correlations of latency and the line that predicts it, on latencies made to order."""

import numpy as np
import pandas as pd
import pytest

from regnetlab.analysis.latency import Machine, confirmation, described_residuals, fit, groups, latency
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.latency import LatencyModel
from regnetlab.spaces.regime import Regime, Window
from regnetlab.trials.csv_tables import LATENCY

RANDOM = np.random.default_rng(0)
FLOPS = RANDOM.integers(500_000, 2_000_000, 60)
ACTS = RANDOM.integers(20_000, 60_000, 60)
TRUTH = LatencyModel(0.4, 2e-7, 1.5e-5, processor="here")


def rows(times: Floats, processor: str = "here", batch: int = 1) -> pd.DataFrame:
    place = {"device": "cpu", "processor": processor, "threads": 1, "batch": batch, "host": "h", "runs": 9}
    return LATENCY.frame(
        {
            **{"space": "AnyNetA", "index": i, "model": f"anynet {i}", "params": 1},
            **{"flops": FLOPS[i], "acts": ACTS[i], "median_ms": time, "low_ms": 1.0, "high_ms": 1.0},
            **place,
        }
        for i, time in enumerate(times.tolist())
    )


def several(*tables: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True)


def exact() -> Floats:
    return TRUTH.base + TRUTH.flop * FLOPS + TRUTH.act * ACTS


def test_a_line_without_noise_is_found_exactly() -> None:
    (group,) = groups(rows(exact()))
    found = fit(group)
    assert (found.model.base, found.model.flop, found.model.act) == pytest.approx(
        (0.4, 2e-7, 1.5e-5), rel=1e-4
    )
    assert np.abs(found.residuals).max() < 1e-6


def test_noise_shows_in_the_residuals_of_networks_left_out() -> None:
    noise = np.exp(0.1 * np.random.default_rng(1).normal(size=60))
    found = fit(groups(rows(exact() * noise))[0])
    assert np.std(found.residuals) == pytest.approx(0.1, abs=0.025)
    assert found.model.act == pytest.approx(1.5e-5, rel=0.25)
    described = described_residuals(found.residuals)
    assert described["q05"] < described["median"] < described["q95"]
    assert described["median_absolute"] == np.median(np.abs(found.residuals))


def test_the_line_runs_through_the_middle_of_noise_that_grows_with_the_time() -> None:
    noise = np.random.default_rng(2).gamma(4, 1 / 4, 60)  # mean 1, standard deviation a half
    (group,) = groups(rows(exact() * noise))
    predicted = fit(group).model.predicted(group.counts)
    assert np.mean(group.milliseconds / predicted) == pytest.approx(1, abs=0.03)


def test_the_line_is_weighted_by_the_times_that_it_predicts_itself() -> None:
    """The score equations of errors that grow with the mean: their solution is no other line's."""
    (group,) = groups(rows(exact() * np.random.default_rng(2).gamma(4, 1 / 4, 60)))
    predicted = fit(group).model.predicted(group.counts)
    for column in (np.ones(60), FLOPS, ACTS):
        wrong = column * (group.milliseconds - predicted) / predicted**2
        assert abs(wrong.sum()) < 1e-3 * np.abs(wrong).sum()


def test_no_coefficient_is_ever_negative() -> None:
    times = 3 - 5e-7 * FLOPS + 1e-5 * ACTS
    model = fit(groups(rows(times))[0]).model
    assert model.flop == 0
    assert model.base > 0


def test_latency_that_follows_nothing_has_no_line() -> None:
    with pytest.raises(InputError, match="neither flops nor acts"):
        fit(groups(rows(5 - 1e-6 * FLOPS - 2e-5 * ACTS))[0])
    with pytest.raises(InputError, match="needs 10 networks, and there are 9"):
        fit(groups(rows(exact()[:9]))[0])
    assert len(fit(groups(rows(exact()[:10]))[0]).residuals) == 10


def test_machines_and_batches_are_never_mixed() -> None:
    found = groups(several(rows(exact()), rows(exact() * 3, "there"), rows(exact() * 9, batch=256)))
    assert [(group.machine.processor, group.batch) for group in found] == [
        ("here", 1),
        ("here", 256),
        ("there", 1),
    ]
    assert all(len(group.rows) == 60 for group in found)


def test_correlations_are_of_ranks_with_an_interval() -> None:
    (group,) = groups(rows(ACTS / 1e4))
    assert group.correlations["acts"].estimate == 1
    assert abs(group.correlations["flops"].estimate) < 0.3
    assert group.correlations["flops"].low < group.correlations["flops"].estimate
    assert "params" not in group.correlations
    assert groups(rows(exact()[:5]))[0].correlations == {}
    assert set(groups(rows(exact()[:6]))[0].correlations) == {"flops", "acts"}
    assert groups(rows(np.full(60, 2.0)))[0].correlations == {}


def test_of_a_network_measured_twice_the_last_time_is_correlated() -> None:
    again = several(rows(exact()[::-1].copy()), rows(exact()))
    (group,) = groups(again)
    assert len(group.rows) == 120
    assert group.correlations == groups(rows(exact()))[0].correlations


def test_a_prediction_is_confirmed_where_it_was_fitted() -> None:
    window = Window(1.0, 1.3, "ms")
    regime = Regime(latency=window, model=TRUTH)
    found = confirmation(groups(several(rows(exact() * 2, "there"), rows(exact() * 1.1))), regime)
    assert found is not None
    assert found.same_processor
    assert found.residuals == pytest.approx(np.full(60, 0.1))
    assert found.inside == int(((exact() * 1.1 >= 1.0) & (exact() * 1.1 <= 1.3)).sum())
    elsewhere = confirmation(groups(rows(exact() * 2, "there")), regime)
    assert elsewhere is not None
    assert not elsewhere.same_processor
    assert confirmation(groups(rows(exact(), batch=256)), regime) is None
    assert confirmation(groups(rows(exact())), Regime()) is None


def test_both_ends_of_a_window_are_inside_it() -> None:
    times = np.array([0.9, 1.0, 1.2, 1.3, 1.4])
    found = confirmation(groups(rows(times)), Regime(latency=Window(1.0, 1.3, "ms"), model=TRUTH))
    assert found is not None
    assert found.inside == 3


def test_a_result_says_what_it_confirms_and_fits() -> None:
    regime = Regime(latency=Window(1.0, 1.3, "ms"), model=TRUTH)
    here = Machine("cpu", "here", 1)
    found = latency(several(rows(exact() * 1.1), rows(exact(), "there")), regime, here, (1,), with_fit=True)
    document = found.to_json()
    assert [each["here"] for each in document["groups"]] == [True, False]
    assert (document["device"], document["processor"], document["threads"]) == ("cpu", "here", 1)
    assert document["groups"][0].keys() == {
        *("device", "processor", "threads", "batch", "n", "median_ms", "correlations", "here")
    }
    confirmed, (fitted,) = document["confirmation"], document["fits"]
    assert confirmed["n"] == fitted["n"] == 60
    residuals = {"q05", "median", "q95", "median_absolute"}
    assert confirmed["residuals"].keys() == fitted["residuals"].keys() == residuals
    assert (confirmed["batch"], confirmed["window"], confirmed["inside"]) == (
        1,
        "1ms:1.3ms",
        found.confirmation.inside if found.confirmation else None,
    )
    assert (confirmed["same_processor"], confirmed["fitted_on"]) == (True, "here")
    assert (fitted["batch"], fitted["base"]) == (1, pytest.approx(0.44, rel=1e-3))
    assert (fitted["flop"], fitted["act"]) == (
        pytest.approx(2.2e-7, rel=1e-3),
        pytest.approx(1.65e-5, rel=1e-3),
    )
    assert found.fits[0].model.processor == "here"
    first, inside, *_, last = found.remarks()
    assert "measured is 110% of predicted" in first
    assert inside == f"{confirmed['inside']} of 60 measured latencies lie in the window 1ms:1.3ms."
    assert "Fitted at a batch of 1" in last
    assert found.to_pandas().index.tolist() == list(range(120))
    assert (
        repr(found) == "Latency(60 networks, batch 1, here, 1 thread; 60 networks, batch 1, there, 1 thread)"
    )


def test_a_prediction_from_elsewhere_is_named_and_nothing_is_fitted_unasked() -> None:
    for processor, named in (("there", "there"), ("", "a machine that it does not name")):
        model = LatencyModel(0.4, 2e-7, 1.5e-5, processor=processor)
        found = latency(rows(exact()), Regime(model=model), Machine("cpu", "here", 1), (1,))
        assert found.remarks()[1:] == [f"It was fitted on {named}, not here."]
        assert found.fits == ()
    document = latency(rows(exact())).to_json()
    assert document["confirmation"] is None
    assert {name: document[name] for name in ("device", "processor", "threads")} == {
        "device": None,
        "processor": None,
        "threads": None,
    }


def test_threads_are_said_of_a_processor_not_of_a_gpu() -> None:
    assert str(Machine("cpu", "EPYC", 2)) == "EPYC, 2 threads"
    assert str(Machine("cuda", "H100", 1)) == "H100"


@pytest.mark.parametrize("time", [0.0, -1.0, np.nan, np.inf])
def test_a_time_that_can_not_be_is_refused(time: float) -> None:
    with pytest.raises(InputError, match="median_ms is"):
        latency(rows(np.array([1.0, time])))
