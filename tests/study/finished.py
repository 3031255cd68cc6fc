"""A finished study's document for tests, as ``regnetlab finish`` writes it."""

from typing import Any

import numpy as np

from regnetlab.study.finish_file import Finished, picture

PNG = picture(np.arange(784, dtype=np.uint8).reshape(1, 28, 28))


def tested(confusion: list[list[int]], names: list[str]) -> dict[str, Any]:
    """A network on the test split with these counts."""
    images = sum(map(sum, confusion))
    right = sum(row[i] for i, row in enumerate(confusion))
    by_class = [
        {
            "name": name,
            "images": sum(row),
            "error": 100 * (1 - row[i] / sum(row)) if sum(row) else None,
            "interval": [0.0, 100.0],
        }
        for i, (name, row) in enumerate(zip(names, confusion, strict=True))
    ]
    error = 100 * (1 - right / images)
    calibration = {"before": 3.4, "after": 1.2, "bins": [[0.55, 0.5, 4], [0.95, 0.97, 36]]}
    return {
        "images": images,
        "error": error,
        "interval": [error / 2, min(100.0, 2 * error)],
        "by_class": by_class,
        "confusion": confusion,
        "calibration": calibration,
    }


def document(names: list[str] | None = None, confusion: list[list[int]] | None = None) -> dict[str, Any]:
    """Three networks, of which ``medium`` is to be used, and a baseline; of three classes by default."""
    of_medium = tested(
        confusion or [[18, 2, 0], [1, 19, 0], [5, 0, 15]], names or ["a", "o", "<script>alert(1)</script>"]
    )
    shown = {"model": "anynet:d=1,1,1,1;w=8,16,32,64;g=8;b=1", "lr": 0.1, "epochs": 30, "augment": "crop"}
    networks = [
        {
            "name": name,
            **shown,
            "flops": flops,
            "params": 41_000,
            "acts": 21_000,
            "latency": {"batch": 1, "ms": [0.31, 0.3, 0.33], "device": "this CPU"} if flops > 10**6 else None,
            "validation_error": 2.1,
            "error": of_medium["error"],
            "interval": of_medium["interval"],
            "seeds": [10.0, 12.0, 14.0],
            "test": of_medium,
        }
        for name, flops in (("small", 990_000), ("medium", 2_036_000), ("large", 4_100_000))
    ]
    baseline = {"name": "resnet18", "model": "resnet18@2MF", "flops": 2_100_000, "params": 60_000}
    return {
        "version": 1,
        "folder": "my family",
        "use": "medium",
        "why": "it is the smallest of <script>alert(1)</script>",
        "target": "2 MF",
        "test_images": of_medium["images"],
        "networks": networks,
        "baselines": [baseline | {"error": 30.0, "interval": [20.0, 40.0], "seeds": [30.0]}],
        "mistakes": [{"png": PNG, "class": "a", "predicted": "o", "probability": 0.98}],
        "space": "AnyNetE",
        "law": "no evidence",
        "how": "It was chosen on validation images.",
        "minutes": 58.2,
    }


def finished(**changes: Any) -> Finished:
    return Finished.model_validate(document() | changes)
