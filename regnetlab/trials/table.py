"""The table of trials: what every analysis takes, from a study's store or from files (``files``).

One row is one training. Columns and their types:

``name``, ``space`` (str), ``index`` (int64): which network; rows of one space and index are trainings of one.
``depths``, ``widths``, ``group_widths``, ``bottleneck_ratios``: tuples of numbers, a stage each, or ``None``.
``error`` (float64): top-1 error in percent on the validation split, NaN where a training earned none.
``flops``, ``params``, ``acts`` (float64): NaN where they are not known.
``ended`` (str): ``complete``, or the reason why there is no error.

The trainings of a study also have ``replicate``, ``seed`` (int64), ``images``, ``epochs``, ``batch_size``,
``seconds``, ``w0``, ``wa``, ``wm`` (float64, NaN outside of RegNet), ``curve`` (see ``tables``) and
``model`` (str, empty for networks of X blocks).
Other columns of a file are let through as texts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.errors import InputError
from regnetlab.files import write_atomically
from regnetlab.spaces.arrays import Floats, Ints, Mask
from regnetlab.spaces.blocks import block_named
from regnetlab.spaces.config import Config, parse_anynet
from regnetlab.spaces.population import STAGE_COLUMNS
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime
from regnetlab.spaces.space import DesignSpace
from regnetlab.spaces.template import Template
from regnetlab.training.budget import WORST, Score
from regnetlab.training.guessing import Guessing
from regnetlab.trials.csv_tables import TRIALS
from regnetlab.trials.foreign import INCOMPLETE
from regnetlab.trials.job import CHOSEN, Job
from regnetlab.trials.terms import Terms

NETWORK = ["space", "index"]
"""The columns that say which network a training is of."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Trainings and what they earned, as a table.

    ``frame`` has a row for each (columns: ``trials.table``). Of a study's, ``steps`` are the pairs of spaces
    that it compares and ``guess`` what guessing earns on the images that judge; ``template``, ``regime`` and
    ``ranges`` are where its networks were drawn, ``designs`` its spaces by name. ``planned`` networks of
    each space are to be trained, and ``extended`` are the spaces whose number changed after errors were
    known; ``terms`` are what the study states of its comparisons, ``began`` what it did before its first
    training. ``notes`` say how files were read.
    """

    frame: pd.DataFrame
    steps: tuple[tuple[str, str], ...] = ()
    guess: Guessing | None = None
    notes: tuple[str, ...] = ()
    template: Template | None = None
    regime: Regime | None = None
    ranges: Ranges | None = None
    planned: Mapping[str, int] = field(default_factory=dict)
    extended: frozenset[str] = frozenset()
    terms: Terms | None = None
    began: Terms | None = None
    designs: Mapping[str, DesignSpace] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        found = networks_of(self.frame)
        spaces = ", ".join(f"{space} {(found['space'] == space).sum()}" for space in self.spaces)
        trainings = f"{len(self.frame):,} training{'s' * (len(self.frame) != 1)}"
        return f"Trials({trainings} of {len(found):,} network{'s' * (len(found) != 1)}: {spaces})"

    def _repr_html_(self) -> str:
        columns = ["space", "index", "depths", "widths", "flops", "error", "ended"]
        return str(self.frame[columns].to_html(max_rows=10, notebook=True, show_dimensions=True))

    @property
    def spaces(self) -> list[str]:
        """The spaces, in the order in which they first appear."""
        return spaces_of(self.frame)

    def to_pandas(self) -> pd.DataFrame:
        """A copy of the table."""
        return self.frame.copy()

    def to_csv(self, path: str | Path | None = None) -> str:
        """The trainings as trials.csv has them, sorted by space, index and replicate; also into ``path``."""
        ordered = self.frame.sort_values(["space", "index", "replicate"], kind="stable")
        text = TRIALS.csv(ordered.assign(id=ordered["name"]))
        if path is not None:
            write_atomically(Path(path), text)
        return text


def as_trials(value: object) -> Trials:
    """The value where it is trials; raises ``InputError`` that says how to get some otherwise."""
    if isinstance(value, Trials):
        return value
    hint = (
        "give study.trials" if hasattr(value, "trials") else "give what train, read or study.trials returns"
    )
    raise InputError(f"trials is {repr(value)[:60]}", hint)


def trials_of(jobs: Iterable[Job], scores: Mapping[str, Score]) -> Trials:
    """The finished trainings of populations among these jobs, in their order."""
    done = [(job, scores[job.identity]) for job in jobs if job.identity in scores and job.space not in CHOSEN]
    laws = [dict(job.law) for job, _ in done]
    columns: dict[str, list[Any]] = {
        "name": [job.model if job.config is None else job.config.id for job, _ in done],
        **{name: [getattr(job, name) for job, _ in done] for name in ("space", "index", "replicate")},
        **{name: [getattr(job.config, name, None) for job, _ in done] for name in STAGE_COLUMNS},
        "error": [score.error for _, score in done],
        **{name: [getattr(job, name) for job, _ in done] for name in ("flops", "params", "acts")},
        "ended": [score.ended for _, score in done],
        "seed": [job.seed for job, _ in done],
        "images": [score.images for _, score in done],
        "epochs": [job.budget.epochs for job, _ in done],
        "batch_size": [job.budget.batch_size for job, _ in done],
        "seconds": [round(score.seconds, 2) for _, score in done],
        **{name: [law.get(name) for law in laws] for name in ("w0", "wa", "wm")},
        "curve": [score.curve for _, score in done],
        "model": [model_cell(job) for job, _ in done],
    }
    dtypes = {"name": "str"} | {name: column.dtype for name, column in TRIALS.columns.items()}
    return Trials(
        pd.DataFrame({name: pd.Series(values, dtype=dtypes[name]) for name, values in columns.items()})
    )


def model_cell(job: Job) -> str:
    """The network's notation where its depths, widths, groups and ratios do not say all; else empty."""
    return "" if job.config is None or job.config.is_x else job.config.text


def own_parameters(networks: pd.DataFrame) -> dict[str, list[tuple[int, ...] | None]]:
    """By name the own parameters of the networks' blocks, a value a stage; ``None`` where one has none."""
    texts = networks["model"].tolist() if "model" in networks else []
    known = [dict(_parsed(text).own) if _says_block(text) else {} for text in texts]
    names = dict.fromkeys(name for own in known for name in own)
    return {name: [own.get(name) for own in known] for name in names}


def has_letter(networks: pd.DataFrame, letter: str) -> Mask:
    """Which networks are of a block that has g, or b."""
    texts = networks["model"].tolist() if "model" in networks else [""] * len(networks)
    names = [_parsed(text).block if _says_block(text) else "x" for text in texts]
    return np.array([letter in block_named(name).uses for name in names], np.bool_)


def _says_block(text: object) -> bool:
    return isinstance(text, str) and text.startswith("anynet:") and "block=" in text


@lru_cache(maxsize=2**14)
def _parsed(text: str) -> Config:
    return parse_anynet(text)


def own_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame of a file that ``Trials.to_csv`` wrote, its texts as the types that they were."""
    try:
        typed = {
            name: pd.Series(map(column.read, frame[name]), index=frame.index, dtype=column.dtype)
            for name, column in TRIALS.columns.items()
            if name in ("replicate", "seed", "images", "epochs", "batch_size", "seconds", "w0", "wa", "wm")
        }
    except (TypeError, ValueError):  # edited by hand; analyses that need the numbers look again
        return frame
    return frame.assign(**typed).drop(columns="id")


def with_widths(networks: pd.DataFrame) -> pd.DataFrame:
    """These networks without the failed ones that stopped before their depths and widths were known.

    Raises ``InputError`` where one with an error has none.
    """
    known = networks["widths"].map(lambda widths: isinstance(widths, tuple))
    if not known.any() or networks.loc[~known, "error"].notna().any():
        raise InputError("a width law needs the depths and widths of every network", "these have errors only")
    return networks if known.all() else networks[known].reset_index(drop=True)


def counted(networks: pd.DataFrame) -> pd.DataFrame:
    """The trainings that a population is judged by: as many of every network as the one with the fewest
    has, its first. So errors of networks with one seed and with several are never mixed."""
    if not networks.duplicated(NETWORK).any():
        return networks
    seeds = networks.groupby(NETWORK, sort=False)["error"]
    return networks[seeds.cumcount() < seeds.size().min()]


def incomplete(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks of which every training was stopped before its end; they have not failed."""
    stopped = networks[_stopped(networks)].drop_duplicates(NETWORK)
    keys = [pd.MultiIndex.from_frame(each[NETWORK]) for each in (stopped, judged(networks))]
    return stopped[~keys[0].isin(keys[1])]


def judged(networks: pd.DataFrame) -> pd.DataFrame:
    """A row for each network of which a training came to its end, with its mean error over seeds.

    A seed that failed counts as the worst error, so a network is not judged by its better half. ``failed``
    tells whether one did, ``earned`` whether one did not. What else a row has is of the first seed with an
    error.
    """
    rows = counted(networks)
    lost = rows["error"].isna()
    rows = rows.assign(error=rows["error"].fillna(WORST), failed=lost, earned=~lost)[~_stopped(rows)]
    if rows.duplicated(NETWORK).any():
        groups = rows.groupby(NETWORK, sort=False)
        facts = {name: groups[name].any() for name in ("failed", "earned")}
        facts["error"] = groups["error"].mean()
        firsts = rows.sort_values("earned", ascending=False, kind="stable").drop_duplicates(NETWORK)
        rows = firsts.set_index(NETWORK).loc[facts["error"].index].assign(**facts).reset_index()
    return rows.reset_index(drop=True)


def complete(networks: pd.DataFrame) -> pd.DataFrame:
    """The networks that earned an error, as they are ``judged``."""
    found = judged(networks)
    return found[found["earned"]].drop(columns=["failed", "earned"]).reset_index(drop=True)


def _stopped(trainings: pd.DataFrame) -> "pd.Series[bool]":
    """Which trainings were stopped before their end, so that they have no error."""
    return trainings["error"].isna() & trainings["ended"].astype(str).str.startswith(INCOMPLETE)


def networks_of(networks: pd.DataFrame) -> pd.DataFrame:
    """One row for each network; those without an error too."""
    return networks.drop_duplicates(NETWORK)


def spaces_of(networks: pd.DataFrame) -> list[str]:
    """The spaces, in the order in which they first appear."""
    return list(dict.fromkeys(networks["space"].tolist()))


def errors_of(networks: pd.DataFrame, space: str) -> Floats:
    """The errors of a space's networks, shape (n,)."""
    return networks.loc[networks["space"] == space, "error"].to_numpy(np.float64)


def by_stages(networks: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[Ints, list[Floats]]]:
    """For every number of stages: the places of its networks, and each column as an array (n, stages).

    Networks of which one of the columns is not known are left out.
    """
    lists = [networks[column].tolist() for column in columns]
    stages = np.array([len(row[0]) if all(row) else 0 for row in zip(*lists, strict=True)], np.int64)
    for count in np.unique(stages[stages > 0]):
        places = np.flatnonzero(stages == count)
        yield places, [np.array([values[i] for i in places], np.float64) for values in lists]


def records(networks: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries by column."""
    return [{str(key): value for key, value in row.items()} for row in networks.to_dict("records")]
