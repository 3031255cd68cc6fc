"""``regnetlab compare`` and ``plan``."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regnetlab.cli.completion import among
from regnetlab.cli.options import Errors, From, Margin, StudyOrNewest, trials_of
from regnetlab.cli.output import (
    Json,
    echo,
    filled,
    fits,
    lasting,
    number,
    print_guessing,
    print_json,
    print_notes,
    print_table,
    signed,
)
from regnetlab.errors import InputError
from regnetlab.plain import plural

if TYPE_CHECKING:
    from regnetlab.analysis.compare import SpaceComparison
    from regnetlab.analysis.statistics.intervals import Interval
    from regnetlab.analysis.statistics.matching import Matched


_MORE = "intervals for more networks than were planned are those of a study that was extended"


def compare(
    study: StudyOrNewest = None,
    from_: From = None,
    margin: Margin = None,
    statistic: Annotated[
        str | None,
        typer.Option(
            help="What verdicts are on: median, q05, mean or area; the study's by default.",
            autocompletion=among("median", "q05", "mean", "area"),
        ),
    ] = None,
    matched: Annotated[
        str | None,
        typer.Option(
            help="The matching with a verdict: flops, params, acts, depth, latency or none.",
            autocompletion=among("flops", "params", "acts", "depth", "latency", "none"),
        ),
    ] = None,
    sequential: Annotated[
        bool, typer.Option("--sequential", help="Looks at every tenth were planned (needs --planned).")
    ] = False,
    planned: Annotated[
        int | None, typer.Option(min=1, max=10_000_000, help="Networks a space that --from FILE will have.")
    ] = None,
    pair: Annotated[
        list[str] | None,
        typer.Option(metavar="A:B", help="Compare space B with A instead of every step; repeatable."),
    ] = None,
    errors: Errors = None,
    json: Json = False,
) -> None:
    """Compare the error distributions of spaces, step by step, with verdicts."""
    pairs = list(dict.fromkeys(map(_pair, pair or ())))
    if from_ is None and (sequential or planned):
        raise InputError(
            "--sequential and --planned are for --from FILE",
            "a study says sequential in [compare], and its n",
        )
    if sequential and planned is None:
        raise InputError("--sequential needs --planned N", "looks are planned at every tenth of N")
    trials, plan = trials_of(study, from_, errors)
    from regnetlab.analysis.compare import compare  # pandas, SciPy
    from regnetlab.analysis.space_errors import space_errors
    from regnetlab.study.results import stated_terms
    from regnetlab.trials.terms import Terms

    given: dict[str, Any] = {"margin": margin, "statistic": statistic, "matched": matched}
    own = {name: value for name, value in given.items() if value is not None}
    terms = Terms(sequential=sequential) if plan is None else stated_terms(plan, own)
    if planned is not None:
        for each in space_errors(trials.frame):
            if planned < (there := len(each.with_failures)):
                raise InputError(f"--planned is {planned}, and there are {there} of {each.space}", _MORE)
        trials = replace(trials, planned=dict.fromkeys(trials.spaces, planned))
    found = compare(trials, replace(terms, **own), pairs, None if plan is None else plan.terms)
    if found.missing:
        others = "compare the other spaces with --pair A:B"
        raise InputError(
            f"no network of {found.missing[0]} has an error",
            others if len(found.spaces) > 1 else "there is nothing to compare",
        )
    if not found.steps:
        only = found.spaces[0].space if found.spaces else "none"
        raise InputError(f"there is only one space ({only})", "a comparison needs two, in the column space")
    print_notes(found.notes)
    if json:
        print_json(found.to_json())
        return
    _print_spaces(found)
    _print_steps(found)
    _print_matched(found)


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
    from regnetlab.training.cores import usable_cores
    from regnetlab.trials.terms import MARGIN

    found = sample_size(
        trials if trials is not None else spread or 0.0,
        (MARGIN if plan is None else plan.terms.margin) if margin is None else margin,
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
            lasting(None if each.hours is None else 3600 * each.hours),
        )
        for each in found.steps
    ]
    print_table(("step", "pilot", "networks a space", "80% range", "time for both"), rows, "lrrrr")
    echo()
    for remark in found.remarks():
        echo(filled(remark))


def _pair(text: str) -> tuple[str, str]:
    a, colon, b = text.partition(":")
    if not (a and colon and b):
        raise InputError(f"pair is {text[:60]!r}", "write two spaces, such as AnyNetA:AnyNetE")
    return a, b


def _print_spaces(found: "SpaceComparison") -> None:
    from regnetlab.analysis.guessing import majority_error

    rows = [
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
    ]
    headers = ("space", "n", "failed", "min %", "5% quantile", "median %", "mean %")
    table: list[tuple[str, ...]] = [headers, *rows]
    if not fits(table) and not any(each.failed for each in found.summaries):
        table = [(*row[:2], *row[3:]) for row in table]
    print_table(table[0], table[1:], "l" + "r" * (len(table[0]) - 1))
    for each in found.summaries:
        if each.incomplete:
            echo(f"\n{each.space}: {each.incomplete} incomplete, stopped before the last epoch; left out")
    print_guessing(majority_error(found.guess), found.not_learned)
    if (noise := found.noise) is not None:
        text = (
            f"seeds: between networks sd {number(noise.between.estimate)},"
            f" between seeds of one {number(noise.seed.estimate)} points"
            f" ({plural(noise.networks, 'network')} trained more than once)"
        )
        echo(f"\n{filled(text)}")


def _print_steps(found: "SpaceComparison") -> None:
    from regnetlab.analysis.statistics.verdicts import points
    from regnetlab.trials.terms import NO_MATCHING

    rows = [
        (
            each.name,
            signed(each.single.estimate),
            f"{signed(each.corrected.low)} … {signed(each.corrected.high)}",
            number(each.tests.superiority.estimate),
            each.claim + (" *" if each.provisional else ""),
        )
        for each in found.steps
    ]
    echo(f"\nmargin {points(found.terms.margin)} of error; failed networks count as 100%\n")
    print_table(("step", found.compared, "interval", "P(b<a)", "verdict"), rows, "lrrrl", verdicts=True)
    together = f"for all {found.verdicts} together" if found.verdicts > 1 else "for this one step"
    note = (
        f"Intervals and verdicts hold {together} with 95%. P(b<a) is the chance that a network"
        " of the second space beats one of the first. Within margin: no better, and no worse, by more."
    )
    if found.terms.matched != NO_MATCHING:
        note += (
            f" Half of them are those at equal {found.terms.matched}: more verdicts make all intervals wider."
        )
    if any(each.provisional for each in found.steps):
        note += " * provisional: planned networks are missing."
    echo(f"\n{filled(note)}")
    if found.chosen_now:
        echo(filled(found.chosen_now))
    for remark in found.remarks():
        echo(filled(remark))


def _print_matched(found: "SpaceComparison") -> None:
    """The differences at equal complexity: beside each other where these fit, else one a row."""
    from regnetlab.analysis.compare import EQUAL_DEPTH, at_equal
    from regnetlab.trials.terms import NO_MATCHING

    names = list(dict.fromkeys(name for each in found.steps for name in each.matched))
    named = found.terms.matched
    if not names:
        for sentence in at_equal(found):
            echo(f"\n{filled(sentence)}", verdicts=True)
        return
    at = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    which = "without verdicts" if named == NO_MATCHING else f"verdicts at equal {named} follow below"
    echo(
        "\n"
        + filled(
            f"difference of medians at equal {at}, and the networks of both spaces that it is of; {which}"
        )
        + "\n"
    )
    table = [
        ("step", *names),
        *(
            (each.name, *(_matched(each.matched[name]) if name in each.matched else "–" for name in names))
            for each in found.steps
        ),
    ]
    if fits(table):
        print_table(table[0], table[1:], "l" + "r" * len(names))
    else:
        rows = [
            (step.name if name == next(iter(step.matched)) else "", name, *_matched(each).split(" "))
            for step in found.steps
            for name, each in step.matched.items()
        ]
        print_table(("step", "at equal", "median", "networks"), rows, "llrr")
    if any(each.little_overlap for step in found.steps for each in step.matched.values()):
        echo("\n° little overlap: less than half of a space is compared")
    echo("\n" + filled(EQUAL_DEPTH) if "depth" in names else "")
    for sentence in at_equal(found):
        echo(filled(sentence), verdicts=True)


def _matched(found: "Matched") -> str:
    mark = "°" if found.little_overlap else ""
    return f"{signed(found.estimate)} ({found.used[0]}+{found.used[1]}){mark}"


def _estimate(interval: "Interval") -> str:
    """With its interval; with one end where there is no other."""
    low, high = (number(end, 1).replace("-", "−") for end in interval.ends)
    ends = {("–", "–"): "", ("–", high): f" (≤ {high})"}.get((low, high), f" ({low}–{high})")
    return f"{interval.estimate:.2f}{ends}"
