"""Schema versions of a store: an older one is migrated step by step, a newer one refused.

1. trainings, provenance, derived networks, contest;
2. ``changes``: what the study file said when the study began. A store of version 1 did not keep it;
   it is what the file says at the next run.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from regnetlab.errors import InputError


def check_schema(study: Any, store: str, schema: int, known: int) -> None:
    """Bring the store up to the ``known`` version; raises ``InputError`` for a newer one."""
    if schema > known:
        raise InputError(
            f"store {store} was written by a newer regnetlab (schema {schema}, this one knows {known})",
            "upgrade regnetlab, or move the store away to begin anew",
        )
    for version in range(schema, known):
        _STEPS[version](study)
        study.set_user_attr("schema", version + 1)


def _from_1(study: Any) -> None:
    """The data set's checksum is known from the provenance; the file of then is not."""
    provenance = study.user_attrs.get("provenance") or {}
    if provenance.get("data_checksum") and "changes" not in study.user_attrs:
        began = {"data.checksum": provenance["data_checksum"]}
        study.set_user_attr("changes", {"began": began, "accepted": []})


_STEPS: Mapping[int, Callable[[Any], None]] = MappingProxyType({1: _from_1})
"""What brings a store from this version to the next."""
