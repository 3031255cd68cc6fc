"""What ``import regnetlab as rl`` offers."""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import regnetlab as rl
from regnetlab.cli import main
from regnetlab.trials.location import location_of
from regnetlab.trials.store import open_store

WINDOW = "50K:400K"


@pytest.fixture
def few() -> rl.Networks:
    return rl.sample("AnyNetE", n=3, flops=WINDOW, template="small", depth=(1, 4), width=(8, 64))


def trained(networks: object, data_dir: Path, **more: object) -> rl.Trials:
    usual = {"images": 128, "validation": 64, "data_dir": data_dir, "device": "cpu", "progress": False}
    return rl.train(networks, **(usual | more))  # type: ignore[arg-type]


def test_sampling_and_looking_need_numpy_alone() -> None:
    code = (
        "import sys, regnetlab as rl; print(rl.sample('AnyNetC', 2)[0]);"
        "print(sorted({'torch', 'pandas', 'optuna', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_sample_is_that_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", "--space", "AnyNetC", "--n", "4", "--flops", "300M:400M", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["models"]
    networks = rl.sample("AnyNetC", n=4, flops="300M:400M")
    assert networks.to_pandas()["id"].tolist() == [each["id"] for each in shown]
    assert [each.flops for each in networks] == [each["flops"] for each in shown]
    assert networks[-1].text == networks[3].text == networks[2:][1].text
    with pytest.raises(IndexError):
        networks[4]


def test_a_network_is_built_on_its_template(few: rl.Networks) -> None:
    import torch

    assert few[0].build()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)
    small = rl.model("resnet18@1MF", template="small")
    assert 0.9e6 < small.flops < 1.1e6
    assert small.build()(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_the_layers_of_a_network_add_up_to_its_counts() -> None:
    network = rl.model("regnetx_400mf")
    layers = rl.summary(network)
    for name in ("flops", "params", "acts"):
        assert layers[name].sum() == getattr(network, name)


def test_training_again_trains_nothing_again(few: rl.Networks, data_dir: Path, tmp_path: Path) -> None:
    store = tmp_path / "my.db"
    first = trained(few, data_dir, store=store)
    assert len(first) == 3
    assert first.to_pandas()["error"].between(0, 100).all()
    more = trained([*few, rl.model("resnet18@1MF", template="small")], data_dir, store=store)
    assert more.frame["error"].tolist()[:3] == first.frame["error"].tolist()
    assert open_store(location_of(str(store), tmp_path, "")).count() == 4
    assert more.guess is not None


def test_training_earns_what_the_command_earns(
    few: rl.Networks, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = trained(few[:1], data_dir, recipe={"lr": 0.2})
    words = ["train", few[0].text, "--seed", str(trials.frame["seed"][0]), "--lr", "0.2", "--images", "128"]
    words += ["--validation", "64", "--device", "cpu", "--data-dir", str(data_dir), "--template", "small"]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["error"] == trials.frame["error"][0]


def test_a_store_holds_networks_of_one_kind_of_arithmetic(
    few: rl.Networks, data_dir: Path, tmp_path: Path
) -> None:
    store = tmp_path / "my.db"
    trained(few[:1], data_dir, store=store, kernels="torch")
    with pytest.raises(rl.InputError, match="errors differ") as caught:
        trained(few, data_dir, store=store, kernels="native")
    assert "another store" in caught.value.hint
    trained(few[1:], data_dir, store=store, kernels="native")  # other networks


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"recipe": {"lrr": 0.1}}, "did you mean 'lr'"),
        ({"images": 10**6}, "images is"),
        ({"data": "folder:/nowhere"}, "nowhere"),
        ({"device": "gpu"}, "device 'gpu'"),
    ],
)
def test_what_cannot_be_trained_is_said_before_anything_is_written(
    few: rl.Networks, data_dir: Path, tmp_path: Path, wrong: dict[str, object], part: str
) -> None:
    with pytest.raises(rl.InputError, match=part):
        trained(few, data_dir, store=tmp_path / "my.db", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_committed_study_is_loaded_with_its_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    study = rl.load("quick")
    assert study.trials.spaces[0] == "AnyNetA"
    assert study.trials.steps[0] == ("AnyNetA", "AnyNetB")
    assert study.trials.to_csv() == Path("studies/quick/trials.csv").read_text()
    assert len(rl.read("studies/quick/trials.csv")) == len(study.trials)


def test_every_public_name_is_documented() -> None:
    for name in rl.__all__:
        found = getattr(rl, name)
        text = inspect.getdoc(found) or ""
        assert text, name
        if inspect.isfunction(found):
            for parameter in inspect.signature(found).parameters:
                assert f"{parameter}:" in text, f"{name} says nothing of {parameter}"
    assert set(rl.__all__) <= set(dir(rl))
    with pytest.raises(AttributeError):
        _ = rl.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda t, n: rl.sample("AnyNetC", n=2.5), "n is 2.5; it must be a whole number"),
        (lambda t, n: rl.sample("AnyNetC", n=True), "n is True"),
        (lambda t, n: rl.sample(3, n=2), "space is 3"),
        (
            lambda t, n: rl.sample("AnyNetC", 2, flops=1e6),
            "flops is 1000000.0; it must be a text with two ends",
        ),
        (lambda t, n: rl.sample("AnyNetC", 2, depth=5), "depth is 5; it must be two whole numbers"),
        (lambda t, n: rl.sample("AnyNetC", 2, template={"input": "1x8x8"}), "template is"),
        (lambda t, n: rl.train(n, seeds=0), "seeds is 0; it must be a whole number of at least 1"),
        (lambda t, n: rl.train(n, seed=1.5), "seed is 1.5"),
        (lambda t, n: rl.train(n, recipe=["lr"]), "recipe is"),
        (lambda t, n: rl.train("AnyNetC"), "AnyNetC is a space; draw networks from it"),
        (lambda t, n: rl.train([1, 2]), "networks is"),
        (lambda t, n: rl.train([]), "there is no network to train"),
        (lambda t, n: rl.train(n, store="."), "store is '.'"),
        (lambda t, n: rl.compare(rl.load("quick")), "give study.trials"),
        (lambda t, n: rl.compare(t, margin="1"), "margin is '1'; it must be a number"),
        (lambda t, n: rl.compare(t, margin=-1), "margin is -1"),
        (lambda t, n: rl.compare(t, pairs=("AnyNetA", "AnyNetB")), "a list of pairs"),
        (lambda t, n: rl.compare(t, pairs=[("AnyNetA", "AnyNetA")]), "compared with itself"),
        (lambda t, n: rl.fit_law(t, law="quadratic"), "law 'quadratic' is not known"),
        (lambda t, n: rl.fit_law(t).derive(n=0), "derive one RegNet at least"),
        (lambda t, n: rl.fit_law(t).derive(flops=1e6), "flops is 1000000.0"),
        (lambda t, n: rl.read("studies/quick/trials.csv", errors="percents"), "did you mean 'percent'"),
        (lambda t, n: rl.read(), "no file is named"),
        (lambda t, n: rl.plot_edf(rl.load("quick")), "give study.trials"),
        (lambda t, n: rl.plot_property(t, "flop"), "did you mean 'flops'"),
        (lambda t, n: rl.model(3), "text is 3"),
    ],
)
def test_a_mistake_is_bad_input_with_a_hint(
    few: rl.Networks,
    call: Callable[[rl.Trials, rl.Networks], object],
    part: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    with pytest.raises(rl.InputError) as caught:
        call(rl.load("quick").trials, few)
    assert part in str(caught.value)
    assert caught.value.hint


def test_a_store_that_is_none_leaves_nothing_behind(few: rl.Networks, data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "my.db").write_text("a text")
    with pytest.raises(rl.InputError, match="not a database"):
        trained(few, data_dir, store=tmp_path / "my.db")
    assert [path.name for path in tmp_path.iterdir()] == ["my.db"]
    with pytest.raises(rl.InputError, match="make that folder"):
        trained(few, data_dir, store=tmp_path / "nowhere" / "my.db")


def test_networks_for_other_images_are_drawn_as_the_hint_says(tmp_path: Path) -> None:
    from PIL import Image

    for label in ("a", "b", "c"):
        (tmp_path / label).mkdir()
        for i in range(20):
            Image.new("RGB", (24, 24), (10 * i, 90, 200)).save(tmp_path / label / f"{i}.png")
    data = f"folder:{tmp_path}"
    with pytest.raises(rl.InputError) as caught:
        rl.train(rl.sample("AnyNetE", 1, template="small"), data=data, progress=False)
    assert "classes = 3" in caught.value.hint and "rl.sample" in caught.value.hint
    networks = rl.sample("AnyNetE", 1, template="small", input="3x24x24", classes=3, flops="1M:4M")
    assert len(rl.train(networks, data=data, device="cpu", progress=False)) == 1


def test_results_draw_themselves_and_trials_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    study = rl.load("quick")
    comparison, law = rl.compare(study.trials), rl.fit_law(study.trials)
    for figure in (
        comparison.plot(),
        law.plot(),
        study.baselines().plot(),
        rl.plot_edf(study.trials),
        rl.plot_errors(study.trials),
        rl.plot_property(study.trials, "growth"),
        rl.plot_random_search(study.trials),
    ):
        assert len(figure.data) >= 3
    assert comparison.to_pandas()["b"].tolist() == ["AnyNetB", "AnyNetC", "AnyNetD", "AnyNetE", "RegNet"]
    derived = law.derive(n=2, flops="0.8M:1.2M", force=True)
    assert all(0.8e6 <= network.flops <= 1.2e6 for network in derived)
    assert derived[0].build() is not None
