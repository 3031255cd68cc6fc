"""Searches against random search at equal cost: the best so far after k trainings, and what k draws give.

A search never becomes a population: what it trained was chosen, so its errors say nothing of its space.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.analysis.guessing import guessed
from regnetlab.analysis.result import Result
from regnetlab.analysis.statistics.pareto import pareto_front
from regnetlab.analysis.statistics.random_search import AtRandom, best_at_random
from regnetlab.plain import plural
from regnetlab.spaces.arrays import Floats
from regnetlab.spaces.config import Config
from regnetlab.spaces.population import STAGE_COLUMNS
from regnetlab.spaces.regime import format_count
from regnetlab.training.budget import WORST, Budget
from regnetlab.training.guessing import Guessing
from regnetlab.trials.table import Trials

SAMPLERS = {"random": "random sampler", "tpe": "TPE", "nsga2": "NSGA-II"}


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One search: its trainings in the order of their proposals; an error is NaN where one failed."""

    space: str
    sampler: str
    seed: int
    batch: int
    protocol: str
    budget: Budget
    models: tuple[str, ...]
    errors: Floats
    flops: Floats
    params: Floats
    acts: Floats
    seconds: Floats

    def __len__(self) -> int:
        return len(self.errors)

    @property
    def failed(self) -> int:
        return int(np.isnan(self.errors).sum())

    @property
    def best_so_far(self) -> Floats:
        """The least error of the first k trainings for each k, NaN while all failed; shape (n,)."""
        return np.asarray(np.fmin.accumulate(self.errors), np.float64)

    @property
    def best(self) -> int | None:
        """The place of the least error; of equal ones the first."""
        return None if np.isnan(self.errors).all() else int(np.nanargmin(self.errors))

    @property
    def front(self) -> list[int]:
        """Places of the networks that no other of the search beats in error and flops at once, by flops."""
        done = np.flatnonzero(~np.isnan(self.errors))
        return [int(done[i]) for i in pareto_front(self.flops[done], self.errors[done])]

    @property
    def label(self) -> str:
        """The sampler and its seed."""
        return f"{SAMPLERS[self.sampler]} (seed {self.seed})"

    def first(self, n: int) -> "Trajectory":
        columns = (self.errors, self.flops, self.params, self.acts, self.seconds)
        facts = (self.space, self.sampler, self.seed, self.batch, self.protocol, self.budget)
        return Trajectory(*facts, self.models[:n], *(column[:n] for column in columns))


@dataclass(frozen=True, repr=False)
class SearchResult(Result):
    """A search beside random search in its space, at equal cost.

    ``population`` holds the errors of the space's networks drawn at random, one training each, failed ones at
    the worst; it may be empty. ``at_random`` is what the best of as many of them is, as far as they go.
    """

    search: Trajectory
    population: Floats
    at_random: AtRandom | None
    guess: Guessing | None = None

    def __repr__(self) -> str:
        best = self.search.best
        found = "no error" if best is None else f"best {self.search.errors[best]:.2f}%"
        return (
            f"SearchResult({self.search.label} in {self.search.space}, {len(self.search)} trainings: {found})"
        )

    @property
    def best_at_equal_cost(self) -> float:
        """The least error of as many trainings as ``at_random`` has; NaN where all failed."""
        k = len(self.search) if self.at_random is None else self.at_random.k
        return float(self.search.best_so_far[k - 1]) if k else np.nan

    @property
    def guessing(self) -> dict[str, Any]:
        """What guessing earns, and whether the best is not clearly better."""
        search = self.search
        best = [] if search.best is None else [float(search.errors[search.best])]
        return guessed(self.guess, {f"the best of {len(search)}": best}, max(len(search), 1))

    def remarks(self) -> list[str]:
        """The best of the search beside random search; what network it is, and what else is to know."""
        search, best = self.search, self.search.best
        where = f"{search.label} in {search.space}"
        if best is None:
            every = "its one training" if len(search) == 1 else f"all {len(search)} trainings"
            return [f"{where}: {every} failed."]
        if self.at_random is None:
            first = (
                f"{where}: the best of {plural(len(search), 'training')} has {search.errors[best]:.2f}%;"
                " there is no population of that space to compare it with."
            )
        else:
            k, least = self.at_random.k, self.best_at_equal_cost
            has = "all failed" if np.isnan(least) else f"the best of {plural(k, 'training')} has {least:.2f}%"
            first = f"{where}: {has}; of {k} drawn at random, {self.at_random.text}"
        remarks = [
            first,
            f"best of all {len(search)}, and so a little lucky: {search.models[best]},"
            f" {search.errors[best]:.2f}%, {_count(search.flops[best])} flops, found by training {best + 1}",
        ]
        if search.failed:
            remarks.append(f"{search.failed} of the {len(search)} trainings failed; they count as trained")
        if search.sampler == "nsga2":
            front = ", ".join(f"{search.errors[i]:.2f}% at {_count(search.flops[i])}" for i in search.front)
            remarks.append(f"least error by flops: {front}")
        return remarks

    def to_pandas(self) -> pd.DataFrame:
        """A row for each training, and the best so far."""
        columns = ("errors", "best_so_far", "flops", "params", "acts", "seconds")
        return pd.DataFrame({"model": self.search.models} | {n: getattr(self.search, n) for n in columns})

    def to_json(self) -> dict[str, Any]:
        """The document of ``search``, but for the study's name."""
        search = self.search
        document: dict[str, Any] = {
            "space": search.space,
            "sampler": search.sampler,
            "seed": search.seed,
            "batch": search.batch,
            "trials": len(search),
            "complete": len(search) - search.failed,
            "failed": search.failed,
            "best": None if search.best is None else _network(search, search.best),
            **self.guessing,
        }
        if search.sampler == "nsga2":
            document["front"] = [_network(search, place) for place in search.front]
        chance, least = self.at_random, self.best_at_equal_cost
        document["random"] = chance and {
            "population": chance.n,
            "k": chance.k,
            "expected": chance.expected,
            "interval": [chance.low, chance.high],
            "search": None if np.isnan(least) else least,
            "as_good": chance.as_good,
            "as_bad": chance.as_bad,
        }
        return document


def trajectories(trainings: pd.DataFrame) -> Iterator[Trajectory]:
    """The searches in a table (``trials.csv_tables.SEARCHES``), in the order in which they come."""
    keys = ["space", "sampler", "search_seed", "batch", "protocol"]
    for _, rows in trainings.groupby(keys, sort=False):
        ordered = rows.sort_values("number")
        numbers = ordered["number"].to_numpy()
        # What a killed search trained beyond a gap is for its next run.
        whole = ordered[np.cumprod(numbers == np.arange(len(numbers))).astype(bool)]
        first = ordered.iloc[0]
        yield Trajectory(
            *(
                first["space"],
                first["sampler"],
                int(first["search_seed"]),
                int(first["batch"]),
                first["protocol"],
            ),
            Budget(int(first["images"]), int(first["epochs"]), int(first["batch_size"])),
            tuple(
                Config(*stages).text
                for stages in zip(
                    *(whole[name] for name in STAGE_COLUMNS),
                    strict=True,
                )
            ),
            *(whole[name].to_numpy(np.float64) for name in ("error", "flops", "params", "acts", "seconds")),
        )


def against_random(
    search: Trajectory, trials: Trials | None = None, guess: Guessing | None = None
) -> SearchResult:
    """Set a search beside random search in the trials of its space that cost what its trainings do.

    Args:
        search: Its trainings.
        trials: Of populations, if there are any; those of another budget are left out, for a trials.csv may
            be older than its study file.
        guess: What guessing earns.
    """
    population = np.empty(0) if trials is None else _population(search, trials.frame)
    k = min(len(search), len(population))
    found = None
    if k:
        least = search.best_so_far[k - 1]
        found = best_at_random(population, k, WORST if np.isnan(least) else float(least))
    return SearchResult(search, population, found, guess)


def _population(search: Trajectory, networks: pd.DataFrame) -> Floats:
    """The errors of the search's space as one training of each network knows them, failures at the worst."""
    needed = ("replicate", "images", "epochs", "batch_size")
    if any(name not in networks for name in needed):
        return np.empty(0)
    replicate, images, epochs, batch = (pd.to_numeric(networks[name], errors="coerce") for name in needed)
    budget = search.budget
    alike = (networks["space"] == search.space) & (replicate == 0)
    alike &= (epochs == budget.epochs) & (batch == budget.batch_size)
    seen = budget.steps * min(budget.images, budget.batch_size)
    alike &= (images == seen) | networks["error"].isna()
    errors = networks.loc[alike, "error"].to_numpy(np.float64)
    return np.where(np.isnan(errors), WORST, errors) if np.isfinite(errors).any() else np.empty(0)


def _network(search: Trajectory, place: int) -> dict[str, Any]:
    return {
        "number": place,
        "model": search.models[place],
        "error": float(search.errors[place]),
        **{name: int(getattr(search, name)[place]) for name in ("flops", "params", "acts")},
    }


def _count(value: float) -> str:
    return format_count(float(f"{value:.4g}"))
