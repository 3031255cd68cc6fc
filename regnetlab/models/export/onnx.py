"""ONNX: the network with fresh weights, as it is evaluated, for any number of images at once.

Written by ``torch.onnx`` from a ``torch.export`` graph, the exporter that torch keeps; it needs onnx and
onnxscript, the extra ``export``. Batch norms are folded into the convolutions before them.
"""

import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING

from regnetlab.errors import InputError
from regnetlab.spaces.template import Template

if TYPE_CHECKING:
    from regnetlab.models.model import Model  # torch

OPSET = 18
"""The oldest set of operators that torch's exporter writes without converting (ONNX 1.13, 2022)."""

_MOST_BYTES = 2**31 - 2**20  # a protobuf message ends at 2 GiB


def check_onnx() -> None:
    """Raise ``InputError`` where the packages that write ONNX are not installed."""
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise InputError(f"--to onnx needs {' and '.join(missing)}", "pip install 'regnetlab[export]'")


def onnx(model: "Model", template: Template, params: int, seed: int = 0) -> bytes:
    """The file's bytes: ``images`` (batch, channels, height, width) to ``logits`` (batch, classes), float32.

    ``params`` is the number of parameters, known from a summary; the same seed gives the same weights.
    """
    check_onnx()
    if 4 * params > _MOST_BYTES:
        raise InputError(
            f"{model.text} has {params:,} parameters, more than an ONNX file holds (2 GiB)",
            "take --to pytorch",
        )
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = model.build(template).eval()
    images = torch.zeros(2, template.channels, template.height, template.width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its export while it changes
        program = torch.onnx.export(
            module,
            (images,),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    file = program.model_proto
    graph = file.graph
    for part in (
        file,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        part.ClearField("metadata_props")  # notes of the exporter, source files and their lines among them
    return bytes(file.SerializeToString(deterministic=True))
