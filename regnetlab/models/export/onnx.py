"""ONNX: the network with fresh or trained weights, as it is evaluated, for any number of images at once.

Written by ``torch.onnx`` from a ``torch.export`` graph, the exporter that torch keeps; it needs onnx and
onnxscript, the extra ``export``. Batch norms are folded into the convolutions before them.
"""

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from regnetlab.errors import InputError
from regnetlab.spaces.template import Template

if TYPE_CHECKING:
    import torch
    from torch import nn

    from regnetlab.models.export.standalone import Trained
    from regnetlab.models.model import Model

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
    _check_size(model.text, params)
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = model.build(template).eval()
    images = torch.zeros(2, template.channels, template.height, template.width)
    return _written(module, images, ["logits"])


def trained_onnx(trained: "Trained", text: str, template: Template) -> bytes:
    """The file's bytes for a trained network with its preprocessing: ``images`` as uint8 (batch, channels,
    height, width), 0 to 255, to ``logits`` and ``probabilities`` (batch, classes), float32.
    """
    check_onnx()
    _check_size(text, sum(each.numel() for each in trained.parameters()))
    import torch
    from torch import nn

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trained = trained

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits = self.trained(images)
            return logits, torch.softmax(logits / self.trained.temperature, 1)

    images = torch.zeros(2, template.channels, template.height, template.width, dtype=torch.uint8)
    return _written(Both().eval(), images, ["logits", "probabilities"])


def _check_size(text: str, params: int) -> None:
    if 4 * params > _MOST_BYTES:
        raise InputError(
            f"{text} has {params:,} parameters, more than an ONNX file holds (2 GiB)", "take --to pytorch"
        )


def _written(module: "nn.Module", images: "torch.Tensor", outputs: Sequence[str]) -> bytes:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its export while it changes
        program = torch.onnx.export(
            module,
            (images,),
            input_names=["images"],
            output_names=outputs,
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
