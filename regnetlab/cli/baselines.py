"""``regnetlab compare-baselines``."""

from typing import TYPE_CHECKING

from regnetlab.cli.output import Json, count, echo, filled, number, print_guessing, print_json, print_table
from regnetlab.cli.run import StudyText
from regnetlab.errors import InputError

if TYPE_CHECKING:
    from regnetlab.analysis.tuned_networks import Spread, TunedNetwork


_BATCHES = (1, 256)
_TIMES = tuple(f"ms ({batch})" for batch in _BATCHES)
_HEADERS = ("network", "test error %", "tuning %", "lr", "flops", "params", *_TIMES)


def compare_baselines(study: StudyText, json: Json = False) -> None:
    """Show how hand-designed networks and RegNets of a study stand on the test split."""
    from regnetlab.study.plan_file import find_study, load_plan

    plan = load_plan(find_study(study))
    if plan.baselines is None:
        raise InputError(
            f"study {plan.name} has no [baselines]",
            'add to its study.toml: [baselines] with names = ["resnet18"] and forms = ["1MF"]',
        )
    from regnetlab.analysis.guessing import majority_error
    from regnetlab.study.results import compared_with_baselines  # SciPy, Optuna

    found = compared_with_baselines(plan)
    if not found.networks:
        raise InputError(
            f"study {plan.name} has not come to its baselines yet", f"go on with: regnetlab run {plan.name}"
        )
    if json:
        print_json({"study": plan.name, **found.to_json()})
        return
    learned = [each for each in found.networks if each.learned is not False]
    print_table(_HEADERS, [_row(each) for each in learned], "lrrrrrrr")
    if apart := [each for each in found.networks if each.learned is False]:
        echo("\nnot clearly better than guessing, and so in no comparison:")
        print_table(_HEADERS, [_row(each) for each in apart], "lrrrrrrr")
    print_guessing(majority_error(found.guess), found.not_learned, majority_error(found.guess_test))
    if any(each.latencies for each in found.networks):
        echo("\nms (n): latency of a batch of n images")
    if any(each.at_edge for each in found.networks):
        echo("\n* the least or largest rate tried: a wider sweep may find a better one")
    if not found.final:
        echo(f"\nnot all final trainings are done; go on with: regnetlab run {study}")
    for remark in found.remarks():
        echo(f"\n{filled(remark)}", verdicts=True)
    echo("\nWhat each side cost")
    for cost in found.costs:
        echo(filled(cost.text))


def _row(each: "TunedNetwork") -> tuple[str, ...]:
    return (
        each.short_name,
        _spread(each.test),
        number(each.tuning_error),
        "–" if each.best_rate is None else f"{each.best_rate:g}{'*' if each.at_edge else ''}",
        count(each.flops),
        count(each.params),
        *(number(each.latencies.get(batch)) for batch in _BATCHES),
    )


def _spread(spread: "Spread | None") -> str:
    return "–" if spread is None else spread.text
