"""From values to spike times."""

from __future__ import annotations

from typing import Any

import numpy as np

from snnrun.errors import DataError


def latency_ms(values: np.ndarray, input_ms: float, dt_ms: float) -> np.ndarray:
    """Return the time of the one spike that stands for each value in [0, 1], in ms.

        t = v (T - 4 d) + 2 d          T: input_ms, d: dt_ms

    so that the first and the last two steps stay free, as in genn_eventprop. Raises DataError where
    there are no more than four steps.
    """
    if not input_ms > 4 * dt_ms:
        raise DataError(
            f"{input_ms:g} ms of input with DT_MS={dt_ms:g} are too short for the latency code, "
            "which needs more than four steps; see dataset.input_ms and TRIAL_MS"
        )
    return np.asarray(values, np.float64) * (input_ms - 4 * dt_ms) + 2 * dt_ms


def input_ms(config: Any) -> float:
    """Return the part of a trial that the latency code takes (ms), dataset.input_ms or all."""
    wanted = config.dataset.input_ms
    if wanted is None:
        return float(config.TRIAL_MS)
    if wanted > config.TRIAL_MS:
        raise DataError(
            f"dataset.input_ms={wanted:g} is longer than the trial, TRIAL_MS={config.TRIAL_MS:g}"
        )
    return float(wanted)
