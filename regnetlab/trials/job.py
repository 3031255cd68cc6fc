"""Jobs and trials: one training is one value.

A ``Job`` is everything that decides an error, and its ``identity`` is the hash of that. Two jobs with one
identity are the same training, whichever space they came from; it is trained once and counts for both.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count

from regnetlab.spaces.config import Config
from regnetlab.spaces.template import Template
from regnetlab.training.budget import Budget, Recipe, Score
from regnetlab.training.folders.decode import Reading, is_folder

DERIVED = "derived"
"""The name under which a study's derived RegNets stand beside its spaces."""
TUNING, FINAL = "tuning", "final"
"""The names of the two stages in which baselines and RegNets compete."""
FINISHED = "finish"
"""The name under which candidates of a family are trained (``study.finish``)."""
RETRAINED = "retrained"
"""The name under which the best networks are trained again with fresh seeds (``study.retrain``)."""
MOST_AGAIN = 100
"""Fresh seeds of one network at most."""
CHOSEN = frozenset((TUNING, FINAL, RETRAINED, FINISHED))
"""Names of trainings that are no part of a population: their networks were chosen."""


@dataclass(frozen=True, slots=True)
class Job:
    """One training of the network with this ``model`` text, and what it is for.

    The first eight fields decide the error; only a ``final`` training is judged on the test split. The others
    say where the network comes from: number ``index`` of ``space``, whose seeds ``replicate`` counts from 0.
    ``config`` is there where the network was drawn or derived, ``law`` with the parameters that a RegNet was
    drawn from.
    """

    model: str
    template: Template
    data: str
    budget: Budget
    recipe: Recipe
    seed: int
    reading: Reading = field(default_factory=Reading)
    final: bool = False
    space: str = ""
    index: int = 0
    replicate: int = 0
    flops: int = 0
    params: int = 0
    acts: int = 0
    config: Config | None = None
    law: tuple[tuple[str, float], ...] = ()
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        shared = _shared_facts(self.template, self.data, self.reading, self.budget, self.recipe)
        split = ', "test"' if self.final else ""
        text = f"[{json.dumps(self.model)}, {shared}, {self.seed}{split}]"
        object.__setattr__(self, "identity", hashlib.sha256(text.encode()).hexdigest()[:24])


@dataclass(frozen=True, slots=True)
class Trial:
    """A job, what it earned, and under what circumstances.

    ``data`` is the checksum of the images that it was trained on, ``device`` what computed it (``cpu with
    native kernels``, ``cuda``), ``worker`` who did; empty where that is not known.
    """

    job: Job
    score: Score
    data: str = ""
    device: str = ""
    worker: str = ""


def training_seed(study_seed: int, model: str, replicate: int) -> int:
    """The seed of a training, 31 bits from the study's seed and the network's text."""
    text = f"{study_seed}|{model}|{replicate}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def fresh_seeds(study_seed: int, model: str, used: Collection[int] = ()) -> Iterator[int]:
    """Seeds to train a network again with: none of ``used``, nor the one that searches train it with."""
    met = {training_seed(study_seed, model, 0), *used}
    for number in count():
        seed = training_seed(study_seed, f"again {model}", number)
        if seed not in met:
            met.add(seed)
            yield seed


@lru_cache(maxsize=64)  # the same for all trainings of a study with one recipe
def _shared_facts(template: Template, data: str, reading: Reading, budget: Budget, recipe: Recipe) -> str:
    """What an identity depends on beside network and seed, as JSON without its brackets."""
    images: object = data
    if is_folder(data):
        usual = reading.splitting == ("random",)  # of which earlier identities say nothing
        images = [data, reading.fit, list(reading.colour), *([] if usual else [reading.splitting])]
    return json.dumps([template.facts(), images, budget.facts(), recipe.facts()], sort_keys=True)[1:-1]
