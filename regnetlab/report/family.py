"""The report's part on a finished study: which network to use, how good it is, and what it gets wrong."""

import json
import shlex
import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from regnetlab.errors import printable
from regnetlab.plain import duration
from regnetlab.report.family_figures import MOST_CLASSES, class_rows, percent
from regnetlab.spaces.regime import format_count
from regnetlab.study.finish_file import Baseline, Finished, Member, Tested

MOST_PAIRS = 20
_WORDS = ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"))


class Confused(NamedTuple):
    """``n`` of ``images`` test images of the class ``label`` were taken for ``predicted``."""

    label: str
    predicted: str
    n: int
    images: int


def family_view(finished: Finished) -> dict[str, Any]:
    """Everything that the page says of it in words and tables."""
    tested = finished.used.test
    shell, python = commands(finished)
    return {
        "headline": headline(finished),
        "shell": shell,
        "python": python,
        "rows": family_rows(finished),
        "took": duration(60 * finished.minutes),
        "classes": class_rows(tested),
        "shown": MOST_CLASSES,
        "pairs": confused_pairs(tested),
        "confusion": confusion_sentence(tested),
        "calibration": calibration_sentence(tested),
    }


def headline(finished: Finished) -> str:
    """What to expect of the network in use: its error and interval, its size, its latency."""
    used = finished.used
    low, high = used.interval
    parts = [
        f"{percent(used.error)}% error on {used.test.images:,} test images that neither trained nor chose it"
        f" (95% interval {percent(low)} to {percent(high)}){_beside_guessing(finished)}",
        f"{_in_words(used.flops)} multiply-adds",
    ]
    if used.latency is not None:
        each = used.latency.ms[0] / used.latency.batch
        at_once = f", {used.latency.batch} at a time" if used.latency.batch > 1 else ""
        parts.append(f"{_ms(each)} ms an image{at_once} on {used.latency.device}")
    return ", ".join(parts)


def _beside_guessing(finished: Finished) -> str:
    if finished.guess is None:
        return ""
    learned = "; it has hardly learned anything" if finished.has_hardly_learned else ""
    return f", where guessing has {percent(finished.guess)}%{learned}"


def commands(finished: Finished) -> tuple[str, str]:
    """How to use it: on the command line, and in three lines of Python."""
    folder = finished.folder.rstrip("/") or "/"
    quoted = json.dumps(folder, ensure_ascii=False)
    python = f'import regnetlab as rl\nnet = rl.load_network({quoted})\nnet.predict("image.png")'
    return printable(f"regnetlab predict {shlex.quote(f'{folder}/')} image.png"), printable(python)


def family_rows(finished: Finished) -> list[dict[str, Any]]:
    """A row for each network of the family and each baseline; ``low``, ``high`` and ``at`` are in percent of
    the width of all intervals together.
    """
    every: list[Member | Baseline] = [*finished.networks, *finished.baselines]
    low, high = min(each.interval[0] for each in every), max(each.interval[1] for each in every)
    reach = (high - low) or 1.0
    return [
        {
            "name": each.name,
            "model": each.model,
            "used": each is finished.used,
            "by_hand": isinstance(each, Baseline),
            "error": percent(each.error),
            "interval": f"{percent(each.interval[0])} to {percent(each.interval[1])}",
            "low": f"{100 * (each.interval[0] - low) / reach:.1f}",
            "width": f"{100 * (each.interval[1] - each.interval[0]) / reach:.1f}",
            "at": f"{100 * (min(max(each.error, low), high) - low) / reach:.1f}",
            "seeds": _of_seeds(each.seeds),
            "flops": _count(each.flops),
            "params": _count(each.params),
            "latency": _latency(each),
        }
        for each in every
    ]


def confused_pairs(tested: Tested) -> list[Confused]:
    """The pairs of classes that are taken for each other most often."""
    names = [each.name for each in tested.by_class]
    found = [
        Confused(names[row], names[column], n, sum(counts))
        for row, counts in enumerate(tested.confusion)
        for column, n in enumerate(counts)
        if n and row != column
    ]
    return sorted(found, key=lambda each: (-each.n, each.images))[:MOST_PAIRS]


def confusion_sentence(tested: Tested) -> str:
    """The three pairs that are confused most often."""
    pairs = confused_pairs(tested)[:3]
    if not pairs:
        return "No test image is taken for one of another class."
    said = [f"{each.label} for {each.predicted} ({each.n:,} of {each.images:,})" for each in pairs]
    return f"Taken for another class most often: {'; '.join(said)}."


def calibration_sentence(tested: Tested) -> str:
    """How far its probabilities are from the shares that are right."""
    found = tested.calibration
    return (
        f"Its probabilities are {found.after:.1f} points off on average (expected calibration error);"
        f" before they were calibrated on validation images, {found.before:.1f}."
    )


def _of_seeds(errors: Sequence[float]) -> str:
    if len(errors) < 2:
        return "–"
    return f"{statistics.mean(errors):.1f} ± {statistics.stdev(errors):.1f} ({len(errors)})"


def _latency(network: Member | Baseline) -> str:
    found = network.latency if isinstance(network, Member) else None
    return "–" if found is None else _ms(found.ms[0] / found.batch)


def _ms(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def _count(value: int) -> str:
    return format_count(float(f"{value:.3g}"))


def _in_words(value: int) -> str:
    return next((f"{value / size:.1f} {word}" for size, word in _WORDS if value >= size), f"{value}")
