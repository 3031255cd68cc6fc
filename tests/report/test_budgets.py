"""The pictures of budgets and latencies: what they hold, and that a browser draws them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regnetlab.analysis.fidelity import judge
from regnetlab.analysis.latency import latency
from regnetlab.report.content import Content
from regnetlab.report.fidelity import fidelity_figure, medians_figure, rung_rows
from regnetlab.report.latency import latency_figure, latency_rows
from regnetlab.report.page import page as render
from tests.analysis.test_fidelity import measured, population
from tests.analysis.test_latency import exact, rows, several
from tests.report.test_page import browser as browser  # noqa: PLC0414 (a fixture)
from tests.report.test_page import content_of, spread

LADDER = judge(measured(population(0.9, np.array([4.0, -4.0, -4.0]), seed=1), 2), 1.0)


@pytest.fixture
def content(tmp_path: Path) -> Content:
    plain = content_of(tmp_path, {"AnyNetA": [*spread(30)], "AnyNetB": [*spread(20)]})
    times = several(rows(exact()), rows(exact() * 9, batch=256), rows(exact()[:20], "another machine"))
    return replace(plain, fidelity=LADDER, latency=latency(times))


def test_the_largest_budget_is_not_corrected_to_itself() -> None:
    raw, corrected, reliability = fidelity_figure(LADDER).data
    assert len(raw.y) == len(reliability.y) == 3
    assert len(corrected.y) == 2
    assert list(raw.y) == [rung.within.raw.estimate for rung in LADDER.rungs]


def test_every_space_has_its_medians() -> None:
    lines = medians_figure(LADDER).data
    assert [line.name for line in lines] == ["AnyNetA", "AnyNetB"]
    assert list(lines[1].y) == [rung.medians[1].estimate for rung in LADDER.rungs]


def test_the_table_marks_budgets_that_are_ruled_out_and_the_recommended_one() -> None:
    table = rung_rows(LADDER)
    assert [row["p"].endswith("×") for row in table] == [True, False, False]
    assert [row["p"] for row in table][-1] == "–"
    assert [row["margin"] for row in table] == [f"{rung.margin:.2f}" for rung in LADDER.rungs]
    assert [row["recommended"] for row in table] == [rung is LADDER.recommended for rung in LADDER.rungs]


def test_latency_is_drawn_for_one_machine_and_listed_for_all(content: Content) -> None:
    assert content.latency is not None
    assert [group.batch for group in content.latency.most_measured] == [1, 256]
    figure = latency_figure(content.latency, content.networks.shown)
    assert len(figure.data) == 4
    assert sum(len(trace.x) for trace in figure.data) == 4 * 60
    assert [row["n"] for row in latency_rows(content.latency)] == ["60", "60", "20"]


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_draws_them(
    browser: Any, content: Content, tmp_path: Path, width: int, scheme: str
) -> None:
    path = tmp_path / "page.html"
    path.write_text(render(content), encoding="utf-8")
    problems: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    tab = context.new_page()
    tab.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.goto(path.as_uri())
    tab.wait_for_selector("body[data-drawn=yes]")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("fidelity", "fidelity-medians", "latency"):
        assert tab.locator(f"#plot-{name} .scatterlayer .trace").count() > 0
    assert tab.locator("#fidelity tr.chosen").count() == 1
    tab.locator("[data-space=AnyNetA]").click()
    hidden = "document.getElementById('plot-latency').data.filter((t) => t.visible !== true).length"
    tab.wait_for_function(f"{hidden} > 0")
    context.close()
    assert problems == []
