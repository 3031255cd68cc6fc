"""Many networks as columns: the form in which spaces are drawn, judged and counted."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from regnetlab.spaces.arrays import Floats, Ints, Mask
from regnetlab.spaces.config import Config, notation
from regnetlab.spaces.ratio import plain, plain_rows, widening

Number = TypeVar("Number", np.int64, np.float64)

STAGE_COLUMNS = ("depths", "widths", "group_widths", "bottleneck_ratios")
"""What every stage of any block has."""


class Changed(Protocol):
    """A column becomes another, whatever its numbers are."""

    def __call__(self, column: NDArray[Number], /) -> NDArray[Number]: ...


@dataclass(frozen=True, slots=True)
class Population:
    """n networks of equally many stages.

    The columns have shape (n, stages); ``law`` holds, for networks that were drawn from the
    width law, its parameters by name (``w0``, ``wa``, ``wm``), each of shape (n,). All are made of one
    ``block``, whose own parameters are columns as well. In a population of several numbers of stages
    (``padded``) a stage that a network does not have is all zeros.
    """

    depths: Ints
    widths: Ints
    group_widths: Ints
    bottleneck_ratios: Floats
    law: Mapping[str, Floats] = field(default_factory=dict)
    block: str = "x"
    se_ratio: float = 0.0
    own: Mapping[str, Ints] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.depths)

    @property
    def stages(self) -> int:
        return int(self.depths.shape[1])

    @property
    def rows(self) -> Ints:
        """What tells networks apart, of shape (n, stages · (4 + own parameters))."""
        ratios = self.bottleneck_ratios
        whole = np.where(ratios < 1, -widening(ratios), ratios.astype(np.int64))
        return np.concatenate(
            (self.depths, self.widths, self.group_widths, whole, *self.own.values()), axis=1
        )

    def take(self, which: Ints | Mask) -> "Population":
        """The networks at these indexes, or where this mask holds."""
        if which.dtype == np.bool_:
            which = np.flatnonzero(which)

        # np.take is ten times as fast as indexing, along the axis that lies whole in memory.
        def taken(column: NDArray[Number]) -> NDArray[Number]:
            if column.flags.f_contiguous:
                return column.T.take(which, axis=-1).T
            return column.take(which, axis=0)

        return self._each(taken)

    def slice(self, start: int, stop: int) -> "Population":
        """The networks from ``start`` up to ``stop``, without a copy."""

        def sliced(column: NDArray[Number]) -> NDArray[Number]:
            return column[start:stop]

        return self._each(sliced)

    def padded(self, stages: int) -> "Population":
        """The same networks with columns of so many stages."""

        def widened(column: NDArray[Number]) -> NDArray[Number]:
            if column.ndim == 1:
                return column
            return np.pad(column, ((0, 0), (0, stages - column.shape[1])))

        return self._each(widened)

    def _each(self, changed: "Changed") -> "Population":
        """The population whose columns are these, changed."""
        return replace(
            self,
            depths=changed(self.depths),
            widths=changed(self.widths),
            group_widths=changed(self.group_widths),
            bottleneck_ratios=changed(self.bottleneck_ratios),
            law={name: changed(values) for name, values in self.law.items()},
            own={name: changed(values) for name, values in self.own.items()},
        )

    def config(self, index: int) -> Config:
        stages = int((self.depths[index] > 0).sum())
        depths, widths, group_widths = (
            tuple(column[index, :stages].tolist()) for column in (self.depths, self.widths, self.group_widths)
        )
        ratios = plain(self.bottleneck_ratios[index, :stages].tolist())
        own = tuple((name, tuple(column[index, :stages].tolist())) for name, column in self.own.items())
        return Config(depths, widths, group_widths, ratios, self.se_ratio, self.block, own)

    def configs(self) -> Iterator[Config]:
        return (self.config(index) for index in range(len(self)))

    def lists(self) -> dict[str, list[list[Any]]]:
        """The columns by name as lists, those of the block's own parameters behind ``STAGE_COLUMNS``."""
        found: dict[str, list[list[Any]]] = {
            "depths": self.depths.tolist(),
            "widths": self.widths.tolist(),
            "group_widths": self.group_widths.tolist(),
            "bottleneck_ratios": list(map(list, plain_rows(self.bottleneck_ratios))),
            **{name: column.tolist() for name, column in self.own.items()},
        }
        if self.depths.all():
            return found
        stages = (self.depths > 0).sum(axis=1).tolist()
        return {name: [row[:k] for row, k in zip(rows, stages, strict=True)] for name, rows in found.items()}

    def texts(self) -> list[str]:
        """The networks in their canonical notation."""
        lists = self.lists()
        columns = [lists[name] for name in STAGE_COLUMNS]
        rows = zip(*columns, *(lists[name] for name in self.own), strict=True)
        return [
            notation(d, w, g, b, self.se_ratio, self.block, zip(self.own, own, strict=True))
            for d, w, g, b, *own in rows
        ]

    @classmethod
    def of(cls, configs: Iterable[Config]) -> "Population":
        """The columns of configs that all have the same number of stages, block and squeeze."""
        rows = list(configs)
        depths, widths, group_widths = (
            np.array([getattr(row, name) for row in rows], np.int64)
            for name in ("depths", "widths", "group_widths")
        )
        ratios = np.array([row.bottleneck_ratios for row in rows], np.float64)
        first = rows[0]
        own = {
            name: np.array([row.own[place][1] for row in rows], np.int64)
            for place, (name, _) in enumerate(first.own)
        }
        return cls(depths, widths, group_widths, ratios, {}, first.block, first.se_ratio, own)

    @classmethod
    def joined(cls, parts: Iterable["Population"]) -> "Population":
        """These populations, of equal columns, one after another."""
        parts = list(parts)

        def all_of(columns: list[Any]) -> Any:
            return np.concatenate(columns)

        def by_name(kind: str) -> dict[str, Any]:
            names = getattr(parts[0], kind)
            return {name: all_of([getattr(part, kind)[name] for part in parts]) for name in names}

        columns = {name: all_of([getattr(part, name) for part in parts]) for name in STAGE_COLUMNS}
        return replace(parts[0], **columns, law=by_name("law"), own=by_name("own"))
