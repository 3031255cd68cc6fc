"""Folders of networks from elsewhere: what is damaged, changed, of another version or hostile is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from regnetlab.cli import main
from regnetlab.errors import InputError
from regnetlab.training.networks.family import read_family, write_family
from regnetlab.training.predicting import load_network
from tests.cli.asked import Capture, answer, complaint
from tests.training.networks.examples import images, write


def document(*names: str, use: str = "small") -> dict[str, Any]:
    """A family of these networks, of which only the names matter."""
    rest = {"model": "x", "flops": 1, "params": 2, "error": 25.0, "interval": [20.0, 30.0], "latency": None}
    return {
        "study": "demo",
        "use": use,
        "networks": [{"name": name, **rest} for name in names],
        "baselines": [{"name": "resnet18", **rest, "error": None}],
    }


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    family = tmp_path_factory.mktemp("original")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regnetlab.models.export.onnx.find_spec", lambda name: None)
        write(family, "small")
        write(family, "large", "anynet:d=1,1;w=8,16;g=8;b=1")
    write_family(family, document("small", "large"))
    return family


@pytest.fixture
def family(original: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(original, tmp_path / "family"))


@pytest.fixture
def picture(tmp_path: Path) -> str:
    Image.fromarray(images(1)[0].transpose(1, 2, 0)).save(tmp_path / "x.png")
    return str(tmp_path / "x.png")


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said))


def test_a_family_gives_its_recommended_network_or_another(family: Path) -> None:
    assert load_network(family).facts["model"].startswith("regnet:")
    assert load_network(family, "large").facts["model"].startswith("anynet:")
    assert load_network(family / "large").facts["model"].startswith("anynet:")
    assert load_network(family / "large" / "model.safetensors").facts["model"].startswith("anynet:")


def test_predict_takes_the_same_paths(family: Path, picture: str, capsys: Capture) -> None:
    found = answer(capsys, "predict", str(family), picture, "--top", "3")
    assert found == answer(capsys, "predict", str(family), picture, "--top", "3", "--network", "small")
    [each] = found["predictions"]
    assert list(each) == ["path", "label", "probability", "top"]
    assert [each["label"], each["probability"]] == each["top"][0]
    assert [pair[0] for pair in each["top"]] == found["images"][0]["classes"]
    assert sum(pair[1] for pair in each["top"]) == pytest.approx(1)
    other = answer(capsys, "predict", str(family / "large"), picture)
    assert (
        other["predictions"]
        == answer(capsys, "predict", str(family), picture, "--network", "large")["predictions"]
    )


def test_a_file_that_cant_be_read_has_no_label(family: Path, picture: str, capsys: Capture) -> None:
    Path(picture).with_name("bad.png").write_text("no image")
    capsys.readouterr()
    assert main(["predict", str(family), picture, str(Path(picture).with_name("bad.png")), "--json"]) == 1
    good, bad = json.loads(capsys.readouterr().out)["predictions"]
    assert good["label"]
    assert (bad["label"], bad["probability"], bad["top"]) == (None, None, [])


def test_a_network_that_is_not_there_is_named(family: Path, picture: str, capsys: Capture) -> None:
    words = ["predict", str(family), picture, "--network"]
    assert "network 'larg' is not known; did you mean 'large'?" in complaint(capsys, [*words, "larg"])
    assert "leave --network out" in complaint(
        capsys, ["predict", str(family / "small"), picture, "--network", "small"]
    )


def test_a_folder_that_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no trained network"):
        load_network(tmp_path)


def test_changed_weights_are_refused(family: Path) -> None:
    shutil.copy(family / "large" / "model.safetensors", family / "small" / "model.safetensors")
    with pytest.raises(InputError, match=r"was changed since model\.json was written"):
        load_network(family)
    (family / "small" / "model.safetensors").unlink()
    with pytest.raises(InputError, match="can't be read: No such file"):
        load_network(family)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is no JSON"),
        (b"[1]", "it is no JSON object"),
        (b"\xff\xfe", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b'{"version": ' + b"9" * 5_000 + b"}", "it is no JSON"),
        (b'{"version": 2}', "is of version 2, and this regnetlab reads version 1"),
        (b'{"version": true}', "is of version True"),
        (b"{}", "is of version None"),
        (b'{"version": "\\u001b[2J"}', r"is of version \\x1b"),
        (b" " * (2**26 + 1), "is over 64 MiB"),
    ],
    ids=range(10),
)
@pytest.mark.parametrize("name", ["family.json", "small/model.json"])
def test_damaged_files_and_other_versions_are_refused(
    family: Path, name: str, content: bytes, message: str
) -> None:
    (family / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_network(family)


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.update(use="../elsewhere"),
        lambda said: said.update(use="/etc"),
        lambda said: said.update(use=["small"]),
        lambda said: said.update(use="other"),
        lambda said: said.pop("use"),
        lambda said: said.update(networks={}),
        lambda said: said.update(networks=[]),
        lambda said: said.update(networks=["small"]),
        lambda said: said["networks"].append({"name": ".."}),
        lambda said: said["networks"].append({"name": "small"}),
        lambda said: said["networks"].append({}),
    ],
)
def test_names_that_lead_elsewhere_and_other_nonsense_are_refused(
    family: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    shutil.copytree(family / "small", family.parent / "elsewhere")
    changed(family / "family.json", change)
    with pytest.raises(InputError, match=r"family\.json"):
        load_network(family)


@pytest.mark.parametrize("name", ["../elsewhere", "..", "/etc", ""])
def test_no_option_leads_out_of_the_folder(family: Path, name: str) -> None:
    shutil.copytree(family / "small", family.parent / "elsewhere")
    with pytest.raises(InputError, match="is not known"):
        load_network(family, name)


@pytest.mark.parametrize("files", [None, [], {}, {"model.safetensors": 5}])
def test_a_folder_without_checksums_is_refused(family: Path, files: object) -> None:
    changed(family / "small" / "model.json", lambda said: said.update(files=files))
    with pytest.raises(InputError, match="does not say the checksum"):
        load_network(family)


def test_a_family_is_read_as_it_was_written_and_has_an_overview(family: Path) -> None:
    assert read_family(family) == {**document("small", "large"), "version": 1}
    text = (family / "README.md").read_text()
    assert "| [large](large/README.md) | 25.00% (20.00 to 30.00) | 1 | 2 | not measured |" in text
    assert "| resnet18, for comparison | not known | 1 | 2 | not measured |" in text
    assert "Take **small**" in text


def test_a_family_with_unsound_names_is_not_written(tmp_path: Path) -> None:
    for said in (document("small", use="large"), document("small", "../x"), document("small", "small")):
        with pytest.raises(InputError):
            write_family(tmp_path, said)
    assert not list(tmp_path.iterdir())


def test_a_family_says_why_where_it_knows(family: Path) -> None:
    assert "Take **small**. Another one may suit" in (family / "README.md").read_text()
    write_family(family, document("small", "large") | {"why": "it *is* the smallest"})
    assert r"Take **small**: it \*is\* the smallest. Another" in (family / "README.md").read_text()
    assert read_family(family)["why"] == "it *is* the smallest"
