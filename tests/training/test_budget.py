"""What budgets and recipes may say, and what identities are made of."""

import pytest

from regnetlab.errors import InputError
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.step import learning_rate


def test_a_constant_rate_is_the_same_from_the_first_step_to_the_last() -> None:
    recipe = Recipe(lr=0.3, schedule="constant")
    assert {learning_rate(step, 50, recipe) for step in range(50)} == {0.3}


def test_a_constant_rate_refuses_a_warm_up() -> None:
    with pytest.raises(InputError, match="the schedule constant has none"):
        Recipe(schedule="constant", warmup=0.1)
    assert Recipe(schedule="constant", warmup=0.0).warmup == 0


def test_sgd_without_momentum_is_one_recipe_however_it_is_written() -> None:
    assert Recipe(momentum=0) == Recipe(momentum=0, nesterov=False)
    assert Recipe(momentum=0.5).nesterov


@pytest.mark.parametrize("key", ["schedule", "init", "input_scale"])
def test_a_recipes_words_are_those_that_are_known(key: str) -> None:
    with pytest.raises(InputError, match=f"recipe: {key} 'other' is not known"):
        Recipe(**{key: "other"})  # type: ignore[arg-type]


def test_facts_of_today_are_those_of_studies_that_knew_no_later_keys() -> None:
    assert {"init", "input_scale"}.isdisjoint(Recipe().facts())
    assert {"drop_last", "time_limit"}.isdisjoint(Budget().facts())
    assert Recipe(init="xavier").facts()["init"] == "xavier"
    assert Recipe(input_scale="0-1").facts()["input_scale"] == "0-1"
    assert Budget(drop_last=False).facts()["drop_last"] is False


@pytest.mark.parametrize(
    ("images", "batch", "complete", "incomplete"),
    [(60_000, 128, 468, 96), (128, 64, 2, 0), (100, 128, 1, 0), (130, 128, 1, 2)],
)
def test_the_last_batch_is_kept_or_dropped(images: int, batch: int, complete: int, incomplete: int) -> None:
    kept, dropped = (Budget(images, 3, batch, drop_last=drop) for drop in (False, True))
    assert (dropped.steps_per_epoch, dropped.incomplete) == (complete, 0)
    assert (kept.complete_steps, kept.incomplete) == (complete, incomplete)
    assert kept.steps == 3 * (complete + (incomplete > 0))


def test_a_last_batch_of_one_image_is_refused() -> None:
    with pytest.raises(InputError, match="holds a single image"):
        Budget(images=129, batch_size=128, drop_last=False)
    assert Budget(images=129, batch_size=128).steps == 1


def test_a_time_limit_is_long_enough_for_the_largest_networks() -> None:
    small, paper = Budget(images=6_400), Budget(images=1_280_000, epochs=10, batch_size=128)
    assert small.long_enough(1.2e6).time_limit == 600
    assert paper.long_enough(20e6).time_limit > 20e6 * 1_280_000 * 10 * 0.5e-9 * 4
    assert paper.long_enough(400e6).time_limit == 30 * 86_400
