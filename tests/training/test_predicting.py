"""A trained network in use, on images of a folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from regnetlab.cli import main
from regnetlab.errors import InputError
from regnetlab.models.weights import read_weights, write_weights
from regnetlab.training.datasets import load_data
from regnetlab.training.predicting import TrainedNetwork, image_files, load_network
from tests.cli.asked import Capture, answer, complaint

MODEL = "anynet:d=1,1;w=8,16;g=8;b=1"
KINDS = ("dot", "line", "ring")


def draw(kind: str, seed: int) -> Image.Image:
    """A grey image of 28 × 28 with noise: a square, a line or a frame, somewhere."""
    random = np.random.default_rng(seed)
    levels = random.integers(0, 60, (28, 28)).astype(np.uint8)
    y, x = random.integers(4, 14, 2)
    if kind == "dot":
        levels[y : y + 8, x : x + 8] = 230
    elif kind == "line":
        levels[y : y + 3, 2:26] = 230
    else:
        levels[y : y + 10, x : x + 10] = 230
        levels[y + 2 : y + 8, x + 2 : x + 8] = 30
    return Image.fromarray(levels)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "shapes"
    for number, kind in enumerate(KINDS):
        (root / kind).mkdir(parents=True)
        for i in range(120):
            draw(kind, 1_000 * number + i).save(root / kind / f"{i:03}.png")
    return root


@pytest.fixture(scope="module")
def weights(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    words = ["--data", f"folder:{shapes}", "--strides", "2,2", "--stem-width", "8", "--epochs", "12"]
    words += ["--batch-size", "16", "--seed", "1", "--device", "cpu", "--save", str(path)]
    assert main(["train", MODEL, *words]) == 0
    return path


@pytest.fixture
def net(weights: Path) -> TrainedNetwork:
    return load_network(weights)


def test_new_images_get_their_classes(net: TrainedNetwork, tmp_path: Path) -> None:
    for i in range(20):
        for number, kind in enumerate(KINDS):
            draw(kind, 10_000 * (number + 1) + i).save(tmp_path / f"{kind}-{i}.png")
    found = net.predict(tmp_path, top=3)
    right = sum(each.classes[0] == Path(each.path).name.partition("-")[0] for each in found)
    assert len(found) == 60
    assert right > 50
    for each in found:
        assert sorted(each.classes) == sorted(KINDS)
        assert sum(each.probabilities) == pytest.approx(1)
        assert list(each.probabilities) == sorted(each.probabilities, reverse=True)


def test_logits_are_those_of_the_training(net: TrainedNetwork, shapes: Path) -> None:
    """Of the images that judged it: by the whole way from files, and by torch alone."""
    data = load_data(f"folder:{shapes}", net.template)
    images = np.ascontiguousarray(data.validation.images[:50])
    mean, std = (
        torch.tensor(net.facts["normalisation"][name]).reshape(1, -1, 1, 1) for name in ("mean", "std")
    )
    with torch.inference_mode():
        wanted = net.network((torch.from_numpy(images) / 255 - mean) / std).numpy()
    assert np.allclose(net.logits(images), wanted, atol=1e-4)
    error = 100 * float(np.mean(net.logits(data.validation.images).argmax(1) != data.validation.labels))
    assert error == pytest.approx(net.facts["error"])


def test_many_images_are_divided_among_the_cores_and_answers_stay_in_order(
    net: TrainedNetwork, tmp_path: Path
) -> None:
    images = np.stack([np.asarray(draw(KINDS[i % 3], i))[None] for i in range(700)])
    one_by_one = np.concatenate([net.logits(images[i : i + 1]) for i in range(0, 700, 50)])
    assert np.allclose(net.logits(images)[::50], one_by_one, atol=1e-4)
    assert net.logits(images[:0]).shape == (0, 3)
    for i in range(600):
        if i % 100:
            Image.fromarray(images[i, 0]).save(tmp_path / f"{i:03}.png")
        else:
            (tmp_path / f"{i:03}.png").write_text("no image")
    found = net.predict(tmp_path)
    assert [Path(each.path).stem for each in found] == [f"{i:03}" for i in range(600)]
    assert [bool(each.problem) for each in found] == [i % 100 == 0 for i in range(600)]
    shares = net.probabilities(images[:600])
    assert all(
        found[i].probabilities[0] == pytest.approx(shares[i].max(), abs=1e-5) for i in range(600) if i % 100
    )


def test_odd_images_are_read_as_in_training(net: TrainedNetwork, tmp_path: Path) -> None:
    image = draw("ring", 5)
    for name, odd in {
        "colour.png": image.convert("RGB"),
        "palette.gif": image.convert("P"),
        "large.jpg": image.resize((200, 140)),
        "clear.png": image.convert("RGBA"),
    }.items():
        odd.save(tmp_path / name)
    assert all(each.classes and not each.problem for each in net.predict(tmp_path))


def test_the_command_prints_a_line_or_a_table_or_json_and_goes_on_over_what_cant_be_read(
    weights: Path, tmp_path: Path, capsys: Capture
) -> None:
    draw("dot", 77).save(tmp_path / "a.png")
    draw("line", 78).save(tmp_path / "c.png")
    capsys.readouterr()
    assert main(["predict", str(weights), str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [Path(line.split()[0]).name for line in lines] == ["a.png", "c.png"]
    assert lines[0].split()[1] in KINDS
    (tmp_path / "b.png").write_text("no image")
    table = tmp_path / "out.csv"
    assert main(["predict", str(weights), str(tmp_path), "--top", "2", "--csv", str(table)]) == 1
    captured = capsys.readouterr()
    assert "b.png can't be read" in captured.err
    head, *rows = table.read_text().splitlines()
    assert head == "image,class_1,probability_1,class_2,probability_2,problem"
    assert [Path(row.split(",")[0]).name for row in rows] == ["a.png", "b.png", "c.png"]
    (tmp_path / "b.png").unlink()
    document = answer(capsys, "predict", str(weights), str(tmp_path / "c.png"))
    assert document["images"][0]["path"] == str(tmp_path / "c.png")


def test_a_list_of_files_may_come_on_stdin(
    weights: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import io

    draw("dot", 77).save(tmp_path / "a b.png")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{tmp_path / 'a b.png'}\n\n"))
    capsys.readouterr()
    assert main(["predict", str(weights), "-"]) == 0
    assert capsys.readouterr().out.startswith(str(tmp_path / "a b.png"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--top", "9"], "knows 3 classes"),
        (["--csv", "out.txt"], "end the name in .csv"),
    ],
)
def test_what_can_not_be_predicted_is_refused(
    weights: Path, capsys: Capture, words: list[str], message: str
) -> None:
    assert message in complaint(capsys, ["predict", str(weights), str(weights), *words])


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no images"):
        image_files([tmp_path])


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts.pop("classes"),
        lambda facts: facts.update(classes=["a", "b"]),
        lambda facts: facts.update(classes=["a", "a", "b"]),
        lambda facts: facts.update(normalisation={"mean": [0.5], "std": [0.0]}),
        lambda facts: facts.update(normalisation={"mean": [float("nan")], "std": [1.0]}),
        lambda facts: facts.update(normalisation={"mean": [0.5, 0.5], "std": [1.0, 1.0]}),
        lambda facts: facts.update(reading={"fit": "squeeze"}),
        lambda facts: facts.update(reading=5),
        lambda facts: facts.update(temperature="hot"),
        lambda facts: facts.update(temperature=0),
        lambda facts: facts.update(temperature=10**400),
        lambda facts: facts.update(temperature=float("nan")),
    ],
)
def test_weights_that_do_not_say_how_to_use_them_are_refused(
    weights: Path, net: TrainedNetwork, tmp_path: Path, change: Callable[[dict[str, object]], None]
) -> None:
    _, facts = read_weights(weights)
    change(facts)
    write_weights(tmp_path / "odd.safetensors", net.network, facts)
    with pytest.raises(InputError, match=r"odd\.safetensors"):
        load_network(tmp_path / "odd.safetensors")


def test_files_that_are_not_there_are_named_and_the_others_predicted(weights: Path, capsys: Capture) -> None:
    image = weights.parent / "x.png"
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(image)
    assert main(["predict", str(weights), str(image), "nothing.png", "n" * 300]) == 1
    found = capsys.readouterr()
    assert str(image) in found.out
    assert "nothing.png can't be read" in found.err


def test_a_single_file_that_is_not_there_is_refused(weights: Path, capsys: Capture) -> None:
    assert "nothing.png is not there" in complaint(capsys, ["predict", str(weights), "nothing.png"])
    assert "is empty" in complaint(capsys, ["predict", str(weights), ""])
