"""The page: findings, figures, tables and provenance in one file that opens offline.

Plotly's script is compressed in the page and unpacked by the browser, which leaves room for the data.
"""

import base64
import gzip
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from regnetlab import __version__
from regnetlab.analysis.compare import summary
from regnetlab.analysis.networks import records
from regnetlab.analysis.standings import matches
from regnetlab.analysis.trends import PROPERTIES
from regnetlab.report import figures
from regnetlab.report.content import Content, model_text
from regnetlab.report.contest import CONTEST_COLUMNS, contest_figure, contest_findings, contest_rows
from regnetlab.report.fidelity import fidelity_figure, medians_figure, rung_rows
from regnetlab.report.findings import (
    caution,
    derived_findings,
    law_finding,
    overview,
    selection,
    step_findings,
    trend_row,
    trend_sentence,
)
from regnetlab.report.latency import latency_figure, latency_rows
from regnetlab.report.search import search_findings, searches_figure
from regnetlab.report.style import as_json, style, title
from regnetlab.study.plan import DERIVED, Plan

FIRST_PROPERTY = "growth"
_MOST_FAILURES = 200


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure's place on the page: its id, what it shows in words, the command that makes it again."""

    id: str
    label: str
    command: str
    figure: go.Figure


def default_path(plan: Plan) -> Path:
    """reports/NAME.html beside studies/, or beside the study file where there is no such folder."""
    folder = plan.folder.resolve().parent
    inside = folder.parent / "reports" if folder.name == "studies" else plan.folder.resolve()
    return inside / f"{plan.name}.html"


def drawn_figures(content: Content) -> list[Figure]:
    """Every figure of the page, one per property among them."""
    source = content.source
    compare, fit = f"regnetlab compare {source} --json", f"regnetlab fit-regnet {source} --json"
    report = f"regnetlab report {source}"
    trends = {each.name: each for each in content.trends}
    drawn = [
        Figure("edf", "Error distribution functions of all spaces", compare, figures.edf_figure(content)),
        Figure("strip", "Errors of every network by space", compare, figures.strip_figure(content)),
    ]
    drawn += [
        Figure(
            f"property-{name}",
            f"Error against {text}",
            report,
            figures.property_figure(content, name, trends.get(name)),
        )
        for name, text in PROPERTIES.items()
        if content.networks[name].notna().any()
    ]
    if content.networks["widths"].map(lambda widths: isinstance(widths, tuple)).sum() >= 6:
        label = "Widths and depths over stages of the best and worst tenth"
        drawn.append(Figure("stages", label, report, figures.stages_figure(content)))
    if content.populations:
        label = "Expected error of the best of k networks"
        drawn.append(Figure("efficiency", label, report, figures.efficiency_figure(content)))
    if any(each.best is not None for each in content.searches):
        label = "Best error so far of searches and of random search after k trainings"
        drawn.append(Figure("searches", label, report, searches_figure(content)))
    if content.law is not None:
        drawn.append(
            Figure(
                "law",
                "Widths over stages of the best networks",
                fit,
                figures.law_figure(content, content.law),
            )
        )
    if any(each.validation is not None for each in content.standings):
        label = "Validation error against flops of drawn, derived and hand-designed networks"
        command = f"regnetlab compare-baselines {source} --json"
        drawn.append(
            Figure(
                "contest", label, command, contest_figure(content.networks, content.standings, content.shown)
            )
        )
    if content.fidelity is not None:
        table = content.plan.fidelity if content.plan is not None else "fidelity.csv"
        command = f"regnetlab fidelity --from {table} --json"  # of a study it would climb its default ladder
        label = "Rank correlation of each budget with the largest"
        drawn.append(Figure("fidelity", label, command, fidelity_figure(content.fidelity)))
        label = "Median error of every space at each budget"
        drawn.append(Figure("fidelity-medians", label, command, medians_figure(content.fidelity)))
    if content.latency:
        label, command = "Latency against flops and acts", f"regnetlab latency {source} --json"
        figure = latency_figure(content.latency, content.shown)
        drawn.append(Figure("latency", label, command, figure))
    if content.shown["points"].map(len).any():
        label = "Training error over images seen"
        drawn.append(Figure("curves", label, report, figures.curves_figure(content)))
    return drawn


def page(content: Content) -> str:
    """The whole page."""
    environment = Environment(
        loader=PackageLoader("regnetlab.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = drawn_figures(content)
    shown = {each.id: each for each in drawn if not each.id.startswith("property-")}
    first = next((each for each in drawn if each.id == f"property-{FIRST_PROPERTY}"), None)
    first = first or next((each for each in drawn if each.id.startswith("property-")), None)
    contest = contest_findings(matches(content.standings), content.standings)
    data = {
        "networks": _columns(content),
        "figures": {each.id: _figure_json(each.figure) for each in shown.values()}
        | ({"property": _figure_json(first.figure)} if first is not None else {}),
        "properties": {
            each.id.removeprefix("property-"): _view(each.figure)
            for each in drawn
            if each.id.startswith("property-")
        },
    }
    return environment.get_template("page.html").render(
        content=content,
        version=__version__,
        overview=overview(content),
        steps=step_findings(content),
        law=law_finding(content),
        derived=derived_findings(content),
        contest=contest,
        searches=search_findings(content),
        caution=caution(content),
        trend_sentence=trend_sentence(content),
        trends=[trend_row(each) for each in content.trends],
        spaces=[
            {"name": space, "title": title(space), "colour": style(space, i)[0]}
            for i, space in enumerate(content.spaces)
        ],
        space_rows=_space_rows(content),
        best_derived=_best_derived(content),
        derived_rows=_derived_rows(content),
        failures=_failure_rows(content),
        selection=selection(content),
        most_lines=figures.MOST_LINES,
        contest_rows=contest_rows(content.standings),
        contest_columns=CONTEST_COLUMNS,
        machine=_machine(content),
        rungs=rung_rows(content.fidelity) if content.fidelity is not None else [],
        latencies=latency_rows(content.latency),
        figures=shown | ({"property": first} if first is not None else {}),
        first_property=first.id.removeprefix("property-") if first is not None else "",
        data=_script_json(data),
        plotly=_packed_plotly(),
    )


@lru_cache
def _packed_plotly() -> Markup:
    """Plotly's script, compressed; base64 has no character that HTML could misread."""
    packed = gzip.compress(get_plotlyjs().encode(), 9, mtime=0)
    return Markup(base64.b64encode(packed).decode())  # our own dependency


def _columns(content: Content) -> dict[str, list[Any]]:
    """The networks shown one by one as columns, in the order of their numbers."""
    networks = content.shown
    ranks = content.networks.groupby("space", sort=False)["error"].rank(method="max", pct=True)
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
    columns |= {name: [float(f"{value:.6g}") for value in networks[name]] for name in PROPERTIES}
    if "seed" in networks:
        columns["seed"] = [str(seed) for seed in networks["seed"]]
    return columns


def _figure_json(figure: go.Figure) -> dict[str, Any]:
    """A figure without what the page has in its table of networks."""
    plain = as_json(figure)
    for trace in plain["data"]:
        if "columns" in trace.get("meta", {}):
            del trace["x"], trace["y"]
    return plain


def _view(figure: go.Figure) -> dict[str, Any]:
    """What differs between the figures of two properties: axis, band and where a network lies."""
    layout = as_json(figure)["layout"]
    return {key: layout.get(key, []) for key in ("xaxis", "shapes", "meta")}


def _space_rows(content: Content) -> list[dict[str, Any]]:
    rows = []
    for i, population in enumerate(content.populations):
        found = summary(population)
        networks = content.shown[content.shown["space"] == population.space]
        place = int(networks["error"].argmin())
        median, mean = found.median, found.mean
        rows.append(
            {
                "name": population.space,
                "colour": style(population.space, i)[0],
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


def _best_derived(content: Content) -> dict[str, Any] | None:
    """The derived RegNet with the least error, and the share of drawn networks that it beats."""
    rows = _derived_rows(content)
    return rows[0] if rows else None


def _derived_rows(content: Content) -> list[dict[str, Any]]:
    rows = content.shown[content.shown["space"] == DERIVED].sort_values("error")
    drawn = content.networks.loc[content.networks["space"] != DERIVED, "error"]
    return [
        {
            "number": int(number),
            "model": row["model"],
            "error": f"{row['error']:.2f}",
            "beaten": f"{100 * (drawn > row['error']).mean():.0f} %",
            **{key: f"{row[key] / 1e6:.3f}" for key in ("flops", "params", "acts")},
        }
        for number, row in zip(rows.index, records(rows), strict=True)
    ]


def _machine(content: Content) -> str:
    """Where latencies were measured."""
    device, processor = (content.provenance.get(key, "") for key in ("device", "processor"))
    if device == "cpu" and processor:
        return f"{processor}, one thread"
    return str(device or "the machine of the run")


def _failure_rows(content: Content) -> list[dict[str, Any]]:
    return [
        {
            "space": title(row["space"]),
            "model": model_text(row) or row["name"],
            "ended": row["ended"],
            "seed": row.get("seed", ""),
        }
        for row in records(content.failed.head(_MOST_FAILURES))
    ]


def _script_json(value: object) -> Markup:
    """JSON that is safe inside a script element, whatever strings it holds; what is not finite is null."""
    text = json.dumps(_finite(value), default=_plain, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # escaped just above


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | pd.Series):
        return _finite(value.tolist())
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(type(value).__name__)
