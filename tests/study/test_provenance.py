"""What a run records of its data: the images that there are, and what guessing earns on them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regnetlab.errors import InputError
from regnetlab.spaces.template import SMALL
from regnetlab.study.plan_file import load_plan
from regnetlab.study.provenance import data_facts, guessing_in, readable, recorded, with_data_facts, written
from regnetlab.study.session import prepare
from regnetlab.study.stages import planned_jobs, study_state
from regnetlab.training.budget import Budget
from regnetlab.training.datasets import load_data
from regnetlab.training.folders.decode import Reading
from regnetlab.trials.store import open_store
from tests.conftest import STUDY
from tests.study.running import Heard, MakeStudy, inline, ran
from tests.training.folders.pictures import plant

DEFAULT_IMAGES = STUDY.replace("images = 128\n", "").replace("n = 6", "n = 2").replace("n = 12", "n = 2")


def heard_of(study: Path, data_dir: Path) -> Heard:
    heard = Heard()
    ran(load_plan(study), data_dir, heard)
    return heard


def test_a_study_without_a_number_of_images_uses_what_is_there_and_says_so(
    make_study: MakeStudy, data_dir: Path
) -> None:
    study = make_study(DEFAULT_IMAGES)
    assert load_plan(study).budget.images == 6_400
    heard = heard_of(study, data_dir)
    assert "fashion-mnist has 1,000 images to train on, fewer than the default of 6,400" in " ".join(
        heard.notes
    )
    plan = load_plan(study)
    assert plan.budget.images == 1_000
    assert not study_state(plan, open_store(plan.store)).missing
    assert heard_of(study, data_dir).trained == []


def test_its_identities_are_those_of_a_study_that_writes_the_number(
    make_study: MakeStudy, data_dir: Path
) -> None:
    study = make_study(DEFAULT_IMAGES)
    heard_of(study, data_dir)
    stated = make_study(DEFAULT_IMAGES.replace("[budget]", "[budget]\nimages = 1000"), "stated")
    assert [job.identity for job in planned_jobs(load_plan(study))] == [
        job.identity for job in planned_jobs(load_plan(stated))
    ]


def test_the_number_is_known_from_the_store_alone_and_from_the_tables_alone(
    make_study: MakeStudy, data_dir: Path
) -> None:
    study = make_study(DEFAULT_IMAGES)
    heard_of(study, data_dir)
    plan = load_plan(study)
    kept = plan.provenance.read_text()
    plan.provenance.unlink()
    assert load_plan(study).budget.images == 1_000
    plan.provenance.write_text(kept)
    (study.parent / "study.db").unlink()
    assert load_plan(study).budget.images == 1_000


def test_it_is_written_before_the_first_training(make_study: MakeStudy, data_dir: Path) -> None:
    study = make_study(DEFAULT_IMAGES)

    with pytest.raises(KeyboardInterrupt):
        ran(load_plan(study), data_dir, Heard(most=1))
    assert open_store(load_plan(study).store).count() == 1
    assert load_plan(study).budget.images == 1_000


def test_a_study_of_enough_images_keeps_the_default_and_its_identities(make_study: MakeStudy) -> None:
    default = make_study("[[spaces]]\nspace = 'AnyNetA'\nn = 2\n")
    stated = make_study("[budget]\nimages = 6400\n[[spaces]]\nspace = 'AnyNetA'\nn = 2\n", "stated")
    pair = [[job.identity for job in planned_jobs(load_plan(each))] for each in (default, stated)]
    assert pair[0] == pair[1]


def test_guessing_is_recorded_for_the_images_that_judge(make_study: MakeStudy, data_dir: Path) -> None:
    study = make_study()  # 100 of the 200 validation images
    heard_of(study, data_dir)
    data = load_data("fashion-mnist", SMALL, data_dir)
    facts = json.loads((study.parent / "provenance.json").read_text())
    commonest = np.bincount(data.train.labels).argmax()
    assert facts["majority_error"] == pytest.approx(100 * np.mean(data.validation.labels[:100] != commonest))
    assert facts["majority_error_test"] == pytest.approx(100 * np.mean(data.test.labels != commonest))
    assert (facts["images"], facts["training_images"]) == (128, 1_000)
    assert (facts["validation_images"], facts["test_images"]) == (100, 200)
    assert guessing_in(facts) == data.guessing(100)


def test_a_finished_study_of_an_older_version_learns_what_guessing_gives(
    make_study: MakeStudy, data_dir: Path
) -> None:
    study = make_study()
    heard_of(study, data_dir)
    store = open_store(load_plan(study).store)
    facts = dict(store.fact("provenance"))
    old = {key: value for key, value in facts.items() if "error" not in key and "images" not in key}
    store.keep("provenance", old | {"machine": "that trained it"})
    assert guessing_in(recorded(load_plan(study))) is None
    assert heard_of(study, data_dir).trained == []
    assert recorded(load_plan(study)) == facts | {"machine": "that trained it"}


def test_which_test_images_belong_together_is_recorded_where_the_data_has_groups(tmp_path: Path) -> None:
    videos = (f"{kind}/v{video}-{i}.png" for kind in ("owl", "wren") for video in range(30) for i in range(3))
    plant(tmp_path / "birds", *videos)
    shape, budget = replace(SMALL, classes=2), Budget(images=64)
    name = f"folder:{tmp_path / 'birds'}"
    data = load_data(name, shape, reading=Reading(split="stratified", group_by=r"(v\d+)-"))
    facts = data_facts(data, budget)
    assert len(str(facts["test_groups"]).split()) == len(data.test)
    assert readable(facts)["test_groups"] == str(data.survey.groups["test"])
    assert "test_groups" not in data_facts(load_data(name, shape), budget)


def test_other_data_under_the_same_name_say_nothing_of_an_old_study(
    make_study: MakeStudy, data_dir: Path
) -> None:
    plan = load_plan(make_study())
    data = prepare(plan, inline(data_dir)).data
    known = {"data_checksum": "f" * 64}
    assert with_data_facts(known, data, plan.budget) == known
    assert with_data_facts(known, replace(data, checksum="f" * 64), plan.budget)["majority_error"] > 0


@pytest.mark.parametrize("wrong", ["a", None])
def test_facts_that_are_no_numbers_are_not_known(wrong: object) -> None:
    facts = {"majority_error": 90.0, "best_constant_error": wrong, "validation_images": 100}
    assert guessing_in(facts) is None


@pytest.mark.parametrize(
    ("facts", "part"),
    [
        (
            {"test_groups": "0 1", "test_images": 3},
            "test_groups: there are 3 test images, and 2 have a group",
        ),
        ({"test_groups": "0 ²"}, "test_groups: it has a number for each test image"),
        ({"test_groups": "0  1"}, "test_groups: it has a number for each test image"),
        ({"majority_error": "90"}, "majority_error: "),
        ({"test_images": 0}, "test_images: "),
        ({"margin": -1}, "margin: "),
        ({"statistic": "mode"}, "statistic: "),
        ([], "it is no table"),
    ],
)
def test_facts_that_are_not_as_a_run_writes_them_are_named_with_study_and_file(
    make_study: MakeStudy, facts: object, part: str
) -> None:
    plan = load_plan(make_study())
    plan.provenance.write_text(json.dumps(facts))
    with pytest.raises(InputError, match=re.escape(part)) as caught:
        written(plan)
    assert caught.value.what.startswith(f"study {plan.name}: {plan.provenance} is not as")
    assert caught.value.hint.endswith(f"git checkout {plan.provenance}")


def test_facts_of_an_older_version_need_not_say_what_it_did_not_know(make_study: MakeStudy) -> None:
    plan = load_plan(make_study())
    plan.provenance.write_text(json.dumps({"test_groups": "0 0 1", "majority_error": None}))
    assert written(plan)["test_groups"] == "0 0 1"
