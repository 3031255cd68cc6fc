"""The plan of a search without a study: what a study file would say, with defaults that train in minutes."""

from pathlib import Path

from regnetlab.errors import InputError
from regnetlab.spaces.ranges import Ranges
from regnetlab.spaces.regime import Regime, parse_window
from regnetlab.spaces.space import space_named
from regnetlab.spaces.template import SMALL, template_named
from regnetlab.study.plan import Draw, Plan
from regnetlab.training.budget import Budget, Recipe

FOLDER = Path("searches")
_SMALL_RANGES = Ranges(depth=(1, 12), width=(8, 256))
_SMALL_FLOPS, _PAPER_FLOPS = "0.8M:1.2M", "360M:400M"
"""The regimes where no window is given: studies/quick's, and one near 400 MF (Radosavovic et al. 2020,
section 3.2). Without one a search for the least error would find the largest network."""


def plan_alone(
    space: str,
    folder: Path = FOLDER,
    template: str = "small",
    data: str = "fashion-mnist",
    images: int | None = None,
    epochs: int = Budget().epochs,
    windows: dict[str, str] | None = None,
) -> Plan:
    """A plan whose only space is this one; ``windows`` are texts by flops, params and acts.

    Without ``images`` it is the default of budgets, or all that there are.

    Raises ``InputError`` for what can't be, and for a folder that holds a study, whose searches are its own.
    """
    if (folder / "study.toml").exists():
        raise InputError(f"{folder} holds a study", f"search with its protocol: regnetlab search {folder} …")
    shape = template_named(template)
    small = shape == SMALL
    texts = windows or {"flops": _SMALL_FLOPS if small else _PAPER_FLOPS}
    ranges = _SMALL_RANGES if small else Ranges()
    return Plan(
        name=folder.resolve().name,
        folder=folder,
        template=shape,
        data=data,
        seed=0,
        regime=Regime(**{name: parse_window(name, text) for name, text in texts.items()}, model=None),
        budget=Budget(epochs=epochs) if images is None else Budget(images, epochs),
        seeds=1,
        recipe=Recipe(),
        draws=(Draw(space_named(space).within(ranges), 1),),
        derived=0,
        images_stated=images is not None,
    )
