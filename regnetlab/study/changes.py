"""What a study was when it began, and changes since: refused, unless accepted, which is recorded.

More networks, more seeds, new spaces, another margin or another place to run extend a study. What is
looked at here decides which networks are drawn or which errors they earn.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from regnetlab.errors import InputError
from regnetlab.study.plan import Plan
from regnetlab.training.folders.decode import is_folder

if TYPE_CHECKING:
    from regnetlab.trials.store import Store

_CHECKSUM, _DEVICE = "data.checksum", "device"
_SHOWN = 4  # differences named in an error
# Keys that earlier versions did not record of a folder of images, and what its studies had.
_LATER = MappingProxyType({"split": "random", "group_by": None, "test_split": True})


def facts_of(plan: Plan, checksum: str, device: str | None = None) -> dict[str, Any]:
    """What decides the draws and the errors, by the key of the study file; ``device`` is what computes,
    where that is known beforehand (``execution.worker.computed_on``)."""
    facts: dict[str, Any] = {"data": plan.data, "seed": plan.seed, _CHECKSUM: checksum}
    if is_folder(plan.data):
        names = ("fit", "background", "split", "group_by", "test_split")
        facts |= {name: getattr(plan.reading, name) for name in names}
    if device is not None:
        facts[_DEVICE] = device
    windows = {name: window.text for name, window in plan.regime.windows.items()}
    sections = {
        "template": asdict(plan.template),
        "budget": {key: value for key, value in asdict(plan.budget).items() if key != "time_limit"},
        "recipe": asdict(plan.recipe),
        "ranges": asdict(plan.ranges),
        "regime": {name: windows.get(name) for name in ("flops", "params", "acts", "latency")},
        "latency": {} if plan.regime.model is None else asdict(plan.regime.model),
        "spaces": {
            draw.space.name: [
                draw.space.parent,
                *(f"{each.name}: {each.meaning}" for each in draw.space.custom),
                *(f"made of: {each}" for each in draw.space.variant),
            ]
            for draw in plan.draws
            if draw.space.parent or draw.space.variant
        },
    }
    facts |= {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in facts.items()}


def differences(began: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By key what was and what is; a key that stands on one side alone is a new space or a new version's."""
    began = {**_LATER, **began} if "fit" in began else began
    return {
        key: (began[key], now[key])
        for key in sorted({*began} & {*now})
        if _compared(key, began[key]) != _compared(key, now[key])
    }


def _compared(key: str, value: Any) -> Any:
    """What decides: of a custom space its parent and what its constraints mean, not what they are called."""
    if not key.startswith("spaces."):
        return value
    parent, *constraints = value
    return [parent, *(text.partition(": ")[2] for text in constraints)]


def check_changes(plan: Plan, store: "Store", checksum: str, accept: bool, device: str | None = None) -> bool:
    """Whether something changed since the study began; an ``InputError`` shows it, unless it is accepted.

    An accepted change is recorded with its day. Trainings on the data of before stay in the store under their
    checksum and no longer count; of everything else that is looked at, identities differ.
    """
    now = facts_of(plan, checksum, device)
    kept = store.fact("changes")
    changed = accepted_changes(plan, kept.get("began", {}), now, accept)
    began = {**kept.get("began", {}), **now}
    if began == kept.get("began"):
        return False
    accepted = list(kept.get("accepted", []))
    if changed:
        when = datetime.now(UTC).isoformat(timespec="seconds")
        accepted.append({"when": when, "changes": {key: list(pair) for key, pair in changed.items()}})
    store.keep("changes", {"began": began, "accepted": accepted})
    return bool(changed)


def record_planned(plan: Plan, store: "Store", trained: Mapping[str, int]) -> bool:
    """Keep how many networks of each space are planned, and any change of that; whether there was one after
    errors were known.

    More networks extend a study without a question. But who looks at errors and then goes on until a verdict
    comes will find one too often, so such a change is recorded with ``trained``, the networks of each
    space that had errors then; from there on verdicts use intervals that hold at any number of networks.
    """
    facts = store.fact("provenance")
    planned = {draw.space.name: draw.n for draw in plan.draws}
    if "planned" not in facts:
        store.keep("provenance", {**facts, "planned": planned, "extended": []})
        return False
    before = dict(facts["planned"])
    for each in facts["extended"]:
        before |= each["planned"]
    if all(before.get(space) == n for space, n in planned.items()):
        return False
    when = datetime.now(UTC).isoformat(timespec="seconds")
    extended = [*facts["extended"], {"when": when, "n": dict(trained), "planned": planned}]
    store.keep("provenance", {**facts, "extended": extended})
    return any(trained.get(space) and before.get(space, n) != n for space, n in planned.items())


def accepted_changes(
    plan: Plan, began: Mapping[str, Any], now: Mapping[str, Any], accept: bool
) -> dict[str, tuple[Any, Any]]:
    """What differs; raises ``InputError`` that shows it, unless it is accepted."""
    changed = differences(began, now)
    if changed and not accept:
        lines = [f"{key} was {_shown(key, a)}, is {_shown(key, b)}" for key, (a, b) in changed.items()]
        more = f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
        raise InputError(
            f"study {plan.name} changed since it began: {'; '.join(lines[:_SHOWN])}{more}",
            "change it back, begin a new study with another name, or go on with --accept-change, which"
            " records it",
        )
    return changed


def _shown(key: str, value: Any) -> str:
    text = "not there" if value is None else repr(value)
    return f"{text[1:13]}…" if key == _CHECKSUM else text if len(text) <= 40 else f"{text[:37]}…"
