"""Learning curves as TensorBoard's event files, of each training once it is over.

Each training has a folder of its own, SPACE-INDEX-SEED. It is made whole or not at all, and a training that
has one is not written again, so a run that goes on adds only what is new. Nothing is written while a network
trains.
"""

import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from regnetlab.errors import InputError
from regnetlab.study.observer import Observer
from regnetlab.training.budget import Score
from regnetlab.training.sources.parts import Pictures
from regnetlab.trials.job import Job, Trial

_KIND = "tensorboard"
_MOST_IMAGES = 64
_PART = ".part-"


class TensorBoardLog(Observer):
    """Writes each finished training below ``folder``. Make one with ``tensorboard_log``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known = {
            path.name.rpartition(".")[2]
            for path in folder.glob("*/events.out.tfevents.*")
            if not path.parent.name.startswith(_PART)
        }

    def on_begin(self, jobs: Sequence[Job], scores: Mapping[str, Score], later: int = 0) -> None:
        for job in jobs:
            if job.identity in scores:
                self._add(job, scores[job.identity])

    def on_finish(self, trial: Trial, replay: str) -> None:
        self._add(trial.job, trial.score)

    def _add(self, job: Job, score: Score) -> None:
        if job.identity in self._known:
            return
        self._known.add(job.identity)
        name = f"{job.space or 'network'}-{job.index}-{job.seed}"
        if (self.folder / _file_name(name)).exists():  # another rate or budget of the same network
            name += f"-{job.identity[:8]}"
        with suppress(OSError):  # as with every log, a full disk is no reason to end a study
            write_curve(self.folder, name, job.model, score, suffix=job.identity)


def tensorboard_log(text: str, study: Path) -> TensorBoardLog:
    """What ``--log`` asks for: ``tensorboard`` writes below the study's folder, ``tensorboard:DIR`` into DIR.

    Raises:
        InputError: It is nothing of these, the package is not installed, or no folder can be made there.
    """
    named = check_log(text)
    folder = Path(named).expanduser() if named else study / _KIND
    if not named and folder.is_symlink():  # it may have come with the study
        raise InputError(f"{folder} is a link, which may lead anywhere", "name a folder: tensorboard:DIR")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--log: {folder} can't be made: {error.strerror}") from None
    return TensorBoardLog(folder)


def check_log(text: str) -> str:
    """The folder that ``--log`` names, if any; raises as ``tensorboard_log`` does, and makes nothing."""
    kind, colon, named = text.partition(":")
    if kind != _KIND or (colon and not named):
        raise InputError(f"--log {text!r} is not known", "write tensorboard, or tensorboard:DIR")
    if find_spec("tensorboard") is None:
        raise InputError("--log tensorboard needs the package tensorboard", "pip install 'regnetlab[log]'")
    return named


def write_curve(
    folder: Path,
    name: str,
    model: str,
    score: Score,
    images: Pictures | None = None,
    suffix: str = "",
) -> Path:
    """Write one training's curve, and a grid of the first of these images (n, channels, height, width).

    Args:
        folder: Where the training's own folder is made.
        name: Of that folder; where it is taken, a number is added.
        model: Shown as a text beside the curve.
        score: Its curve and how it ended.
        images: What it was trained on.
        suffix: The ending of the file's name.

    Returns:
        The training's folder.

    Raises:
        OSError: It can't be written.
    """
    from torch.utils.tensorboard import SummaryWriter

    part = folder / f"{_PART}{secrets.token_hex(4)}"
    part.mkdir()
    try:
        with SummaryWriter(part, filename_suffix=f".{suffix}" if suffix else "") as writer:
            writer.add_text("network", f"`{model}`: {score.ended}")
            for point in score.curve:
                writer.add_scalar("train/loss", point.train_loss, point.images)
                writer.add_scalar("train/error", point.train_error, point.images)
                if point.error is not None:
                    writer.add_scalar("validation/error", point.error, point.images)
            if images is not None and len(images):
                shown = images[:_MOST_IMAGES][:, : 3 if images.shape[1] >= 3 else 1]
                writer.add_images("training images", shown, 0)
        own = folder / _file_name(name)
        number = 1
        while own.exists():
            number += 1
            own = folder / f"{_file_name(name)}-{number}"
        return part.rename(own)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _file_name(text: str) -> str:
    return re.sub(r"[^\w=,.@+-]", "_", text).lstrip(".")[:150] or "network"
