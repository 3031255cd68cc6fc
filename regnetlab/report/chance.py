"""What is said of one network's error beside the best of as many drawn at random."""

from regnetlab.analysis.statistics.intervals import LEVEL
from regnetlab.analysis.statistics.random_search import AtRandom
from regnetlab.analysis.verdicts import BETTER, UNDECIDED, WORSE


def chance_chip(found: AtRandom) -> str:
    """A claim only where chance alone does so well, or so badly, in at most 2.5 % of cases."""
    tail = (1 - LEVEL) / 2
    return BETTER if found.as_good <= tail else WORSE if found.as_bad <= tail else UNDECIDED


def chance_text(found: AtRandom) -> str:
    """What a random search finds, and how often it is as good."""
    return (
        f"{found.expected:.2f} % on average (95 % of such draws: {found.low:.2f} to {found.high:.2f});"
        f" another random search of {found.k} is as good with a chance of {_percent(found.as_good)}."
    )


def _percent(share: float) -> str:
    return "under 1 %" if share < 0.01 else "over 99 %" if share > 0.99 else f"{100 * share:.0f} %"
