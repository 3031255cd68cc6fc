"""The first screen of a finished study: its numbers, that it is safe, and that a browser shows it."""

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regnetlab.cli import main
from regnetlab.report.content import study_content
from regnetlab.report.family import commands, confused_pairs, confusion_sentence, family_rows, headline
from regnetlab.report.family_figures import classes_figure, confusion_figure
from regnetlab.report.page import page as render
from regnetlab.study.finish_file import Finished, finish_path, write_finished
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from tests.report.test_page import CHROMIUM, EVIL, FLAGS, body
from tests.study.finished import document, finished


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("root") / "demo"
    shutil.copytree("studies/quick", folder, ignore=shutil.ignore_patterns("baselines.csv"))
    return load_plan(folder / "study.toml")


def page_of(plan: Plan, found: Finished) -> str:
    write_finished(plan, found)
    try:
        return render(study_content(plan))
    finally:
        finish_path(plan).unlink()


def many_classes(n: int) -> Finished:
    confusion = [[20 - 2 * (i == j + 1) if i == j else int(i == j + 1) for j in range(n)] for i in range(n)]
    names = [f"class {i} with a long name" for i in range(n)]
    return Finished.model_validate(document(names, confusion))


def test_the_headline_says_error_interval_size_and_latency() -> None:
    assert headline(finished()) == (
        "13.3% error on 60 test images that neither trained nor chose it (95% interval 6.7 to 26.7),"
        " 2.0 million multiply-adds,"
        " 0.31 ms an image on this CPU"
    )


def test_commands_quote_the_folder() -> None:
    shell, python = commands(finished())
    assert shell == "regnetlab predict 'my family/' image.png"
    assert python.splitlines()[1] == 'net = rl.load_network("my family")'
    shell, python = commands(finished(folder="a'; touch b \x1b[2J\n\"c"))
    assert shell.startswith("regnetlab predict 'a'\"'\"'; touch b ")
    assert "\x1b" not in shell + python and len(python.splitlines()) == 3
    compile(python, "example", "exec")


def test_rows_mark_the_network_in_use_and_the_baselines() -> None:
    rows = {row["name"]: row for row in family_rows(finished())}
    assert [name for name, row in rows.items() if row["used"]] == ["medium"]
    assert [name for name, row in rows.items() if row["by_hand"]] == ["resnet18"]
    assert rows["medium"]["seeds"] == "12.0 ± 2.0 (3)" and rows["resnet18"]["seeds"] == "–"
    assert rows["small"]["latency"] == "–" and rows["large"]["flops"] == "4.1M"
    assert float(rows["resnet18"]["low"]) + float(rows["resnet18"]["width"]) == pytest.approx(100)


def test_the_most_confused_pairs_come_first() -> None:
    tested = finished().used.test
    assert [(each.label, each.n, each.images) for each in confused_pairs(tested)] == [
        (EVIL, 5, 20),
        ("a", 2, 20),
        ("o", 1, 20),
    ]
    assert "a for o (2 of 20)" in confusion_sentence(tested)


def test_the_worst_class_stands_on_top_and_one_without_images_nowhere() -> None:
    found = Finished.model_validate(document(["a", "b", "c"], [[9, 1, 0], [5, 5, 0], [0, 0, 0]]))
    figure = classes_figure(found.used.test)
    assert list(figure.data[0].y) == ["b", "a"]
    assert list(figure.data[0].x) == pytest.approx([50.0, 10.0])
    assert figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]


def test_the_matrix_tells_right_from_wrong_and_shows_names_as_they_are() -> None:
    figure = confusion_figure(finished().used.test)
    right, wrong, counts = figure.data
    assert right.z[0][0] == 90 and right.z[0][1] is None
    assert wrong.z[0][0] is None and wrong.z[2][0] == 25
    assert list(counts.text) == ["18", "2", "1", "19", "5", "15"]
    assert figure.layout.xaxis.ticktext[2].startswith("&lt;script&gt;")


def test_without_the_file_the_page_says_nothing_of_it_and_with_it_nothing_else_is_lost(plan: Plan) -> None:
    plain, whole = render(study_content(plan)), page_of(plan, finished())
    assert (
        "Use <span>RegNet derived" in plain
        and ".mistakes" not in plain
        and "the test split was not touched" in plain
    )
    assert "the test split was not touched" not in whole
    assert len(re.findall(r'data-figure="', whole)) == len(re.findall(r'data-figure="', plain)) + 3


def test_the_page_answers_first_and_escapes_what_it_shows(plan: Plan) -> None:
    found = finished(how=EVIL, law=EVIL, target=EVIL, space=EVIL, folder=EVIL)
    text = page_of(plan, found)
    assert "<script>alert" not in text
    shown = body(text)
    assert shown.index('id="use"') < shown.index('id="findings"') < shown.index('id="family"')
    assert html.escape("13.3% error on 60 test images that neither trained nor chose it") in shown
    assert shown.count('src="data:image/png;base64,') == 1
    assert html.escape(f"Why medium: {found.why}. ") in shown
    assert "Why medium" not in body(page_of(plan, finished(why="")))
    ids = re.findall(r'\sid="([^"]+)"', shown)
    assert len(ids) == len(set(ids))


def test_more_classes_than_a_figure_can_show_are_in_tables(plan: Plan) -> None:
    shown = body(page_of(plan, many_classes(41)))
    assert "all classes" in shown and "The 40 classes with the highest errors, of 41" in shown
    assert 'id="plot-confusion"' not in shown and "<th>taken for</th>" in shown
    assert 'id="plot-confusion"' in body(page_of(plan, many_classes(40)))


def test_a_damaged_file_is_refused_and_no_page_is_written(
    plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finish_path(plan).write_text('{"version": 9}')
    try:
        assert main(["report", str(plan.folder), "-o", str(tmp_path / "page.html")]) == 2
    finally:
        finish_path(plan).unlink()
    assert "finish.json" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.mark.parametrize("classes", [3, 40])
def test_a_browser_shows_it_without_sideways_scrolling(
    browser: Any, plan: Plan, tmp_path: Path, classes: int
) -> None:
    path = tmp_path / "page.html"
    path.write_text(page_of(plan, finished() if classes == 3 else many_classes(classes)), encoding="utf-8")
    problems: list[str] = []
    for width, scheme in ((360, "dark"), (1280, "light")):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        tab = context.new_page()
        tab.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.goto(path.as_uri())
        tab.wait_for_selector("body[data-drawn=yes]")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.locator("#use h2").bounding_box()["y"] < 400
        for name in ("classes", "calibration"):
            assert tab.locator(f"#plot-{name} .main-svg").count()
        picture = tab.locator(".mistakes img").first
        assert picture.evaluate("image => image.naturalWidth") == 28
        table = tab.locator("#use .scroll").evaluate("box => [box.scrollWidth, box.clientWidth]")
        assert table[0] <= table[1]
        context.close()
    assert problems == []
