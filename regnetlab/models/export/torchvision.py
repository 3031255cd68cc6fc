"""torchvision: the arguments of its ``RegNet`` and ``BlockParams``, with every size written out.

``BlockParams.from_init_params`` would take the law, but rounds widths to groups in another way (RegNetX-400MF
ends with 400 channels there, 384 here); the explicit sizes leave nothing to round.
"""

from regnetlab.errors import InputError
from regnetlab.models.export.network import Export, Network, se_ratio_of


def torchvision(network: Network) -> Export:
    """A snippet that builds the network; ``kwargs``: ``block_params``, ``num_classes``, ``stem_width``."""
    template, config = network.template, network.config
    if template.channels != 3:
        size = f"3x{template.height}x{template.width}"
        raise InputError(
            f"torchvision's RegNet takes images of 3 channels, not {template.channels}",
            f"give --input {size}, or take --to pytorch",
        )
    if template.stem_stride != 2:
        raise InputError(
            f"torchvision's RegNet has a stem of stride 2, not {template.stem_stride}", "take --to pytorch"
        )
    block_params = {
        "depths": list(config.depths),
        "widths": list(config.widths),
        "group_widths": list(config.group_widths),
        "bottleneck_multipliers": network.multipliers,
        "strides": list(network.strides),
        "se_ratio": se_ratio_of(network, "torchvision") or None,
    }
    sizes = "".join(f"        {name}={value!r},\n" for name, value in block_params.items())
    text = (
        "from torchvision.models.regnet import BlockParams, RegNet\n"
        "\n"
        f"{network.comment}"
        "model = RegNet(\n"
        f"    BlockParams(\n{sizes}    ),\n"
        f"    num_classes={template.classes},\n"
        f"    stem_width={template.stem_width},\n"
        ")\n"
    )
    kwargs = {
        "block_params": block_params,
        "num_classes": template.classes,
        "stem_width": template.stem_width,
    }
    return Export(text, kwargs)
