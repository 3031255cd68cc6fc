"""Data that a worker gets from the coordinator: once, when it joins, whole or not at all."""

import hashlib
from typing import Any

from distributed import WorkerPlugin

ARRIVED: dict[str, bytes] = {}
"""What this worker process was sent, by its SHA-256."""


class Delivery(WorkerPlugin):
    """The scheduler keeps it and hands it to every worker, those that come later too."""

    def __init__(self, digest: str, payload: bytes) -> None:
        self.name = f"regnetlab-data-{digest[:12]}"
        self.digest, self.payload = digest, payload

    def setup(self, worker: Any) -> None:
        if hashlib.sha256(self.payload).hexdigest() == self.digest:
            ARRIVED[self.digest] = self.payload
