"""The bands of a space's best networks: on errors that one property decides, on errors that none does."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from regnetlab.analysis.bands import Band, Bands, bands, properties
from regnetlab.analysis.statistics.best_of_samples import Narrowness
from regnetlab.errors import InputError
from regnetlab.spaces.config import Config
from regnetlab.spaces.expression import parse_constraint
from regnetlab.spaces.population import Population
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, parse_window
from regnetlab.spaces.sampler import Sample, sample
from regnetlab.spaces.space import space_named
from regnetlab.spaces.template import SMALL
from regnetlab.trials.files import parse_trials
from regnetlab.trials.table import Trials
from tests.analysis.frames import networks, trials_of

Earns = Callable[[Population], np.ndarray]


def drawn(space: str = "AnyNetC", n: int = 120) -> Sample:
    ranges = Ranges(depth=(1, 12), width=(8, 256))
    regime = Regime(flops=parse_window("flops", "0.8M:1.2M"))
    return sample(space_named(space).within(ranges), n, SMALL, regime)


def trained(found: Sample, earns: Earns, space: str = "AnyNetC") -> Trials:
    counts = {name: getattr(found.complexity, name).astype(float) for name in ("flops", "params", "acts")}
    frame = networks(list(found.population.configs()), earns(found.population))
    return Trials(frame.assign(space=space, index=range(len(frame)), ended="complete", **counts))


def shallow_is_best(population: Population) -> np.ndarray:
    away = np.abs(np.log(population.depths.sum(axis=1) / 10))
    return np.asarray(20 + 30 * away + np.random.default_rng(0).normal(0, 0.5, len(population)))


def say_nothing(population: Population) -> np.ndarray:
    return np.random.default_rng(5).normal(30, 3, len(population))


@pytest.fixture(scope="module")
def decided() -> Bands:
    return bands(trained(drawn(), shallow_is_best))


def test_the_band_of_what_decides_lies_round_its_optimum(decided: Bands) -> None:
    depth = decided.bands[0]
    assert depth.name == "depth"
    assert depth.low_all < 8 < depth.low <= 10 <= depth.high < 13 < depth.high_all
    assert depth.narrowness.informative
    assert depth.narrowness.inside < 0.4


def test_what_does_not_decide_says_nothing(decided: Bands) -> None:
    names = {each.name for each in decided.informative}
    assert not names & {"b", "g", "flops", "w[1]", "w[2]", "w0", "growth"}


def test_errors_that_say_nothing_give_no_constraint() -> None:
    found = bands(trained(drawn(), say_nothing))
    assert found.constraints == []
    assert found.inside_all == found.n == 120
    assert "No band is narrower than by chance" in found.remarks()[0]


def test_the_constraints_hold_what_the_bands_hold(decided: Bands) -> None:
    population, counts = drawn().population, drawn().complexity
    assert decided.constraints
    held = np.ones(len(population), bool)
    for each in decided.informative:
        assert each.constraint is not None
        constraint = parse_constraint(each.constraint)
        inside = constraint.holds(population, *([counts] if constraint.counted else []))
        values = decided.values[each.name].to_numpy()
        assert inside[(values >= each.low) & (values <= each.high)].all()
        held &= inside
    assert decided.inside_all == held.sum() < len(population)


def test_every_property_is_what_the_language_of_constraints_means_by_it(decided: Bands) -> None:
    population, counts = drawn().population, drawn().complexity
    for name, values in decided.values.items():
        low, high = (f"{end!r}" for end in np.quantile(values, [0.2, 0.8]).tolist())
        constraint = parse_constraint(f"{low} <= {name} <= {high}")
        held = constraint.holds(population, *([counts] if constraint.counted else []))
        assert held.tolist() == ((values >= float(low)) & (values <= float(high))).tolist(), name


def test_limits_are_rounded_outward_to_what_one_would_write() -> None:
    sure = Narrowness(0.3, 0.9, 0.001)
    ends = {
        "w[4]": (84, 108, "80 <= w[4] <= 112"),
        "depth": (7, 11, "7 <= depth <= 11"),
        "d[2]": (3, 3, "d[2] == 3"),
        "growth": (1.234, 2.345, "1.2 <= growth <= 2.4"),
        "w[-1] / w[1]": (3.333, 12.5, "3.3 <= w[-1] / w[1] <= 13"),
        "b": (1 / 3, 2, "0.333 <= b <= 2"),
        "params": (32_412, 146_601, "32400 <= params <= 147000"),
    }
    for name, (low, high, text) in ends.items():
        assert Band(name, low, high, 0.0, 1e9, sure).constraint == text
        assert Band(name, low, high, 0.0, 1e9, Narrowness(0.8, 0.9, 0.2)).constraint is None


def test_an_end_that_leaves_no_network_out_is_no_limit() -> None:
    def shallowest(population: Population) -> np.ndarray:
        return np.asarray(population.depths.sum(axis=1) + np.linspace(0, 0.1, len(population)))

    depth = bands(trained(drawn(), shallowest)).bands[0]
    assert depth.limits == (None, depth.high)
    assert depth.constraint == f"depth <= {depth.high:.0f}"


def test_what_all_networks_share_is_no_property() -> None:
    frame = networks([Config((1, d), (8, 16), (8, 8), (1, 1)) for d in range(1, 9)], np.arange(8.0))
    assert list(properties(frame)) == ["depth", "d[2]"]


def test_stages_that_differ_have_each_a_band() -> None:
    configs = [Config((1, 1), (8, 16 + 8 * i), (8, 4), (1, 1 + i % 2)) for i in range(8)]
    assert {"g[2]", "b[1]", "b[2]"} & set(properties(networks(configs, np.arange(8.0)))) == {"b[2]"}


def test_failures_are_the_worst_and_no_reason_to_leave_a_network_out() -> None:
    found = drawn()

    def deep_fails(population: Population) -> np.ndarray:
        errors = say_nothing(population)
        errors[population.depths.sum(axis=1) > 12] = np.nan
        return errors

    failing = bands(trained(found, deep_fails))
    deep = found.population.depths.sum(axis=1) > 12
    assert (failing.n, failing.failed) == (120, deep.sum())
    assert failing.bands[0].high <= 12
    assert f"{deep.sum()} of the 120 networks failed; they count as the worst." in failing.remarks()
    assert failing.bands[0].high_all > 12


def test_a_network_of_which_one_seed_failed_counts_as_half_failed() -> None:
    def found(second: str) -> Bands:
        """Network 3 earns 20.3 with its first seed, the least of all."""
        lines = ["space,index,replicate,depths,widths,error"]
        for i in range(40):
            errors = ("20.3", second) if i == 3 else (f"{25 - i / 10}",) * 2
            lines += [f"A,{i},{k},1 {i + 1},8 16,{error}" for k, error in enumerate(errors)]
        return bands(parse_trials("\n".join(lines) + "\n", "test"))

    assert (found("20.3").failed, found("").failed, found("").n) == (0, 1, 40)
    assert found("20.3").bands[0].low == 5  # the depth of network 3
    assert found("").bands[0].low > 5


def test_the_last_space_with_free_widths_is_read_unless_one_is_named() -> None:
    random = np.random.default_rng(0)
    errors = {name: random.normal(30, 3, 12) for name in ("AnyNetA", "AnyNetE", "RegNet", "derived")}
    trials = trials_of(**errors)
    assert bands(trials).space == "AnyNetE"
    assert bands(trials, "RegNet").space == "RegNet"
    assert bands(trials_of(RegNet=errors["RegNet"])).space == "RegNet"
    assert bands(trials).spaces == ("AnyNetA", "AnyNetE", "RegNet", "derived")


def test_a_file_of_counts_alone_has_bands_of_them() -> None:
    lines = ["space,index,error,flops", *(f"A,{i},{20 + i},{1000 + i}" for i in range(20))]
    found = bands(parse_trials("\n".join(lines) + "\n", "test"))
    assert [each.name for each in found.bands] == ["flops"]


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ([30.0], "A has 1 network, too few for bands; 6 are the least"),
        ([30.0, 31, 32, 33, 34], "A has 5 networks"),
        ([np.nan] * 8, "no network of A has an error"),
        ([30.0] * 8, "all networks of A have the same error"),
    ],
)
def test_networks_that_can_not_tell_are_refused(errors: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        bands(trials_of(A=np.array(errors)))


def test_a_space_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'AnyNetA'"):
        bands(trials_of(AnyNetA=np.arange(8.0)), "AnyNetAA")


def test_a_result_is_a_table_and_a_document(decided: Bands) -> None:
    table = decided.to_pandas()
    assert isinstance(table, pd.DataFrame)
    assert table["property"].tolist() == [each.name for each in decided.bands]
    document = json.loads(json.dumps(decided.to_json(), allow_nan=False))
    assert (document["space"], document["n"], document["share"], document["level"]) == (
        "AnyNetC",
        120,
        0.25,
        0.95,
    )


def test_properties_are_read_off_the_networks() -> None:
    configs = [Config((1, 2 + i), (8, 16 + 8 * i), (8, 4 * 2**i), (1, 1)) for i in range(2)]
    frame = networks(configs, np.arange(2.0)).assign(flops=["7", "8"])
    found = properties(frame)
    assert found[["depth", "d[2]", "w[2]", "w[-1] / w[1]", "g[2]", "flops"]].to_numpy().tolist() == [
        [3, 2, 16, 2, 4, 7],
        [4, 3, 24, 3, 8, 8],
    ]
    assert list(found) == ["depth", "d[2]", "w[2]", "growth", "w[-1] / w[1]", "g[2]", "flops"]


def test_a_group_width_that_is_one_number_in_every_network_has_one_band() -> None:
    configs = [Config((1, 1), (8, 16), (g, g), (1, 1)) for g in (1, 2, 4)]
    found = properties(networks(configs, np.arange(3.0)))
    assert found.to_dict("list") == {"g": [1, 2, 4]}


def test_widths_without_depths_are_no_property() -> None:
    frame = networks([Config((1, d), (8, 16), (8, 8), (1, 1)) for d in (1, 2)], np.arange(2.0))
    frame["depths"] = None
    assert properties(frame.assign(params=[3, 4])).to_dict("list") == {"params": [3, 4]}


def test_networks_of_unknown_widths_are_left_out_and_counted() -> None:
    lines = ["space,index,depths,widths,error", *(f"A,{i},1 {i + 1},8 16,{20 - i}" for i in range(8))]
    trials = parse_trials("\n".join(lines) + "\n", "test")
    trials.frame.loc[6:, ["depths", "widths"]] = None
    found = bands(replace(trials, notes=("a note",)))
    assert (found.n, found.unknown) == (6, 2)
    assert "2 of the networks are left out: their depths or widths are not known." in found.remarks()
    assert found.notes == ("a note",)


def test_a_band_holds_what_lies_between_its_limits_and_everything_on_its_open_side() -> None:
    sure, values = Narrowness(0.3, 0.9, 0.001), np.array([1.0, 5.0, 9.0])
    assert Band("depth", 5, 6, 1, 9, sure).holds(values).tolist() == [False, True, False]
    assert Band("depth", 1, 6, 1, 9, sure).holds(values).tolist() == [True, True, False]
    assert Band("depth", 5, 9, 1, 9, sure).holds(values).tolist() == [False, True, True]
