"""``regnetlab compare-baselines``."""

from typing import TYPE_CHECKING

from regnetlab.cli.output import Json, count, filled, number, print_guessing, print_json, print_table
from regnetlab.cli.run import StudyText
from regnetlab.errors import InputError

if TYPE_CHECKING:
    from regnetlab.analysis.baselines import Spread, TunedNetwork


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
    headers = ("network", "test error %", "validation", "lr", "flops", "params", "1 ms", "256 ms")
    print_table(headers, [_row(each) for each in found.networks], "lrrrrrrr")
    print_guessing(majority_error(found.guess), found.not_learned, majority_error(found.guess_test))
    if any(each.at_edge for each in found.networks):
        print("\n* the least or largest rate tried: a wider sweep may find a better one")
    if not found.final:
        print(f"\nnot all final trainings are done; go on with: regnetlab run {study}")
    for remark in found.remarks():
        print(f"\n{filled(remark)}")


def _row(each: "TunedNetwork") -> tuple[str, ...]:
    return (
        each.name,
        _spread(each.test),
        _spread(each.validation),
        "–" if each.lr is None else f"{each.lr:g}{'*' if each.at_edge else ''}",
        count(each.flops),
        count(each.params),
        *(number(each.latencies.get(batch)) for batch in (1, 256)),
    )


def _spread(spread: "Spread | None") -> str:
    return "–" if spread is None else f"{spread.mean:.2f} ± {number(spread.sd)}"
