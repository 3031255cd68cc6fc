"""The 24 published RegNets as a table of networks, and how both laws describe them.

    python tests/benchmarks/published.py

writes studies/published/networks.csv (what ``regnetlab fit-regnet --from`` reads) and docs/published.md.
"""

import csv
import sys
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from scipy import stats

from regnetlab.analysis.width_law import fit_law
from regnetlab.models.published import LAWS, PUBLISHED
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.complexity import config_complexity
from regnetlab.spaces.template import TEMPLATES
from regnetlab.trials.files import read_trials

TABLE = Path("studies/published/networks.csv")
PAGE = Path("docs/published.md")
POINTS = """
**Log-linear law** (over stages, w_i = w_0 · growth^i): R² {r2_low:.3f} to {r2_high:.3f}, growth {least:.2f}
to {most:.2f}, median {median:.2f}. **Quantized linear law** (over blocks): its fit gives back the depths and
widths of {exact} of 24 exactly.

**Growth by size**: Spearman's correlation of the fitted growth with flops is {by_size.statistic:+.2f} (95%
bootstrap interval {low:+.2f} to {high:+.2f}, p = {by_size.pvalue:.2f}), of the paper's own w_m
{own.statistic:+.2f} (p = {own.pvalue:.2f}). Over more than two orders of magnitude of flops 24 networks, two
pairs of which share their parameters, can't tell a trend from none; that is no evidence that there is none.

These networks were *chosen* by their authors among RegNets: that they follow the law is how they were made,
not evidence for it. Evidence is whether the best of *freely* drawn networks do: the report of
`studies/fashion-mnist`.
"""


def networks() -> list[dict[str, Any]]:
    """One row a network, from the parameters of the paper's figures 15 and 16."""
    rows: list[dict[str, Any]] = []
    for name, config in PUBLISHED.items():
        law = LAWS[name]
        rows.append(
            {
                "name": name,
                "depths": " ".join(map(str, config.depths)),
                "widths": " ".join(map(str, config.widths)),
                "group_width": config.group_widths[0],
                "bottleneck_ratios": 1,
                "se_ratio": config.se_ratio,
                **config_complexity(config, TEMPLATES["paper"]),
                "w0": law.w0,
                "wa": law.wa,
                "wm": law.wm,
            }
        )
    return rows


def write_table(rows: list[dict[str, Any]], path: Path = TABLE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def page(rows: list[dict[str, Any]]) -> str:
    """docs/published.md."""
    trials = read_trials([TABLE])
    log_linear = {each["name"]: each for each in fit_law(trials).to_json()["models"]}
    quantized = {each["name"]: each for each in fit_law(trials, "quantized").to_json()["models"]}
    intro = (
        "Networks from the parameters of the paper's figures 15 and 16 (Radosavovic et al. 2020), counted and"
        f" fitted by this package; `python tests/benchmarks/published.py` writes this page and `{TABLE}`, and"
        f" `regnetlab fit-regnet --from {TABLE}` (`--law quantized`) prints the fits."
    )
    columns = ["network", "flops G", "params M", "acts M", "d", "widths", "growth", "R²"]
    columns += ["e_fit, log-linear", "w_m", "e_fit, quantized"]
    lines = ["# The 24 published RegNets under both laws", "", fill(intro, 110, break_on_hyphens=False), ""]
    lines += [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in rows:
        fit, other = log_linear[row["name"]], quantized[row["name"]]
        flops, params, acts = (float(row[key]) for key in ("flops", "params", "acts"))
        lines.append(
            f"| {row['name']} | {flops / 1e9:.3f} | {params / 1e6:.2f} | {acts / 1e6:.2f} |"
            f" {sum(map(int, str(row['depths']).split()))} | {row['widths']} | {fit['growth']:.2f} |"
            f" {fit['r2']:.3f} | {fit['e_fit']:.3f} | {other['wm']:.2f} | {other['e_fit']:.3f} |"
        )
    return "\n".join([*lines, "", *findings(rows, log_linear, quantized), ""])


def findings(rows: list[dict[str, Any]], log_linear: dict[str, Any], quantized: dict[str, Any]) -> list[str]:
    """What the table says, in numbers."""
    growth = np.array([log_linear[row["name"]]["growth"] for row in rows])
    r2 = np.array([log_linear[row["name"]]["r2"] for row in rows])
    flops = np.array([row["flops"] for row in rows])
    wm = np.array([row["wm"] for row in rows])
    exact = sum(
        list(quantized[row["name"]]["depths"]) == [int(n) for n in row["depths"].split()]
        and list(quantized[row["name"]]["widths"]) == [int(n) for n in row["widths"].split()]
        for row in rows
    )
    by_size = stats.spearmanr(flops, growth)
    own = stats.spearmanr(flops, wm)
    low, high = correlation_interval(flops, growth)
    text = POINTS.format(
        r2_low=r2.min(),
        r2_high=r2.max(),
        least=growth.min(),
        most=growth.max(),
        median=np.median(growth),
        exact=exact,
        by_size=by_size,
        low=low,
        high=high,
        own=own,
    )
    points = (" ".join(each.split()) for each in text.split("\n\n"))
    return [
        "## What the table says",
        "",
        *(fill(f"* {each}", 110, subsequent_indent="  ") for each in points),
    ]


def correlation_interval(a: Floats, b: Floats) -> tuple[float, float]:
    """The percentile bootstrap's 95% interval of a rank correlation."""
    random = np.random.default_rng(20200330)
    picks = (random.integers(len(a), size=len(a)) for _ in range(2_000))
    drawn = [stats.spearmanr(a[rows], b[rows]).statistic for rows in picks]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    found = networks()
    write_table(found)
    PAGE.write_text(page(found))
    print(f"wrote {TABLE} and {PAGE}", file=sys.stderr)
