"""Families: what is trained, kept, judged on the test split and written, also after interruptions."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from regnetlab.errors import InputError
from regnetlab.spaces.regime import Regime, Window
from regnetlab.study.candidates import HAND_DESIGNED, scaled
from regnetlab.study.finish import finish, simplest_of_best
from regnetlab.study.finish_file import read_finished
from regnetlab.study.finish_files import to_use
from regnetlab.study.minutes import Clock
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.training.predicting import load_network
from regnetlab.trials.job import FINAL, FINISHED
from tests.study.finished import finished
from tests.study.running import Heard, inline, ran, scores_of

MakeStudy = Callable[..., Path]
SMALL = """
seed = 3
[regime]
flops = "0.8M:1.2M"
[ranges]
depth = [1, 2]
width = [8, 96]
[budget]
images = 128
batch_size = 32
validation = 100
[[spaces]]
space = "AnyNetA"
n = 3
[[spaces]]
space = "AnyNetE"
n = 3
"""


@pytest.fixture(autouse=True, scope="module")
def _little() -> Iterator[None]:
    """Two networks of each size are tried at two rates, and none is written as ONNX, which takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regnetlab.study.effort._TRIED", ((2, (0.5, 1.0), 2),))
        patch.setattr("regnetlab.study.effort.MOST_SEEDS", 2)
        patch.setattr("regnetlab.models.export.onnx.find_spec", lambda name: None)
        yield


@pytest.fixture
def plan(make_study: MakeStudy, data_dir: Path) -> Plan:
    """A study that was run."""
    path = make_study(SMALL)
    ran(load_plan(path), data_dir)
    return load_plan(path)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Plan:
    """A study that was run and finished, its family in the folder ``family`` beside its file."""
    path = tmp_path_factory.mktemp("studies") / "done" / "study.toml"
    path.parent.mkdir()
    path.write_text(SMALL)
    ran(load_plan(path), data_dir)
    plan = load_plan(path)
    assert _finished(plan, data_dir, plan.folder / "family")
    return plan


def _finished(
    plan: Plan, data_dir: Path, folder: Path, heard: Heard | None = None, models: Sequence[str] = ()
) -> bool:
    return finish(plan, inline(data_dir), heard or Heard(), folder, Clock(1.5), models, epochs=2)


def test_a_family_is_trained_written_and_ready_to_predict(done: Plan) -> None:
    found = read_finished(done)
    assert found is not None
    assert [each.name for each in found.networks] == ["small", "medium", "large"]
    small, medium, large = (each.flops for each in found.networks)
    assert 0.4e6 <= small <= 0.6e6
    assert 0.8e6 <= medium <= 1.2e6
    assert 1.6e6 <= large <= 2.4e6
    assert len(found.baselines) == 1
    assert found.baselines[0].name in HAND_DESIGNED
    assert "Beside" in found.beside_hand_designed
    network = load_network(done.folder / "family")
    logits = network.logits(np.zeros((2, 1, 28, 28), np.uint8))
    assert logits.shape == (2, len(network.classes))
    document = json.loads((done.folder / "family" / "family.json").read_text())
    assert (document["use"], document["why"]) == (found.use, found.why)
    assert found.why in (done.folder / "family" / "README.md").read_text()


def test_the_test_split_is_read_by_last_trainings_alone(done: Plan) -> None:
    tested = [score for score in scores_of(done).values() if score.test_error is not None]
    found = read_finished(done)
    assert found is not None
    assert len(tested) == sum(len(each.seeds) for each in (*found.networks, *found.baselines))
    for each in found.networks:  # what is written is what was judged
        assert each.error in each.seeds
        assert each.error == pytest.approx(each.test.error)


def test_candidates_are_no_population(done: Plan, data_dir: Path) -> None:
    before, heard = done.trials.read_text(), Heard()
    ran(load_plan(done.folder / "study.toml"), data_dir, heard)
    assert heard.trained == []
    assert done.trials.read_text() == before
    assert {FINISHED, FINAL} & set(before.split(",")) == set()


def test_the_same_call_again_trains_nothing_and_says_the_same(done: Plan, data_dir: Path) -> None:
    before, heard = read_finished(done), Heard()
    assert _finished(done, data_dir, done.folder / "family", heard)
    after = read_finished(done)
    assert heard.trained == []
    assert before is not None
    assert after is not None
    assert [each.seeds for each in after.networks] == [each.seeds for each in before.networks]
    assert after.use == before.use


def test_another_number_of_epochs_is_refused_once_the_test_split_was_read(done: Plan, data_dir: Path) -> None:
    with pytest.raises(InputError, match="that was judged on the test split already") as refused:
        finish(done, inline(data_dir), Heard(), done.folder / "family", Clock(1.5), (), epochs=3)
    assert "would know the test errors" in refused.value.hint
    with pytest.raises(InputError, match="family of 2 epochs"):
        finish(done, inline(data_dir), Heard(), done.folder / "family", Clock(1.5), ["AnyNetE 0"], epochs=2)


def test_interruptions_at_any_moment_lose_and_double_nothing(
    plan: Plan, data_dir: Path, tmp_path: Path
) -> None:
    trained: list[str] = []
    for most in (2, 5, 3, 4, None):
        heard = Heard(most)
        with suppress(KeyboardInterrupt):
            _finished(plan, data_dir, tmp_path / "family", heard, ["AnyNetE 0", "AnyNetE 1"])
        trained += heard.trained
    assert len(trained) == len(set(trained))
    assert read_finished(plan) is not None


def test_networks_that_are_named_are_trained_instead(plan: Plan, data_dir: Path, tmp_path: Path) -> None:
    folder, named = tmp_path / "family", ["AnyNetE 0", "resnet18@1MF"]
    assert _finished(plan, data_dir, folder, None, named)
    found = read_finished(plan)
    assert found is not None
    assert [each.name for each in found.networks] == ["AnyNetE-0", "resnet18-1MF"]
    assert (folder / "AnyNetE-0" / "network.py").exists()
    assert not (folder / "resnet18-1MF" / "network.py").exists()


def test_weights_that_were_removed_are_trained_again_to_the_same_bits(
    plan: Plan, data_dir: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    _finished(plan, data_dir, first, None, ["AnyNetE 0"])
    for each in (plan.folder / "weights").iterdir():
        each.unlink()
    _finished(plan, data_dir, second, None, ["AnyNetE 0"])
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28), np.uint8)
    logits = [load_network(folder).logits(images) for folder in (first, second)]
    assert np.array_equal(*logits)


def test_what_can_not_be_is_refused_before_anything_is_trained(
    make_study: MakeStudy, data_dir: Path, tmp_path: Path
) -> None:
    fresh = load_plan(make_study(SMALL))
    with pytest.raises(InputError, match="no network") as refused:
        _finished(fresh, data_dir, tmp_path / "family")
    assert "regnetlab run tiny" in refused.value.hint
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="something else than a family"):
        _finished(fresh, data_dir, other)
    assert (other / "thesis.txt").read_text() == "mine"
    with pytest.raises(InputError, match="trains on this machine"):
        finish(fresh, inline(data_dir, executor="dask"), Heard(), tmp_path / "new", Clock(1))
    assert not (tmp_path / "family").exists()


def test_a_link_in_place_of_the_weights_is_not_followed(plan: Plan, data_dir: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (plan.folder / "weights").symlink_to(elsewhere)
    with pytest.raises(InputError, match="weights is a link"):
        _finished(plan, data_dir, tmp_path / "family")
    assert not any(elsewhere.iterdir())


def test_too_little_time_is_refused(plan: Plan, data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too few to train a family"):
        finish(plan, inline(data_dir), Heard(), tmp_path / "family", Clock(0.1))


def test_a_more_complicated_augmentation_has_to_be_clearly_better() -> None:
    assert simplest_of_best({"none": 2.0, "crop": 1.9, "flip": 5.0}, images=500) == "none"
    assert simplest_of_best({"none": 9.0, "crop": 3.0, "crop-flip": 2.9}, images=500) == "crop"
    assert simplest_of_best({"none": 0.2, "crop": 0.0}, images=500) == "none"  # a single mistake more
    assert simplest_of_best({"none": 200 / 572, "crop": 100 / 572}, images=572) == "none"
    assert simplest_of_best({"none": 2.0, "crop": 1.0}, images=100_000) == "crop"


def test_a_regime_is_scaled_in_all_its_windows() -> None:
    regime = Regime(flops=Window(1e6, 2e6), params=Window(0, 1e5))
    assert scaled(regime, 0.5) == Regime(flops=Window(5e5, 1e6), params=Window(0, 5e4))


LEAST = "it has the least validation error"
SMALLEST = "it is the smallest whose validation error is within chance (a standard error) of the least"
UP_TO = ", among the networks up to the size asked for"


@pytest.mark.parametrize(
    ("errors", "asked", "use", "why", "numbers"),
    [
        ((2.0, 2.0, 1.9), False, "small", SMALLEST, "small 2.0%, medium 2.0%, large 1.9%"),
        ((9.0, 2.0, 1.9), False, "medium", SMALLEST, "small 9.0%, medium 2.0%, large 1.9%"),
        ((9.0, 7.0, 2.0), False, "large", LEAST, "small 9.0%, medium 7.0%, large 2.0%"),
        ((2.0, 2.0, 2.0), False, "small", SMALLEST, "small 2.0%, medium 2.0%, large 2.0%"),
        ((9.0, 4.0, 1.0), True, "medium", LEAST + UP_TO, "small 9.0%, medium 4.0%"),
        ((4.1, 4.0, 1.0), True, "small", SMALLEST + UP_TO, "small 4.1%, medium 4.0%"),
        ((None, 4.0, 1.0), True, "medium", "it is the only one up to the size asked for", ""),
        ((None, 4.0, 1.0), False, "large", LEAST, "medium 4.0%, large 1.0%"),
        ((3.0, 4.0, None), True, "small", LEAST, "small 3.0%, medium 4.0%"),
        ((None, 4.0, None), True, "medium", "", ""),
    ],
)
def test_the_smallest_network_within_chance_of_the_least_error_is_to_be_used_and_none_larger_than_asked_for(
    errors: tuple[float | None, ...], asked: bool, use: str, why: str, numbers: str
) -> None:
    members = [
        each.model_copy(update={"validation_error": error})
        for each, error in zip(finished().networks, errors, strict=True)
        if error is not None
    ]
    numbers = f" ({numbers}); test errors have no say in it" if numbers else ""
    assert to_use(members, 500, asked) == (use, why + numbers)


def test_where_no_small_network_can_be_drawn_the_reason_is_told_and_the_others_are_trained(
    plan: Plan, data_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("regnetlab.study.candidates.SIZES", {"small": 0.01, "medium": 1.0})
    heard = Heard()
    assert _finished(plan, data_dir, tmp_path / "family", heard)
    (note,) = [each for each in heard.notes if each.startswith("no small network: ")]
    assert "networks found in" in note and "what was drawn had flops" in note
    found = read_finished(plan)
    assert found is not None
    assert ([each.name for each in found.networks], found.why) == (["medium"], "")
    alone = found.model_copy(update={"baselines": ()})
    assert alone.beside_hand_designed == "No network designed by hand was trained beside it"
    assert "Take **medium**.\n" in (tmp_path / "family" / "README.md").read_text()
