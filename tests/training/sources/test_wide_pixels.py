"""Images are 8 bits a channel: floats, NaN among them, and 16 bits are refused in a line, never clipped."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regnetlab.cli import main

WIDE = {
    "float.tif": np.full((28, 28), 0.5, np.float32),
    "nan.tif": np.full((28, 28), np.nan, np.float32),
    "sixteen.png": np.full((28, 28), 40_000, np.uint16),
    "thirty-two.tif": np.full((28, 28), 100_000, np.int32),
}


@pytest.mark.parametrize("name", WIDE)
def test_an_image_of_more_than_8_bits_is_named_and_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for number in range(8):
            Image.fromarray(np.full((28, 28), number, np.uint8)).save(tmp_path / kind / f"{number}.png")
    Image.fromarray(WIDE[name]).save(tmp_path / "b" / name)
    words = ["train", "anynet:d=1;w=8;g=8", "--data", f"folder:{tmp_path}", "--images", "4"]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert f"{name} has pixels of more than 8 bits or floats" in told
    assert len(told.splitlines()) == 1
