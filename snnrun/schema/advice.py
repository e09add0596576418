"""Settings that messages advise, with what else they need where the configuration stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snnrun.schema.model import SPIKE_TIME_LOSSES, TARGET_LOSSES


def with_rule(rule: str, values: Mapping[str, Any]) -> str:
    """Return how to choose a learning rule, as in "rule=surrogate LOSS_TYPE=max".

    "" where the data set cannot be learned with it.
    """
    dataset, loss = values.get("dataset.name", ""), values.get("LOSS_TYPE", "")
    pattern = dataset == "pattern"
    if rule == "superspike":
        return "rule=superspike" if pattern or "." in dataset else "rule=superspike dataset=pattern"
    if rule != "surrogate":
        return "" if pattern else f"rule={rule}"
    if pattern:
        return "rule=surrogate" + ("" if loss in TARGET_LOSSES else " LOSS_TYPE=van_rossum")
    if loss in TARGET_LOSSES and "." not in dataset:
        return "rule=surrogate dataset=pattern"
    return "rule=surrogate" + (" LOSS_TYPE=max" if loss in SPIKE_TIME_LOSSES else "")
