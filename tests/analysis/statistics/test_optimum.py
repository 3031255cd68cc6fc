"""Where errors are least: known optima, and no optimum where there is none."""

import numpy as np
import pytest
from scipy import optimize

from regnetlab.analysis.statistics.optimum import _drawn_in, _gains, _pseudo_values, optimum
from regnetlab.spaces.arrays import Floats, Ints


def world(seed: int, n: int = 240) -> tuple[np.random.Generator, Floats, Ints, Floats]:
    """Random numbers, x of a skewed distribution, three groups, and a control that goes with x."""
    random = np.random.default_rng(seed)
    x = random.gamma(4, 0.2, n) - 0.5
    return random, x, np.arange(n) % 3, x[:, None] * 0.5 + random.normal(0, 1, (n, 1))


@pytest.mark.parametrize("curve", [np.square, np.abs, lambda u: np.where(u < 0, -3 * u, u)])
def test_an_exact_curve_gives_its_optimum_back(curve: object) -> None:
    _, x, groups, control = world(0)
    y = curve(x - 0.31) + groups + 2 * control[:, 0]  # type: ignore[operator]
    found = optimum(x, y, groups, control)
    assert found is not None and found.inside
    assert found.at.estimate == pytest.approx(0.31, abs=0.02)
    assert found.at.low <= 0.31 <= found.at.high
    assert found.at.high - found.at.low < 0.1


@pytest.mark.parametrize("curve", ["quadratic", "V", "two slopes"])
@pytest.mark.parametrize("noise", ["normal", "heavy", "unequal"])
def test_the_interval_holds_the_optimum_in_most_rounds(curve: str, noise: str) -> None:
    """40 rounds of 95%: fewer than 35 that hold happen once in 300 times."""
    covered = 0
    for seed in range(40):
        random, x, groups, control = world(seed)
        u = x - 0.3
        y = {"quadratic": 4 * u**2, "V": 3 * np.abs(u), "two slopes": np.where(u < 0, -4 * u, 2 * u)}[curve]
        spread = {
            "normal": random.normal(0, 0.5, len(x)),
            "heavy": random.standard_t(2, len(x)) * 0.4,
            "unequal": random.normal(0, 0.2, len(x)) * (1 + 2 * np.abs(x)),
        }[noise]
        found = optimum(x, y + groups + control[:, 0] + spread, groups, control)
        assert found is not None
        covered += found.at.low <= 0.3 <= found.at.high
    assert covered >= 35


def test_errors_that_say_nothing_have_no_optimum_inside() -> None:
    inside = []
    for seed in range(60):
        random, x, groups, control = world(seed)
        found = optimum(x, random.normal(size=len(x)) + groups, groups, control)
        assert found is not None
        inside.append(found.inside)
    assert np.mean(inside) < 0.15


def test_a_curve_that_falls_throughout_has_its_optimum_at_the_end() -> None:
    random, x, groups, control = world(1)
    for sign in (1, -1):
        found = optimum(sign * x, -3 * x + random.normal(0, 0.5, len(x)), groups, control)
        assert found is not None
        assert not found.inside
        assert (found.below, found.above) == ((True, False) if sign > 0 else (False, True))
        assert (found.at.high if sign > 0 else found.at.low) == pytest.approx(
            found.drawn[1] if sign > 0 else found.drawn[0]
        )


def test_one_wild_error_moves_little() -> None:
    random, x, groups, control = world(2)
    y = 4 * (x - 0.3) ** 2 + random.normal(0, 0.3, len(x))
    before = optimum(x, y, groups, control)
    y[np.argsort(x)[5]] = 90
    after = optimum(x, y, groups, control)
    assert before is not None and after is not None
    assert after.at.estimate == pytest.approx(before.at.estimate, abs=0.05)


def test_scale_and_place_of_x_and_y_do_not_matter() -> None:
    random, x, groups, control = world(3)
    y = 4 * (x - 0.3) ** 2 + random.normal(0, 0.5, len(x))
    one, other = optimum(x, y, groups, control), optimum(100 * x + 7, 0.01 * y - 3, groups, 9 * control)
    assert one is not None and other is not None
    assert other.at.estimate == pytest.approx(100 * one.at.estimate + 7)
    assert other.at.ends == pytest.approx([100 * end + 7 for end in one.at.ends])


def test_nothing_is_told_where_nothing_differs_or_too_few_are_left() -> None:
    _, x, groups, control = world(4)
    assert optimum(np.ones(240), x, groups, control) is None
    assert optimum(x, np.ones(240), groups, control) is None
    assert optimum(x[:9], x[:9] ** 2, groups[:9], control[:9]) is None
    assert optimum(x[:0], x[:0], groups[:0], control[:0]) is None


def test_controls_that_say_nothing_change_nothing() -> None:
    random, x, groups, control = world(5)
    y = 4 * (x - 0.3) ** 2 + random.normal(0, 0.5, len(x))
    more = np.column_stack([control, control, np.zeros(len(x)), np.ones(len(x))])
    one, other = optimum(x, y, groups, control), optimum(x, y, groups, more)
    assert one is not None and other is not None
    assert other.at.ends == pytest.approx(one.at.ends)


def test_what_two_sides_gain_is_that_of_least_squares_without_negative_coefficients() -> None:
    random = np.random.default_rng(3)
    before, after, y = random.normal(size=(30, 50)), random.normal(size=(30, 50)), random.normal(size=30)
    equal, unequal = _gains(before, after, y)
    for i in range(50):
        for gain, columns in (
            (equal[i], (before[:, i] + after[:, i])[:, None]),
            (unequal[i], np.column_stack([before[:, i], after[:, i]])),
        ):
            rest = optimize.nnls(columns, y)[1] ** 2
            assert gain == pytest.approx(y @ y - rest, abs=1e-9)


def test_wild_values_are_drawn_in_and_others_stay() -> None:
    random = np.random.default_rng(4)
    model = np.column_stack([np.ones(80), np.linspace(-1, 1, 80)])
    y = model @ [3.0, 2.0] + random.normal(0, 0.1, 80)
    calm, spread = _drawn_in(y, model)
    left = y - model @ np.linalg.lstsq(model, y, rcond=None)[0]
    middle = np.median(left)
    assert spread == pytest.approx(1.4826 * np.median(np.abs(left - middle)))
    assert np.abs(left - middle).max() < 4 * spread
    assert calm.all == pytest.approx(y)
    assert calm.residuals == pytest.approx(left - middle)
    wild = y.copy()
    wild[7] += 50
    drawn, wider = _drawn_in(wild, model)
    fitted = model @ np.linalg.lstsq(model, drawn.all, rcond=None)[0]
    assert wider == pytest.approx(spread, rel=0.1)
    assert fitted == pytest.approx(model @ [3.0, 2.0], abs=0.1)
    assert drawn.residuals[7] == pytest.approx(50, rel=0.05)
    assert drawn.all[7] - fitted[7] == pytest.approx(4 * spread / (79 / 80), rel=0.2)
    exact, none = _drawn_in(model @ [3.0, 2.0], model)
    assert none == pytest.approx(0, abs=1e-9)
    assert exact.all == pytest.approx(model @ [3.0, 2.0])


def test_weights_follow_the_spread_where_it_changes_and_are_one_where_it_does_not() -> None:
    random = np.random.default_rng(5)
    n = 400
    x = random.uniform(-1, 1, n)
    groups = np.ones((n, 1))
    for slope in (0.0, 1.2):
        y = 20 + random.normal(0, 1, n) * np.exp(slope * x)
        values, weights = _pseudo_values(x, y, groups, groups)
        if slope == 0:
            assert weights.tolist() == [1.0] * n
            assert np.corrcoef(values, y)[0, 1] > 0.99
        else:
            found = np.polyfit(x, np.log(weights), 1)[0]
            assert found == pytest.approx(-slope, abs=0.3)  # residuals near 0 count as a tenth of the spread
            assert np.log(weights).mean() == pytest.approx(0, abs=1e-9)
            assert np.corrcoef(values, y * weights)[0, 1] > 0.99
