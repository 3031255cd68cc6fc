"""How good widths grow: known truths, errors that say nothing, and which spaces carry a law."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regnetlab.analysis.population_law import (
    DOES_NOT_GROW,
    GROWS,
    NO_EVIDENCE,
    PopulationLaw,
    Regression,
    carrying,
    population_law,
    space_growths,
)
from regnetlab.analysis.statistics.intervals import Interval
from regnetlab.errors import InputError
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.custom import custom_space
from regnetlab.spaces.law import log_linear_fit
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, Window
from regnetlab.spaces.sampler import sample
from regnetlab.spaces.space import SPACES
from regnetlab.spaces.template import SMALL
from regnetlab.trials.files import parse_trials, read_trials
from regnetlab.trials.table import Trials

RANGES = Ranges(depth=(1, 12), width=(8, 256))
REGIME = Regime(flops=Window(0.8e6, 1.2e6))
FREE = ("AnyNetA", "AnyNetB", "AnyNetC")


def scored(
    error: Callable[[Floats, Floats], Floats], n: int = 80, seed: int = 0, spaces: Sequence[str] = FREE
) -> Trials:
    """Networks of these spaces with an error by log growth and depth, a level for each space, and noise."""
    random, lines = (
        np.random.default_rng(seed),
        ["space,depths,widths,group_widths,bottleneck_ratios,flops,error"],
    )
    for place, space in enumerate(spaces):
        found = sample(SPACES[space].within(RANGES), n, SMALL, REGIME, seed=seed)
        _, growth = log_linear_fit(found.population.widths)
        depth = found.population.depths.sum(axis=1).astype(np.float64)
        errors = 20 - place + error(np.log(growth), depth) + random.normal(0, 0.8, n)
        for config, flops, each in zip(
            found.population.configs(), found.complexity.flops, errors, strict=True
        ):
            stages = (config.depths, config.widths, config.group_widths, config.bottleneck_ratios)
            cells = [" ".join(f"{value:g}" for value in values) for values in stages]
            lines.append(",".join([space, *cells, str(flops), f"{each:.4f}"]))
    return parse_trials("\n".join(lines) + "\n", "test")


def about(growth: float, strength: float = 4) -> Callable[[Floats, Floats], Floats]:
    """Errors that are least at this growth, and rise with depth."""
    return lambda x, depth: strength * (x - np.log(growth)) ** 2 + 0.2 * depth


@pytest.mark.parametrize(("growth", "claim"), [(0.7, DOES_NOT_GROW), (1.76, GROWS), (2.2, GROWS)])
def test_a_known_optimum_is_found_and_claimed(growth: float, claim: str) -> None:
    laws = [population_law(scored(about(growth), seed=seed)) for seed in range(6)]
    assert [law.claim for law in laws].count(claim) >= 5  # type: ignore[arg-type]
    assert sum(law.growth.low <= growth <= law.growth.high for law in laws) >= 5
    assert np.median([law.growth.estimate for law in laws]) == pytest.approx(growth, rel=0.1)
    assert all(law.reason is None and law.inside for law in laws if law.claim == claim)


def test_an_optimum_at_one_claims_no_growth() -> None:
    laws = [population_law(scored(about(1.0), seed=seed)) for seed in range(6)]
    assert sum(law.claim == GROWS for law in laws) <= 1
    assert sum(law.growth.low <= 1 <= law.growth.high for law in laws) >= 5


def test_errors_that_do_not_depend_on_growth_are_no_evidence() -> None:
    """Though the regime alone makes the widths of all networks grow, and depth counts."""
    laws = [population_law(scored(about(1, strength=0), seed=seed, n=50)) for seed in range(20)]
    assert sum(law.claim != NO_EVIDENCE for law in laws) <= 2
    reasons = [str(law.reason) for law in laws if not law.inside]
    assert all(re.match("the best growth may lie |no growth is clearly better", each) for each in reasons)


@pytest.mark.parametrize("study", ["fashion-mnist", "fashion-mnist-3mf", "quick"])
def test_a_committed_studys_errors_shuffled_within_spaces_are_no_evidence(study: str) -> None:
    trials = read_trials([Path("studies") / study / "trials.csv"])
    claims = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        errors = trials.frame.groupby("space", sort=False)["error"].transform(random.permutation)
        claims.append(population_law(Trials(trials.frame.assign(error=errors))).claim)
    assert claims.count(NO_EVIDENCE) >= 11


def test_errors_that_fall_with_growth_throughout_have_no_optimum_inside() -> None:
    for sign, part in ((-1, "above all that were drawn"), (1, "below all that were drawn")):
        reasons = [
            str(population_law(scored(lambda x, depth, sign=sign: 3 * sign * x, seed=seed)).reason)
            for seed in range(10)
        ]
        assert sum(part in reason for reason in reasons) >= 8


def test_the_networks_of_spaces_that_constrain_widths_change_nothing() -> None:
    """They are shown, and carry nothing, however good they are."""
    free, all_spaces = scored(about(1.76)), scored(about(1.76), spaces=(*FREE, "AnyNetD", "AnyNetE"))
    one, other = population_law(free), population_law(all_spaces)
    # Noise is drawn space by space: that of the first three is the same.
    assert (one.n, one.growth, one.w0, one.depth) == (other.n, other.growth, other.w0, other.depth)
    assert [each.space for each in space_growths(all_spaces) if not each.carries] == ["AnyNetD", "AnyNetE"]


def test_a_space_is_shown_with_its_best_and_all_of_it() -> None:
    found = {each.space: each for each in space_growths(scored(about(2.2), spaces=("AnyNetC", "AnyNetD")))}
    free, constrained = found["AnyNetC"], found["AnyNetD"]
    assert free.growth_best > free.growth_all and free.p < 0.01 and free.difference.low > 0
    assert free.difference.estimate == pytest.approx(free.growth_best - free.growth_all)
    assert constrained.growth_all > 1.5 and not constrained.carries


def test_depth_group_width_and_ratio_are_those_of_least_error() -> None:
    trials = scored(
        lambda x, depth: 4 * (x - 0.6) ** 2 + 3 * np.log(depth / 12) ** 2, spaces=("AnyNetC",), n=300
    )
    groups = np.array([each[0] for each in trials.frame["group_widths"]])
    ratios = np.array([each[0] for each in trials.frame["bottleneck_ratios"]])
    errors = trials.frame["error"] + 2 * np.log(groups / 8) ** 2 + 2 * np.log2(ratios)
    law = population_law(Trials(trials.frame.assign(error=errors)))
    assert law.depth == pytest.approx(12, rel=0.25)
    assert law.group_width == pytest.approx(8, rel=0.5)
    assert law.bottleneck_ratio == pytest.approx(1, rel=0.1)  # error falls to that end


def test_failed_networks_are_left_out() -> None:
    trials = scored(about(1.76))
    failed = trials.frame.assign(error=trials.frame["error"].where(np.arange(240) % 10 > 0))
    assert population_law(Trials(failed)).n == 216


def test_r2_is_of_the_best_networks_widths_about_one_line() -> None:
    law = population_law(scored(about(1.76)))
    logs = np.log(np.array(law.best["widths"].tolist(), np.float64))
    line = np.mean([np.polyval(np.polyfit(range(4), row, 1), range(4)) for row in logs], axis=0)
    assert len(law.best) == law.n_best == 60
    assert law.best.groupby("space").size().tolist() == [20, 20, 20]
    assert law.r2 == pytest.approx(1 - ((logs - line) ** 2).sum() / ((logs - logs.mean()) ** 2).sum())


def test_a_studys_own_spaces_carry_by_their_constraints_whatever_their_names() -> None:
    designs = {
        "mine": custom_space("mine", "AnyNetA", ["b == 1"]),
        "narrow": custom_space("narrow", "AnyNetA", ["w[i+1] <= 3*w[i]"]),
    }
    names = ("mine", "narrow", "AnyNetB", "RegNet", "derived")
    rows = "".join(f"{name},1 1,8 16\n{name},1 1,16 8\n" for name in names)
    known = parse_trials("space,depths,widths\n" + rows, "here")
    assert carrying(Trials(known.frame, designs=designs)) == ["mine", "AnyNetB"]


@pytest.mark.parametrize(
    ("rows", "carries"),
    [
        ("x,1 1,8 16,\nx,1 1,16 8,\n", True),
        ("x,1 1,8 16,\nx,1 1,8 8,\n", False),  # none falls
        ("x,1 1,16 8,\nx,1 1,8 8,\n", False),  # none rises
        ("x,1 1,8 16,2\nx,1 1,16 8,\n", False),  # drawn from the law
    ],
)
def test_of_an_unknown_space_its_networks_decide(rows: str, carries: bool) -> None:
    trials = parse_trials("space,depths,widths,wm\n" + rows, "here")
    assert carrying(trials) == (["x"] if carries else [])


def test_a_law_is_carried_by_the_widths_alone_not_by_a_networks_name() -> None:
    trials = scored(about(1.76))
    renamed = Trials(trials.frame.assign(space=trials.frame["space"] + "x"))
    assert population_law(renamed).growth == population_law(trials).growth


def laws_of(frame: pd.DataFrame) -> PopulationLaw:
    return population_law(Trials(frame))


def test_what_can_carry_no_law_says_why() -> None:
    frame = scored(about(1.76)).frame
    few, one = frame.groupby("space").head(3), frame.groupby("space").head(1)
    for networks, part in (
        (few, "9 networks with errors and free widths are too few"),
        (one, "3 networks with errors and free widths are too few"),
        (frame.assign(error=np.nan), "no network has an error"),
        (frame.assign(error=20.0), "all 240 networks have the same error"),
        (frame.assign(widths=[(16, 16, 16, 16)] * 240), "equal widths in all its stages"),
        (frame.assign(widths=[(16,)] * 240, depths=[(3,)] * 240), "1 to 1 stages"),
        (frame.assign(widths=[(16,)] * 20 + frame["widths"].tolist()[20:]), "1 to 4 stages"),
        (frame.assign(space="AnyNetD"), "no space leaves the widths free (AnyNetD)"),
        (frame.assign(space=[f"space {i}" for i in range(240)]), "too few for a regression"),
    ):
        with pytest.raises(InputError, match=part.replace("(", r"\(").replace(")", r"\)")):
            laws_of(networks)


def test_networks_that_all_grow_alike_carry_no_law() -> None:
    trials = scored(about(1.76))
    widths = [tuple(8 * 2**i for i in range(len(each))) for each in trials.frame["widths"]]
    with pytest.raises(InputError, match=r"grow by the same factor, 2\.00"):
        population_law(Trials(trials.frame.assign(widths=widths)))


def exactly(n: int = 120, **effects: float) -> tuple[Regression, dict[str, float]]:
    """A regression without noise, and where its errors are least in each of the logs.

    Networks of two spaces a level apart; flops, which count as ``effects`` say, lean on growth.
    """
    random = np.random.default_rng(2)
    logs = {name: random.uniform(-1, 1, n) for name in ("growth", "depth", "group_widths")}
    logs["w0"] = 3 - logs["growth"] + 0.5 * logs["depth"] ** 2 + random.uniform(-0.5, 0.5, n)
    flops = 14 + logs["growth"] + random.uniform(-0.2, 0.2, n)
    least = {"growth": 0.2, "depth": -0.1, "group_widths": 0.3}
    places = np.repeat([0, 1], n // 2)
    errors = 20 + 3 * places + effects.get("flops", 0.0) * flops
    for name, at in least.items():
        errors = errors + effects.get(name, 5.0) * (logs[name] - at) ** 2
    beside = logs["w0"] - (3 - logs["growth"] + 0.5 * logs["depth"] ** 2)
    errors = errors + effects.get("w0", 0.0) * (beside - 0.1) ** 2
    return Regression(errors, places.astype(np.int64), logs, flops), least


def test_a_regression_finds_what_is_least_at_equal_flops_in_every_space() -> None:
    found, least = exactly(flops=4.0)
    depth_alone, _ = exactly(flops=4.0, group_widths=0.0)
    growth = depth_alone.growth()
    assert growth is not None
    assert growth.at.estimate == pytest.approx(least["growth"], abs=0.02)
    for name, at in least.items():
        assert found.least(name).estimate == pytest.approx(at, abs=0.02)
    blind = replace(depth_alone, flops=None).growth()
    assert blind is not None
    assert abs(blind.at.estimate - least["growth"]) > 0.1


def test_what_does_not_vary_is_where_it_is() -> None:
    found, _ = exactly()
    still = replace(found, logs={**found.logs, "depth": np.full(120, 2.5)})
    assert still.least("depth") == Interval(2.5, 2.5, 2.5)


def test_too_few_networks_for_all_others_are_held_to_growth_alone() -> None:
    few, least = exactly(16, depth=0.0)
    random = np.random.default_rng(3)
    many = {f"more {i}": random.uniform(-1, 1, 16) for i in range(3)}
    few = replace(few, logs={**few.logs, **many})
    assert few.best(few.logs["group_widths"], ("growth", "depth", *many)) is None
    assert few.least("group_widths").estimate == pytest.approx(least["group_widths"], abs=0.05)


def test_a_first_width_is_large_or_small_beside_others_of_its_growth_and_depth() -> None:
    found, _ = exactly(w0=9.0)
    for growth, depth in ((0.0, 0.0), (0.5, -0.5)):
        usual = 3 - growth + 0.5 * depth**2
        interval, inside = found.w0(growth, depth)
        assert inside
        assert interval.estimate == pytest.approx(usual + 0.1, abs=0.1)
        assert usual - 0.4 < interval.low < interval.estimate < interval.high < usual + 0.6
    alike = replace(found, errors=np.full(120, 20.0))
    interval, inside = alike.w0(0.0, 0.0)
    assert (interval.low, interval.high, inside) == (interval.estimate, interval.estimate, False)
    assert interval.estimate == pytest.approx(3, abs=0.06)


def test_a_law_is_at_equal_flops_where_these_are_known() -> None:
    trials = scored(about(1.8))
    flops = trials.frame["flops"].to_numpy(np.float64)
    dearer = replace(
        trials, frame=trials.frame.assign(error=trials.frame["error"] + 25 * np.log(flops / 1e6))
    )
    blind = replace(dearer, frame=dearer.frame.drop(columns="flops"))
    same, known, unknown = (population_law(each).growth for each in (trials, dearer, blind))
    assert [known.estimate, *known.ends] == pytest.approx([same.estimate, *same.ends], rel=1e-3)
    assert abs(unknown.estimate - known.estimate) > 0.05
    nothing = replace(dearer, frame=dearer.frame.assign(flops=0))  # no log of them: not known
    assert population_law(nothing).growth == unknown
