"""The report: what it says, that it is safe, and that a browser shows it."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regnetlab.analysis.derive import derive_from_trials
from regnetlab.analysis.standings import matches, standings
from regnetlab.report.contest import contest_findings
from regnetlab.report.findings import caution, findings
from regnetlab.report.page import default_path, study_page
from regnetlab.study.executors import Setup
from regnetlab.study.lock import locked
from regnetlab.study.plan import Plan, load_plan
from regnetlab.study.runner import run
from regnetlab.study.store import open_store
from regnetlab.study.trials import trials_csv
from tests.analysis.frames import contender_rows
from tests.conftest import STUDY
from tests.study.test_contest import CONTEST
from tests.study.test_runner import Quiet

CHROMIUM = next((p for p in ("/usr/bin/chromium", "/usr/bin/google-chrome") if Path(p).exists()), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Plan:
    """A finished study, named as no study should be."""
    folder = tmp_path_factory.mktemp("root") / "studies" / EVIL.replace("/", "∕")
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(STUDY + CONTEST)
    plan = load_plan(folder / "study.toml")
    setup = Setup(plan.template, plan.data, data_dir, "cpu", plan.budget)
    with locked(plan.lock) as lock:
        store = open_store(plan.store)
        state = run(plan, store, setup, lock, Quiet(), lambda t: derive_from_trials(plan, t), "inline", 1)
        store.keep_provenance({"note": EVIL})
    plan.trials.write_text(trials_csv(plan, state))
    return plan


@pytest.fixture(scope="module")
def page(plan: Plan) -> str:
    return study_page(plan)


def body(page: str) -> str:
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_the_page_loads_nothing_from_outside(page: str) -> None:
    outside = r"""(?:src|href)\s*=\s*["'](?!#|data:)|@import|url\((?!["']?data:)"""
    assert not re.search(outside, body(page))
    assert len(page.encode()) < 6e6


def test_whatever_a_user_wrote_is_escaped(page: str) -> None:
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_page_names_every_space_and_the_plan(page: str, plan: Plan) -> None:
    text = body(page)
    for draw in plan.draws:
        assert draw.space.name in text
    assert "validation = 100" in text
    assert "derived RegNet" in text


def test_no_id_stands_twice(page: str) -> None:
    ids = re.findall(r'\sid="([^"]+)"', body(page))
    assert len(ids) == len(set(ids))


def test_the_same_trials_give_the_same_page(page: str, plan: Plan) -> None:
    assert study_page(plan) == page


def test_a_report_lies_in_reports_beside_studies(plan: Plan) -> None:
    assert default_path(plan).parent == plan.folder.resolve().parent.parent / "reports"


def spread(middle: float, n: int = 60) -> list[float]:
    return (middle + np.linspace(-2, 2, n)).tolist()


def kinds(errors: Mapping[str, list[float]]) -> list[str]:
    return [each.kind for each in findings(errors, 120, 0, None, "too few")]


def test_a_clear_difference_is_called_better_or_worse_and_no_other() -> None:
    assert kinds({"AnyNetA": spread(30), "AnyNetB": spread(20)})[1] == "better"
    assert kinds({"AnyNetA": spread(20), "AnyNetB": spread(30)})[1] == "worse"
    assert kinds({"AnyNetA": spread(20), "AnyNetB": spread(20.1)})[1] == "open"
    assert kinds({"AnyNetA": spread(30, 2), "AnyNetB": spread(20, 2)})[1] == "open"


def test_every_claim_has_its_interval() -> None:
    errors = {"AnyNetA": spread(30), "AnyNetB": spread(20), "derived": spread(15, 5)}
    for finding in findings(errors, 130, 5, None, "too few"):
        if finding.kind in ("better", "worse"):
            assert "95 % interval" in finding.text
    assert "5 of 130 networks failed" in findings(errors, 130, 5, None, "")[0].text
    assert "± 18 points" in caution(errors, 1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


OpenPage = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, page: str, tmp_path: Path) -> Iterator[OpenPage]:
    """Open the report from disk, offline; fails on any console error or request."""
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    problems: list[str] = []
    contexts = []

    def opened(width: int = 1280, scheme: str = "light") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on(
            "request",
            lambda request: (
                problems.append(request.url)
                if not request.url.startswith(("file:", "data:", "blob:"))
                else None
            ),
        )
        tab.goto(path.as_uri())
        tab.wait_for_selector("body[data-drawn=yes]")
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_draws_every_figure_without_sideways_scrolling(
    open_page: OpenPage, width: int, scheme: str
) -> None:
    tab = open_page(width, scheme)
    assert tab.locator(".plot").count() >= 7
    assert tab.locator(".plot .main-svg").count() >= tab.locator(".plot").count()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_and_light_have_readable_text(open_page: OpenPage) -> None:
    for scheme in ("light", "dark"):
        tab = open_page(scheme=scheme)
        ink, paper = tab.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        fill = tab.evaluate("document.querySelector('#plot-edf .xtick text').style.fill")
        dark, light = (sum(map(int, re.findall(r"\d+", each)[:3])) for each in (ink, paper))
        assert abs(dark - light) > 500
        assert re.findall(r"\d+", fill)[:3] == re.findall(r"\d+", ink)[:3]


def test_hovering_the_distributions_shows_every_space_at_that_error(open_page: OpenPage) -> None:
    tab = open_page()
    tab.evaluate("Plotly.Fx.hover('plot-edf', [{curveNumber: 0, pointNumber: 3}])")
    tab.wait_for_selector("#plot-edf .hovertext")
    assert "%" in tab.locator("#plot-edf .hovertext").first.text_content()
    assert tab.evaluate("document.getElementById('plot-edf').layout.hovermode") == "x"


def test_clicking_a_legend_entry_hides_its_space(open_page: OpenPage) -> None:
    tab = open_page()
    tab.locator("#plot-edf .legendtoggle").first.click()
    tab.wait_for_function("document.getElementById('plot-edf').data[0].visible === 'legendonly'")


def test_the_contest_says_who_wins_or_why_nobody_can_be_compared(page: str) -> None:
    text = body(page)
    assert "Are they better than networks designed by hand?" in text
    assert "RegNets against hand-designed networks: not compared" in text or "over training seeds" in text
    for name in ("bn_lenet@small", "vgg11@0.07x", "RegNet derived"):
        assert name in text


def test_a_match_is_told_with_its_interval_whoever_wins() -> None:
    rows = contender_rows("a", "VGG", 100, [9.0, 9.5, 9.2], [9.0, 9.5, 9.2])
    rows += contender_rows("r", "RegNet", 100, [12.0, 12.5, 12.1], [12.0, 12.5, 12.1])
    found = standings(rows)
    (finding,) = contest_findings(matches(found), found)
    assert finding.kind == "worse"
    assert "a beats r" in finding.text
    assert "95 % interval" in finding.text


def test_a_click_sorts_the_table_of_contenders(open_page: OpenPage) -> None:
    page = open_page()
    header = page.locator(".sortable th[scope=col]").nth(5)

    def flops() -> list[float]:
        cells = page.locator(".sortable tbody tr td:nth-child(6)")
        return [float(cell.get_attribute("data-value")) for cell in cells.all()]

    header.locator("button").click()
    assert flops() == sorted(flops())
    header.locator("button").click()
    assert flops() == sorted(flops(), reverse=True)
    assert header.get_attribute("aria-sort") == "descending"
