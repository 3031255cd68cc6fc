"""The command that trains one network of a study alone: the same training, to the same bits on one CPU."""

import os
import shlex
from dataclasses import asdict, replace
from pathlib import Path

from regnetlab.execution.base import Setting
from regnetlab.spaces.template import TEMPLATES, Template
from regnetlab.training.budget import COMPLETE, Recipe, Score
from regnetlab.training.folders.decode import Reading, folder_of_pack, is_folder
from regnetlab.trials.job import Job, Trial


def replay_command(setting: Setting, job: Job) -> str:
    """``training_command`` on this machine, with folders named from the root: a line that works anywhere."""
    folder = setting.data_dir or os.environ.get("REGNETLAB_DATA")
    here = replace(job, data=_absolute(job.data))
    return training_command(
        here, setting.device, setting.kernels, str(Path(folder).absolute()) if folder else ""
    )


def training_command(job: Job, device: str = "auto", kernels: str = "auto", data_dir: str = "") -> str:
    """``regnetlab train`` with everything that decides this training's error; a line for a shell.

    Template, data and budget are always named, of the recipe what differs from the default one. The model and
    the seed come first, what all trainings of a protocol share after them.
    """
    budget = job.budget
    words = ["regnetlab", "train", job.model, "--seed", str(job.seed), *_template(job.template)]
    if folder_of_pack(job.data) is not None and "--input" not in words:
        words += ["--input", job.template.input]
    words += ["--data", job.data]
    words += ["--data-dir", data_dir] * bool(data_dir)
    if is_folder(job.data):
        words += ["--fit", job.reading.fit, "--background", job.reading.background]
        words += ["--skip-unreadable"] * job.reading.skip_unreadable
        words += ["--split", job.reading.split] * (job.reading.split != Reading().split)
        words += [f"--group-by={job.reading.group_by}"] * (job.reading.group_by is not None)
        words += ["--no-test-split"] * (not job.reading.test_split)
    for name in ("images", "epochs", "batch_size", "validation"):
        words += [_option(name), str(getattr(budget, name))]
    words += ["--time-limit", repr(budget.time_limit)]
    words += ["--keep-last"] * (not budget.drop_last)
    words += _recipe(job.recipe)
    words += ["--device", device] * (device != "auto")
    words += ["--kernels", kernels] * (kernels != "auto")
    return shlex.join(words)


def replay_of_failed(setting: Setting, job: Job, score: Score) -> str:
    """The command that trains it alone where it failed, else nothing."""
    return "" if score.ended == COMPLETE else replay_command(setting, job)


def failure_line(trial: Trial, replay: str) -> str:
    """Which network failed, how, and how to see it fail alone."""
    return f"{trial.job.space} {trial.job.index}: {trial.score.ended}. Alone: {replay}"


def _template(template: Template) -> list[str]:
    """Its name, and where a study changed it how; the data say the number of classes."""
    base = TEMPLATES[template.name]
    words = ["--template", base.name]
    if template.input != base.input:
        words += ["--input", template.input]
    if template.stem_width != base.stem_width:
        words += ["--stem-width", str(template.stem_width)]
    if template.stem_stride != base.stem_stride:
        words += ["--stem-stride", str(template.stem_stride)]
    if template.strides != base.strides:
        words += ["--strides", ",".join(map(str, template.strides))]
    if template.stem != base.stem:
        words += ["--stem", template.stem]
    if template.activation:
        words += ["--activation", template.activation]
    return words


def _recipe(recipe: Recipe) -> list[str]:
    usual = asdict(Recipe())
    words: list[str] = []
    for name, value in asdict(recipe).items():
        if value == usual[name]:
            continue
        if isinstance(value, bool):
            words.append(_option(name) if value else f"--no-{name}")
        else:
            words += [_option(name), str(value)]
    return words


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _absolute(data: str) -> str:
    """A folder that the data's name holds is named from the root, so that the command works anywhere."""
    kind, colon, path = data.partition(":")
    return f"{kind}:{Path(path).expanduser().absolute()}" if colon and path else data
