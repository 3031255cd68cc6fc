"""regnetlab: explore spaces of convolutional networks, not single networks.

    import regnetlab as rl

What it offers is listed in ``__all__``, documented in ``regnetlab.api`` and imported when it is first used.
Only these names are promised to stay. The packages behind them, each importing only what stands to its left:
``spaces`` → ``models`` → ``training`` → ``trials`` → ``analysis``, ``execution`` → ``study`` → ``report`` →
``cli``.
"""

__version__ = "0.1.0"

TYPE_CHECKING = False  # what type checkers take for true; `typing` itself takes 13 ms to import
if TYPE_CHECKING:
    from regnetlab.api import (
        Study,
        compare,
        fit_law,
        load,
        load_network,
        model,
        pack,
        read,
        sample,
        summary,
        train,
    )
    from regnetlab.errors import InputError
    from regnetlab.models.custom_block import custom_block
    from regnetlab.report.figures import plot_edf, plot_errors, plot_property, plot_random_search
    from regnetlab.spaces.blocks import Own
    from regnetlab.spaces.template import Template
    from regnetlab.trials.networks import Network, Networks
    from regnetlab.trials.table import Trials

__all__ = [
    "InputError",
    "Network",
    "Networks",
    "Own",
    "Study",
    "Template",
    "Trials",
    "compare",
    "custom_block",
    "fit_law",
    "load",
    "load_network",
    "model",
    "pack",
    "plot_edf",
    "plot_errors",
    "plot_property",
    "plot_random_search",
    "read",
    "sample",
    "summary",
    "train",
]

_ELSEWHERE = {
    "InputError": "regnetlab.errors",
    "Network": "regnetlab.trials.networks",
    "Networks": "regnetlab.trials.networks",
    "Own": "regnetlab.spaces.blocks",
    "Template": "regnetlab.spaces.template",
    "Trials": "regnetlab.trials.table",
    "custom_block": "regnetlab.models.custom_block",
    **dict.fromkeys(
        ("plot_edf", "plot_errors", "plot_property", "plot_random_search"), "regnetlab.report.figures"
    ),
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'regnetlab' has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(_ELSEWHERE.get(name, "regnetlab.api")), name)
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
