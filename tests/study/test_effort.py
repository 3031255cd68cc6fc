"""What time allows: fewer networks and epochs where there is less of it, a refusal where there is none."""

import math

import pytest

from regnetlab.errors import InputError
from regnetlab.study.effort import (
    LEAST_DRAWN,
    MOST_DRAWN,
    MOST_EPOCHS,
    MOST_SEEDS,
    effort,
    images_of,
    networks_to_draw,
    seeds_for,
)
from regnetlab.study.minutes import Clock
from regnetlab.training.budget import Budget, Recipe

SECONDS = {"small": 0.5, "medium": 1.0, "large": 2.0}


def _total(minutes: float) -> float:
    """Seconds that the trainings of what is chosen take on two cores."""
    chosen = effort(SECONDS, 60 * minutes, 2, lr=0.1, steps=200)
    tuned = chosen.candidates * len(chosen.rates) * (sum(SECONDS.values()) + 1)
    return chosen.epochs * (4 + tuned + chosen.seeds * (sum(SECONDS.values()) + 1)) / 2


@pytest.mark.parametrize("minutes", [2, 5, 10, 20, 40])
def test_trainings_fill_the_time_and_do_not_exceed_it(minutes: float) -> None:
    assert _total(minutes) <= 60 * minutes
    assert _total(minutes) >= 0.5 * 60 * minutes or minutes < 5


def test_more_time_tries_more_networks_before_it_trains_longer() -> None:
    short, long = (effort(SECONDS, 60 * minutes, 2, lr=0.1, steps=200) for minutes in (2, 30))
    assert short.candidates == 1
    assert long.candidates == 3
    assert len(long.rates) == 3
    assert effort(SECONDS, math.inf, 2, lr=0.1, steps=200).epochs == MOST_EPOCHS


def test_learning_rates_lie_around_the_study_s() -> None:
    assert effort(SECONDS, 1e5, 2, lr=0.2, steps=200).rates == (0.1, 0.2, 0.4)


def test_epochs_that_are_asked_for_leave_fewer_candidates() -> None:
    chosen = effort(SECONDS, 10 * 60, 2, lr=0.1, steps=200, epochs=30)
    assert chosen.epochs == 30
    assert chosen.candidates < 3


def test_too_few_minutes_are_refused_with_the_number_that_would_do() -> None:
    with pytest.raises(InputError, match="too few to train a family") as refused:
        effort(SECONDS, 20, 2, lr=0.1, steps=200)
    assert "minutes here" in refused.value.hint
    with pytest.raises(InputError, match="too few"):
        effort(SECONDS, 60, 2, lr=0.1, steps=200, epochs=100)


def test_seeds_follow_the_time_that_is_left() -> None:
    chosen = effort(SECONDS, 20 * 60, 2, lr=0.1, steps=200)
    assert seeds_for(SECONDS, chosen, 0.0, 2) == 2
    assert seeds_for(SECONDS, chosen, 1e6, 2) == MOST_SEEDS
    assert seeds_for(SECONDS, chosen, math.inf, 2) == chosen.seeds


def test_candidates_of_other_sizes_follow_the_time_too() -> None:
    assert networks_to_draw(10.0, 60, 2) == LEAST_DRAWN
    assert networks_to_draw(0.01, 3_600, 2) == MOST_DRAWN
    assert networks_to_draw(10.0, math.inf, 2) == MOST_DRAWN


def test_images_that_only_judge_count_as_a_third() -> None:
    budget, recipe = Budget(images=600, epochs=2, batch_size=60, validation=300), Recipe(precise_bn=5)
    assert images_of(budget, recipe) == pytest.approx(2 * (600 + (300 + 300) / 3))


def test_a_clock_without_minutes_has_no_end() -> None:
    assert Clock().left == math.inf
    assert Clock(1.0, spent=30.0).left == pytest.approx(30.0, abs=1.0)


def test_few_images_are_seen_often_enough() -> None:
    few, many = (effort(SECONDS, 20 * 60, 2, lr=0.1, steps=steps) for steps in (5, 200))
    assert few.candidates == 1
    assert few.epochs * 5 >= 200
    assert few.epochs > many.epochs
