"""The report's part on the best networks trained again."""

from regnetlab.analysis.retrain import Retraining
from regnetlab.report.findings import Finding


def retrain_findings(found: Retraining) -> list[Finding]:
    """What the trainings say together, then a sentence for the best of every space and search."""
    overall = [Finding("measured", remark) for remark in found.remarks()]
    best = [each for each in found.networks if each.rank == 1]
    return [*overall, *(Finding("measured", f"{_capital(each.sentence)}.") for each in best)]


def retrained_rows(found: Retraining) -> list[dict[str, str]]:
    """Cells of the table, a row a network."""
    return [
        {
            "space": f"{each.space} {each.index}",
            "model": each.model,
            "rank": f"{each.rank} of {each.of:,}",
            "first": f"{each.first:.2f}",
            "again": each.spread,
            "interval": each.again.text(),
            "n": str(len(each.errors)),
        }
        for each in found.networks
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
