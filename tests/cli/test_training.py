"""``regnetlab train``."""

from pathlib import Path

from tests.cli.asked import NETWORK, Capture, answer, complaint


def test_train_answers_in_json(capsys: Capture, data_dir: Path) -> None:
    words = ("train", NETWORK, "--images", "320", "--data-dir", str(data_dir), "--device", "cpu")
    first, again = (answer(capsys, *words, "--seed", "3") for _ in range(2))
    assert first["ended"] == "complete"
    assert first["images"] == 320
    assert (first["error"], first["curve"]) == (again["error"], again["curve"])


def test_train_refuses_an_input_too_small_for_the_network(capsys: Capture, data_dir: Path) -> None:
    words = ["train", "alexnet", "--images", "320", "--data-dir", str(data_dir)]
    assert "the smallest that works is 1x65x65" in complaint(capsys, words)
