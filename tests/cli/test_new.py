"""``regnetlab new`` begins studies that load, and the shell completes what there is to name."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from regnetlab.cli import main
from regnetlab.cli.run import study_names
from regnetlab.study.baselines import hand_designed
from regnetlab.study.examples import examples
from regnetlab.study.plan_file import load_plan
from regnetlab.study.plan_text import plan_toml
from tests.cli.asked import Capture, answer, complaint


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_images(root: Path, colours: int = 3, each: int = 14) -> None:
    for colour in range(colours):
        folder = root / f"class{colour}"
        folder.mkdir(parents=True)
        for i in range(each):
            Image.new("RGB", (20, 10), (80 * colour, i, 0)).save(folder / f"{i}.png")


@pytest.mark.parametrize("example", examples())
def test_a_study_begins_as_its_example(capsys: Capture, example: str) -> None:
    document = answer(capsys, "new", "mine", "--from", example)
    said = {"study": "mine", "file": "studies/mine/study.toml", "example": example, "tables": []}
    assert said.items() <= document.items()
    assert document["left_out"] == []
    made, original = load_plan(Path(document["file"])), load_plan(examples()[example] / "study.toml")
    assert plan_toml(made) == plan_toml(original)


def test_the_textbooks_study_has_each_of_its_families_at_one_compute(capsys: Capture) -> None:
    answer(capsys, "new", "chapter", "--from", "textbook")
    dry = answer(capsys, "run", "chapter", "--dry-run")
    assert dry["planned"] == 76
    found = hand_designed(load_plan(Path("studies/chapter/study.toml")))
    families = ["LeNet", "AlexNet", "VGG", "NiN", "GoogLeNet", "ResNet", "ResNeXt", "DenseNet"]
    assert [each.family for each in found] == families
    assert all(7.2e6 <= each.flops <= 8.8e6 for each in found)


def test_the_example_is_quick_unless_another_is_named(capsys: Capture) -> None:
    assert answer(capsys, "new", "mine")["example"] == "quick"


def test_a_study_with_trials_is_compared_without_training(capsys: Capture) -> None:
    tables = answer(capsys, "new", "mine", "--trials")["tables"]
    assert "studies/mine/trials.csv" in tables
    spaces = [each["a"] for each in answer(capsys, "compare", "mine")["comparisons"]]
    assert spaces == ["AnyNetA", "AnyNetB", "AnyNetC", "AnyNetD", "AnyNetE"]


@pytest.mark.parametrize("example", ["quick", "falling-widths"])
def test_a_folder_of_images_gives_size_classes_and_budget(capsys: Capture, example: str) -> None:
    write_images(Path("pets"), each=20)
    words = ("--from", example, "--data", "folder:pets", "--input", "3x24x32")
    document = answer(capsys, "new", "pets", *words)
    plan = load_plan(Path(document["file"]))
    assert (plan.data, plan.template.input, plan.template.classes) == ("folder:pets", "3x24x32", 3)
    # 60 images, of which a sixth tests and a sixth of the rest validates
    assert (plan.budget.images, plan.budget.validation) == (42, 8)
    assert plan.budget.steps >= 100
    assert document["template"]["strides"] == list(plan.template.strides)
    assert document["regime"] == {"flops": plan.regime.windows["flops"].text}
    assert document["budget"]["steps"] == plan.budget.steps


def test_the_size_is_the_images_own_unless_another_is_named(capsys: Capture) -> None:
    write_images(Path("pets"), each=20)  # 20 wide and 10 high
    shown = load_plan(Path(answer(capsys, "new", "pets", "--data", "folder:pets")["file"])).template
    assert (shown.channels, shown.height, shown.width) == (3, 16, 20)
    assert "leave out --input" not in Path("studies/pets/study.toml").read_text()


def test_a_published_data_set_brings_its_own_size(capsys: Capture, data_dir: Path) -> None:
    words = ("--data", "fashion-mnist", "--data-dir", str(data_dir))
    plan = load_plan(Path(answer(capsys, "new", "mine", *words)["file"]))
    assert (plan.template.input, plan.budget.images) == ("1x28x28", 1_000)
    text = Path("studies/mine/study.toml").read_text()
    assert tomllib.loads(text)["data"] == "fashion-mnist"
    assert text.count("data =") == 1
    assert "leave out --input" in complaint(capsys, ("new", "other", *words, "--input", "3x32x32"))


def test_the_file_says_why_and_names_what_was_left_out(capsys: Capture) -> None:
    write_images(Path("pets"), each=40)
    left_out = answer(capsys, "new", "pets", "--data", "folder:pets", "--input", "3x112x112")["left_out"]
    text = Path("studies/pets/study.toml").read_text()
    assert "# 112×112 px: stem stride 2, then 4 of 4 stages halve the map" in text
    assert left_out
    for each in left_out:
        assert f"# left out: {each['name']}" in text
        assert each["name"] not in load_plan(Path("studies/pets/study.toml")).baselines.names  # type: ignore[union-attr]


def test_only_the_headers_of_images_are_read(capsys: Capture) -> None:
    write_images(Path("pets"), each=20)
    for path in Path("pets").rglob("*.png"):
        path.write_bytes(path.read_bytes()[:60])  # the header and no pixel
    assert answer(capsys, "new", "pets", "--data", "folder:pets")["template"]["input"] == "3x16x20"


def test_too_few_images_are_refused_with_how_many_would_do(capsys: Capture) -> None:
    write_images(Path("few"), each=4)
    line = complaint(capsys, ("new", "few", "--data", "folder:few"))
    assert "12 images in 3 classes" in line
    assert not Path("studies").exists()
    enough = int(line.rpartition("; ")[2].split()[0])
    write_images(Path("more"), each=-(-enough // 3))
    answer(capsys, "new", "more", "--data", "folder:more")


def test_the_next_command_names_the_folder_of_the_data(capsys: Capture, data_dir: Path) -> None:
    assert main(["new", "mine", "--data", "fashion-mnist", "--data-dir", str(data_dir)]) == 0
    assert f"next: regnetlab run mine --data-dir {data_dir}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("a/b",), "can't be a folder's"),
        ((".hidden",), "can't be a folder's"),
        (("mine", "--from", "quik"), "did you mean 'quick'"),
        (("mine", "--from", "regnetx", "--trials"), "has no trials"),
        (("mine", "--trials", "--data", "mnist"), "leave out --trials or --data"),
        (("mine", "--input", "3x32x32"), "go with --data"),
        (("mine", "--data", "folder:nowhere"), "nowhere"),
        (("mine", "--skip-unreadable"), "go with --data"),
        (("mine", "--group-by", "a"), "go with --data"),
        (("mine", "--data", "fashion-mnist", "--split", "stratified"), "--split is for folders of images"),
    ],
)
def test_bad_input_is_refused_and_writes_nothing(capsys: Capture, words: tuple[str, ...], part: str) -> None:
    assert part in complaint(capsys, ("new", *words))
    assert not Path("studies").exists()


def test_a_study_that_is_there_stays_as_it_is(capsys: Capture) -> None:
    answer(capsys, "new", "mine")
    Path("studies/mine/study.toml").write_text("mine")
    assert "is there already" in complaint(capsys, ("new", "mine", "--from", "regnetx"))
    assert Path("studies/mine/study.toml").read_text() == "mine"


def completed(line: str) -> list[str]:
    """What bash is offered at the end of this line."""
    words = line.split(" ")
    environment = {
        "_REGNETLAB_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    code = "import sys; from regnetlab.cli.app import app; app(prog_name='regnetlab')"
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": root, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "pandas", "optuna", "plotly"}
    return done.stdout.split()


def test_the_shell_completes_commands_and_names_without_heavy_imports() -> None:
    assert main(["new", "mine"]) == 0
    assert study_names() == ["mine"]
    assert completed("regnetlab compare-b") == ["compare-baselines"]
    assert completed("regnetlab run m") == ["mine"]
    assert completed("regnetlab sample --space Reg") == ["RegNet"]
    assert completed("regnetlab new mine --from q") == ["quick"]


def test_the_version_is_that_of_the_package(capsys: Capture) -> None:
    from regnetlab import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"regnetlab {__version__}\n"
    assert json.dumps(__version__) in (Path(__file__).parents[2] / "regnetlab" / "__init__.py").read_text()
