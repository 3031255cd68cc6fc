"""Plans of walks: chosen by images, minutes and what this machine does; refused where they can't be."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regnetlab.analysis.statistics.intervals import median_scale
from regnetlab.analysis.statistics.verdicts import held_together, networks_needed
from regnetlab.errors import InputError
from regnetlab.study.examples import example_named
from regnetlab.study.explore import (
    WALKS,
    Explored,
    check_images,
    decides,
    explored,
    finest_difference,
)
from regnetlab.study.minutes import Clock, WalkClock
from regnetlab.study.plan_file import load_plan, parse_plan
from regnetlab.study.short_ladder import Rung, rung_budget
from regnetlab.training.budget import Budget
from regnetlab.training.datasets import outline
from regnetlab.training.folders.decode import Reading
from tests.study.running import Heard, inline


def _explored(
    data_dir: Path, folder: Path, minutes: float, target: tuple[str, float] | None = None
) -> Explored:
    example = load_plan(example_named("quick") / "study.toml")
    seen = outline("fashion-mnist", data_dir)
    clock = Clock(minutes)
    return explored(
        "bars", folder, example, seen, Reading(), inline(data_dir), Heard(), clock, target or ("flops", 0.3e6)
    )


def _images(folder: Path, counts: dict[str, int]) -> str:
    for name, n in counts.items():
        (folder / name).mkdir(parents=True)
        for i in range(n):
            Image.fromarray(np.full((16, 16), 7 * i % 256, np.uint8)).save(folder / name / f"{i}.png")
    return f"folder:{folder}"


@pytest.fixture(scope="module")
def found(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Explored:
    return _explored(data_dir, tmp_path_factory.mktemp("explored") / "bars", 6.0)


def test_the_plan_is_an_ordinary_study_file(found: Explored, tmp_path: Path) -> None:
    path = tmp_path / "bars" / "study.toml"
    read = parse_plan(found.text, path)
    assert read.draws == found.plan.draws
    assert read.budget == found.plan.budget
    assert read.terms == found.plan.terms
    assert read.terms.walk
    assert read.regime.text == "flops 240K:360K"


def test_a_plan_says_what_it_rests_on_and_what_it_can_decide(found: Explored) -> None:
    text = "\n".join(found.lines)
    assert "1,000 to train on" in text
    assert "networks an hour" in text
    assert f"up to {found.plan.draws[0].n} networks each" in text
    assert "finds 80% of differences of" in text
    assert "of 6, then the family" in text


def test_the_walk_is_the_longest_that_time_allows(found: Explored) -> None:
    names = tuple(draw.space.name for draw in found.plan.draws)
    assert names in WALKS
    assert len({draw.n for draw in found.plan.draws}) == 1


@pytest.mark.parametrize(
    ("n", "steps", "does"), [(2_000, 5, True), (200, 5, False), (100, 1, True), (39, 1, False)]
)
def test_a_walk_is_not_too_long_where_its_steps_find_what_they_may_gain(
    n: int, steps: int, does: bool
) -> None:
    errors = [2.9, 9.3, 11.5, 31.7, 36.9, 38.9, 56.3, 62.2]  # letters, 138 steps: some have learned nothing
    assert decides(WALKS[0][: steps + 1], n, Rung(Budget(100, 1, 10, 10), 1.0, errors)) is does


def test_minutes_that_are_too_few_are_refused_with_those_that_would_do(
    data_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="minutes are too few") as refused:
        _explored(data_dir, tmp_path / "bars", 0.02)
    assert "minutes, or smaller networks" in refused.value.hint
    assert not (tmp_path / "bars").exists()


def test_a_target_that_no_network_meets_is_refused_with_what_there_is(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no walk at flops") as refused:
        _explored(data_dir, tmp_path / "bars", 5.0, ("flops", 1e12))
    assert "what was drawn had" in refused.value.what


def test_few_images_of_a_class_are_warned_of_and_very_few_refused(tmp_path: Path) -> None:
    few = outline(_images(tmp_path / "few", {"cat": 30, "dog": 12}))
    assert "1 of 2 classes have fewer than 20 images ('dog' has 12)" in check_images(few)
    enough = outline(_images(tmp_path / "enough", {"cat": 30, "dog": 24}))
    assert check_images(enough) == ""
    with pytest.raises(InputError, match="class 'dog' has 4 images"):
        check_images(outline(_images(tmp_path / "none", {"cat": 30, "dog": 4})))


def test_published_data_are_not_counted_by_class(data_dir: Path) -> None:
    assert check_images(outline("fashion-mnist", data_dir)) == ""


@pytest.mark.parametrize("steps", [100, 200, 400, 800])
def test_budgets_of_the_ladder_have_their_steps_on_the_images_there_are(data_dir: Path, steps: int) -> None:
    seen = outline("fashion-mnist", data_dir)
    budget = rung_budget(Budget(), seen, steps)
    assert budget.images <= seen.train
    assert steps <= budget.steps < 1.3 * steps


def test_the_finest_difference_is_the_one_that_so_many_networks_find() -> None:
    """Of few networks whose errors may scatter more than they seem to."""
    errors = np.random.default_rng(1).normal(20, 4, 12)
    finest = finest_difference(list(errors), 50, 5)
    scale = median_scale(errors)
    needed = networks_needed((scale, scale), finest, level=held_together(5))
    assert 50 / 4 < needed < 50 / 1.2


def test_every_step_has_its_part_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("regnetlab.study.minutes.time.monotonic", lambda: now[0])
    ends = WalkClock(Clock(24), ["B", "C"])  # twelve for the walk, eight for the first step's two spaces
    seen: list[tuple[str, int]] = []
    for space in ("B", "C"):
        for look in range(1, 11):
            now[0] += 60
            if ends(space, look / 10):
                seen.append((space, look))
                break
    assert seen == [("B", 8), ("C", 4)]


def test_time_that_one_step_leaves_goes_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("regnetlab.study.minutes.time.monotonic", lambda: now[0])
    ends = WalkClock(Clock(20), ["B", "C"])
    now[0] += 60
    assert not ends("B", 0.1)  # and then a verdict
    looks = 0
    while looks < 10:
        now[0] += 60
        looks += 1
        if ends("C", looks / 10):
            break
    assert looks == 9
