"""Trainings of one network in tables: told by an index, or by equal networks where a column has seeds."""

from collections.abc import Sequence

import pandas as pd

from regnetlab.trials.csv_header import column_of

_SEEDS = ("seed", "rng_seed", "random_seed", "replicate", "fold")
_NETWORK = ["depths", "widths", "group_widths", "bottleneck_ratios", "se_ratio", "se"]


def with_repeats(networks: pd.DataFrame, names: Sequence[str], source: str) -> tuple[pd.DataFrame, list[str]]:
    """These rows of a file with columns ``names``, trainings of one network under one index; and notes."""
    seeds = next((name for name in names if column_of(name) in _SEEDS), None)
    if seeds is None or "index" in map(column_of, names):
        return networks, counted_twice(networks, source)
    first: dict[tuple[object, ...], int] = {}
    indexes = [first.setdefault(key, i) for i, key in enumerate(_keys(networks))]
    if len(first) < len(networks):
        note = (
            f"{source}: {len(networks)} rows are trainings of {len(first)} networks, as there is a column"
            f" {seeds!r}; as many of each are counted as all have"
        )
    elif networks["widths"].isna().all() and not {"name", "id"} & set(map(column_of, names)):
        note = (
            f"{source} has a column {seeds!r}, but nothing says which rows are of one network, so each counts"
            " as one; add a column name, equal in all rows of a network"
        )
    else:
        return networks, []
    return networks.assign(index=indexes), [note]


def counted_twice(networks: pd.DataFrame, source: str) -> list[str]:
    """A note where rows of equal networks count as several."""
    known = networks[networks["widths"].notna()]
    count = len(known.drop_duplicates(["space", "index"]))
    different = len(set(_keys(known)))
    if different == count:
        return []
    return [
        f"{source}: {count} networks are counted, of which {different} differ; trainings of one network are"
        " told by a column seed, or by one index for all of them"
    ]


def _keys(networks: pd.DataFrame) -> list[tuple[object, ...]]:
    """What is the same in all trainings of a network: its stages, or its name where these are not known."""
    columns = [
        networks[name].tolist() for name in ("space", *(each for each in _NETWORK if each in networks))
    ]
    return [
        tuple(key) if isinstance(widths, tuple) else (key[0], name)
        for *key, widths, name in zip(*columns, networks["widths"], networks["name"], strict=True)
    ]
