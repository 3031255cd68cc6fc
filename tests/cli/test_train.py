"""``regnetlab train``."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest

from regnetlab.cli import main
from regnetlab.cli.epochs import Rows
from regnetlab.spaces.template import SMALL
from regnetlab.training import checkpoints
from regnetlab.training.datasets import load_data
from regnetlab.training.watching import Epoch
from tests.cli.asked import NETWORK, Capture, answer, complaint

BARS = "1,000"  # of the small data set's 1,200 training images, without the validation split


def test_train_answers_in_json(capsys: Capture, data_dir: Path) -> None:
    words = ("train", NETWORK, "--images", "320", "--data-dir", str(data_dir), "--device", "cpu")
    first, again = (answer(capsys, *words, "--seed", "3") for _ in range(2))
    assert first["ended"] == "complete"
    assert first["images"] == 320
    assert (first["error"], first["curve"]) == (again["error"], again["curve"])


def test_a_training_goes_on_from_its_checkpoint(
    capsys: Capture, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "half.checkpoint"
    words = train(data_dir, "--images", "320", "--epochs", "2", "--checkpoint", str(file))
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    whole = answer(capsys, *words)
    assert not file.exists()

    def interrupt(self: Rows, epoch: int, step: int, steps: int) -> None:
        self.reached = (epoch, step, steps)
        if (epoch, step) == (2, 2):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "on_step", interrupt)
        assert main(words) == 130
    assert f"the same command goes on from {file}" in capsys.readouterr().out
    assert "is no checkpoint of this training" in complaint(capsys, [*words, "--seed", "1"])
    again = answer(capsys, *words)
    assert (again["error"], again["curve"]) == (whole["error"], whole["curve"])
    assert not file.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_how_far_it_came(
    capsys: Capture,
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    words = train(data_dir, "--images", "320", "--epochs", "2", "--checkpoint", str(tmp_path / "half"))
    whole = answer(capsys, *words)
    before = signal.getsignal(number)

    def interrupt(self: Rows, epoch: int, step: int, steps: int) -> None:
        self.reached = (epoch, step, steps)
        if (epoch, step) == (2, 2):
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "on_step", interrupt)
        assert main(words) == 130
    assert "the same command goes on from" in capsys.readouterr().out
    assert signal.getsignal(number) is before
    assert main([*words, "--json"]) == 0
    printed = capsys.readouterr()
    assert "goes on after step 7 of 10" in printed.err
    assert json.loads(printed.out)["curve"] == whole["curve"]


def test_a_network_that_can_not_be_saved_stays_in_its_checkpoint(
    capsys: Capture, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    (tmp_path / "there").mkdir()
    files = "--checkpoint", str(tmp_path / "half"), "--save", str(tmp_path / "there" / "net.safetensors")
    words = train(data_dir, "--images", "320", *files)

    def remove(self: Rows, epoch: Epoch) -> None:
        (tmp_path / "there").rmdir()

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "on_epoch", remove)
        assert main(words) == 2
    assert "can't be written" in capsys.readouterr().err
    (tmp_path / "there").mkdir()
    assert main(words) == 0  # from the last step, which is judged again
    assert "goes on after step 5 of 5" in capsys.readouterr().err
    assert (tmp_path / "there" / "net.safetensors").exists()
    assert not (tmp_path / "half").exists()


def test_a_checkpoint_needs_a_file_of_its_own_that_can_be_written(
    capsys: Capture, data_dir: Path, tmp_path: Path
) -> None:
    file = str(tmp_path / "net.safetensors")
    words = train(data_dir, "--images", "320", "--checkpoint")
    assert "name one file" in complaint(capsys, [*words, file, "--save", file])
    assert "can't be written" in complaint(capsys, [*words, "/proc/half"])


def test_the_number_of_threads_belongs_to_a_checkpoint(
    capsys: Capture, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0.0)
    words = train(data_dir, "--images", "320", "--checkpoint", str(tmp_path / "half"))

    def interrupt(self: Rows, epoch: int, step: int, steps: int) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "on_step", interrupt)
        assert main([*words, "--threads", "1"]) == 130
    capsys.readouterr()
    assert "is no checkpoint of this training" in complaint(capsys, [*words, "--threads", "2"])


def test_kernels_that_were_asked_for_and_did_not_train_are_named(capsys: Capture, data_dir: Path) -> None:
    words = train(data_dir, "--images", "320", "--batch-size", "50", "--kernels", "native", "--json")
    assert main(words) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["kernels"] == "torch"
    assert "torch's kernels trained it" in printed.err


def test_a_checkpoint_is_not_written_over_another_file(
    capsys: Capture, data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    words = train(data_dir, "--images", "320", "--checkpoint")
    assert "is no checkpoint of this training" in complaint(capsys, [*words, str(tmp_path / "notes.txt")])
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert "can't be written" in complaint(capsys, [*words, str(tmp_path / "none" / "x")])


def test_train_refuses_an_input_too_small_for_the_network(capsys: Capture, data_dir: Path) -> None:
    words = ["train", "alexnet", "--images", "320", "--data-dir", str(data_dir)]
    assert "`alexnet` needs 1×65×65 at least; `alexnet@original` resizes" in complaint(capsys, words)


def train(data_dir: Path, *words: str) -> list[str]:
    return ["train", NETWORK, "--data-dir", str(data_dir), "--device", "cpu", *words]


def test_more_images_than_there_are_by_default_means_all_of_them(capsys: Capture, data_dir: Path) -> None:
    assert main(train(data_dir, "--json")) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["images"] == 1_000 // 64 * 64
    assert f"fashion-mnist has {BARS} images to train on, fewer than the default of 6,400" in printed.err
    assert document["error"] == answer(capsys, *train(data_dir, "--images", "1000"))["error"]


def test_more_images_than_there_are_are_refused_where_they_are_asked_for(
    capsys: Capture, data_dir: Path
) -> None:
    line = complaint(capsys, train(data_dir, "--images", "1001"))
    assert f"images is 1,001, and fashion-mnist has {BARS} to train on; ask for these at most" in line


def test_few_steps_are_warned_of_with_the_epochs_that_are_enough(capsys: Capture, data_dir: Path) -> None:
    assert main(train(data_dir, "--images", "640")) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "warning: 10 optimiser steps" in said
    assert "--epochs 10 gives 100" in said
    assert main(train(data_dir, "--images", "640", "--epochs", "10")) == 0
    assert "warning" not in capsys.readouterr().err


def test_train_says_what_guessing_gives_and_that_a_network_has_not_learned(
    capsys: Capture, data_dir: Path
) -> None:
    idle = train(data_dir, "--images", "128", "--lr", "1e-9")
    document = answer(capsys, *idle)
    labels = load_data("fashion-mnist", SMALL, data_dir)
    commonest = np.bincount(labels.train.labels).argmax()
    assert document["majority_error"] == pytest.approx(100 * np.mean(labels.validation.labels != commonest))
    assert document["learned"] is False
    assert document["not_learned"][0].startswith(f"{NETWORK} has not learned: error ")
    assert main(idle) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"where guessing gives {document['majority_error']:.2f}%" in printed
    assert document["not_learned"][0] in printed
    assert answer(capsys, *train(data_dir, "--epochs", "4"))["learned"] is True
