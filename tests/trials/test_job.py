from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from regnetlab.study.plan_file import load_plan
from regnetlab.study.stages import planned_jobs
from regnetlab.training.folders.decode import Reading
from regnetlab.trials.job import training_seed

MakeStudy = Callable[..., Path]


def test_jobs_are_the_plans_networks_in_its_order(make_study: MakeStudy) -> None:
    plan = load_plan(make_study())
    jobs = planned_jobs(plan)
    assert [job.space for job in jobs] == ["AnyNetA"] * 12 + ["AnyNetE"] * 6 + ["RegNet"] * 2
    assert len({job.identity for job in jobs}) == 20
    assert all(50_000 <= job.flops <= 400_000 for job in jobs)
    assert [name for name, _ in jobs[-1].law] == ["w0", "wa", "wm"]


def test_more_networks_and_more_seeds_keep_what_was_planned(make_study: MakeStudy) -> None:
    plan = load_plan(make_study())
    more = replace(plan, draws=tuple(replace(draw, n=draw.n + 3) for draw in plan.draws), seeds=2)
    before, after = ({job.identity for job in planned_jobs(each)} for each in (plan, more))
    assert before < after
    assert len(after) == 2 * (20 + 9)


def test_a_share_of_every_spaces_networks_is_trained_with_more_seeds(make_study: MakeStudy) -> None:
    plan = replace(load_plan(make_study()), seeds=3, repeated=0.4)
    more = replace(plan, draws=tuple(replace(draw, n=50) for draw in plan.draws[:2]))
    repeated = {(job.space, job.index) for job in planned_jobs(more) if job.replicate}
    assert len(repeated) == 2 * 20
    assert len(planned_jobs(more)) == 2 * 50 * plan.trainings_each
    before = {(job.space, job.index) for job in planned_jobs(plan) if job.replicate}
    drawn = {draw.space.name: draw.n for draw in plan.draws}
    assert before == {each for each in repeated if each[1] < drawn[each[0]]}


def test_identity_changes_with_whatever_decides_the_error(make_study: MakeStudy) -> None:
    plan = load_plan(make_study())
    plans = [
        plan,
        replace(plan, seed=4),
        replace(plan, data="folder:x"),
        replace(plan, budget=replace(plan.budget, images=64)),
        replace(plan, recipe=replace(plan.recipe, lr=0.01)),
    ]
    first = [planned_jobs(each)[0] for each in plans]
    assert len({(job.identity) for job in first}) == len(plans)


def test_identities_are_the_same_on_every_machine(make_study: MakeStudy) -> None:
    """Pinned: with another identity every study would be trained again."""
    plan = load_plan(make_study())
    job = planned_jobs(plan)[0]
    assert job.identity == "71c47f34d8626a37384aa9d9"
    assert replace(job, final=True).identity == "3656801f85e03b63967d44b6"


def test_a_time_limit_does_not_change_an_identity(make_study: MakeStudy) -> None:
    plan = load_plan(make_study())
    longer = replace(plan, budget=replace(plan.budget, time_limit=1.0))
    assert [j.identity for j in planned_jobs(plan)] == [j.identity for j in planned_jobs(longer)]


def test_training_seeds_differ_between_networks_and_replicates(make_study: MakeStudy) -> None:
    models = [job.model for job in planned_jobs(load_plan(make_study()))]
    seeds = {training_seed(0, model, k) for model in models for k in range(3)}
    assert len(seeds) == 3 * len(models)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_how_a_folder_is_read_decides_the_error_and_nothing_else_does(make_study: MakeStudy) -> None:
    plan = load_plan(make_study())
    padded = replace(plan, reading=Reading("pad", "black"))
    assert plan.job("x", 0).identity == padded.job("x", 0).identity  # no folder
    folder = replace(plan, data="folder:pets")
    readings = [
        *(Reading(), Reading("pad"), Reading("squash"), Reading(background="black")),
        *(Reading(split="stratified"), Reading(group_by="a"), Reading(group_by="b")),
        Reading(test_split=False),
    ]
    identities = [replace(folder, reading=each).job("x", 0).identity for each in readings]
    assert len(set(identities)) == 8
    named, skipping = Reading(background="#fff"), Reading(skip_unreadable=True)
    for same in (named, skipping):
        assert replace(folder, reading=same).job("x", 0).identity == identities[0]
