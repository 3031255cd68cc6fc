"""Initial weights of the networks without batch norm, whose signal nothing else keeps from fading."""

from typing import TypeVar

from torch import nn

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
