"""``regnetlab compare-baselines``."""

from typing import Any

from regnetlab.cli.output import Json, count, filled, number, print_guessing, print_json, print_table
from regnetlab.cli.studies import StudyText


def compare_baselines(study: StudyText, json: Json = False) -> None:
    """Show how hand-designed networks and RegNets of a study stand on the test split."""
    from regnetlab.study.plan_file import find_study, load_plan

    plan = load_plan(find_study(study))
    from regnetlab.analysis.compared_baselines import compared_baselines  # SciPy, Optuna
    from regnetlab.analysis.standings import TRIED_ONCE

    document = compared_baselines(plan)
    if json:
        print_json(document)
        return
    rows = [_row(each) for each in document["contenders"]]
    headers = ("contender", "test error %", "validation", "lr", "flops", "params", "1 ms", "256 ms")
    print_table(headers, rows, "lrrrrrrr")
    print_guessing(document["majority_error"], document["not_learned"], document["majority_error_test"])
    if any(each["lr_at_edge"] for each in document["contenders"]):
        print("\n* the least or largest rate tried: a wider sweep may find a better one")
    if not document["final"]:
        print(f"\nnot all final trainings are done; go on with: regnetlab run {study}")
    for each in document["comparisons"]:
        print(f"\n{filled(_sentence(each))}")
    if any(each["tried_once"] for each in document["comparisons"]):
        print(f"\n{filled(TRIED_ONCE)}")


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    rate = "–" if each["lr"] is None else f"{each['lr']:g}{'*' if each['lr_at_edge'] else ''}"
    return (
        each["name"],
        _spread(each["test"]),
        _spread(each["validation"]),
        rate,
        count(each["flops"]),
        count(each["params"]),
        *(number(each["latency_ms"].get(batch)) for batch in ("1", "256")),
    )


def _spread(spread: dict[str, Any] | None) -> str:
    return "–" if spread is None else f"{spread['mean']:.2f} ± {number(spread['sd'])}"


def _sentence(each: dict[str, Any]) -> str:
    low, high = each["flops"]
    return (
        f"At {count(low)} to {count(high)} flops {each['b']} against {each['a']}: {each['verdict']};"
        f" {each['difference']:+.2f} points of test error, 95 % interval {number(each['interval'][0])} to"
        f" {number(each['interval'][1])} over training seeds"
    )
