"""The report's part on the width law: its figure, what is found, and how RegNets derived from it do."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from regnetlab.analysis.derive import DerivedErrors
from regnetlab.analysis.population_law import NO_EVIDENCE
from regnetlab.analysis.statistics.verdicts import UNDECIDED
from regnetlab.analysis.width_law import WidthLaw
from regnetlab.report.findings import Finding
from regnetlab.report.style import WIDTH_TICKS, at_most, joined, style, title

_LAW = "#d6006c"
"""Of the law and of the means that it goes through: no space has this colour."""


def law_figure(found: WidthLaw, numbers: Mapping[tuple[str, int], int] | None = None) -> go.Figure:
    """Widths over stages of the best networks, with the growth of least error where an optimum is shown.

    Args:
        found: A law with a ``population``.
        numbers: Of networks on the page, by space and index; others are not drawn one by one.
    """
    law = found.population
    if law is None:
        raise found.reason or ValueError("there is no law to draw")
    figure = go.Figure()
    stages = np.arange(len(law.best["widths"].iloc[0]))
    keys = list(zip(law.best["space"], law.best["index"], strict=True))
    drawn = range(len(keys)) if numbers is None else [i for i, key in enumerate(keys) if key in numbers]
    places = at_most(drawn)
    lines = law.best.iloc[places]
    known = {} if numbers is None else numbers
    for i, (space, rows) in enumerate(lines.groupby("space", sort=False)):
        colour, _, symbol = style(str(space), i)
        figure.add_scatter(
            x=joined([(stages + 1).tolist()] * len(rows)),
            y=joined(rows["widths"].tolist()),
            customdata=joined(
                [[known.get(key)] * len(stages) for key in zip(rows["space"], rows["index"], strict=True)]
            ),
            mode="lines+markers",
            name=title(str(space)),
            line={"color": colour, "width": 1.5},
            marker={"symbol": symbol, "size": 7},
            opacity=min(0.7, max(0.15, 12 / len(lines))),
            hovertemplate=f"<b>{title(str(space))}</b><br>stage %{{x}}: width %{{y}}<extra></extra>",
            meta={"space": str(space)},
        )
    means = np.log(np.array(law.best["widths"].tolist(), np.float64)).mean(axis=0)
    if law.inside:
        figure.add_scatter(
            x=(stages + 1).tolist(),
            y=np.exp(means.mean() + math.log(law.growth.estimate) * (stages - stages.mean())).tolist(),
            mode="lines",
            name=found.formula,
            line={"width": 4, "color": _LAW},
            hovertemplate="growth of least error, stage %{x}: %{y:.0f}<extra></extra>",
        )
    figure.add_scatter(
        x=(stages + 1).tolist(),
        y=np.exp(means).tolist(),
        mode="markers",
        name="geometric mean of the best",
        marker={"size": 12, "symbol": "diamond", "color": _LAW, "line": {"width": 2, "color": "white"}},
        hovertemplate="mean of the best, stage %{x}: %{y:.0f}<extra></extra>",
    )
    figure.update_layout(
        hovermode="closest",
        xaxis={"title": "stage", "tickvals": (stages + 1).tolist()},
        yaxis={"title": "width w (log)", "type": "log", "tickvals": WIDTH_TICKS},
        showlegend=False,
        height=440,
        meta={"link": {"kind": "stages"}},
    )
    return figure


def law_finding(found: WidthLaw) -> Finding:
    """What is claimed of the widths of good networks, and what it rests on."""
    sentence, *more = found.remarks()
    return Finding(UNDECIDED if found.claim == NO_EVIDENCE else "measured", sentence, tuple(more))


def growth_rows(found: WidthLaw) -> list[dict[str, Any]]:
    """A row for each space of the table of growths."""
    return [
        {
            "name": title(each.space),
            "n": each.n,
            "best": f"{each.growth_best:.2f}",
            "all": f"{each.growth_all:.2f}",
            "difference": _signed(each.difference.estimate),
            "interval": each.difference.text("+.2f"),
            "p": f"{each.p:.4f}" if math.isfinite(each.p) else "–",
            "widths": found.widths_in(each),
        }
        for each in found.spaces
    ]


def derived_findings(found: DerivedErrors | None) -> list[Finding]:
    """The derived RegNets against drawn spaces, and their best against the best of as many at random."""
    if found is None:
        return []
    return [
        *(
            Finding(claim, f"The derived RegNets against {space}: {claim}; median {change.points}.")
            for space, (change, claim) in found.against.items()
        ),
        *(
            Finding(
                chance.verdict,
                f"The best of {found.n} derived RegNets has {found.best:.2f}%; of {found.n} networks of"
                f" {title(space)} drawn at random, {chance.text}",
            )
            for space, chance in found.at_random.items()
        ),
    ]


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")
