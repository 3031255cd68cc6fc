"""Guessing: nothing that ignores the image is said to have learned, and what has learned is."""

import numpy as np
import pytest
from scipy import stats

from regnetlab.analysis.guessing import (
    LEARNED,
    NOT_LEARNED,
    UNCLEAR,
    clearly_better,
    guessed,
    has_learned,
    learning,
    not_learned,
)
from regnetlab.training.guessing import Guessing, guessing

TRAINED = np.repeat(np.arange(10), [4956, 4988, 5012, 4968, 5002, 5025, 4997, 5019, 5018, 5015])
JUDGED = np.repeat(np.arange(10), [529, 523, 525, 518, 484, 463, 509, 467, 479, 503])
FASHION = guessing(TRAINED, JUDGED)
"""On the first 5,000 validation images of Fashion-MNIST; the counts are the splits' own."""
ICONS = Guessing(79.1, 79.1, 408)


def random_answers(labels: np.ndarray, networks: int, seed: int) -> np.ndarray:  # type: ignore[type-arg]
    """Errors of networks that answer at random, each with class frequencies of its own."""
    random = np.random.default_rng(seed)
    classes = int(labels.max()) + 1
    errors = [
        100
        * np.mean(random.choice(classes, len(labels), p=random.dirichlet(np.full(classes, 0.3))) != labels)
        for _ in range(networks)
    ]
    return np.array(errors)


def test_guessing_is_the_commonest_training_class_and_the_best_constant_answer() -> None:
    constant = [100 * float(np.mean(label != JUDGED)) for label in range(10)]
    assert FASHION.majority_error == constant[5] == pytest.approx(90.74)
    assert FASHION.best_constant_error == pytest.approx(min(constant)) == pytest.approx(89.42)
    assert FASHION.images == 5_000


@pytest.mark.parametrize("label", range(10))
def test_a_network_that_always_gives_the_same_answer_has_never_learned(label: int) -> None:
    error = 100 * float(np.mean(label != JUDGED))
    assert learning([error], FASHION) == NOT_LEARNED
    assert learning([error] * 40, FASHION) == NOT_LEARNED


@pytest.mark.parametrize("counts", [[529, 523, 484], [900, 100], [50, 60, 90], [12, 8]])
def test_random_answers_are_clearly_better_in_at_most_one_case_of_twenty(counts: list[int]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    errors = random_answers(labels, 2_000, seed=len(labels))
    share = clearly_better(errors, guessing(labels, labels)).mean()
    assert share <= 0.05


def test_the_chance_of_one_network_is_close_to_five_percent_where_answers_are_as_good_as_they_can_be() -> (
    None
):
    wrong = np.random.default_rng(1).binomial(FASHION.images, FASHION.best_constant_error / 100, 20_000)
    share = clearly_better(100 * wrong / FASHION.images, FASHION).mean()
    assert 0.03 < share <= 0.053  # discreteness keeps it below 5%; three standard errors above


def test_the_border_is_the_largest_number_of_mistakes_that_guessing_makes_in_five_of_a_hundred() -> None:
    mistakes = np.arange(FASHION.images + 1)
    seldom = stats.binom.cdf(mistakes, FASHION.images, FASHION.best_constant_error / 100) < 0.05
    assert clearly_better(100 * mistakes / FASHION.images, FASHION).tolist() == seldom.tolist()


def test_a_space_of_networks_that_guess_is_never_said_to_have_learned() -> None:
    errors = random_answers(JUDGED, 2_000, seed=2).reshape(100, 20)
    assert LEARNED not in {learning(each, FASHION) for each in errors}


def test_a_space_whose_networks_are_two_points_better_has_learned() -> None:
    random = np.random.default_rng(3)
    for _ in range(100):
        wrong = random.binomial(FASHION.images, FASHION.best_constant_error / 100 - 0.02, 20)
        assert learning(100 * wrong / FASHION.images, FASHION) == LEARNED


def test_half_a_space_that_has_learned_is_not_enough() -> None:
    for better, verdict in (
        (4, NOT_LEARNED),
        (5, UNCLEAR),
        (6, UNCLEAR),
        (7, UNCLEAR),
        (8, UNCLEAR),
        (9, LEARNED),
    ):
        assert learning([30.0] * better + [79.1] * (10 - better), ICONS) == verdict, better


def test_of_few_networks_all_have_to_be_better() -> None:
    assert learning([30.0], ICONS) == learning([30.0, 40.0, 50.0], ICONS) == LEARNED
    assert learning([30.0, 40.0, 79.1], ICONS) == UNCLEAR


def test_where_one_class_is_common_a_network_that_errs_half_as_often_has_learned() -> None:
    assert learning([12.0], Guessing(20.0, 20.0, 400)) == LEARNED
    assert learning([18.5], Guessing(20.0, 20.0, 400)) == UNCLEAR


def test_the_best_of_many_is_held_to_more_than_one_network() -> None:
    error = 74.0
    assert learning([error], ICONS) == LEARNED
    assert learning([error], ICONS, tries=40) == UNCLEAR
    wrong = np.random.default_rng(4).binomial(ICONS.images, 0.791, (5_000, 40)).min(axis=1)
    assert clearly_better(100 * wrong / ICONS.images, ICONS, tries=40).mean() <= 0.06


def test_two_images_can_show_nothing() -> None:
    assert learning([0.0], Guessing(50.0, 50.0, 2)) == UNCLEAR
    assert learning([0.0], Guessing(0.0, 0.0, 50)) == NOT_LEARNED


def test_too_few_images_are_said_to_be_too_few_instead_of_blaming_the_networks() -> None:
    assert not_learned("AnyNetE", [0.0] * 6, Guessing(50.0, 50.0, 4)) == (
        "AnyNetE has not clearly learned: median 0.0% where guessing gives 50.0%;"
        " 4 images are too few to tell"
    )


def test_it_is_said_in_words() -> None:
    assert (
        not_learned("AnyNetA", [79.1, 79.1, 79.1], ICONS)
        == "AnyNetA has not learned: median 79.1% where guessing gives 79.1%"
    )
    assert (
        not_learned("resnet18", [77.5], ICONS)
        == "resnet18 has not clearly learned: error 77.5% where guessing gives 79.1%"
    )
    assert not_learned("AnyNetA", [30.0] * 5 + [79.1], ICONS) == (
        "AnyNetA has not clearly learned: median 30.0% where guessing gives 79.1%;"
        " 5 of 6 networks are clearly better"
    )
    assert not_learned("vgg11", [90.0], FASHION).endswith("error 90.0% where guessing gives 89.4 to 90.7%")
    assert not_learned("AnyNetA", [30.0], ICONS) == ""


def test_nothing_is_claimed_where_guessing_or_the_errors_are_not_known() -> None:
    assert has_learned([30.0], None) is None
    assert has_learned([], ICONS) is None
    assert guessed(None, {"AnyNetA": [90.0]}) == {"majority_error": None, "not_learned": []}
    assert guessed(ICONS, {"AnyNetA": []}) == {"majority_error": 79.1, "not_learned": []}


def test_networks_are_counted_as_the_best_of_as_many_tries_as_they_are() -> None:
    limit = max(error for error in np.arange(60, 80, 0.1) if clearly_better([error], ICONS).all())
    assert "; 1 of 3 networks is clearly better" in not_learned("A", [limit, 79, 78.9], ICONS)
    assert "; 0 of 3 networks are clearly better" in not_learned("A", [limit, 79, 78.9], ICONS, 1_000)
