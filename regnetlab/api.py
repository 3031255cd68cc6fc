"""The Python interface: what ``import regnetlab as rl`` offers, and nothing else is promised to stay.

Every function stands for a command and takes the same words; what it returns is a table or a result with
``to_pandas()``, and most results have ``plot()``. Bad input raises ``InputError``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from regnetlab.arguments import (
    COUNT,
    FLAG,
    NUMBER,
    PAIRS,
    PATH,
    RANGE,
    TABLE,
    TEXT,
    TEXT_OR_PATH,
    VALUES,
    WHOLE,
    WHOLES,
    WINDOW,
    takes,
)
from regnetlab.errors import InputError, unknown
from regnetlab.spaces.config import Number
from regnetlab.spaces.ranges import PAPER_RANGES
from regnetlab.spaces.regime import Regime, parse_window
from regnetlab.spaces.sampler import sample as draw
from regnetlab.spaces.space import SPACES, space_named
from regnetlab.spaces.template import Template, template_named
from regnetlab.trials.networks import Network, Networks

if TYPE_CHECKING:
    import pandas as pd

    from regnetlab.analysis.baselines import BaselineComparison
    from regnetlab.analysis.compare import SpaceComparison
    from regnetlab.analysis.width_law import WidthLaw
    from regnetlab.study.plan import Plan
    from regnetlab.study.session import Options, Prepared
    from regnetlab.training.packs.datasets import Indexed
    from regnetlab.training.predicting import TrainedNetwork
    from regnetlab.trials.error_units import ErrorUnit
    from regnetlab.trials.job import Job
    from regnetlab.trials.table import Trials
    from regnetlab.trials.terms import Matching, Statistic


@takes(
    space=TEXT,
    n=WHOLE,
    flops=WINDOW,
    params=WINDOW,
    acts=WINDOW,
    seed=WHOLE,
    input=TEXT,
    classes=COUNT,
    depth=RANGE,
    width=RANGE,
    group_width=VALUES,
    bottleneck_ratio=VALUES,
    block=TEXT,
    stages=WHOLES,
    parameters=TABLE,
)
def sample(
    space: str,
    n: int,
    *,
    flops: str | None = None,
    params: str | None = None,
    acts: str | None = None,
    template: str | Template = "paper",
    input: str | None = None,
    classes: int | None = None,
    seed: int = 0,
    depth: tuple[int, int] | None = None,
    width: tuple[int, int] | None = None,
    group_width: Sequence[int] | None = None,
    bottleneck_ratio: Sequence[Number] | None = None,
    block: str = "x",
    stages: Sequence[int] = (),
    parameters: Mapping[str, Sequence[int]] | None = None,
) -> Networks:
    """Draw the first ``n`` different networks of a space.

    Args:
        space: AnyNetA to AnyNetE, RegNet, or the name of an installed space.
        n: How many; the first of a larger sample are those of a smaller one.
        flops: Window of multiply-adds that they lie in, as in ``"300M:400M"``; either end may be open.
        params: Window of parameters, likewise.
        acts: Window of activations, likewise.
        template: ``paper`` (3x224x224), ``small`` (1x28x28), or a ``Template``.
        input: Another input than the template's, as ``CxHxW``.
        classes: Another number of classes.
        seed: Of the draw; the same seed gives the same networks anywhere.
        depth: Least and most blocks of a stage, in place of the paper's 1 to 16.
        width: Least and most channels of a stage, in place of 8 to 1,024.
        group_width: The group widths to draw from.
        bottleneck_ratio: The bottleneck ratios to draw from.
        block: What the stages are made of: ``x``, ``y``, ``r``, ``v``, ``vr``, ``basic``, ``mbconv``,
            ``convnext``, or an installed package's (``custom_block``).
        stages: Numbers of stages, networks of each in turn; by default the template's.
        parameters: The values to draw the block's own parameters from, as in ``{"k": [3, 5]}``.

    Returns:
        The networks and their counts. Nothing of torch is imported until one is built.

    Raises:
        InputError: The space is not known, or has not that many networks in the windows.
    """
    shape = _template(template).changed(input, classes)
    made = space_named(space).made_of(block, parameters or {}, stages)
    made.check_letters(group_width, bottleneck_ratio)
    ranges = made.within(PAPER_RANGES).ranges.changed(
        depth=depth,
        width=width,
        group_width=None if group_width is None else tuple(group_width),
        bottleneck_ratio=None if bottleneck_ratio is None else tuple(bottleneck_ratio),
    )
    drawn = draw(replace(made, ranges=ranges), n, shape, _regime(flops, params, acts), seed)
    return Networks(made.name, shape, drawn.population, drawn.complexity)


@takes(text=TEXT, input=TEXT, classes=COUNT)
def model(
    text: str, *, template: str | Template | None = None, input: str | None = None, classes: int | None = None
) -> Network:
    """The network that a text means: ``resnet18``, ``resnet18@1MF``, ``regnetx_400mf``, ``anynet:…``.

    Args:
        text: As MODEL of the commands.
        template: Where it is built; by default what it was made for (3x224x224 and 1,000 classes).
        input: Another input as ``CxHxW``.
        classes: Another number of classes.

    Raises:
        InputError: There is no such network, or it needs a larger input.
    """
    from regnetlab.models.forms import settled  # torch
    from regnetlab.models.registry import find_model
    from regnetlab.models.summary import summarise

    found = find_model(text)
    shape = (found.template if template is None else _template(template)).changed(input, classes)
    found = settled(found, shape)
    counts = summarise(found, shape)
    return Network(found.text, shape, counts.flops, counts.params, counts.acts, found.config)


def summary(network: str | Network) -> "pd.DataFrame":
    """The layers of a network, in the order in which they run.

    Args:
        network: A network, or a text that ``model`` takes.

    Returns:
        A row a layer: name, type, output shape without the batch, params, flops and acts.

    Raises:
        InputError: As ``model``.
    """
    import pandas as pd

    from regnetlab.models.registry import find_model
    from regnetlab.models.summary import Layer, summarise

    chosen = model(network) if isinstance(network, str) else network
    layers = summarise(find_model(chosen.text), chosen.template).layers
    names = [each.name for each in fields(Layer) if each.name not in ("receptive_field", "part")]
    return pd.DataFrame([{name: getattr(layer, name) for name in names} for layer in layers])


@takes(
    data=TEXT,
    images=COUNT,
    epochs=COUNT,
    batch_size=COUNT,
    validation=COUNT,
    seeds=COUNT,
    seed=WHOLE,
    recipe=TABLE,
    store=PATH,
    workers=COUNT,
    device=TEXT,
    kernels=TEXT,
    data_dir=PATH,
    progress=FLAG,
)
def train(
    networks: Networks | Network | str | Iterable[Network | str],
    *,
    data: str = "fashion-mnist",
    images: int | None = None,
    epochs: int = 1,
    batch_size: int = 64,
    validation: int = 5_000,
    seeds: int = 1,
    seed: int = 0,
    recipe: Mapping[str, Any] | None = None,
    store: str | Path | None = None,
    template: str | Template | None = None,
    workers: int | None = None,
    device: str = "auto",
    kernels: str = "auto",
    data_dir: str | Path | None = None,
    progress: bool = True,
) -> "Trials":
    """Train each network for a short budget and keep what it earned.

    Args:
        networks: From ``sample``, ``model`` or ``WidthLaw.derive``, or texts that ``model`` takes.
        data: ``fashion-mnist``, another published set, or ``folder:PATH``.
        images: Training images that every network may see; 6,400 by default, or all where there are fewer.
        epochs: How often each image is seen.
        batch_size: Images of a step.
        validation: Images of the validation split that judge.
        seeds: Trainings of each network.
        seed: What training seeds derive from.
        recipe: Fields of the recipe that differ from the default, as in ``{"lr": 0.2}``.
        store: A file that keeps finished trainings: what it has is not trained again, and a call that was
            interrupted goes on. Without one nothing is kept.
        template: For networks given as texts; by default ``small``.
        workers: Trainings at once; one per core or GPU.
        device: ``auto``, ``cpu`` or ``cuda``.
        kernels: What computes on a CPU: ``auto``, ``native`` or ``torch``.
        data_dir: Where the data are.
        progress: Show a bar.

    Returns:
        A row a training, in the order of the networks.

    Raises:
        InputError: A network does not fit the data, or the store was trained on another device.
        KeyboardInterrupt: After Ctrl-C, once the trainings in flight are kept.
    """
    from regnetlab.study.plan import Plan, Running
    from regnetlab.study.session import Options, open_session
    from regnetlab.training.budget import Budget, Recipe
    from regnetlab.trials.table import Trials, trials_of

    chosen = _chosen(networks, "small" if template is None else template)
    if not chosen:
        raise InputError("there is no network to train", "give at least one")
    budget = Budget(epochs=epochs, batch_size=batch_size, validation=validation)
    with TemporaryDirectory(prefix="regnetlab-") as folder:
        path = Path(folder, "trials.db") if store is None else Path(store).absolute()
        plan = Plan(
            name=path.stem,
            folder=path.parent,
            template=chosen[0][1].template,
            data=data,
            seed=seed,
            regime=Regime(),
            budget=budget if images is None else replace(budget, images=images),
            seeds=seeds,
            recipe=_recipe(Recipe(), recipe or {}),
            draws=(),
            derived=0,
            running=Running(storage=str(path)),
            images_stated=images is not None,
            adhoc=True,
        )
        where = None if data_dir is None else Path(data_dir)
        options = Options("local", workers, device, where, kernels)
        prepared = _prepared(plan, options)
        jobs = _jobs(prepared.plan, chosen)
        with open_session(prepared, options, _bar(len(jobs), progress)) as session:
            session.observer.on_begin(jobs, session.scores())
            session.train(jobs)
            scores = session.scores()
            stopped = session.stop.is_set()
    if stopped:
        raise KeyboardInterrupt("stopped; the same call goes on")
    found: Trials = trials_of(jobs, scores)
    guess = prepared.data.guessing(prepared.plan.budget.validation)
    return replace(found, guess=guess, template=chosen[0][1].template)


@dataclass(frozen=True)
class Study:
    """A study of ``studies/`` or of a folder: what its file says, and what it has earned.

    ``plan`` is the file with all defaults filled in; ``margin`` the points of error that still count as no
    worse.
    """

    plan: "Plan"

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def margin(self) -> float:
        from regnetlab.study.results import stated_terms

        return stated_terms(self.plan).margin

    @cached_property
    def trials(self) -> "Trials":
        """The trainings of its populations and derived RegNets."""
        from regnetlab.study.results import study_trials

        return study_trials(self.plan)

    def baselines(self) -> "BaselineComparison":
        """Its RegNets beside the hand-designed networks of [baselines]; empty before they are tuned."""
        _load_figures()
        from regnetlab.study.results import compared_with_baselines

        return compared_with_baselines(self.plan)

    def __repr__(self) -> str:
        spaces = ", ".join(f"{draw.space.name} {draw.n}" for draw in self.plan.draws)
        return f"Study({self.name!r} on {self.plan.data}: {spaces})"


@takes(study=TEXT_OR_PATH)
def load(study: str | Path) -> Study:
    """Load a study.

    Args:
        study: Its name under ``studies/``, its folder or its study.toml.

    Returns:
        What its file says and what it has earned; nothing is trained.

    Raises:
        InputError: There is no such study, or its file has a mistake.
    """
    from regnetlab.study.plan_file import find_study, load_plan

    return Study(load_plan(find_study(str(study))))


@takes(file=TEXT_OR_PATH, network=TEXT)
def load_network(file: str | Path, network: str | None = None) -> "TrainedNetwork":
    """A trained network, ready to predict: ``load_network("family/medium").predict("x.png")``.

    Args:
        file: A network's folder, a family of such folders, or a file that ``regnetlab train --save`` wrote.
        network: Which one of a family; by default the one that the family recommends.

    Returns:
        The network with its classes and its way of reading images. ``predict`` takes files and folders,
        ``logits`` and ``probabilities`` an array of images.

    Raises:
        InputError: It is not there or damaged, its weights were changed, or it does not say how to use it.
    """
    from regnetlab.training.predicting import load_network as load

    return load(file, network)


@takes(folder=TEXT_OR_PATH, size=WHOLE, channels=WHOLE, store=TEXT)
def pack(
    train: "Indexed",
    folder: str | Path,
    *,
    validation: "Indexed | None" = None,
    test: "Indexed | None" = None,
    classes: Sequence[str] = (),
    size: int = 256,
    channels: int | None = None,
    store: str = "raw",
) -> str:
    """Any map-style data set as data for studies: ``train(model, data=pack(dataset, "packs/birds"))``.

    Images are decoded once into files that all trainings share, so they may be more than memory holds.

    Args:
        train: Pairs of an image (Pillow's, or uint8 of shape (h, w), (h, w, 3) or (3, h, w)) and a label, by
            number from 0 on, as torch's data sets have them.
        folder: Of the pack, a new one.
        validation: Likewise; without it, a sixth of ``train``, always the same.
        test: Likewise; an empty one for no test split.
        classes: Names by label; by default ``train.classes``, or the labels themselves.
        size: Pixels that the short side of larger images is brought to, 8 to 4,096.
        channels: 1 (grey) or 3; by default 1 where the first images have no colours.
        store: How images are kept: ``raw``, or ``jpeg`` in about a ninth of the room.

    Returns:
        The name of the data, pack:FOLDER.

    Raises:
        InputError: An item is no such pair, there are too few, or a file can't be written.
    """
    from regnetlab.training.packs.datasets import pack_indexed

    pack_indexed(Path(folder).expanduser(), train, validation, test, classes, size, channels, store)
    return f"pack:{folder}"


@takes(files=PATH, errors=TEXT)
def read(*files: str | Path, errors: "ErrorUnit | None" = None) -> "Trials":
    """Networks and their errors from files: CSV, a pycls or nds sweep, an Optuna study (docs/exchange.md).

    Args:
        files: One or more; several are one space each where they name none.
        errors: What the errors are where the files don't say it: ``percent``, ``fraction``, ``accuracy``
            (in percent) or ``accuracy-fraction``.

    Raises:
        InputError: Names the file and the line of a mistake.
    """
    from regnetlab.trials.files import read_trials

    if not files:
        raise InputError("no file is named", "give one or more")
    return read_trials([Path(file) for file in files], errors)


@takes(margin=NUMBER, statistic=TEXT, matched=TEXT, pairs=PAIRS)
def compare(
    trials: "Trials",
    *,
    margin: float | None = None,
    statistic: "Statistic | None" = None,
    matched: "Matching | None" = None,
    pairs: Sequence[tuple[str, str]] = (),
) -> "SpaceComparison":
    """Compare the errors of spaces, step by step, with verdicts that hold together.

    Args:
        trials: Trainings of at least two spaces.
        margin: Percentage points of error by which a space may be worse and still count as no worse. Of a
            study it is what its file states, as are the next two; 1 by default.
        statistic: What verdicts are on: ``median`` (by default), ``q05``, ``mean`` or ``area``.
        matched: The one comparison at equal complexity that has a verdict too: ``flops``, ``params``,
            ``acts``, ``depth``, or ``none`` by default.
        pairs: Names (a, b) of spaces to compare; by default the steps of the study, else each space with the
            one before it.

    Returns:
        A verdict and an interval for every step: ``to_pandas()``, ``remarks()``, ``plot()``.

    Raises:
        InputError: The margin, the statistic, the matching or a space can't be, or the study's were changed
            after its first training.
    """
    _load_figures()
    from regnetlab.analysis.compare import compare as compared
    from regnetlab.trials.table import as_trials
    from regnetlab.trials.terms import Terms, unchanged

    known = as_trials(trials)
    given = {"margin": margin, "statistic": statistic, "matched": matched}
    own: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    terms = unchanged(known.terms or Terms(), known.began, own)
    found = compared(known, replace(terms, **own), pairs, known.terms)
    if not found.steps:
        names = ", ".join(each.space for each in found.spaces) or "none"
        raise InputError(f"there are errors of {names} alone", "a comparison needs two spaces")
    return found


@takes(law=TEXT)
def fit_law(trials: "Trials", *, law: Literal["log-linear", "quantized"] = "log-linear") -> "WidthLaw":
    """Fit the width law to networks, and find the growth of least error in spaces that leave widths free.

    Args:
        trials: Networks with depths and widths; with errors where the growth of good widths is asked for.
        law: The notation of each network's own fit.

    Returns:
        The law: ``to_pandas()``, ``remarks()``, ``plot()``, and ``derive(n)`` for RegNets where
        it claims that good widths grow. Where there is none, ``reason`` says why.
    """
    _load_figures()
    from regnetlab.analysis.width_law import NOTATIONS
    from regnetlab.analysis.width_law import fit_law as fitted
    from regnetlab.trials.table import as_trials

    if law not in NOTATIONS:
        raise unknown("law", law, NOTATIONS)
    return fitted(as_trials(trials), law)


def _load_figures() -> None:
    """Register the figures that ``plot()`` of a result draws with."""
    import_module("regnetlab.report.figures")


def _template(template: str | Template) -> Template:
    if not isinstance(template, str | Template):
        raise InputError(
            f"template is {repr(template)[:60]}",
            "give paper, small, or a Template; input and classes change it",
        )
    return template_named(template) if isinstance(template, str) else template


def _regime(flops: str | None, params: str | None, acts: str | None) -> Regime:
    texts = {"flops": flops, "params": params, "acts": acts}
    windows: dict[str, Any] = {
        name: parse_window(name, text) for name, text in texts.items() if text is not None
    }
    return Regime(**windows)


def _recipe(usual: Any, given: Mapping[str, Any]) -> Any:
    known = [each.name for each in fields(usual)]
    for name in given:
        if name not in known:
            raise unknown("recipe: key", name, known)
    return replace(usual, **given)


def _chosen(
    networks: Networks | Network | str | Iterable[Network | str], template: str | Template
) -> list[tuple[str, Network]]:
    """Each network with the name of its space."""
    if isinstance(networks, Networks):
        return [(networks.space, each) for each in networks]
    wrong = InputError(
        f"networks is {repr(networks)[:60]}",
        "give what sample or model returns, or texts such as resnet18@1MF",
    )
    if not isinstance(networks, str | Iterable | Network):
        raise wrong
    listed = [networks] if isinstance(networks, Network | str) else list(networks)
    for each in listed:
        if not isinstance(each, Network | str):
            raise wrong
        if each in SPACES:
            raise InputError(f"{each} is a space", f"draw networks from it: rl.sample({each!r}, n=8)")
    return [
        ("networks", model(each, template=template) if isinstance(each, str) else each) for each in listed
    ]


def _prepared(plan: "Plan", options: "Options") -> "Prepared":
    from regnetlab.study.session import prepare

    try:
        return prepare(plan, options)
    except InputError as error:
        if "template = {" in error.hint:  # of a study file; here networks are drawn for the data
            shape = error.hint.partition("{")[2].partition("}")[0].strip()
            raise InputError(error.what, f"draw or name networks for them: rl.sample(…, {shape})") from None
        raise


def _jobs(plan: "Plan", chosen: Sequence[tuple[str, Network]]) -> "list[Job]":
    from regnetlab.trials.job import training_seed

    return [
        replace(
            plan.job(network.text, training_seed(plan.seed, network.text, replicate)),
            template=network.template,
            space=space,
            index=index,
            replicate=replicate,
            flops=network.flops,
            params=network.params,
            acts=network.acts,
            config=network.config,
        )
        for index, (space, network) in enumerate(chosen)
        for replicate in range(plan.seeds)
    ]


def _bar(total: int, shown: bool) -> Any:
    from regnetlab.study.observer import Observer
    from regnetlab.trials.job import Trial

    if not shown:
        return Observer()
    from tqdm.auto import tqdm

    class Bar(Observer):
        """A progress bar, of the notebook where this is one."""

        def on_begin(self, jobs: Sequence["Job"], scores: Mapping[str, Any], later: int = 0) -> None:
            self.bar = tqdm(total=total, unit="training")
            self._update(sum(job.identity in scores for job in jobs))

        def on_finish(self, trial: Trial, replay: str) -> None:
            self._update(1)

        def on_note(self, text: str) -> None:
            self.bar.write(text)

        def _update(self, n: int) -> None:
            self.bar.update(n)
            if self.bar.n >= total:
                self.bar.close()

    return Bar()
