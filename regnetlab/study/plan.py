"""What a study is: everything that its file says, with defaults filled in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime
from regnetlab.spaces.space import DesignSpace
from regnetlab.spaces.template import Template
from regnetlab.training.budget import Budget, Recipe
from regnetlab.training.folders.decode import Reading
from regnetlab.trials.job import Job
from regnetlab.trials.location import Location, from_here, location_of
from regnetlab.trials.terms import Terms


@dataclass(frozen=True, slots=True)
class Draw:
    """n networks of one space."""

    space: DesignSpace
    n: int


@dataclass(frozen=True, slots=True)
class BaselinesSection:
    """``[baselines]``: which networks compete at the end of a study, and how their learning rates are chosen.

    Every name in every form (see ``models.forms``), of a whole family near some flops
    (``models.families``) every network, and the ``regnets`` RegNets with the least validation error: derived
    ones, then drawn ones; ``equal`` takes as many as there are hand-designed networks at equal compute. Each
    is trained with each ``lr``, ``tuning_seeds`` times; the best rate on the validation split, of a family
    the best network, is trained ``seeds`` times more and judged on the test split. ``recipes`` holds what
    differs for a family.
    """

    names: tuple[str, ...]
    forms: tuple[str, ...] = ("small",)
    lr: tuple[float, ...] = (0.0125, 0.05, 0.2)
    seeds: int = 3
    regnets: int | Literal["equal"] = 2
    recipes: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...] = ()
    tuning_seeds: int = 1

    @property
    def texts(self) -> list[str]:
        """Every name in every form; one that has a form already keeps it."""
        return [name if "@" in name else f"{name}@{form}" for form in self.forms for name in self.names]


@dataclass(frozen=True, slots=True)
class Running:
    """What ``[run]`` of a study file says; nothing of it changes an error.

    ``executor`` is ``local``, ``inline`` or ``dask``; ``workers`` trainings at once (none: one per core
    or GPU). ``scheduler`` is the address of a Dask scheduler, or a kind of cluster to start for the run
    (local, ssh, slurm, pbs, sge, lsf, kubernetes), for which ``[run.cluster]`` holds what Dask's class
    takes. ``storage`` is where trainings are kept (see ``stores.location``), ``send_data`` sends the
    data to workers that have none, ``memory`` is what one training may allocate, such as ``"4GB"``.
    """

    executor: str = "local"
    workers: int | None = None
    scheduler: str | None = None
    storage: str | None = field(default=None, repr=False)
    send_data: bool = False
    memory: str | None = None
    cluster: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a study file says, with its defaults filled in.

    ``seeds`` trainings of each network, or of the share ``repeated`` of every space's networks and one of the
    others; ``derived`` RegNets from the width law where it claims growth, or in any case if
    ``derive_forced``; ``terms`` on which the steps between spaces are judged; ``reading`` says how a
    folder's images are read. Unless ``images_stated``, the budget's images are the default, or all that
    there are: a run finds out and records it (``provenance.as_recorded``). An ``adhoc`` plan has no study
    file: trainings of any protocol share its store. Of a walk, ``left_out`` are the spaces that were found
    worse, which later ``draws`` are without where the ``stated`` ones have them, and ``ended`` the share of
    the planned networks at which the step to each space ended (``study.walk``).
    """

    name: str
    folder: Path
    template: Template
    data: str
    seed: int
    regime: Regime
    budget: Budget
    seeds: int
    recipe: Recipe
    draws: tuple[Draw, ...]
    derived: int
    terms: Terms = field(default_factory=Terms)
    derive_forced: bool = False
    baselines: BaselinesSection | None = None
    running: Running = field(default_factory=Running)
    repeated: float = 1.0
    reading: Reading = field(default_factory=Reading)
    images_stated: bool = field(default=True, compare=False)
    adhoc: bool = field(default=False, compare=False)
    stated: tuple[Draw, ...] = ()
    left_out: tuple[str, ...] = ()
    ended: tuple[tuple[str, float], ...] = ()

    @property
    def trainings_each(self) -> float:
        """Trainings of a network, on average."""
        return 1 + (self.seeds - 1) * self.repeated

    def job(self, model: str, seed: int, recipe: Recipe | None = None, **what: Any) -> Job:
        """The training of this network under the study's protocol; ``what`` are other fields of a job."""
        shared = (self.template, self.data, self.budget, recipe or self.recipe, seed, self.reading)
        return Job(model, *shared, **what)

    @property
    def store(self) -> Location:
        """Where the trainings are kept: study.db beside the file, if nothing else is said."""
        return location_of(self.running.storage, self.folder, self.name)

    @property
    def lock(self) -> Path:
        return self._beside("lock")

    @property
    def log(self) -> Path:
        return self._beside("log.jsonl")

    def _beside(self, ending: str) -> Path:
        """A file beside the study's; beside the store of an ad hoc plan, whose folder may have several."""
        store = self.store
        name = store.stem if self.adhoc and isinstance(store, Path) else "study"
        return self.folder / f"{name}.{ending}"

    @property
    def trials(self) -> Path:
        return self.folder / "trials.csv"

    @property
    def provenance(self) -> Path:
        return self.folder / "provenance.json"

    @property
    def baselines_table(self) -> Path:
        return self.folder / "baselines.csv"

    @property
    def searches_store(self) -> Path:
        """Searches have a store of their own: their trainings are no random sample (``search``)."""
        return self.folder / "searches.db"

    @property
    def searches(self) -> Path:
        return self.folder / "searches.csv"

    @property
    def retrained(self) -> Path:
        return self.folder / "retrained.csv"

    @property
    def fidelity(self) -> Path:
        return self.folder / "fidelity.csv"

    @property
    def latencies(self) -> Path:
        return self.folder / "latency.csv"

    @property
    def ranges(self) -> Ranges:
        """The ranges that all spaces of the study share, as far as their blocks have a use for them."""
        if not self.draws:
            return Ranges()
        first = self.draws[0].space
        return first.ranges if first.stated is None else first.stated

    @property
    def plain(self) -> bool:
        """Whether all networks of its spaces are of the paper's X block and stem (``models.native``)."""
        shape = self.template.stem == "3x3" and self.template.activation in ("", "relu")
        return shape and all(draw.space.block_text == "x" for draw in self.draws)


def stored_at(plan: Plan, storage: str | None) -> Plan:
    """The plan with its trainings kept elsewhere than its file says, if anything is said."""
    if storage is None:
        return plan
    return replace(plan, running=replace(plan.running, storage=from_here(storage)))
