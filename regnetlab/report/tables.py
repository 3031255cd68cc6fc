"""The page's tables: networks by column, spaces, derived RegNets and failures by row."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from regnetlab.report.content import Content
from regnetlab.report.networks import model_text
from regnetlab.report.style import style, title
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
    if "seed" in networks:
        columns["seed"] = [str(seed) for seed in networks["seed"]]
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
                "colour": style(found.space, i)[0],
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
    least, numbers = rows[0], {row["model"]: row["number"] for row in rows}
    again = next((each for each in content.retrained.networks if each.model == least["model"]), None)
    luck = "" if again is None else f", {again.spread}% again with {len(again.errors)} fresh seeds"
    tuned = [match.b for match in content.baselines.matches if match.b.model in numbers]
    if not tuned:
        name = f"RegNet derived {least['index']}"
        sentences = [
            f"{name}: its {least['error']}% are the least of {len(rows)} errors, and so a little lucky{luck}."
        ]
        if content.baselines.notes:
            sentences.append("Those that competed with hand-designed networks were derived before this one.")
        return {"number": least["number"], "model": least["model"], "sentences": sentences}
    chosen = min(tuned, key=lambda each: each.tuning_error or 0.0)
    sentences = [f"{chosen.name}, which tuning chose to compete with hand-designed networks."]
    if chosen.test is not None:
        sentences.append(f"Test error {chosen.test.text}%, with {chosen.final_trainings} seeds.")
    if chosen.model != least["model"]:
        sentences.append(
            f"The least of {len(rows)} single validation errors, {least['error']}%, is another's:"
            f" RegNet derived {least['index']}{luck}."
        )
    return {"number": numbers[chosen.model], "model": chosen.model, "sentences": sentences}


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
