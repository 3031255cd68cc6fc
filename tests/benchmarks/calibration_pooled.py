"""How often pooled intervals and predictions are right: random effects of known truth."""

from collections.abc import Iterator

import numpy as np

from regnetlab.analysis.statistics.meta_analysis import Effect, random_effects
from tests.benchmarks.calibration import percent, row


def pooled_rates(data_sets: int, between: float, rounds: int, seed: int = 0) -> dict[str, float]:
    """Shares of rounds in which the mean's interval (95%, and 99% as of five steps together) covers the true
    mean, and the prediction interval the true effect on one more data set.

    Standard errors are from 0.5 to 1.5; ``between`` is the standard deviation of true effects.
    """
    random = np.random.default_rng(seed)
    hits = dict.fromkeys(("mean", "mean of five together", "further"), 0)
    for _ in range(rounds):
        errors = random.uniform(0.5, 1.5, data_sets)
        found = random.normal(random.normal(0, between, data_sets), errors)
        effects = [Effect(*map(float, each)) for each in zip(found, errors, strict=True)]
        one, strict = random_effects(effects), random_effects(effects, 0.99)
        hits["mean"] += one.mean.low <= 0 <= one.mean.high
        hits["mean of five together"] += strict.mean.low <= 0 <= strict.mean.high
        hits["further"] += one.further.low <= random.normal(0, between) <= one.further.high
    return {name: n / rounds for name, n in hits.items()}


def tables(rounds: int) -> Iterator[str]:
    yield from (
        "## Over several data sets",
        "",
        "`regnetlab report --all` pools effects by random effects. Standard errors are 0.5 to 1.5 here,",
        "*spread* is the standard deviation of the true effects between data sets. *Mean*: the 95% interval",
        "holds the true mean, also at the level at which five hold together. *One more*: the 95% prediction",
        "interval holds the true effect on one more data set. With few data sets the interval of the mean is",
        "wide rather than narrow, since it is never narrower than the classical one. The prediction is up to",
        "7 points short with eight data sets, where the spread is estimated too low as often as too high.",
        "",
        row(("data sets", "spread", "mean", "mean, five together", "one more")),
        row(["---"] * 5),
    )
    for data_sets in (3, 4, 5, 8):
        for between in (0.0, 0.5, 1.0, 2.0):
            found = pooled_rates(data_sets, between, rounds, seed=data_sets)
            yield row([data_sets, between, *map(percent, found.values())])
