"""searches.csv: every training of every search, beside trials.csv, which holds the populations alone."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from regnetlab.spaces.ratio import ratio_text
from regnetlab.study.search import Step
from regnetlab.study.search_store import KeptSearch
from regnetlab.trials.tables import SEARCHES

COLUMNS = tuple(SEARCHES.columns)


def searches_csv(searches: Sequence[KeptSearch]) -> str:
    """The finished trainings of these searches."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for each in searches:
        for step in each.steps:
            writer.writerow(_row(each, step))
    return text.getvalue()


def _row(search: KeptSearch, step: Step) -> dict[str, Any]:
    facts, config, score = search.facts, step.proposal.config, step.score
    return {
        "space": facts["space"],
        "sampler": facts["sampler"],
        "search_seed": facts["seed"],
        "batch": facts["batch"],
        "number": step.number,
        "id": config.id,
        "depths": _spaced(config.depths),
        "widths": _spaced(config.widths),
        "group_widths": _spaced(config.group_widths),
        "bottleneck_ratios": " ".join(map(ratio_text, config.bottleneck_ratios)),
        **step.proposal.counts,
        **{name: f"{value:g}" for name, value in step.proposal.law},
        "error": "" if score.error is None else repr(score.error),
        "ended": score.ended,
        "images": facts["images"],
        "epochs": facts["epochs"],
        "batch_size": facts["batch_size"],
        "data": facts["data"],
        "seconds": f"{score.seconds:.2f}",
        "protocol": facts["protocol"],
    }


def _spaced(values: Iterable[int]) -> str:
    return " ".join(map(str, values))
