"""The networks of a page: numbered, and those that it shows one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from regnetlab.errors import InputError
from regnetlab.spaces.config import Config
from regnetlab.spaces.population import STAGE_COLUMNS
from regnetlab.trials.csv_tables import points_of
from regnetlab.trials.job import DERIVED
from regnetlab.trials.table import NETWORK, counted, records

MOST_SHOWN = 4_000
"""Networks that a page shows one by one: what stays smooth in a browser, and below 6 MB."""


@dataclass(frozen=True, eq=False)
class PageNetworks:
    """The networks of a page.

    ``frame`` has those with an error, several seeds averaged, numbered from 0 in the order of their
    spaces, with every property. The first of them, ``shown``, are on the page one by one (all, unless
    they are very many) and have a ``label`` (the config, or a name), a ``model`` (what commands take, or
    empty) and ``points`` (the learning curve). An error is the mean of ``trainings`` trainings, of which
    ``first`` is the one whose seed and curve are here. ``failed`` are the trainings without an error, of
    ``planned`` networks.
    """

    frame: pd.DataFrame
    shown: pd.DataFrame
    failed: pd.DataFrame
    planned: int
    trainings: int = 1

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def spaces(self) -> list[str]:
        return list(dict.fromkeys(self.frame["space"].tolist()))

    @property
    def numbers(self) -> dict[tuple[str, int], int]:
        """The numbers of the networks shown one by one, by space and index."""
        keys = zip(self.shown["space"], self.shown["index"], strict=True)
        return {key: number for number, key in enumerate(keys)}

    def errors(self, space: str) -> list[float]:
        return list(self.frame.loc[self.frame["space"] == space, "error"])


def page_networks(networks: pd.DataFrame, trainings: pd.DataFrame, planned: int) -> PageNetworks:
    """From the networks with their properties (``Trends.networks``), and all trainings."""
    frame, shown = _shown_first(networks)
    each = counted(trainings).groupby(NETWORK, sort=False)["error"]
    first = each.first().rename("first").reset_index()
    frame = frame.drop(columns="first", errors="ignore").merge(first, "left", on=NETWORK)
    failed = trainings[trainings["error"].isna()]
    return PageNetworks(frame, _labelled(frame.head(shown)), failed, planned, int(each.size().max()))


def model_text(row: Mapping[str, Any]) -> str:
    """The notation that commands take; empty where the config is not known whole."""
    if isinstance(text := row.get("model"), str) and text.startswith("anynet:"):
        return text
    if not all(isinstance(row.get(name), tuple) for name in STAGE_COLUMNS):
        return ""
    try:
        return Config(**{name: row[name] for name in STAGE_COLUMNS}).text
    except InputError:  # a file's widths and groups need not fit each other
        return ""


def _shown_first(networks: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """These networks with those that the page shows one by one at the front, and how many these are.

    Of very many every derived RegNet is shown, and of each space those at equal distances in the order of
    their errors, the least and the largest among them.
    """
    if len(networks) <= MOST_SHOWN:
        return networks, len(networks)
    groups = [np.flatnonzero(networks["space"] == space) for space in dict.fromkeys(networks["space"])]
    errors = networks["error"].to_numpy(np.float64)
    drawn = sum(len(each) for each in groups if networks["space"].iloc[each[0]] != DERIVED)
    chosen = np.zeros(len(networks), np.bool_)
    for each in groups:
        derived = networks["space"].iloc[each[0]] == DERIVED
        few = len(each) if derived else max(2, MOST_SHOWN * len(each) // drawn)
        ranked = each[np.argsort(errors[each], kind="stable")]
        chosen[ranked[np.linspace(0, len(each) - 1, few).round().astype(np.int64)]] = True
    order = np.argsort(~chosen, kind="stable")
    return networks.iloc[order].reset_index(drop=True), int(chosen.sum())


def _labelled(networks: pd.DataFrame) -> pd.DataFrame:
    rows = records(networks)
    models = [model_text(row) for row in rows]
    return networks.assign(
        model=models,
        label=[m.removeprefix("anynet:") or _label(row) for m, row in zip(models, rows, strict=True)],
        points=pd.Series([points_of(row.get("curve")) for row in rows], index=networks.index, dtype=object),
    )


def _label(row: Mapping[str, Any]) -> str:
    if not isinstance(row["widths"], tuple):
        return str(row["name"])
    return f"d={','.join(map(str, row['depths']))};w={','.join(map(str, row['widths']))}"
