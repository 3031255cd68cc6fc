"""The page: findings, figures, tables and provenance in one file that opens offline.

Plotly's script is compressed in the page and unpacked by the browser, which leaves room for the data.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from regnetlab.analysis.compare import EQUAL_DEPTH
from regnetlab.analysis.width_law import FORCED
from regnetlab.errors import InputError
from regnetlab.plain import plain
from regnetlab.report.baselines import BASELINE_COLUMNS, baseline_findings, baseline_tables, baselines_figure
from regnetlab.report.compare import block_findings, step_findings
from regnetlab.report.content import Content
from regnetlab.report.distributions import (
    beyond,
    curves_figure,
    edf_figure,
    efficiency_figure,
    strip_figure,
    variants,
)
from regnetlab.report.family import family_view
from regnetlab.report.family_figures import (
    MOST_CLASSES,
    calibration_figure,
    classes_figure,
    confusion_figure,
)
from regnetlab.report.fidelity import fidelity_figure, medians_figure, rung_rows
from regnetlab.report.findings import caution, guessing_findings, guessing_sentence, overview, selection
from regnetlab.report.latency import latency_figure, latency_rows
from regnetlab.report.retrain import retrain_findings, retrained_rows
from regnetlab.report.search import search_findings, searches_figure
from regnetlab.report.sketch import edf_sketch
from regnetlab.report.style import MOST_LINES, as_json, swatch, title
from regnetlab.report.tables import (
    best_derived,
    best_network,
    derived_rows,
    failure_rows,
    machine,
    network_columns,
    space_rows,
    training_parts,
)
from regnetlab.report.templates import filled_in
from regnetlab.report.trends import property_figure, stages_figure, trend_row
from regnetlab.report.width_law import derived_findings, growth_rows, law_figure, law_finding
from regnetlab.study.finish_file import Tested
from regnetlab.study.plan import Plan
from regnetlab.study.plan_text import plan_toml

FIRST_PROPERTY = "growth"
MANY_STEPS = 8
"""More steps than that are lines with the gist of each, in two columns."""
_DIGITS = 8
"""Significant ones of the numbers in figures; more would differ between processors."""


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
    if inside.is_symlink():  # it may have come with the studies
        raise InputError(f"{inside} is a link, which may lead anywhere", "name the page with -o")
    return inside / f"{plan.name}.html"


def drawn_figures(content: Content) -> list[Figure]:
    """Every figure of the page, one per property among them."""
    source = content.origin.source
    compare, fit = f"regnetlab compare {source} --json", f"regnetlab fit-regnet {source} --json"
    report = f"regnetlab report {source}"
    trends = {each.name: each for each in content.trends.trends}
    guess = content.comparison.guess
    drawn = [
        Figure(
            "edf",
            "Error distribution functions of all spaces",
            compare,
            edf_figure(content.networks.frame, content.comparison.spaces, guess),
        ),
        Figure("strip", "Errors of every network by space", compare, strip_figure(content.networks.frame)),
    ]
    drawn += [
        Figure(
            f"property-{name}",
            f"Error against {text}",
            report,
            property_figure(content.networks.shown, name, text, trends.get(name)),
        )
        for name, text in content.trends.properties.items()
        if content.networks.frame[name].notna().any()
    ]
    if len(content.trends.best) + len(content.trends.worst) >= 6:
        label = "Widths and depths over stages of the best and worst tenth"
        drawn.append(Figure("stages", label, report, stages_figure(content.trends)))
    if content.comparison.spaces:
        label = "Expected error of the best of k networks"
        figure = efficiency_figure(content.networks.frame, content.comparison.spaces)
        drawn.append(Figure("efficiency", label, report, figure))
    if any(each.search.best is not None for each in content.searches):
        label = "Best error so far of searches and of random search after k trainings"
        drawn.append(
            Figure("searches", label, report, searches_figure(content.searches, content.networks.spaces))
        )
    if content.law.population is not None:
        label = "Widths over stages of the best networks"
        drawn.append(Figure("law", label, fit, law_figure(content.law, content.networks.numbers)))
    if any(each.validation is not None for each in content.baselines.networks):
        label = "Validation error against flops of drawn, derived and hand-designed networks"
        command = f"regnetlab compare-baselines {source} --json"
        drawn.append(
            Figure(
                "baselines",
                label,
                command,
                baselines_figure(content.networks.frame, content.baselines, content.networks.shown),
            )
        )
    if content.fidelity is not None:
        table = content.origin.plan.fidelity if content.origin.plan is not None else "fidelity.csv"
        command = f"regnetlab fidelity --from {table} --json"  # of a study it would climb its default ladder
        label = "Rank correlation of each budget with the largest"
        drawn.append(Figure("fidelity", label, command, fidelity_figure(content.fidelity)))
        label = "Median error of every space at each budget"
        drawn.append(Figure("fidelity-medians", label, command, medians_figure(content.fidelity)))
    if content.latency is not None:
        label, command = "Latency against flops and acts", f"regnetlab latency {source} --json"
        figure = latency_figure(content.latency, content.networks.shown)
        drawn.append(Figure("latency", label, command, figure))
    if content.finished is not None:
        drawn += _family_figures(content.finished.used.test, report)
    if content.networks.shown["points"].map(len).any():
        label = "Training error over images seen"
        drawn.append(Figure("curves", label, report, curves_figure(content.networks.shown)))
    return drawn


def _family_figures(tested: Tested, command: str) -> list[Figure]:
    drawn = [Figure("classes", "Test error of each class", command, classes_figure(tested))]
    if len(tested.by_class) <= MOST_CLASSES:
        label = "Test images by true and by predicted class"
        drawn.append(Figure("confusion", label, command, confusion_figure(tested)))
    if any(n for _, _, n in tested.calibration.bins):
        label = "Share of test images that are right against probability"
        drawn.append(Figure("calibration", label, command, calibration_figure(tested)))
    return drawn


def page(content: Content) -> str:
    """The whole page."""
    drawn = drawn_figures(content)
    shown = {each.id: each for each in drawn if not each.id.startswith("property-")}
    first = next((each for each in drawn if each.id == f"property-{FIRST_PROPERTY}"), None)
    first = first or next((each for each in drawn if each.id.startswith("property-")), None)
    custom = [draw.space for draw in content.origin.plan.draws] if content.origin.plan is not None else []
    derived = derived_rows(content)  # the first has the least error
    found = best_derived(content, derived)
    data = {
        "command": training_parts(content),
        "trainings": content.networks.trainings,
        "networks": network_columns(content),
        "figures": {each.id: _figure_json(each.figure) for each in shown.values()}
        | ({"property": _figure_json(first.figure)} if first is not None else {}),
        "properties": {
            each.id.removeprefix("property-"): _view(each.figure)
            for each in drawn
            if each.id.startswith("property-")
        },
    }
    script = filled_in("scripts.js")
    return filled_in(
        "page.html",
        sheets=("page.css", *["family.css"] * (content.finished is not None)),
        title=content.origin.name,
        script=Markup(script),  # our own
        policy=_policy((script, get_plotlyjs()), any(_draws_by_webgl(each.figure) for each in drawn)),
        content=content,
        overview=overview(content),
        equal_depth=EQUAL_DEPTH,
        steps=step_findings(content.comparison, custom),
        blocks=block_findings(content.comparison, custom),
        law=law_finding(content.law),
        growth_rows=growth_rows(content.law),
        beyond=beyond(content.networks.frame["error"]),
        derived=derived_findings(content.derived),
        baselines=baseline_findings(content.baselines),
        unlearned=guessing_findings(content),
        guessing=guessing_sentence(content),
        guessing_tested=guessing_sentence(content, tested=True),
        searches=search_findings(content.searches),
        retrained=retrain_findings(content.retrained),
        retrained_rows=retrained_rows(content.retrained),
        caution=caution(content),
        study_file=plan_toml(content.origin.plan) if content.origin.plan is not None else "",
        trend_sentence=" ".join(content.trends.remarks()),
        trends=[trend_row(each, content.trends.properties[each.name]) for each in content.trends.trends],
        spaces=[
            {"name": space, "title": title(space), "swatch": swatch(space, i)}
            for i, space in enumerate(content.networks.spaces)
        ],
        space_rows=space_rows(content),
        sketch=edf_sketch(shown["edf"].figure, content.networks.spaces),
        best_derived=found,
        best=found or best_network(content),
        many=MANY_STEPS,
        forced=FORCED,
        variants=variants(shown["edf"].figure),
        derived_rows=derived,
        failures=failure_rows(content),
        selection=selection(content),
        most_lines=MOST_LINES,
        baseline_tables=baseline_tables(content.baselines),
        baseline_columns=BASELINE_COLUMNS,
        machine=machine(content),
        rungs=rung_rows(content.fidelity) if content.fidelity is not None else [],
        family=family_view(content.finished) if content.finished is not None else None,
        latencies=latency_rows(content.latency) if content.latency is not None else [],
        figures=shown | ({"property": first} if first is not None else {}),
        first_property=first.id.removeprefix("property-") if first is not None else "",
        data=_script_json(data),
        plotly=_packed_plotly(),
    )


def _policy(scripts: Iterable[str], webgl: bool) -> str:
    """What a browser may do for the page (Content Security Policy): run these scripts and nothing else, fetch
    nothing. Plotly sets styles, and makes pictures of figures; what it draws by WebGL it compiles from text.
    """
    hashes = (base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in scripts)
    allowed = " ".join([*(f"'sha256-{each}'" for each in hashes), *["'unsafe-eval'"] * webgl])
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:;"
        " base-uri 'none'; form-action 'none'"
    )


def _draws_by_webgl(figure: go.Figure) -> bool:
    return any(trace.type.endswith("gl") for trace in figure.data)


@lru_cache
def _packed_plotly() -> Markup:
    """Plotly's script, compressed; base64 has no character that HTML could misread."""
    packed = gzip.compress(get_plotlyjs().encode(), 9, mtime=0)
    return Markup(base64.b64encode(packed).decode())  # our own dependency


def _figure_json(figure: go.Figure) -> dict[str, Any]:
    """A figure without what the page has: its table of networks, and buttons instead of a legend."""
    plain = as_json(figure)
    if all(trace.meta and "space" in trace.meta for trace in figure.data):
        plain["layout"]["showlegend"] = False
    for trace in plain["data"]:
        if "columns" in trace.get("meta", {}):
            del trace["x"], trace["y"]
    return plain


def _view(figure: go.Figure) -> dict[str, Any]:
    """What differs between the figures of two properties: axis, band and where a network lies."""
    layout = as_json(figure)["layout"]
    return {key: layout.get(key, []) for key in ("xaxis", "shapes", "meta")}


def _script_json(value: object) -> Markup:
    """JSON that is safe inside a script element, whatever strings it holds; what is not finite is null."""
    text = json.dumps(plain(value, _DIGITS), separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # escaped just above
