"""finish.json: written whole, read with care."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regnetlab.errors import InputError
from regnetlab.study.finish_file import (
    MOST_PICTURE_BYTES,
    Mistake,
    at_most_pictures,
    finish_path,
    picture,
    read_finished,
    write_finished,
)
from regnetlab.study.plan import Plan
from regnetlab.study.plan_file import load_plan
from tests.study.finished import PNG, document, finished


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "study.toml").write_bytes(Path("studies/quick/study.toml").read_bytes())
    return load_plan(tmp_path / "study.toml")


def test_what_is_written_is_read_again(plan: Plan) -> None:
    assert read_finished(plan) is None
    write_finished(plan, finished())
    assert read_finished(plan) == finished()
    assert json.loads(finish_path(plan).read_text())["mistakes"][0]["class"] == "a"


HUGE = base64.b64decode(PNG)[:16] + (30_000).to_bytes(4, "big") * 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version: Input should be 1"),
        ({"use": "tiny"}, "use must name one of the networks"),
        ({"minutes": -1.0}, "minutes"),
        ({"minutes": float("inf")}, "minutes"),
        ({"networks": []}, "networks"),
        ({"test_images": "840"}, "test_images"),
        ({"networks": document()["networks"] * 2}, "two networks have one name"),
        ({"mistakes": [{"png": "<svg onload=alert(1)>"}]}, "it is no base64"),
        ({"mistakes": [{"png": base64.b64encode(b"<svg/>").decode()}]}, "it is no PNG"),
        ({"mistakes": [{"png": base64.b64encode(HUGE).decode()}]}, "it is no PNG of at most 512"),
        ({"mistakes": [{"png": PNG}] * 101}, "mistakes"),
        ({"how": "x" * 5_000}, "how"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_such_document_is_refused_in_a_line(
    plan: Plan, changes: dict[str, Any], message: str
) -> None:
    for each in changes.get("mistakes", []):
        each.update({"class": "a", "predicted": "o", "probability": 0.9})
    finish_path(plan).write_text(json.dumps(document() | changes))
    with pytest.raises(InputError, match=message) as caught:
        read_finished(plan)
    assert str(finish_path(plan)) in caught.value.what and "regnetlab finish" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", "\x00", '{"version": 1e999}'])
def test_damaged_files_are_refused(plan: Plan, text: str) -> None:
    finish_path(plan).write_text(text)
    with pytest.raises(InputError):
        read_finished(plan)


def test_a_folder_in_its_place_is_refused(plan: Plan) -> None:
    finish_path(plan).mkdir()
    with pytest.raises(InputError, match="can't be read"):
        read_finished(plan)


def test_a_matrix_must_have_the_classes_of_its_network() -> None:
    bad = document()
    bad["networks"][0]["test"] = bad["networks"][0]["test"] | {"confusion": [[1]]}
    with pytest.raises(ValueError, match="confusion must have 3 rows"):
        finished(**bad)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 32), (2, 8, 8), (4, 8, 8), (1, 500, 300)])
def test_every_image_has_a_picture(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    shown = Mistake(png=picture(image), label="a", predicted="o", probability=1.0)
    content = base64.b64decode(shown.png)
    assert max(int.from_bytes(content[start : start + 4], "big") for start in (16, 20)) <= 96


def test_pictures_that_do_not_fit_are_left_out() -> None:
    image = np.random.default_rng(0).integers(0, 255, (3, 96, 96), np.uint8)
    many = [Mistake(png=picture(image), label="a", predicted="o", probability=1.0)] * 24
    kept = at_most_pictures(many)
    assert 0 < len(kept) < 24
    assert sum(len(each.png) for each in kept) <= MOST_PICTURE_BYTES
    assert len(finished(mistakes=kept).mistakes) == len(kept)


def test_a_file_that_says_no_reason_is_read(plan: Plan) -> None:
    before = document()
    del before["why"]
    finish_path(plan).write_text(json.dumps(before))
    found = read_finished(plan)
    assert found is not None
    assert (found.use, found.why) == ("medium", "")
