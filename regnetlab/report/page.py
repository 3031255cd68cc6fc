"""The page of a study: findings, figures, tables and provenance in one file that opens offline."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from regnetlab import __version__
from regnetlab.analysis.intervals import quantile_interval
from regnetlab.analysis.networks import complete, records, spaces_of, study_networks, without_law
from regnetlab.analysis.standings import Standing, matches, study_standings
from regnetlab.analysis.width_law import PopulationLaw, fit_log_linear, population_law
from regnetlab.errors import InputError
from regnetlab.report import figures
from regnetlab.report.contest import CONTEST_COLUMNS, contest_figure, contest_findings, contest_rows
from regnetlab.report.findings import caution, findings
from regnetlab.spaces.config import Config
from regnetlab.spaces.regime import format_count
from regnetlab.study.plan import DERIVED, Plan, plan_toml
from regnetlab.study.store import open_store

_SCATTERS = (
    ("flops", "flops (multiply-adds, log)", True),
    ("params", "params (log)", True),
    ("growth", "width growth a stage (log)", True),
    ("depth", "depth (blocks)", False),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure's place on the page: its id, what it shows to those who can't see it, its data."""

    id: str
    label: str
    data: dict[str, Any]


def default_path(plan: Plan) -> Path:
    """reports/NAME.html beside studies/, or beside the study file where there is no such folder."""
    folder = plan.folder.resolve().parent
    inside = folder.parent / "reports" if folder.name == "studies" else plan.folder.resolve()
    return inside / f"{plan.name}.html"


def study_page(plan: Plan) -> str:
    """The whole page; raises ``InputError`` where the study has no network with an error yet."""
    every = study_networks(plan)
    scored = _with_properties(complete(every))
    if not len(scored):
        raise InputError(f"study {plan.name}: no training has earned an error yet; nothing to report")
    order = [draw.space.name for draw in plan.draws]
    rank = {name: i for i, name in enumerate([*order, DERIVED])}
    scored = scored.sort_values("space", key=lambda names: names.map(rank), kind="stable")
    errors = {space: scored.loc[scored["space"] == space, "error"].tolist() for space in spaces_of(scored)}
    law, reason = _law(scored)
    failed = every[every["error"].isna()]
    provenance = dict(open_store(plan.store).provenance) if plan.store.exists() else {}
    environment = Environment(
        loader=PackageLoader("regnetlab.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    standings = study_standings(plan)
    drawn = _figures(scored, errors, law, standings)
    planned = sum(draw.n for draw in plan.draws) + plan.derived
    found = findings(errors, planned, _without_error(every), law, reason)
    found += contest_findings(matches(standings), standings)
    return environment.get_template("page.html").render(
        plan=plan,
        regime=_regime(plan),
        version=__version__,
        findings=found,
        contest=contest_rows(standings),
        machine=_machine(provenance),
        contest_columns=CONTEST_COLUMNS,
        caution=caution(errors, plan.seeds),
        spaces=[_space_row(space, scored, every) for space in errors],
        derived=_derived_rows(scored),
        failures=_failure_rows(failed),
        figures={figure.id: figure for figure in drawn},
        scatters=[figure for figure in drawn if figure.id.startswith("scatter")],
        figure_data=_script_json({figure.id: figure.data for figure in drawn}),
        law=law,
        law_reason=reason,
        study_file=plan_toml(plan),
        provenance=provenance,
        plotly=Markup(get_plotlyjs()),  # our own dependency
        hours=scored["seconds"].astype(float).sum() / 3600 if "seconds" in scored else None,
    )


def _with_properties(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks with growth, depth, a label and the learning curve as lists."""
    rows = records(networks)
    configs = [_config(row) for row in rows]
    return networks.assign(
        growth=[_growth(row["widths"], row["depths"]) for row in rows],
        depth=[sum(depths) for depths in networks["depths"]],
        label=[config.text.removeprefix("anynet:") for config in configs],
        model=[config.text for config in configs],
        points=pd.Series([_points(row) for row in rows], index=networks.index, dtype=object),
    )


def _config(row: dict[str, Any]) -> Config:
    return Config(row["depths"], row["widths"], row["group_widths"], row["bottleneck_ratios"])


def _points(row: dict[str, Any]) -> list[list[float]]:
    curve = row.get("curve")
    return list(json.loads(curve)) if curve else []


def _growth(widths: tuple[int, ...], depths: tuple[int, ...]) -> float:
    return fit_log_linear(widths, depths).growth if len(widths) > 1 else math.nan


def _law(scored: pd.DataFrame) -> tuple[PopulationLaw | None, str]:
    try:
        return population_law(without_law(scored)), ""
    except InputError as error:
        return None, str(error)


def _figures(
    scored: pd.DataFrame,
    errors: dict[str, list[float]],
    law: PopulationLaw | None,
    standings: list[Standing],
) -> list[Figure]:
    drawn = [
        ("edf", "Error distribution functions of all spaces", figures.edf_figure(errors)),
        ("strip", "Errors of every network by space", figures.strip_figure(errors)),
        ("curves", "Training error over images seen", figures.curves_figure(scored)),
    ]
    drawn += [
        (
            f"scatter-{column}",
            f"Error against {name}",
            figures.scatter_figure(scored, column, name, log),
        )
        for column, name, log in _SCATTERS
        if scored[column].notna().any()  # networks of one stage have no growth
    ]
    if any(each.validation is not None for each in standings):
        label = "Validation error against flops of drawn, derived and hand-designed networks"
        drawn.append(("contest", label, contest_figure(scored, standings)))
    if law is not None:
        drawn.append(("law", "Widths over stages of the best networks", figures.law_figure(law)))
    return [Figure(id, label, figures.as_json(figure)) for id, label, figure in drawn]


def _space_row(space: str, scored: pd.DataFrame, every: pd.DataFrame) -> dict[str, Any]:
    rows = scored[scored["space"] == space]
    middle = quantile_interval(rows["error"].to_numpy(np.float64))
    best = min(records(rows), key=lambda row: row["error"])
    return {
        "name": figures.title(space),
        "colour": figures.style(space)[0],
        "n": len(rows),
        "failed": int(every.loc[every["space"] == space, "error"].isna().sum()),
        "min": f"{best['error']:.2f}",
        "median": f"{middle.estimate:.2f}",
        "interval": (f"{middle.low:.1f} to {middle.high:.1f}" if math.isfinite(middle.low) else "too few"),
        "best": best["label"],
    }


def _derived_rows(scored: pd.DataFrame) -> list[dict[str, Any]]:
    rows = scored[scored["space"] == DERIVED].sort_values("error")
    drawn = scored.loc[scored["space"] != DERIVED, "error"]
    return [
        {
            "model": row["model"],
            "error": f"{row['error']:.2f}",
            "beaten": f"{100 * (drawn > row['error']).mean():.0f} %",
            **{key: f"{row[key] / 1e6:.3f}" for key in ("flops", "params", "acts")},
        }
        for row in records(rows)
    ]


def _regime(plan: Plan) -> str:
    """The windows in words: flops 800K to 1.2M."""
    return ", ".join(
        f"{name} {format_count(w.low)} to {format_count(w.high) if math.isfinite(w.high) else 'any'}"
        for name, w in plan.regime.windows.items()
    )


def _machine(provenance: dict[str, Any]) -> str:
    """Where latencies were measured."""
    device, processor = (provenance.get(key, "") for key in ("device", "processor"))
    if device == "cpu" and processor:
        return f"{processor}, one thread"
    return device or "the machine of the run"


def _without_error(every: pd.DataFrame) -> int:
    """Networks of which every training failed."""
    return int(every.groupby(["space", "index"])["error"].count().eq(0).sum())


def _failure_rows(failed: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "space": figures.title(row["space"]),
            "model": _config(row).text,
            "ended": row["ended"],
            "seed": row.get("seed", ""),
        }
        for row in records(failed)
    ]


def _script_json(value: object) -> Markup:
    """JSON that is safe inside a script element, whatever strings it holds."""
    text = json.dumps(value, default=_plain, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # escaped just above


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [None if isinstance(v, float) and not math.isfinite(v) else v for v in value.tolist()]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, pd.Series):
        return value.tolist()
    raise TypeError(type(value).__name__)
