"""``regnetlab compare`` and ``plan``."""

from typing import Annotated, Any

import typer

from regnetlab.cli.options import Errors, From, Margin, StudyOrNewest, plan_of
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
    plan = plan_of(study, from_, errors)
    pairs = [_pair(each) for each in pair or ()]
    from regnetlab.analysis.compared_spaces import compared_spaces  # pandas, SciPy

    document = compared_spaces(str(plan.folder) if plan else None, from_ or (), margin, pairs, errors)
    print_notes(document["notes"])
    if json:
        print_json(document)
        return
    _print_spaces(document)
    _print_steps(document)


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
    if spread is None or errors is not None:
        found = plan_of(study, from_, errors)
        study = str(found.folder) if found else None
    from regnetlab.analysis.planned import planned  # pandas, SciPy
    from regnetlab.analysis.statistics.verdicts import points

    document = planned(study, from_ or (), margin, power, spread, workers, errors)
    print_notes(document["notes"])
    if json:
        print_json(document)
        return
    rows = [
        (
            each["step"],
            str(each["pilot"]) if each["pilot"] else "–",
            f"{each['n']:,}",
            _hours(each["hours"]),
        )
        for each in document["steps"]
    ]
    print_table(("step", "pilot", "networks a space", "hours for both"), rows, "lrrr")
    margin_text = points(document["margin"])
    print(
        f"\nso many give a chance of {document['power']:.0%} to find the second space no worse within"
        f" {margin_text}\nif both are equal, or better if its median is lower by {margin_text}"
    )
    if document["seconds"] is not None:
        print(
            f"{document['seconds']:.1f} s a training, as measured; {document['seeds']:g} a network,"
            f" trainings at once {document['workers']}"
        )


def _pair(text: str) -> tuple[str, str]:
    a, colon, b = text.partition(":")
    if not (a and colon and b):
        raise InputError(f"pair is {text[:60]!r}", "write two spaces, such as AnyNetA:AnyNetE")
    return a, b


def _print_spaces(document: dict[str, Any]) -> None:
    rows = (
        (
            each["space"],
            str(each["n"]),
            str(each["failed"]),
            number(each["min"]),
            _estimate(each["q05"]),
            _estimate(each["median"]),
            _estimate(each["mean"]),
        )
        for each in document["spaces"]
    )
    headers = ("space", "n", "failed", "min %", "5 % quantile", "median %", "mean %")
    print_table(headers, rows, "lrrrrrr")
    for each in document["spaces"]:
        if each["incomplete"]:
            print(
                f"\n{each['space']}: {each['incomplete']} incomplete, stopped before the last epoch; left out"
            )
    print_guessing(document["majority_error"], document["not_learned"])
    noise = document["seed_noise"]
    if noise is not None:
        print(
            f"\nseeds: between networks sd {number(noise['between_sd']['estimate'])},"
            f" between seeds of one {number(noise['seed_sd']['estimate'])} points"
            f" ({noise['networks']} networks trained more than once)"
        )


def _print_steps(document: dict[str, Any]) -> None:
    from regnetlab.analysis.guessing import NEITHER
    from regnetlab.analysis.statistics.verdicts import points

    rows = []
    for each in document["comparisons"]:
        chance = each["superiority"]
        rows.append(
            (
                f"{each['a']} → {each['b']}",
                signed(each["median_difference"]),
                f"{signed(each['interval'][0])} … {signed(each['interval'][1])}",
                number(chance["estimate"]),
                number(each["mann_whitney"]["p_holm"], 3),
                number(each["kolmogorov_smirnov"]["p_holm"], 3),
                each["verdict"],
            )
        )
    print(f"\nmargin {points(document['margin'])} of error\n")
    headers = ("step", "median", "95 % interval", "P(b<a)", "MW p", "KS p", "verdict")
    print_table(headers, rows, "lrrrrrl")
    print("\np are Holm's; P(b<a) is the chance that a network of the second space beats one of the first")
    learned = {each["space"]: each["learned"] for each in document["spaces"]}
    for each in document["comparisons"]:
        if learned[each["a"]] is learned[each["b"]] is False:
            print(filled(f"{each['a']} → {each['b']}: {NEITHER}"))
        for remark in _remarks(each):
            print(f"{each['a']} → {each['b']}: {remark}")


def _remarks(each: dict[str, Any]) -> list[str]:
    remarks = []
    if each["corrected"]["verdict"] != each["verdict"]:
        remarks.append(f"{each['corrected']['verdict']} if all steps are to hold together")
    failures = each["failures_as_worst"]
    if failures is not None:
        failed = f"{each['failed_a']} and {each['failed_b']} failed"
        changes = "still" if failures["verdict"] == each["verdict"] else "instead"
        remarks.append(f"{failed}; counted as the worst error: {changes} {failures['verdict']}")
    different = {
        name: found["verdict"]
        for name, found in each["matched"].items()
        if found["verdict"] != each["verdict"]
    }
    if different:
        remarks.append(", ".join(f"{claim} at equal {name}" for name, claim in different.items()))
    if each["networks_to_decide"]:
        numbers = " or ".join(
            f"about {n:,} for {claim!r}" if n is not None else f"no number for {claim!r}"
            for claim, n in each["networks_to_decide"].items()
        )
        remarks.append(f"undecided; networks a space, if the difference is as here: {numbers}")
    elif each["verdict"] == "undecided":
        remarks.append("too few networks for an interval; six on each side is the least")
    return remarks


def _estimate(interval: dict[str, Any]) -> str:
    low, high = (number(interval[end], 1) for end in ("low", "high"))
    return (
        f"{interval['estimate']:.2f} ({low}–{high})"
        if low != "–"
        else f"{interval['estimate']:.2f} (≤ {high})"
    )


def _hours(hours: float | None) -> str:
    return "–" if hours is None else f"{hours:,.1f}"
