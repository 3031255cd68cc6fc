"""The sources of what a written-out network needs to be used with torch alone: ``pytorch`` copies them.

So they import nothing of ours, and nothing but what the file that they are copied into imports too.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn


class Trained(nn.Module):
    """Images as uint8 (n, channels, height, width), 0 to 255, to logits (n, classes)."""

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self, network: nn.Module, mean: Sequence[float], std: Sequence[float], temperature: float
    ) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature
        for name, values in (("shift", mean), ("scale", std)):
            pixels = torch.tensor(values, dtype=torch.float32) * 255
            self.register_buffer(name, pixels.reshape(1, -1, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network((images.to(torch.float32) - self.shift) / self.scale)

    def probabilities(self, images: torch.Tensor) -> torch.Tensor:
        """Calibrated on validation images: logits over the temperature, then softmax."""
        return torch.softmax(self(images) / self.temperature, 1)


def read_safetensors(path: str | Path) -> dict[str, torch.Tensor]:
    """The tensors by name in a safetensors file: the header's length, the header as JSON, raw tensors."""
    types = {"F32": torch.float32, "F64": torch.float64, "F16": torch.float16, "I64": torch.int64}
    content = Path(path).read_bytes()
    first = 8 + int.from_bytes(content[:8], "little")
    header, tensors = json.loads(content[8:first]), {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = (first + offset for offset in entry["data_offsets"])
            raw = torch.frombuffer(bytearray(content[start:end]), dtype=types[entry["dtype"]])
            tensors[name] = raw.reshape(entry["shape"])
    return tensors
