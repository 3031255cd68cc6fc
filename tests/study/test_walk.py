"""Studies that are walks: what is trained, left out, kept in provenance.json and read again."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from regnetlab.analysis.compare import compare
from regnetlab.spaces.space import SPACES
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.results import study_trials
from regnetlab.study.run import run_study
from regnetlab.study.stages import walk_steps, walked_jobs
from regnetlab.study.walk import accepted, as_walked
from regnetlab.trials.store import open_store
from tests.study.running import Heard, inline, ran, scores_of

MakeStudy = Callable[..., Path]
WALK = """
seed = 3
[regime]
flops = "0.05M:0.4M"
[ranges]
depth = [1, 2]
width = [8, 32]
[budget]
images = 128
batch_size = 32
validation = 100
[compare]
walk = true
[[spaces]]
space = "AnyNetA"
n = 11
[[spaces]]
space = "AnyNetB"
n = 11
[[spaces]]
space = "AnyNetE"
n = 11
"""


def _after(plan: Plan, left_out: list[str], ended: dict[str, float]) -> Plan:
    planned = {draw.space.name: draw.n for draw in plan.draws}
    walked = {"planned": planned, "left_out": left_out, "ended": ended, "why": {}, "minutes": {}}
    return as_walked(plan, {"walked": walked})


def _whole(text: str = WALK) -> str:
    names = ("AnyNetA", "AnyNetB", "AnyNetC", "AnyNetD", "AnyNetE", "RegNet")
    head = text.partition("[[spaces]]")[0]
    return head + "".join(f'[[spaces]]\nspace = "{name}"\nn = 10\n' for name in names)


def test_what_a_space_adds_is_left_out_of_all_later_ones(make_study: MakeStudy) -> None:
    plan = _after(load_plan(make_study(_whole())), ["AnyNetB"], {"AnyNetB": 0.3})
    names = [draw.space.name for draw in plan.draws]
    assert names[:3] == ["AnyNetA", "AnyNetB", "AnyNetC without AnyNetB"]
    third = plan.draws[2].space
    assert [each.name for each in third.constraints] == ["shared group width"]
    assert third.parent == "AnyNetA"
    assert walk_steps(plan)[1] == ("AnyNetA", "AnyNetC without AnyNetB")


def test_what_two_spaces_add_is_left_out_too(make_study: MakeStudy) -> None:
    plan = _after(load_plan(make_study(_whole())), ["AnyNetB", "AnyNetD"], {})
    fifth = plan.draws[4].space
    assert {each.name for each in fifth.constraints} == {"shared group width", "rising depths"}
    assert fifth.name == "AnyNetE without AnyNetB and AnyNetD"


def test_a_space_on_the_width_law_stays_as_it_is(make_study: MakeStudy) -> None:
    plan = _after(load_plan(make_study(_whole())), ["AnyNetB"], {})
    assert plan.draws[-1].space == SPACES["RegNet"].within(plan.ranges)
    assert walk_steps(plan)[-1] == ("AnyNetE without AnyNetB", "RegNet")


def test_the_accepted_space_is_the_last_one_that_is_not_left_out(make_study: MakeStudy) -> None:
    plan = load_plan(make_study(_whole()))
    assert accepted(plan).name == "RegNet"
    assert accepted(_after(plan, ["RegNet"], {})).name == "AnyNetE"


def test_networks_are_trained_up_to_the_last_step_that_they_take_part_in(make_study: MakeStudy) -> None:
    plan = _after(load_plan(make_study(WALK)), [], {"AnyNetB": 0.2, "AnyNetE": 0.6})
    counts = dict.fromkeys(("AnyNetA", "AnyNetB", "AnyNetE"), 0)
    for job in walked_jobs(plan):
        counts[job.space] += 1
    assert counts == {"AnyNetA": 3, "AnyNetB": 7, "AnyNetE": 7}


def test_a_walk_of_another_file_is_not_taken_over(make_study: MakeStudy) -> None:
    plan = load_plan(make_study(WALK))
    more = replace(plan, draws=tuple(replace(draw, n=20) for draw in plan.draws))
    facts = {"walked": {"planned": {"AnyNetA": 11}, "left_out": ["AnyNetB"], "ended": {}, "why": {}}}
    assert as_walked(more, facts) == more


def test_a_walk_runs_ends_and_is_compared_as_it_went(make_study: MakeStudy, data_dir: Path) -> None:
    path = make_study(WALK)
    heard = Heard()
    state = ran(load_plan(path), data_dir, heard)
    assert not state.missing
    plan = load_plan(path)
    assert [space for space, _ in plan.ended] == ["AnyNetB", "AnyNetE"]
    walked = json.loads(plan.provenance.read_text())["walked"]
    assert set(walked["why"]) == {"AnyNetB", "AnyNetE"}
    found = compare(study_trials(plan), plan.terms)
    assert [step.name for step in found.steps] == [f"{a} → {b}" for a, b in walk_steps(plan)]
    assert any("AnyNetA → AnyNetB" in note for note in heard.notes)
    again = Heard()
    ran(plan, data_dir, again)
    assert again.trained == []


def test_a_walk_that_is_interrupted_goes_the_same_way(make_study: MakeStudy, data_dir: Path) -> None:
    whole = make_study(WALK, "whole")
    ran(load_plan(whole), data_dir)
    path = make_study(WALK, "parts")
    for most in (3, 5, None):
        try:
            ran(load_plan(path), data_dir, Heard(most))
        except KeyboardInterrupt:
            continue
    parts, expected = load_plan(path), load_plan(whole)
    assert (parts.ended, parts.left_out) == (expected.ended, expected.left_out)
    kept, wanted = scores_of(parts), scores_of(expected)
    assert {key: score.error for key, score in kept.items()} == {
        key: score.error for key, score in wanted.items()
    }


def test_a_step_that_ran_out_of_time_does_not_go_on(make_study: MakeStudy, data_dir: Path) -> None:
    path = make_study(WALK)
    run_study(load_plan(path), inline(data_dir), Heard(), lambda space, share: space == "AnyNetB")
    plan = load_plan(path)
    assert dict(plan.ended)["AnyNetB"] == pytest.approx(0.1)
    again = Heard()
    ran(plan, data_dir, again)
    assert again.trained == []


def test_no_time_ends_a_look_whose_networks_were_trained_before(
    make_study: MakeStudy, data_dir: Path
) -> None:
    path = make_study(WALK)
    ran(load_plan(path), data_dir)
    before = load_plan(path)
    kept = open_store(before.store)
    facts = {key: value for key, value in kept.fact("provenance").items() if key != "walked"}
    kept.keep("provenance", facts)  # as if it had been interrupted before its first step ended
    run_study(load_plan(path), inline(data_dir), Heard(), lambda space, share: True)
    assert load_plan(path).ended == before.ended


def test_a_clone_of_a_walk_is_read_as_it_went(make_study: MakeStudy, data_dir: Path) -> None:
    path = make_study(WALK)
    ran(load_plan(path), data_dir)
    before = study_trials(load_plan(path))
    plan = load_plan(path)
    for each in path.parent.glob("study.db*"):
        each.unlink()
    clone = load_plan(path)
    assert clone.ended == plan.ended
    assert study_trials(clone).to_csv() == before.to_csv()
    heard = Heard()
    ran(clone, data_dir, heard)
    assert heard.trained == []


def test_a_walk_has_one_verdict_a_step(make_study: MakeStudy) -> None:
    with pytest.raises(Exception, match="one verdict a step"):
        load_plan(make_study(WALK.replace("walk = true", 'walk = true\nmatched = "flops"')))
    assert load_plan(make_study(WALK)).terms.sequential
