"""Tables that came without a store: their rows count where they are the plan's trainings."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from regnetlab.api import compare
from regnetlab.cli import main
from regnetlab.errors import InputError
from regnetlab.report.content import study_content
from regnetlab.study.members import member
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.results import compared_with_baselines, study_so_far, study_trials
from regnetlab.study.search.definition import RANDOM, Search
from regnetlab.study.search.run import run_search
from regnetlab.study.session import prepare
from regnetlab.study.stages import planned_jobs, study_state
from regnetlab.study.status import status
from regnetlab.study.take_in import unread_tables
from regnetlab.trials.csv_tables import TRIALS
from regnetlab.trials.store import open_store
from tests.committed import committed_studies, copy_committed_studies
from tests.conftest import STUDY
from tests.study.running import Heard, MakeStudy, inline, ran, trainings
from tests.study.test_baselines import CONTEST

TABLES = ("study.toml", "trials.csv", "baselines.csv", "provenance.json")
Clone = Callable[..., Path]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Path:
    """The folder of a study with derived RegNets and a contest that was run to its end."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "study.toml").write_text(STUDY + CONTEST)
    ran(load_plan(folder / "study.toml"), data_dir)
    return folder


@pytest.fixture
def clone(whole: Path, tmp_path: Path) -> Clone:
    """Copy the study without its store, a text in one of its files replaced by another; its study.toml."""

    def make(file: str = "", old: str = "", new: str = "") -> Path:
        folder = tmp_path / "clone"
        folder.mkdir()
        for name in TABLES:
            shutil.copy(whole / name, folder / name)
        if file:
            text = (folder / file).read_text()
            assert old in text
            (folder / file).write_text(text.replace(old, new, 1))
        return folder / "study.toml"

    return make


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def without_lines(path: Path, wanted: Callable[[str], bool]) -> None:
    """Leave those lines out of a table."""
    head, *lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([head, *(line for line in lines if not wanted(line))]))


def test_a_clone_trains_nothing_and_its_tables_stay_byte_for_byte(
    clone: Clone, whole: Path, data_dir: Path
) -> None:
    plan, heard = load_plan(clone()), Heard()
    state = ran(plan, data_dir, heard)
    assert heard.trained == []
    assert not state.missing
    assert heard.notes[0] == f"{trainings(plan)} trainings taken in from trials.csv and baselines.csv"
    for name in TABLES:
        assert (plan.folder / name).read_bytes() == (whole / name).read_bytes()
    assert study_state(plan, open_store(plan.store)) == state  # as a store has it


def test_what_is_missing_is_trained_to_the_same_rows(clone: Clone, whole: Path, data_dir: Path) -> None:
    study = clone()
    plan, heard = load_plan(study), Heard()
    without_lines(plan.trials, lambda line: line.startswith(("AnyNetE,3,", "derived,1,")))
    plan.baselines_table.unlink()
    state = ran(plan, data_dir, heard)
    assert 0 < len(heard.trained) <= 2 + 15  # those two, tuning and final trainings
    assert not state.missing
    keys = ("space", "index", "model", "error", "test_error", "ended", "seed")
    for name in ("trials.csv", "baselines.csv"):
        kept, again = (
            [[row.get(key) for key in keys] for row in rows(at / name)] for at in (whole, plan.folder)
        )
        assert kept == again


def test_a_contest_that_was_stopped_in_the_middle_goes_on(clone: Clone, whole: Path, data_dir: Path) -> None:
    study = clone()
    plan, heard = load_plan(study), Heard()
    lost = [line for line in plan.baselines_table.read_text().splitlines() if line.startswith("final")][-2:]
    without_lines(plan.baselines_table, lambda line: line.strip() in lost)
    ran(plan, data_dir, heard)
    assert len(heard.trained) == 2
    errors = [(row["model"], row["seed"], row["test_error"]) for row in rows(whole / "baselines.csv")]
    assert [(r["model"], r["seed"], r["test_error"]) for r in rows(plan.baselines_table)] == errors


def test_a_clone_that_is_extended_keeps_its_rows_and_decides_again(
    clone: Clone, whole: Path, data_dir: Path
) -> None:
    plan, heard = load_plan(clone("study.toml", "n = 6", "n = 8")), Heard()
    tables = unread_tables(plan)
    assert tables is not None
    assert tables.configs is None
    state = ran(plan, data_dir, heard)
    assert not state.missing
    assert state.derived
    old, new = ({tuple(row.values()) for row in rows(at / "trials.csv")} for at in (whole, plan.folder))
    drawn = {row for row in old if row[0] != "derived"}
    assert drawn <= new
    assert len({row for row in new if row[0] == "AnyNetE"}) == 8


def test_where_regnets_are_derived_again_the_contest_keeps_its_own_and_no_name_means_two(
    clone: Clone, data_dir: Path
) -> None:
    plan, heard = load_plan(clone("study.toml", "n = 12", "n = 16")), Heard()
    assert study_so_far(plan)[0].outdated
    with pytest.raises(InputError, match="the next run derives them again"):
        member(plan, "derived1")
    state = ran(plan, data_dir, heard)
    assert not state.outdated
    assert any(re.match(r"RegNets were derived again.*: [12] of 2 are others", note) for note in heard.notes)
    assert any("stays that of the RegNets that were derived before" in note for note in heard.notes)
    check_that_no_name_means_two_networks(plan)
    plan.store.unlink()
    check_that_no_name_means_two_networks(plan)
    assert ran(plan, data_dir).scores.keys() == state.scores.keys()


def check_that_no_name_means_two_networks(plan: Plan) -> None:
    """A name that RegNets of the contest and later ones share is refused, and both networks are named."""
    (note,) = compared_with_baselines(plan).notes
    state, _ = study_so_far(plan)
    derived = {f"RegNet derived {job.index}": job.model for job in state.jobs if job.space == "derived"}
    ambiguous = [
        each for each in state.baselines.contenders if derived.get(each.name, each.model) != each.model
    ]
    assert ambiguous
    for each in ambiguous:
        assert f"{each.name} is {each.model}" in note
        for name in (each.name, each.name.removeprefix("RegNet ").replace(" ", "")):
            with pytest.raises(InputError, match=re.escape(each.model)) as refused:
                member(plan, name)
            assert refused.value.hint == "name one of these two"
        assert member(plan, each.model).text == each.model


def test_regnets_derived_again_compete_as_long_as_the_test_split_was_not_used(
    make_study: MakeStudy, data_dir: Path
) -> None:
    study = make_study(STUDY + CONTEST)
    in_tuning = len(planned_jobs(load_plan(study))) + 2 + 3
    with suppress(KeyboardInterrupt):
        ran(load_plan(study), data_dir, Heard(most=in_tuning))
    assert compared_with_baselines(load_plan(study)).networks
    study.write_text(study.read_text().replace("n = 12", "n = 16"))
    plan = load_plan(study)
    ran(plan, data_dir)
    assert not compared_with_baselines(plan).notes


def test_a_contest_on_images_in_groups_says_if_their_numbers_were_not_recorded(tmp_path: Path) -> None:
    copy_committed_studies(tmp_path)
    assert not compared_with_baselines(load_plan(tmp_path / "studies/letters/study.toml")).notes  # no contest
    recorded = load_plan(tmp_path / "studies/letters-1mf/study.toml")
    assert not compared_with_baselines(recorded).notes
    facts = json.loads(recorded.provenance.read_text())
    del facts["test_groups"]
    recorded.provenance.write_text(json.dumps(facts))
    (note,) = compared_with_baselines(recorded).notes
    assert "take each image for itself" in note


NO_TRAININGS = (
    ("trials.csv", ",complete,", ",late,", "ended is 'late', which does not go with its errors"),
    ("trials.csv", "\nAnyNetA,0,0", "\nAnyNetA,0,1", "of 'AnyNetA' with replicate 1"),
    ("study.toml", "images = 128", "images = 160", "images is 128, study.toml asks for 160"),
    ("study.toml", "seed = 3", "seed = 4", "line 2: id is '[0-9a-f]+', study.toml asks for"),
    ("baselines.csv", "final,bn_lenet", "finale,bn_lenet", "stage is 'finale'"),
    ("baselines.csv", "tuning,RegNet derived", "tuning,RegNet derives", "is not the network that it was"),
    (
        "baselines.csv",
        'RegNet derived 1,"anynet:',
        'RegNet derived 1,"resnet:',
        "baselines.csv, line",
    ),
)
"""Changes of a file by which a row is no training of the plan any more, and what is said of it."""


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        *NO_TRAININGS,
        (
            "trials.csv",
            "\nAnyNetA,0,",
            "\nAnyNetA,12,",
            "line 2: study.toml asks for no network 12 of 'AnyNetA'",
        ),
        ("trials.csv", "\nderived,1,", "\nderived,2,", "no network 2 of 'derived'"),
        ("trials.csv", "\nderived,1,", "\nderived,0,", "line [12][0-9]: "),
        ("trials.csv", ",complete,", ",complete,9", "seed is '9[0-9]+', study.toml asks for"),
        ("study.toml", "batch_size = 32", "batch_size = 16", "batch_size is '32', study.toml asks for '16'"),
        (
            "study.toml",
            "[derive]",
            "[recipe]\nlr = 0.05\n[derive]",
            "another template, budget, recipe or seed",
        ),
        (
            "study.toml",
            "[0.01, 0.1]",
            "[0.01, 0.2]",
            "baselines.csv, line .*no tuning training of 'bn_lenet@small' at lr 0.1",
        ),
        ("study.toml", "[0.01, 0.1]", "[0.01, 0.1, 0.2]", "lacks some of the tuning"),
        ("study.toml", '"bn_lenet", ', "", "used the test split, of other networks than"),
    ],
)
def test_a_row_that_is_no_training_of_the_plan_is_refused_and_nothing_written(
    clone: Clone, data_dir: Path, file: str, old: str, new: str, expected: str
) -> None:
    study = clone(file, old, new)
    plan, before = load_plan(study), {path: path.read_bytes() for path in study.parent.iterdir()}
    with pytest.raises(InputError, match=expected) as refused:
        ran(plan, data_dir)
    assert refused.value.hint.startswith("put study.toml and ")
    assert {path: path.read_bytes() for path in study.parent.iterdir()} == before


@pytest.mark.parametrize("cell", ["", "nan", "inf", "-inf", "1e400", "9" * 400])
@pytest.mark.parametrize("column", ["flops", "acts", "epochs", "index"])
def test_a_number_that_is_none_is_refused_with_its_line(
    clone: Clone, data_dir: Path, capsys: pytest.CaptureFixture[str], column: str, cell: str
) -> None:
    study = clone("trials.csv", "AnyNetA", "AnyNetA")
    path = study.with_name("trials.csv")
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    rows[1][head.index(column)] = cell
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    for command in (["status"], ["compare"], ["run", "--data-dir", str(data_dir), "--device", "cpu"]):
        assert main([*command, str(study)]) == 2
        assert "line 3" in capsys.readouterr().err


@pytest.mark.parametrize(("file", "old", "new", "expected"), NO_TRAININGS)
def test_whoever_answers_from_tables_checks_them(
    clone: Clone, file: str, old: str, new: str, expected: str
) -> None:
    plan = load_plan(clone(file, old, new))
    for answer in (study_trials, compared_with_baselines, study_content):
        with pytest.raises(InputError, match=expected):
            answer(plan)


def test_a_byte_order_mark_as_some_programs_write_it_is_no_part_of_a_table(clone: Clone, whole: Path) -> None:
    plan = load_plan(clone("trials.csv", "space,", "\ufeffspace,"))
    assert len(study_trials(plan)) == len(study_trials(load_plan(whole / "study.toml")))


def test_a_row_that_ends_too_soon_is_named(clone: Clone) -> None:
    plan = load_plan(clone())
    text = plan.trials.read_text()
    plan.trials.write_text(text[: len(text) // 2].rstrip(",")[:-3])
    with pytest.raises(InputError, match=r"trials\.csv, line [0-9]+: "):
        study_trials(plan)


@pytest.mark.parametrize("terms", ["margin = 2.0", 'statistic = "mean"', "sequential = true"])
def test_terms_changed_after_the_first_training_get_no_verdict(clone: Clone, terms: str) -> None:
    study = clone()
    text = study.read_text()
    text = (
        text.replace("[compare]", f"[compare]\n{terms}")
        if "[compare]" in text
        else f"{text}\n[compare]\n{terms}\n"
    )
    study.write_text(text)
    plan, before = load_plan(study), sorted(study.parent.iterdir())
    for answer in (lambda: study_content(plan), lambda: compare(study_trials(plan))):
        with pytest.raises(InputError, match=r"began with .* and now states"):
            answer()
    assert sorted(study.parent.iterdir()) == before


def test_rows_of_another_device_are_never_mixed_with_new_ones(
    clone: Clone, whole: Path, data_dir: Path
) -> None:
    study = clone("provenance.json", '"kernels": "native"', '"kernels": "torch"')
    plan, heard = load_plan(study), Heard()
    with pytest.raises(InputError, match="device was 'cpu with torch kernels', is 'cpu with native kernels'"):
        ran(plan, data_dir)
    assert not plan.store.exists()
    state = ran(plan, data_dir, heard, accept_change=True)
    assert len(heard.trained) == len({job.identity for job in state.jobs})
    store = open_store(plan.store)
    assert store.fact("changes")["accepted"][0]["changes"]["device"][0] == "cpu with torch kernels"
    assert {row["device"] for row in store.rows()} == {"cpu with torch kernels", "cpu with native kernels"}
    assert trainings(plan) == 2 * len(heard.trained)


def test_tables_of_which_nothing_says_where_they_were_trained_count_once_that_is_accepted(
    clone: Clone, whole: Path, data_dir: Path
) -> None:
    plan, heard = load_plan(clone()), Heard()
    plan.provenance.unlink()
    with pytest.raises(InputError, match=r"provenance\.json is missing, or doesn't say"):
        ran(plan, data_dir)
    assert not plan.store.exists()
    ran(plan, data_dir, heard, accept_change=True)
    assert heard.trained == []
    assert plan.trials.read_bytes() == (whole / "trials.csv").read_bytes()
    assert open_store(plan.store).fact("changes")["accepted"][0]["changes"] == {
        "provenance.json": [None, "as this run"]
    }


def test_a_search_in_a_clone_takes_its_rows_in_too(clone: Clone, data_dir: Path) -> None:
    plan, options, heard = load_plan(clone()), inline(data_dir), Heard()
    search = Search(plan, plan.draws[0].space, RANDOM, 1)
    run_search(search, prepare(plan, options), options, heard)
    assert not study_state(plan, open_store(plan.store)).missing


def test_a_table_is_never_replaced_by_a_shorter_one_without_a_copy(clone: Clone, data_dir: Path) -> None:
    study = clone()
    plan, heard = load_plan(study), Heard()
    ran(plan, data_dir)
    before = plan.trials.read_bytes()
    study.write_text(study.read_text().replace("n = 6", "n = 5"))
    ran(load_plan(study), data_dir, heard)
    said = [note for note in heard.notes if "kept as" in note]
    assert len(said) >= 1
    assert said[0].startswith("trials.csv had ")
    backups = list(study.parent.glob("trials.backup-*.csv"))
    assert [path.read_bytes() for path in backups] == [before]
    ran(load_plan(study), data_dir, heard)
    assert list(study.parent.glob("trials.backup-*.csv")) == backups  # nothing is lost by the second run


def test_a_table_with_the_same_rows_and_other_times_is_replaced(clone: Clone) -> None:
    path = clone().parent / "trials.csv"
    frame = TRIALS.read(path)
    assert TRIALS.write(path, TRIALS.csv(frame.assign(seconds=1.0))) == ""
    assert TRIALS.write(path, TRIALS.csv(frame.iloc[1:])).startswith(
        "trials.csv had 1 row that the new one lacks"
    )


def test_the_tables_of_every_committed_study_are_its_trainings(tmp_path: Path) -> None:
    copy_committed_studies(tmp_path)
    studies = [path for path in committed_studies() if path.name == "trials.csv"]
    assert len(studies) > 5
    for trials in studies:
        plan = load_plan(tmp_path / trials.parent / "study.toml")
        tables = unread_tables(plan)
        assert tables is not None
        document = status(plan, tables.state, 0)
        assert document["complete"] + document["failed"] == document["planned"], plan.name
        assert not plan.store.exists()
