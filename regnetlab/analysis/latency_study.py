"""Everything that ``latency STUDY`` answers, as one document."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import torch

from regnetlab.analysis.latencies import (
    Confirmation,
    Fit,
    check_enough,
    confirmation,
    described,
    described_residuals,
    fit,
    groups,
)
from regnetlab.spaces.latency import LatencyModel
from regnetlab.study.latencies import measure, network_of, networks_to_time, this_place
from regnetlab.study.plan import Plan
from regnetlab.study.tomlfile import write_value


def latency_study(
    plan: Plan,
    device: torch.device,
    batches: Sequence[int],
    seconds: float,
    n: int | None,
    with_fit: bool,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Measure what is missing, then say how latency follows flops, params and acts, and if the file is right.

    ``fits`` has one for each batch size where one is asked for.
    """
    jobs = networks_to_time(plan, n)
    if with_fit:
        check_enough(len(jobs))
    rows = measure(plan, jobs, device, batches, seconds, tell)
    wanted = set(map(network_of, jobs))
    found = groups([row for row in rows if row.network in wanted])
    place = this_place(device)
    here = [group for group in found if group.place == place]
    fits = [fit(group) for group in here if group.batch in batches] if with_fit else []
    return {
        "study": plan.name,
        "device": place.device,
        "processor": place.processor,
        "threads": place.threads,
        "groups": [
            each | {"here": group in here and group.batch in batches}
            for each, group in zip(described(found), found, strict=True)
        ],
        "confirmation": _confirmation(plan, confirmation(here or found, plan.regime)),
        "fits": [_fit(each) for each in fits],
    }


def latency_toml(model: LatencyModel) -> str:
    """The [latency] section of a study file with these coefficients."""
    values = ((each.name, getattr(model, each.name)) for each in fields(model))
    return "\n".join(["[latency]", *(f"{name} = {write_value(value)}" for name, value in values)])


def _fit(found: Fit) -> dict[str, Any]:
    model = found.model
    return {
        "batch": model.batch,
        "n": len(found.residuals),
        "base": model.base,
        "flop": model.flop,
        "act": model.act,
        "residuals": described_residuals(found.residuals),
        "toml": latency_toml(model),
    }


def _confirmation(plan: Plan, found: Confirmation | None) -> dict[str, Any] | None:
    model, window = plan.regime.model, plan.regime.latency
    if found is None or model is None:
        return None
    return {
        "batch": found.group.batch,
        "n": len(found.group.rows),
        "residuals": described_residuals(found.residuals),
        "window": None if window is None else window.text,
        "inside": found.inside,
        "same_processor": found.same_processor,
        "fitted_on": model.processor,
    }
