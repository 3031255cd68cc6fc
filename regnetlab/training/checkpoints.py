"""Where a training stands, as a file: what was interrupted goes on, and on a CPU ends with the same bits.

A file has the network's and the optimiser's tensors and the states of the random generators; the curve and
the sums since its last point are a JSON object in its header (safetensors; nothing is unpickled). It is
written whole or not at all. What belongs to another training, or is damaged, is as if there were none.
"""

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from regnetlab.errors import InputError
from regnetlab.files import open_atomically, open_foreign

ENDING = ".checkpoint"
EVERY = 120.0
"""Seconds between two checkpoints of a training."""
_ENTRY = "regnetlab"


@dataclass(slots=True)
class Checkpoint:
    """The checkpoint of one training. What a call that was killed left half written stands beside it
    (``.part``), and is removed by the next run.

    ``of`` is everything that its bits follow from, beside the seed and all else that ``path`` is named after:
    the images and what computes.
    """

    path: Path
    of: str
    asked: bool = False
    _kept: float = field(default_factory=time.monotonic)
    _problem: InputError | None = None

    def check_own(self) -> int:
        """After how many steps it goes on, 0 without a file.

        Raises ``InputError`` where its file is no checkpoint of this training, or could not be written.
        """
        found = self.load()
        if found is None and self.path.exists():
            raise InputError(
                f"{self.path} is no checkpoint of this training by this version on this kind of device",
                "name another file; an earlier checkpoint that is of no use any more may be removed",
            )
        probe = self.path.with_name(f".{self.path.name}.part")
        try:
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InputError(f"{self.path} can't be written: {error.strerror}", "name another file") from None
        step = 0 if found is None else found[1].get("step")
        return step if isinstance(step, int) else 0

    def settle(self, done: bool) -> InputError | None:
        """Remove the file of a training that is ``done``; says what went wrong with it."""
        if done:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
        return self._problem

    @contextmanager
    def kept_on_interrupt(self) -> Iterator[None]:
        """Within it Ctrl-C or SIGTERM ends the training behind its next step, once that is kept; a second one
        at once."""
        usual = {each: signal.getsignal(each) or signal.SIG_DFL for each in (signal.SIGINT, signal.SIGTERM)}

        def as_usual() -> None:
            for each, handler in usual.items():
                signal.signal(each, handler)

        def ask(number: int, frame: object) -> None:
            self.asked = True
            as_usual()

        for each in usual:
            signal.signal(each, ask)
        try:
            yield
        finally:
            as_usual()

    def due(self) -> bool:
        """Whether the last one was long ago, or someone asked for one more."""
        return self.asked or time.monotonic() - self._kept >= EVERY

    def save(self, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
        """Write it; a full disk is no reason to end a training."""
        from safetensors.torch import save

        self._kept = time.monotonic()
        try:
            there = {name: each.detach().cpu().contiguous().clone() for name, each in tensors.items()}
            kept = json.dumps({"of": self.of, "sha256": _sum(there, facts), **facts})
            data = save(there, {_ENTRY: kept})
            self.path.parent.mkdir(exist_ok=True)
            with open_atomically(self.path) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, InputError, MemoryError) as error:
            self._problem = InputError(f"checkpoint {self.path} could not be written: {error}")

    def load(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """The tensors and the facts, if there are any of this training."""
        from safetensors import SafetensorError, safe_open

        try:
            if not self.path.is_file():
                return None
            with open_foreign(self.path), safe_open(self.path, framework="pt") as file:
                facts = json.loads((file.metadata() or {}).get(_ENTRY, "{}"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, ValueError, RecursionError):
            return None
        if not isinstance(facts, dict) or facts.pop("of", None) != self.of:
            return None
        return (tensors, facts) if facts.pop("sha256", None) == _sum(tensors, facts) else None


def _sum(tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> str:
    """A SHA-256 over the facts and the tensors' bytes: safetensors has none."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
