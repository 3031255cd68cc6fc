"""What the tests of commands share: asking one in this process, and networks to ask about."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from regnetlab.cli import main
from tests.conftest import refusal

MakeStudy = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
NETWORK = "anynet:d=1,1,1,1;w=8,16,16,32;g=8;b=1"


def answer(capsys: Capture, *words: str) -> dict:  # type: ignore[type-arg]
    """The one JSON document on stdout of a command that succeeds."""
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert isinstance(document, dict)
    return document


def complaint(capsys: Capture, words: Sequence[str], status: int = 2) -> str:
    """What a command that fails says on stderr, as "what; hint"; stdout stays empty."""
    capsys.readouterr()
    assert main(list(words)) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    return refusal(captured.err)


def pilot(tmp_path: Path) -> Path:
    """Three spaces of 40 networks: B is 3 points better than A, C is like B; two of C failed."""
    random = np.random.default_rng(0)
    lines = ["space,index,depths,widths,flops,error,seconds"]
    for space, middle in (("A", 30.0), ("B", 27.0), ("C", 27.0)):
        for i, error in enumerate(random.normal(middle, 1, 40)):
            text = "" if space == "C" and i < 2 else f"{error:.3f}"
            lines.append(f"{space},{i},1 2,8 {16 + 8 * (i % 4)},{1_000_000 + 1_000 * i},{text},5.0")
    path = tmp_path / "pilot.csv"
    path.write_text("\n".join(lines) + "\n")
    return path
