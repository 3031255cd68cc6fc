"""``regnetlab compare`` and ``plan``."""

from typing import TYPE_CHECKING, Annotated

import typer

from regnetlab.cli.options import Errors, From, Margin, StudyOrNewest, trials_of
from regnetlab.cli.output import (
    Json,
    filled,
    number,
    print_guessing,
    print_json,
    print_notes,
    print_table,
    signed,
)
from regnetlab.errors import InputError

if TYPE_CHECKING:
    from regnetlab.analysis.compare import SpaceComparison
    from regnetlab.analysis.statistics.intervals import Interval


def compare(
    study: StudyOrNewest = None,
    from_: From = None,
    margin: Margin = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(metavar="A:B", help="Compare space B with A instead of every step; repeatable."),
    ] = None,
    errors: Errors = None,
    json: Json = False,
) -> None:
    """Compare the error distributions of spaces, step by step, with verdicts."""
    pairs = [_pair(each) for each in pair or ()]
    trials, plan = trials_of(study, from_, errors)
    from regnetlab.analysis.compare import compare  # pandas, SciPy
    from regnetlab.analysis.statistics.verdicts import MARGIN
    from regnetlab.study.results import stated_margin

    if margin is None:
        margin = MARGIN if plan is None else stated_margin(plan)
    found = compare(trials, margin, pairs, None if plan is None else plan.margin)
    if found.missing:
        raise InputError(f"no network of {found.missing[0]} has an error", "there is nothing to compare")
    if not found.steps:
        only = found.spaces[0].space if found.spaces else "none"
        raise InputError(f"there is only one space ({only})", "a comparison needs two, in the column space")
    print_notes(found.notes)
    if json:
        print_json(found.to_json())
        return
    _print_spaces(found)
    _print_steps(found)


def plan(
    study: StudyOrNewest = None,
    from_: From = None,
    margin: Margin = None,
    power: Annotated[float, typer.Option(help="The chance of the verdict, above 0.5 and below 1.")] = 0.8,
    spread: Annotated[
        float | None, typer.Option(help="Standard deviation of the errors instead of a pilot, in points.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Trainings at once; this machine's by default.")
    ] = None,
    errors: Errors = None,
    json: Json = False,
) -> None:
    """Say how many networks per space a verdict needs, and what they cost."""
    if sum(map(bool, (study, from_, spread is not None))) > 1:
        raise InputError("give one of a study, --from FILE and --spread SD as the pilot")
    trials, plan = trials_of(study, from_, errors) if spread is None or errors else (None, None)
    from regnetlab.analysis.sample_size import sample_size  # pandas, SciPy
    from regnetlab.analysis.statistics.verdicts import MARGIN
    from regnetlab.training.cores import usable_cores

    found = sample_size(
        trials if trials is not None else spread or 0.0,
        (MARGIN if plan is None else plan.margin) if margin is None else margin,
        power,
        1.0 if plan is None else plan.trainings_each,
        workers or usable_cores(),
    )
    print_notes(found.notes)
    if json:
        print_json(found.to_json())
        return
    rows = [
        (
            each.name,
            str(each.pilot) if each.pilot else "–",
            f"{each.n:,}",
            "–" if each.n_range is None else f"{each.n_range[0]:,} to {each.n_range[1]:,}",
            "–" if each.hours is None else f"{each.hours:,.1f}",
        )
        for each in found.steps
    ]
    print_table(("step", "pilot", "networks a space", "80% range", "hours for both"), rows, "lrrrr")
    print()
    for remark in found.remarks():
        print(filled(remark))


def _pair(text: str) -> tuple[str, str]:
    a, colon, b = text.partition(":")
    if not (a and colon and b):
        raise InputError(f"pair is {text[:60]!r}", "write two spaces, such as AnyNetA:AnyNetE")
    return a, b


def _print_spaces(found: "SpaceComparison") -> None:
    from regnetlab.analysis.guessing import majority_error

    rows = (
        (
            each.space,
            str(each.n),
            str(each.failed),
            number(each.least),
            _estimate(each.q05),
            _estimate(each.median),
            _estimate(each.mean),
        )
        for each in found.summaries
    )
    headers = ("space", "n", "failed", "min %", "5% quantile", "median %", "mean %")
    print_table(headers, rows, "lrrrrrr")
    for each in found.summaries:
        if each.incomplete:
            print(f"\n{each.space}: {each.incomplete} incomplete, stopped before the last epoch; left out")
    print_guessing(majority_error(found.guess), found.not_learned)
    if (noise := found.noise) is not None:
        print(
            f"\nseeds: between networks sd {number(noise.between.estimate)},"
            f" between seeds of one {number(noise.seed.estimate)} points"
            f" ({noise.networks} networks trained more than once)"
        )


def _print_steps(found: "SpaceComparison") -> None:
    from regnetlab.analysis.statistics.verdicts import points

    rows = [
        (
            each.name,
            signed(each.difference.estimate),
            f"{signed(each.difference.low)} … {signed(each.difference.high)}",
            number(each.tests.superiority.estimate),
            number(each.mann_whitney_holm, 3),
            number(each.ks_holm, 3),
            each.verdict,
        )
        for each in found.steps
    ]
    print(f"\nmargin {points(found.margin)} of error\n")
    headers = ("step", "median", "95% interval", "P(b<a)", "MW p", "KS p", "verdict")
    print_table(headers, rows, "lrrrrrl")
    print("\np are Holm's; P(b<a) is the chance that a network of the second space beats one of the first")
    for remark in found.remarks():
        print(filled(remark))


def _estimate(interval: "Interval") -> str:
    low, high = (number(end, 1) for end in interval.ends)
    return f"{interval.estimate:.2f} " + (f"({low}–{high})" if low != "–" else f"(≤ {high})")
