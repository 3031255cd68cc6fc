"""Initial weights: of the networks without batch norm, whose signal nothing else keeps from fading, and those
that a recipe asks for in place of a family's own.
"""

from typing import TypeVar

from torch import nn

from regnetlab.errors import unknown

T = TypeVar("T", bound=nn.Module)


def he_initialised(model: T) -> T:
    """The model with normal weights of variance 2 / fan-in and biases 0 (He et al. 2015, *Delving Deep into
    Rectifiers*, equation 10).
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def xavier_initialised(model: T) -> T:
    """The model with uniform weights of variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010, *Understanding
    the Difficulty of Training Deep Feedforward Neural Networks*, equation 16) and torch's own biases.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.reset_parameters()
            nn.init.xavier_uniform_(module.weight)
    return model


def initialised(model: T, how: str) -> T:
    """The model as its family initialises it (``paper``), or with other weights (``xavier``, ``he``).

    The others change convolutions and linear layers alone; of a fresh model, norms are 1 and 0.
    """
    ways = {"paper": lambda model: model, "xavier": xavier_initialised, "he": he_initialised}
    if how not in ways:
        raise unknown("init", how, ways)
    return ways[how](model)
