"""Whole populations compared, from frames and files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from regnetlab.analysis.compare import compare, space_errors, steps, summary
from regnetlab.analysis.compared_spaces import compared_spaces
from regnetlab.analysis.planned import planned
from regnetlab.errors import InputError
from regnetlab.trials.files import parse_trials


def _csv(spaces: dict[str, np.ndarray], **more: object) -> str:
    lines = ["space,depths,widths,error,flops"]
    for space, errors in spaces.items():
        for i, error in enumerate(errors):
            text = "" if np.isnan(error) else f"{error:.4f}"
            lines.append(f"{space},1 1,8 16,{text},{100_000 + 1_000 * i}")
    return "\n".join(lines) + "\n"


def _frame(**spaces: np.ndarray) -> pd.DataFrame:
    return parse_trials(_csv(spaces), "test").frame


def _normal(seed: int, mean: float, n: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 3, n)


def test_steps_run_through_the_spaces_as_they_appear() -> None:
    found = space_errors(_frame(C=_normal(0, 30), A=_normal(1, 25), derived=_normal(2, 20), B=_normal(3, 20)))
    assert [each.space for each in found] == ["C", "A", "B"]
    assert [(a.space, b.space) for a, b in steps(found)] == [("C", "A"), ("A", "B")]


def test_a_studys_own_order_comes_first() -> None:
    found = space_errors(_frame(C=_normal(0, 30), A=_normal(1, 25)), order=("A", "B", "C"))
    assert [each.space for each in found] == ["A", "C"]


def test_pairs_are_compared_by_name() -> None:
    found = space_errors(_frame(A=_normal(0, 30), B=_normal(1, 25), C=_normal(2, 20)))
    (pair,) = steps(found, [("A", "C")])
    assert [each.space for each in pair] == ["A", "C"]
    with pytest.raises(InputError, match="space 'D' is not known"):
        steps(found, [("A", "D")])


def test_verdicts_follow_the_difference_of_medians() -> None:
    found = space_errors(
        _frame(
            A=_normal(0, 30), B=_normal(1, 25), C=_normal(1, 25.1), D=_normal(4, 33), E=np.linspace(20, 50, 8)
        )
    )
    claims = [each.verdict for each in compare(steps(found), margin=2.5)]
    assert claims == ["better", "no worse", "worse", "undecided"]


def test_failed_networks_are_shown_apart_and_counted_as_the_worst() -> None:
    healthy, broken = _normal(0, 30), _normal(1, 25)
    broken[:40] = np.nan
    (found,) = compare(steps(space_errors(_frame(A=healthy, B=broken))), margin=1.0)
    assert (found.a.failed, found.b.failed) == (0, 40)
    assert found.verdict == "better"
    assert found.verdict_with_failures == "worse"
    assert found.failures is not None
    assert found.failures.estimate > 60


def test_without_failures_nothing_changes_by_them() -> None:
    (found,) = compare(steps(space_errors(_frame(A=_normal(0, 30), B=_normal(1, 25)))), margin=1.0)
    assert found.failures is None
    assert found.verdict_with_failures == found.verdict


def test_several_seeds_of_a_network_are_one_network() -> None:
    rows = ("0,20", "0,30", "1,", "1,40", "2,", "2,")
    text = "space,index,error,depths,widths\n" + "".join(f"A,{row},1 1,8 8\n" for row in rows)
    (found,) = space_errors(parse_trials(text, "test").frame)
    assert found.errors.tolist() == [25, 40]
    assert found.failed == 1


def test_all_steps_together_are_held_to_a_wider_interval() -> None:
    found = compare(steps(space_errors(_frame(A=_normal(0, 30), B=_normal(1, 29), C=_normal(2, 28)))), 1.0)
    for each in found:
        assert each.corrected.low <= each.difference.low
        assert each.corrected.high >= each.difference.high
        assert each.ks_holm >= each.tests.ks_p
        assert each.mann_whitney_holm >= each.tests.mann_whitney_p


def test_an_undecided_step_says_how_many_networks_would_decide_it() -> None:
    (found,) = compare(steps(space_errors(_frame(A=_normal(0, 30, 12), B=_normal(1, 29.4, 12)))), margin=0.5)
    assert found.verdict == "undecided"
    assert all(n > 12 for n in found.to_decide.values())
    (few,) = compare(steps(space_errors(_frame(A=_normal(0, 30, 4), B=_normal(1, 29, 12)))), margin=0.5)
    assert few.verdict == "undecided"
    assert not few.to_decide


def test_complexity_is_matched_where_both_spaces_have_it() -> None:
    (found,) = compare(steps(space_errors(_frame(A=_normal(0, 30), B=_normal(1, 25)))), margin=1.0)
    assert set(found.matched) == {"flops"}
    assert found.matched["flops"].difference.high < 0


def test_the_summary_gives_each_number_its_interval() -> None:
    found = summary(space_errors(_frame(A=_normal(0, 30)))[0])
    assert found.least < found.q05.estimate < found.median.estimate
    for interval in (found.median, found.mean):
        assert interval.low < 30 < interval.high


def test_a_file_is_compared_like_a_study(tmp_path: Path) -> None:
    path = tmp_path / "pilot.csv"
    path.write_text(_csv({"A": _normal(0, 30), "B": _normal(1, 25)}))
    document = compared_spaces(files=[path], margin=0.5)
    (found,) = document["comparisons"]
    assert (found["a"], found["b"], found["n_a"], found["n_b"]) == ("A", "B", 60, 60)
    assert found["verdict"] == "better"
    assert found["interval"][0] < found["median_difference"] < found["interval"][1] < 0
    assert document["margin"] == found["margin"] == 0.5
    assert document["seed_noise"] is None


def test_one_space_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    path = tmp_path / "pilot.csv"
    path.write_text(_csv({"A": _normal(0, 30)}))
    with pytest.raises(InputError, match=r"only one space \(A\)"):
        compared_spaces(files=[path])


def test_a_space_without_errors_is_named() -> None:
    found = space_errors(_frame(A=_normal(0, 30), B=np.full(5, np.nan)))
    with pytest.raises(InputError, match="no network of B has an error"):
        compare(steps(found), 1.0)


def test_a_plan_asks_for_more_networks_where_the_margin_is_narrower(tmp_path: Path) -> None:
    path = tmp_path / "pilot.csv"
    path.write_text(_csv({"A": _normal(0, 30), "B": _normal(1, 25)}))
    wide, narrow = (planned(None, [path], margin, 0.8, None, 2)["steps"][0]["n"] for margin in (2.0, 1.0))
    assert narrow == pytest.approx(4 * wide, rel=0.05)


def test_a_plan_from_a_spread_is_the_textbooks_number() -> None:
    (step,) = planned(None, (), 1.0, 0.8, 4.0, None)["steps"]
    assert step["n"] == pytest.approx(2 * (1.96 + 0.8416) ** 2 * 16 * np.pi / 2, rel=0.01)
    assert step["hours"] is None


@pytest.mark.parametrize(
    ("margin", "power", "spread", "message"),
    [
        (0.0, 0.8, 4.0, "margin is 0"),
        (1.0, 1.0, 4.0, "power is 1"),
        (1.0, 0.8, 0.0, "spread is 0"),
        (-1.0, 0.8, 4.0, "margin is -1"),
    ],
)
def test_a_plan_that_can_not_be_is_refused(margin: float, power: float, spread: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        planned(None, (), margin, power, spread, None)
