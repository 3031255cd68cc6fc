"""The keys of every JSON document: scripts of others read them, so a changed one must be meant."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.asked import Capture, answer, pilot
from tests.committed import copy_committed_studies

INTERVAL = "{estimate high low}"
CORRELATION = f"{{capped corrected{INTERVAL} raw{INTERVAL} reliability{INTERVAL}}}"
SPREAD = "{errors mean sd}"
MATCHED = "{bins corrected interval little_overlap median_difference n_a n_b verdict}"
WITH_VERDICT = "{interval median_difference verdict}"
KEYS = {
    "sample --space RegNet --n 2": (
        "{classes drawn input"
        " models{acts bottleneck_ratios depths flops group_widths id params w0 wa widths wm}"
        " n seed space template}"
    ),
    "summary regnetx_200mf": (
        "{acts classes flops input"
        " layers{acts flops name output params part receptive_field share type} model params}"
    ),
    "models": "{families{family name} models{acts classes family flops input name paper params reason year}}",
    "status quick": (
        "{complete failed majority_error not_learned outdated planned running"
        " spaces{complete failed learned median min planned space} study workers}"
    ),
    "compare --from pilot.csv": (
        "{comparisons{a alike b corrected{interval verdict} difference difference_interval"
        f" dominance{{high low space}} failed_a failed_b failures_as_worst{WITH_VERDICT} interval"
        " interval_method"
        f" kolmogorov_smirnov{{distance p p_holm}} mann_whitney{{p p_holm}} margin matched{{flops{MATCHED}}}"
        " median_difference n_a n_b networks_to_decide{} networks_to_decide_estimate{}"
        " networks_to_decide_range{} permuted"
        " planned_a planned_b power provisional"
        f" statistic superiority{INTERVAL} valid verdict verdict_single without_failures{WITH_VERDICT}}}"
        " level"
        " level_corrected majority_error margin margin_stated matched not_learned notes seed_noise sequential"
        f" spaces{{band failed incomplete learned mean{INTERVAL} median{INTERVAL} min n q05{INTERVAL} space}}"
        " stated statistic verdicts}"
    ),
    "plan --from pilot.csv": (
        "{margin notes power seconds seeds steps{hours n n_estimate n_range pilot step} workers}"
    ),
    "bands quick": (
        "{as_space bands{constraint high high_all informative inside inside_by_chance low low_all p property}"
        " constraints failed inside_all level n notes share space spaces study unknown}"
    ),
    "compare-baselines quick": (
        "{comparisons{a b difference flops interval interval_over"
        " tried{architectures rates side trainings} tried_more tried_once verdict}"
        " contenders{acts failed family flops group latency_ms{1 256} learned lr lr_at_edge model name params"
        f" seconds side test{SPREAD} tries{{lr validation_error}} tuning_error validation{SPREAD}}} final"
        " majority_error majority_error_test not_learned notes"
        " sides{architectures final_trainings hours population_hours population_trainings side tuning_hours"
        " tuning_trainings} study tuning_seeds}"
    ),
    "fidelity --from studies/quick/fidelity.csv": (
        "{best cheapest_verdict finding incomplete largest level majority_error margin may_be_best networks"
        " not_learned recommended"
        f" rungs{{all{CORRELATION} batch_size"
        f" comparisons{{a agreement b change change_interval effect{INTERVAL} effect_change{INTERVAL}"
        f" effect_per_sqrt_hour{INTERVAL} interval median_difference verdict}}"
        " effects_differ{differ p unseen}"
        f" epochs evidence_an_hour{INTERVAL} failed for_margin{{hours n}} images margin_scaled may_be_best"
        f" medians{{estimate high low space}} networks_an_hour relative{INTERVAL} rung sd_within_spaces"
        f" seconds{INTERVAL} steps validation validity{INTERVAL} within_spaces{CORRELATION}}} seeds"
        " spaces study}"
    ),
    "fit-regnet quick --force": (
        "{derived{acts bottleneck_ratios depths flops forced group_widths id model params widths}"
        " derived_reason failed incomplete law majority_error"
        " models{depths e_fit error growth name r2 space w0 widths}"
        " not_learned notes"
        " population{claim depth depth_growth growth growth_interval median_r2 n n_best r2 reason"
        " spaces{carries difference growth_all growth_best interval n p space} w0 w0_inside w0_interval}"
        " template{channels classes height input name stem_stride stem_width strides width}}"
    ),
}


def keys(value: Any) -> str:
    """The keys at every depth; of the entries of a list all that one of them has."""
    if isinstance(value, dict):
        return "{" + " ".join(f"{key}{keys(value[key])}" for key in sorted(value)) + "}"
    entries = [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
    joined: dict[str, Any] = {}
    for entry in entries:
        joined |= {key: found for key, found in entry.items() if found or key not in joined}
    return keys(joined) if entries else ""


@pytest.mark.parametrize("command", KEYS)
def test_a_document_has_these_keys(
    command: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_committed_studies(tmp_path)
    pilot(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert keys(answer(capsys, *command.split())) == KEYS[command]
