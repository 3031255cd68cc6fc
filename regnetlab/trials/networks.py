"""Networks to train: one on its template, or many as a table. Needs NumPy alone until one is built."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regnetlab.spaces.complexity import Complexity
from regnetlab.spaces.config import Config
from regnetlab.spaces.population import STAGE_COLUMNS, Population
from regnetlab.spaces.template import Template

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


@dataclass(frozen=True, slots=True)
class Network:
    """One network on the template that it is meant for.

    ``text`` is what commands take as MODEL; ``flops``, ``params`` and ``acts`` are counted on the template.
    """

    text: str
    template: Template
    flops: int
    params: int
    acts: int
    config: Config | None = None

    def build(self) -> "nn.Module":
        """The network as a torch module with new weights; its input has shape (n, *template.input)."""
        from regnetlab.models.registry import find_model  # torch

        return find_model(self.text).build(self.template)

    def to_json(self) -> dict[str, Any]:
        """The network as the JSON of commands has one."""
        config = self.config
        stages: dict[str, Any] = {}
        if config is not None:
            stages = {name: getattr(config, name) for name in STAGE_COLUMNS} | dict(config.own)
        known = {} if config is None else {"id": config.id}
        counts = {name: getattr(self, name) for name in ("flops", "params", "acts")}
        return {**known, "model": self.text, **stages, **counts}

    def __repr__(self) -> str:
        return (
            f"Network({self.text!r}, {self.template.input}, {self.flops:,} flops, {self.params:,} params,"
            f" {self.acts:,} acts)"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Networks(Sequence[Network]):
    """Drawn or derived networks as a table: ``networks[0]`` is one of them, ``to_pandas()`` all."""

    space: str
    template: Template
    population: Population
    counts: Complexity

    def __len__(self) -> int:
        return len(self.population)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            which = np.arange(len(self))[index]
            return Networks(self.space, self.template, self.population.take(which), self.counts.take(which))
        place = range(len(self))[index]  # also from the end
        config = self.population.config(place)
        return Network(config.text, self.template, **self.counts.row(place), config=config)

    def __iter__(self) -> Iterator[Network]:
        return (self[index] for index in range(len(self)))

    def to_pandas(self) -> "pd.DataFrame":
        """A row a network, with the columns of the JSON of ``regnetlab sample``."""
        import pandas as pd

        configs = list(self.population.configs())
        counts = {name: getattr(self.counts, name) for name in ("flops", "params", "acts")}
        return pd.DataFrame(
            {"id": [config.id for config in configs], "model": [config.text for config in configs]}
            | {name: [getattr(config, name) for config in configs] for name in STAGE_COLUMNS}
            | {name: [dict(config.own)[name] for config in configs] for name in self.population.own}
            | counts
            | dict(self.population.law)
        )

    def __repr__(self) -> str:
        return f"Networks({len(self):,} of {self.space} on {self.template.input})"

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html(max_rows=10, notebook=True, show_dimensions=True))
