"""The page's tables: networks by column, spaces, derived RegNets and failures by row."""

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from regnetlab.errors import printable
from regnetlab.report.content import Content
from regnetlab.report.networks import model_text
from regnetlab.report.style import swatch, title
from regnetlab.study.replay import training_command
from regnetlab.trials.job import DERIVED
from regnetlab.trials.table import records

_MOST_FAILURES = 200


def network_columns(content: Content) -> dict[str, list[Any]]:
    """The networks shown one by one as columns, in the order of their numbers."""
    networks = content.networks.shown
    ranks = content.networks.frame.groupby("space", sort=False)["error"].rank(method="max", pct=True)
    shares = ranks.head(len(networks))
    columns: dict[str, list[Any]] = {
        "space": networks["space"].tolist(),
        "title": [title(space) for space in networks["space"]],
        "label": networks["label"].tolist(),
        "model": networks["model"].tolist(),
        "error": networks["error"].tolist(),
        "share": shares.round(5).tolist(),
        "depths": networks["depths"].tolist(),
        "widths": networks["widths"].tolist(),
        "curve": [
            [[point[0], float(f"{point[2]:.4g}")] for point in points] for points in networks["points"]
        ],
    }
    columns |= {
        name: [float(f"{value:.6g}") for value in networks[name]] for name in content.trends.properties
    }
    if content.origin.plan is not None:
        columns["seed"] = [str(seed) for seed in networks["seed"]]
        if content.networks.trainings > 1:
            columns["first"] = networks["first"].tolist()
    return columns


def space_rows(content: Content) -> list[dict[str, Any]]:
    rows = []
    for i, found in enumerate(content.comparison.summaries):
        networks = content.networks.shown[content.networks.shown["space"] == found.space]
        place = int(networks["error"].argmin())
        median, mean = found.median, found.mean
        rows.append(
            {
                "name": found.space,
                "swatch": swatch(found.space, i),
                "n": found.n,
                "failed": found.failed,
                "min": f"{found.least:.2f}",
                "q05": _estimate(found.q05.estimate, found.q05.low, found.q05.high),
                "median": _estimate(median.estimate, median.low, median.high),
                "mean": _estimate(mean.estimate, mean.low, mean.high),
                "best": int(networks.index[place]),
                "best_label": networks["label"].iloc[place],
            }
        )
    return rows


def _estimate(value: float, low: float, high: float) -> str:
    if not math.isfinite(high):
        return f"{value:.2f}"
    return f"{value:.2f} ({low:.1f} to {high:.1f})" if math.isfinite(low) else f"{value:.2f} (≤ {high:.1f})"


def derived_rows(content: Content) -> list[dict[str, Any]]:
    rows = content.networks.shown[content.networks.shown["space"] == DERIVED].sort_values("error")
    drawn = content.networks.frame.loc[content.networks.frame["space"] != DERIVED, "error"]
    return [
        {
            "number": int(number),
            "index": int(row["index"]),
            "model": row["model"],
            "error": f"{row['error']:.2f}",
            "beaten": f"{100 * (drawn > row['error']).mean():.0f}%",
            **{key: f"{row[key] / 1e6:.3f}" for key in ("flops", "params", "acts")},
        }
        for number, row in zip(rows.index, records(rows), strict=True)
    ]


def best_derived(content: Content, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The derived RegNet that the comparison with hand-designed networks chose by tuning; without one, that
    with the least error, the first of ``rows`` (``derived_rows``).
    """
    if not rows:
        return None
    least, numbers = rows[0], {row["model"]: row for row in rows}
    tuned = [match.b for match in content.baselines.matches if match.b.model in numbers]
    if not tuned:
        luck = _lucky(content, least["model"], least["error"], f"{len(rows)} derived RegNets")
        sentences = [f"Its error of {luck}"]
        if content.baselines.notes:
            sentences.append("Those that competed with hand-designed networks were derived before this one.")
        return _network(content, least["number"], sentences)
    chosen = min(tuned, key=lambda each: each.tuning_error or 0.0)
    sentences = ["Tuning chose it to compete with hand-designed networks."]
    if chosen.test is not None:
        sentences.append(f"Test error {chosen.test.text}%, with {chosen.final_trainings} seeds.")
    if chosen.model != least["model"]:
        of = f"{len(rows)} single trainings"
        luck = _lucky(content, least["model"], least["error"], of, ", which is")
        sentences.append(f"Derived {least['index']} has {luck}")
    return _network(content, numbers[chosen.model]["number"], sentences)


def best_network(content: Content) -> dict[str, Any]:
    """The network with the least error of all."""
    shown = content.networks.shown
    number = int(shown["error"].argmin())  # networks are numbered by their place
    row = records(shown.iloc[[number]])[0]
    of = f"{len(content.networks.frame):,} networks"
    luck = _lucky(content, row["model"], f"{row['error']:.2f}", of)
    return _network(content, number, [f"Its error of {luck}"])


def _lucky(content: Content, model: str, error: str, of: str, which: str = " is") -> str:
    """What an error that is the lowest of many is worth."""
    again = next((each for each in content.retrained.networks if each.model == model), None)
    known = "" if again is None else f": {again.spread}% with {len(again.errors)} new seeds"
    return f"{error}%{which} the lowest of {of} and so partly luck{known}."


def _network(content: Content, number: int, sentences: Sequence[str]) -> dict[str, Any]:
    """A network to use: its number on the page, its names, and the commands that make something of it."""
    row = records(content.networks.shown.iloc[[number]])[0]
    space, index, model = str(row["space"]), int(row["index"]), str(row["model"])
    source, member = content.origin.source, f"{space}{'' if space == DERIVED else ':'}{index}"
    if content.origin.plan is not None:
        commands = [
            ("Train it to the end", f"regnetlab finish {source} {member} -o family"),
            ("Its PyTorch code", f"regnetlab export {member} --study {source} --to pytorch -o net.py"),
        ]
    else:
        code = f"regnetlab export {shlex.quote(model)} --to pytorch -o net.py"
        commands = [("Its PyTorch code", code)] if model else []
    return {
        "number": number,
        "name": f"{'RegNet derived' if space == DERIVED else space} {index}" if model else str(row["label"]),
        "model": model or str(row["label"]),
        "sentences": list(sentences),
        "commands": [(label, printable(command)) for label, command in commands],
    }


def training_parts(content: Content) -> list[str]:
    """What stands before, between and after a network's model and seed in the command that trains it as the
    study did (``study.replay.training_command``); empty where that is not known.
    """
    plan = content.origin.plan
    if plan is None:
        return []
    facts = content.origin.provenance
    device = str(facts.get("device", "")).partition(":")[0] or "auto"
    kernels = str(facts.get("kernels", "auto")) if device == "cpu" else "auto"
    command = training_command(plan.job("MODEL", 0), device, kernels)
    before, _, rest = command.partition("MODEL")
    return [before, " --seed ", rest.removeprefix(" --seed 0")]


def machine(content: Content) -> str:
    """Where latencies were measured."""
    device, processor = (content.origin.provenance.get(key, "") for key in ("device", "processor"))
    if device == "cpu" and processor:
        return f"{processor}, one thread"
    return str(device or "the machine of the run")


def failure_rows(content: Content) -> list[dict[str, Any]]:
    return [
        {
            "space": title(row["space"]),
            "model": model_text(row) or row["name"],
            "ended": row["ended"],
            "seed": row.get("seed", ""),
        }
        for row in records(content.networks.failed.head(_MOST_FAILURES))
    ]
