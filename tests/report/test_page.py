"""The report: what it says, that it is safe, and that a browser shows it."""

import html
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regnetlab.analysis.population_law import GROWS
from regnetlab.cli import main
from regnetlab.report.baselines import baseline_findings
from regnetlab.report.compare import step_findings
from regnetlab.report.content import Content, files_content, study_content
from regnetlab.report.findings import caution
from regnetlab.report.page import default_path
from regnetlab.report.page import page as render
from regnetlab.report.tables import best_derived, derived_rows
from regnetlab.study.observer import Observer
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from regnetlab.study.provenance import provenance_json
from regnetlab.study.run import run_study
from regnetlab.study.session import Options
from regnetlab.trials.store import open_store
from tests.analysis.frames import baseline_rows, baselines_of
from tests.conftest import STUDY

CHROMIUM = next((p for p in ("/usr/bin/chromium", "/usr/bin/google-chrome") if Path(p).exists()), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
EVIL = "<script>alert(1)</script>"
BASELINES = """
[baselines]
names = ["bn_lenet", "vgg11@0.07x"]
forms = ["small"]
lr = [0.01, 0.1]
regnets = 1
[baselines.recipe.VGG]
warmup = 0.2
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Plan:
    """A finished study, named as no study should be."""
    folder = tmp_path_factory.mktemp("root") / "studies" / EVIL.replace("/", "∕")
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(STUDY + BASELINES)
    plan = load_plan(folder / "study.toml")
    run_study(plan, Options("inline", device="cpu", data_dir=data_dir), Observer())
    store = open_store(plan.store)
    store.keep("provenance", {**store.fact("provenance"), "note": EVIL})
    plan.provenance.write_text(provenance_json(store))
    return plan


@pytest.fixture(scope="module")
def page(plan: Plan) -> str:
    return render(study_content(plan))


def body(page: str) -> str:
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_the_page_loads_nothing_from_outside(page: str) -> None:
    outside = r"""(?:src|href)\s*=\s*["'](?!#|data:)|@import|url\((?!["']?data:)"""
    assert not re.search(outside, body(page))
    assert len(page.encode()) < 6e6


def test_the_tables_beside_a_study_file_give_the_same_page_as_its_store(
    page: str, plan: Plan, tmp_path: Path
) -> None:
    folder = tmp_path / plan.name
    folder.mkdir()
    for file in (plan.folder / "study.toml", plan.trials, plan.provenance, plan.baselines_table):
        (folder / file.name).write_bytes(file.read_bytes())
    assert render(study_content(load_plan(folder / "study.toml"))) == page


def test_whatever_a_user_wrote_is_escaped(page: str) -> None:
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_page_names_every_space_and_the_plan(page: str, plan: Plan) -> None:
    text = body(page)
    for draw in plan.draws:
        assert draw.space.name in text
    assert "validation = 100" in text
    assert re.search(r"The best of \d derived RegNets has [\d.]+%; of \d networks of AnyNetA drawn at", text)


def test_forced_regnets_are_marked(page: str) -> None:
    assert page.count("These RegNets are forced: they were derived although") == 2
    assert "Are RegNets derived from that law better?" not in page


def test_the_card_names_the_regnet_that_tuning_chose_and_without_one_the_least_error(plan: Plan) -> None:
    for study, sentence in (
        (plan, r"Its error of [\d.]+% is the lowest of 2 derived RegNets and so partly luck\."),
        (
            load_plan(Path("studies/fashion-mnist/study.toml")),
            r"Tuning chose it to compete .*Test error 13\.36 ± 0\.32%, with 8 seeds\. Derived 12 has"
            r" 12\.16%, which is the lowest of 27 single trainings and so partly luck: 13\.30 ± 0\.15% with",
        ),
    ):
        content = study_content(study)
        found = best_derived(content, derived_rows(content))
        assert found is not None
        assert re.search(sentence, " ".join(found["sentences"]))


def test_regnets_of_a_law_that_claims_growth_are_not_called_forced(plan: Plan) -> None:
    content = study_content(plan)
    law = content.law.population
    assert law is not None
    text = render(replace(content, law=replace(content.law, population=replace(law, claim=GROWS))))
    assert "forced" not in body(text).partition("study.toml with every default")[0]
    assert "Use <span>RegNet derived" in text


def test_no_id_stands_twice(page: str) -> None:
    ids = re.findall(r'\sid="([^"]+)"', body(page))
    assert len(ids) == len(set(ids))


def test_the_same_trials_give_the_same_page(page: str, plan: Plan) -> None:
    assert render(study_content(plan)) == page


def test_a_report_lies_in_reports_beside_studies(plan: Plan) -> None:
    assert default_path(plan).parent == plan.folder.resolve().parent.parent / "reports"


def spread(middle: float, n: int = 60) -> list[float]:
    return (middle + np.linspace(-2, 2, n)).tolist()


def content_of(tmp_path: Path, errors: Mapping[str, list[float | None]]) -> Content:
    """The content of a file with these errors."""
    lines = ["name,space,depths,widths,flops,error"]
    for space, values in errors.items():
        for i, error in enumerate(values):
            text = "" if error is None else f"{error:.3f}"
            lines.append(f"{EVIL},{space},1 2,{8 + 8 * (i % 5)} 32,{100_000 + 1_000 * i},{text}")
    path = tmp_path / "networks.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return files_content([path])


@pytest.mark.parametrize(
    ("a", "b", "chip"),
    [
        (spread(30), spread(20), "better"),
        (spread(20), spread(30), "worse"),
        (spread(20), spread(20.1), "no worse"),
        (spread(20, 12), spread(20.1, 12), "undecided"),
        (spread(30, 3), spread(20, 3), "undecided"),
    ],
)
def test_a_step_claims_what_its_interval_allows(
    tmp_path: Path, a: list[float | None], b: list[float | None], chip: str
) -> None:
    (finding,) = step_findings(content_of(tmp_path, {"AnyNetA": a, "AnyNetB": b}).comparison)
    assert finding.chip == chip
    assert re.search(r"median [+−]\d+\.\d\d points \(", finding.text) or "too few" in finding.text


def test_a_step_names_the_constraint_that_it_adds(tmp_path: Path) -> None:
    (finding,) = step_findings(
        content_of(tmp_path, {"AnyNetC": [*spread(30)], "AnyNetD": [*spread(20)]}).comparison
    )
    assert "wᵢ ≤ wᵢ₊₁" in finding.text


def test_failed_networks_are_counted_and_named(tmp_path: Path) -> None:
    content = content_of(tmp_path, {"AnyNetA": [*spread(30)], "AnyNetB": [*spread(20), None, None]})
    assert any("0 and 2 failed" in each for each in step_findings(content.comparison)[0].remarks)
    assert "2 failed" in render(content)


def test_the_caution_says_how_little_so_few_networks_show(tmp_path: Path) -> None:
    assert "± 18 points" in caution(
        content_of(tmp_path, {"AnyNetA": [*spread(30)], "AnyNetB": [*spread(20)]})
    )


def test_a_file_of_networks_has_a_page_like_a_study(tmp_path: Path) -> None:
    text = render(content_of(tmp_path, {"AnyNetA": [*spread(30)], "AnyNetB": [*spread(20)]}))
    assert "Which constraints hold?" in text
    assert "<script>alert" not in text
    assert "study.toml" not in text


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
    problems: list[str] = []
    contexts = []

    def opened(
        width: int = 1280, scheme: str = "light", text: str = page, problems_expected: bool = False
    ) -> Any:
        path.write_text(text, encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        tab = context.new_page()
        if problems_expected:
            tab.goto(path.as_uri())
            tab.wait_for_selector("body[data-drawn=yes]")
            return tab
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
    assert tab.locator(".plot").count() >= 6
    assert tab.locator(".plot .main-svg").count() >= tab.locator(".plot").count()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_a_browser_may_run_the_pages_own_scripts_and_nothing_else(page: str, open_page: OpenPage) -> None:
    policy = html.unescape(re.findall(r'Content-Security-Policy" content="([^"]*)"', page)[0])
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline'; img" in policy and "unsafe-eval" not in policy
    evil = "<img src=x onerror='window.ran = 1'><script>window.ran = 1</script><iframe src='//a'></iframe>"
    tab = open_page(text=page.replace("<main>", f"<main>{evil}"), problems_expected=True)
    tab.evaluate("document.body.insertAdjacentHTML('beforeend', `<img src=y onerror='window.ran = 1'>`)")
    tab.wait_for_timeout(300)
    assert tab.evaluate("window.ran") is None


def test_figures_keep_their_height_when_the_window_turns_and_after_printing(open_page: OpenPage) -> None:
    """Else they would lie over what follows."""
    tab = open_page(390)
    heights = "[...document.querySelectorAll('.plot')].map((plot) => plot.offsetHeight)"
    before = tab.evaluate(heights)
    assert min(before) > 300
    for width, height in ((780, 390), (390, 780), (1280, 900)):
        tab.set_viewport_size({"width": width, "height": height})
        tab.wait_for_timeout(500)
        assert tab.evaluate(heights) == before
    tab.pdf()
    tab.wait_for_timeout(500)
    assert tab.evaluate(heights) == before


def test_a_tap_moves_no_axis(browser: Any, page: str, tmp_path: Path) -> None:
    """It arrives as a touch and again as the mouse's click, which two clicks of a mouse are not."""
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    context = browser.new_context(viewport={"width": 360, "height": 780}, has_touch=True, is_mobile=True)
    tab = context.new_page()
    tab.goto((tmp_path / "report.html").as_uri())
    tab.wait_for_selector("body[data-drawn=yes]")
    tab.evaluate("Plotly.relayout('plot-edf', {'xaxis.range': [3, 33]})")  # which a double click resets
    tab.locator("#plot-edf .draglayer .nsewdrag").first.tap()
    tab.wait_for_timeout(800)
    assert tab.evaluate("document.getElementById('plot-edf')._fullLayout.xaxis.range") == [3, 33]
    context.close()


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


def test_a_click_hides_a_space_in_every_figure(open_page: OpenPage) -> None:
    tab = open_page()
    shown = """(id) => document.getElementById(id).data
        .filter((trace) => trace.meta?.space === 'AnyNetA' && trace.meta?.variant !== 'flops')
        .some((trace) => trace.visible === true)"""
    button = tab.locator("[data-space=AnyNetA]")
    assert all(tab.evaluate(shown, f"plot-{id}") for id in ("edf", "strip", "property"))
    button.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.querySelector('[data-space=AnyNetA]').ariaPressed === 'false'")
    assert not any(tab.evaluate(shown, f"plot-{id}") for id in ("edf", "strip", "property"))
    tab.keyboard.press("Space")
    tab.wait_for_function("document.querySelector('[data-space=AnyNetA]').ariaPressed === 'true'")


def test_one_space_alone_has_its_band(open_page: OpenPage) -> None:
    tab = open_page()
    for figure in ("edf", "curves"):
        data = f"document.getElementById('plot-{figure}').data"
        bands = f"{data}.filter((trace) => trace.meta.band && trace.visible === true).length"
        assert tab.evaluate(bands) == 0
        tab.locator("[data-space=AnyNetA]").click(modifiers=["Shift"])
        tab.wait_for_function(f"{bands} === 1")
        tab.locator("[data-space=AnyNetA]").click(modifiers=["Shift"])


def test_hovering_a_network_marks_it_in_every_figure(open_page: OpenPage) -> None:
    tab = open_page()
    drawn = tab.locator("#plot-property .scatterlayer .trace").nth(1).locator(".point").nth(2)
    drawn.scroll_into_view_if_needed()
    point = drawn.bounding_box()
    tab.mouse.move(point["x"] + point["width"] / 2 - 2, point["y"] + point["height"] / 2)
    tab.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
    tab.wait_for_selector("#panel:not([hidden])")
    number = tab.evaluate("page.figures.property.data[1].customdata[2]")
    label, error = tab.evaluate("(n) => [networks.label[n], networks.error[n]]", number)
    assert label in tab.locator("#panel .numbers").text_content()
    assert f"{error:.2f}%" in tab.locator("#panel .name").text_content()
    for figure in ("edf", "property", "strip", "curves"):
        assert tab.locator(f"#plot-{figure} .overlay").get_attribute("data-network") == str(number)
    mark = tab.locator("#plot-property .overlay circle").bounding_box()
    assert mark["x"] + mark["width"] / 2 == pytest.approx(point["x"] + point["width"] / 2, abs=1.5)
    assert mark["y"] + mark["height"] / 2 == pytest.approx(point["y"] + point["height"] / 2, abs=1.5)
    below = tab.locator("#plot-property").evaluate("plot => plot.nextElementSibling.id")
    assert below == "panel"  # and so over no point
    tab.mouse.down()
    tab.mouse.up()
    tab.evaluate("Plotly.Fx.hover('plot-property', [{curveNumber: 0, pointNumber: 0}])")
    assert f"{error:.2f}%" in tab.locator("#panel .name").text_content()  # a click keeps it
    tab.keyboard.press("Escape")
    assert tab.locator("#panel").is_hidden()
    assert tab.locator(".overlay").count() == 0


def test_the_command_of_the_panel_trains_the_network_again_with_the_same_error(
    open_page: OpenPage, plan: Plan, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tab = open_page()
    for number in (0, tab.evaluate("networks.error.length") - 1):
        tab.evaluate("(n) => select(n, document.getElementById('plot-strip'))", number)
        command = tab.locator("#panel .command code").text_content()
        capsys.readouterr()
        assert main([*shlex.split(command)[1:], "--data-dir", str(data_dir), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["error"] == tab.evaluate(
            "(n) => networks.error[n]", number
        )
    tab.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    tab.evaluate(
        "document.addEventListener('copy', () => { window.taken = String(document.activeElement.value); })"
    )
    tab.locator("#panel [data-copy]").click()
    tab.wait_for_function("document.querySelector('#panel [data-copy]').textContent === 'copied'")
    assert tab.evaluate("window.taken") == command


def test_a_swipe_over_a_figure_scrolls_the_page(browser: Any, page: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    context = browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    tab = context.new_page()
    tab.goto(path.as_uri())
    tab.wait_for_selector("body[data-drawn=yes]")
    tab.evaluate(
        "document.getElementById('plot-edf').scrollIntoView({ block: 'center', behavior: 'instant' })"
    )
    assert tab.locator(".modebar-btn").count() == 0
    before, fingers = tab.evaluate("scrollY"), context.new_cdp_session(tab)
    for kind, y in (
        ("touchStart", 450),
        *(("touchMove", 450 - 25 * i) for i in range(1, 9)),
        ("touchEnd", 0),
    ):
        points = [{"x": 200, "y": y}] if kind != "touchEnd" else []
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        tab.wait_for_timeout(20)
    tab.wait_for_function("(before) => scrollY > before + 100", arg=before)
    context.close()


COVERED = """() => {
    const boxes = (root, what) => [...root.querySelectorAll(what)].map((one) => one.getBoundingClientRect());
    const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const found = [];
    for (const plot of document.querySelectorAll('.plot')) {
        const whole = plot.getBoundingClientRect(), titles = boxes(plot, '.annotation-text');
        const bars = boxes(plot, '.modebar-group'), under = [...boxes(plot, '.nsewdrag'), ...titles];
        if (bars.some((bar) => under.some((each) => meet(bar, each)))) found.push(`bar of ${plot.id}`);
        const cut = titles.some((each) => each.top < whole.top || each.right > whole.right);
        if (cut) found.push(`title of ${plot.id}`);
    }
    const baselines = document.getElementById('plot-baselines');
    const names = boxes(baselines, '.textpoint text').filter((each) => each.width);
    if (names.some((a, i) => names.slice(i + 1).some((b) => meet(a, b)))) found.push('names');
    return [names.length, found];
}"""
"""How many points have names, and what lies over something else or is cut off."""


def test_no_tool_bar_lies_over_a_plot_and_no_name_over_another(open_page: OpenPage) -> None:
    for width in (360, 1280):
        tab = open_page(
            width, text=render(study_content(load_plan(Path("studies/fashion-mnist/study.toml"))))
        )
        names, covered = tab.evaluate(COVERED)
        assert covered == []
        assert names >= 3
        tab.context.close()


def test_the_first_screen_holds_the_network_to_use_the_verdicts_and_the_distributions(
    open_page: OpenPage,
) -> None:
    tab = open_page(text=render(study_content(load_plan(Path("studies/fashion-mnist/study.toml")))))
    for what in ("#use .command >> nth=0", ".sketch svg >> nth=0", ".findings >> nth=0"):
        box = tab.locator(what).bounding_box()
        assert box["y"] + box["height"] <= 900
    assert tab.locator(".sketch path[stroke]").count() == 7


def test_a_table_keeps_names_and_errors_in_sight_on_a_phone(open_page: OpenPage) -> None:
    tab = open_page(360)
    tab.locator("#networks .scroll").evaluate("box => { box.scrollLeft = 400; }")
    for cell in ("td >> nth=0", "td.error"):
        box = tab.locator(f"#table tbody tr >> nth=0 >> {cell}").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360


def test_on_paper_figures_fit_and_everything_is_unfolded_until_it_is_printed(open_page: OpenPage) -> None:
    tab = open_page(1280, "dark")
    drawn = "document.querySelector('#plot-edf .main-svg').getBoundingClientRect().width"
    wide = tab.evaluate(drawn)
    tab.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    tab.emulate_media(media="print")
    assert tab.locator("#plot-edf .main-svg").first.bounding_box()["width"] == 680
    assert tab.locator("details:not([open])").count() == 0
    assert tab.locator(".key.printed svg").count() > 6
    assert tab.locator(".links").is_hidden()
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    tab.emulate_media(media="screen")
    tab.evaluate("window.dispatchEvent(new Event('afterprint'))")
    tab.wait_for_function(f"{drawn} === {wide}")
    assert tab.locator("details[open]").count() == 0


def test_distributions_can_be_seen_at_equal_complexity(open_page: OpenPage) -> None:
    tab = open_page(text=render(study_content(load_plan(Path("studies/quick/study.toml")))))
    tab.locator("[data-variant=plain]").wait_for()
    tab.locator("[data-variant=flops]").click()
    shown = "document.getElementById('plot-edf').data.filter((trace) => trace.visible === true)"
    tab.wait_for_function(f"{shown}.length === 6 && {shown}.every((trace) => trace.meta.variant === 'flops')")
    assert tab.locator("[data-variant=acts]").count() == 0  # of which the six spaces have no common range


def test_where_no_space_has_networks_of_a_common_complexity_there_is_nothing_to_choose(page: str) -> None:
    assert "data-variant" not in body(page)
    assert "Medians at equal complexity" not in page


def test_another_property_can_be_chosen(open_page: OpenPage) -> None:
    tab = open_page()
    tab.locator("#property").select_option("depth")
    tab.wait_for_function(
        "document.getElementById('plot-property').layout.xaxis.title.text.includes('depth')"
    )
    assert tab.evaluate(
        "document.getElementById('plot-property').data[0].x.every((x, i) =>"
        " x === networks.depth[document.getElementById('plot-property').data[0].customdata[i]])"
    )


def test_the_table_of_networks_is_searched_sorted_and_reached_by_keyboard(open_page: OpenPage) -> None:
    tab = open_page()
    rows = tab.locator("#table tbody tr")
    total = tab.evaluate("networks.error.length")
    assert rows.count() == min(total, 25)
    tab.locator("#query").fill("anyneta")
    assert all("AnyNetA" in each for each in rows.locator("td:first-child").all_text_contents())
    tab.locator("#table th button", has_text="flops").click()
    flops = tab.evaluate("found().map((number) => networks.flops[number])")
    assert flops == sorted(flops)
    rows.first.locator("button").focus()
    assert tab.locator("#panel").is_visible()
    assert rows.first.get_attribute("aria-selected") == "true"


def test_networks_and_figures_can_be_taken_along_as_csv(open_page: OpenPage) -> None:
    tab = open_page()
    for name, header in (("networks", "space,label,model,error"), ("edf", "trace,x,y")):
        with tab.expect_download() as download:
            tab.locator(f"[data-csv={name}]").click()
        lines = Path(download.value.path()).read_text().splitlines()
        assert lines[0].startswith(header)
        assert len(lines) > 5


def test_five_thousand_networks_stay_smooth(browser: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    errors = {f"AnyNet{letter}": random.normal(30 - i, 3, 1_250).tolist() for i, letter in enumerate("ABCD")}
    text = render(content_of(tmp_path, errors))
    assert len(text.encode()) < 6e6
    path = tmp_path / "large.html"
    path.write_text(text, encoding="utf-8")
    tab = browser.new_page()
    tab.goto(path.as_uri())
    tab.wait_for_selector("body[data-drawn=yes]")
    assert tab.evaluate("document.getElementById('plot-property').data[0].type") == "scattergl"
    assert "unsafe-eval" in text  # by which Plotly's WebGL is compiled; without it nothing is drawn
    assert tab.locator("#plot-property .no-webgl:visible").count() == 0
    assert tab.locator("#table tbody tr").count() == 25
    tab.close()


def test_a_page_of_very_many_networks_shows_some_and_says_so(browser: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sizes = {"AnyNetA": 9_000, "AnyNetB": 3_000, "derived": 8}
    errors = {name: random.normal(30, 3, n).tolist() for name, n in sizes.items()}
    content = content_of(tmp_path, errors)
    assert len(content.networks.frame) == sum(sizes.values())
    shown = content.networks.shown.groupby("space")["error"].agg(["size", "min", "max"])
    assert shown["size"].to_dict() == {"AnyNetA": 3_000, "AnyNetB": 1_000, "derived": 8}
    every = content.networks.frame.groupby("space")["error"].agg(["min", "max"])
    assert shown[["min", "max"]].equals(every)
    first = content.networks.frame.head(len(content.networks.shown))
    assert first["error"].equals(content.networks.shown["error"])
    text = render(content)
    assert "4,008 of these" in body(text)
    assert len(text.encode()) < 6e6
    path = tmp_path / "many.html"
    path.write_text(text, encoding="utf-8")
    tab = browser.new_page()
    tab.goto(path.as_uri())
    tab.wait_for_selector("body[data-drawn=yes]")
    assert tab.evaluate("networks.error.length") == len(content.networks.shown)
    shares = tab.evaluate(
        "(({ x, y }) => x.map((error, i) => [error, y[i]]))(document.getElementById('plot-edf').data[0])"
    )
    a = np.sort(errors["AnyNetA"]).round(3)
    for error, share in shares[1:-1:97]:
        assert share == pytest.approx((a <= error + 1e-9).mean(), abs=2e-3)
    tab.close()


def test_the_page_says_who_wins_or_why_nothing_is_compared(page: str) -> None:
    text = body(page).replace("<wbr>", "")
    assert "Are they better than networks designed by hand?" in text
    assert "RegNets against hand-designed networks: not compared" in text or "over training seeds" in text
    for name in ("bn_lenet@small", "vgg11@0.07x", "RegNet derived"):
        assert name in text


def test_a_match_is_told_with_its_interval() -> None:
    rows = baseline_rows("a", "VGG", 100, [9.0, 9.5, 9.2], [9.0, 9.5, 9.2])
    rows += baseline_rows("r", "RegNet", 100, [12.0, 12.5, 12.1], [12.0, 12.5, 12.1])
    (finding,) = baseline_findings(baselines_of(rows))
    assert finding.chip == "worse"
    assert "the hand-designed a beats the RegNet r on the test split, 9.2% against 12.2%" in finding.text
    assert "95% interval" in finding.text


def test_a_click_sorts_the_table_of_baselines(open_page: OpenPage) -> None:
    page = open_page()
    header = page.locator("#baselines .sortable th[scope=col]").nth(5)

    def flops() -> list[float]:
        cells = page.locator("#baselines .sortable >> nth=0 >> tbody tr td:nth-child(6)")
        return [float(cell.get_attribute("data-value")) for cell in cells.all()]

    header.locator("button").click()
    assert flops() == sorted(flops())
    header.locator("button").click()
    assert flops() == sorted(flops(), reverse=True)
    assert header.get_attribute("aria-sort") == "descending"
