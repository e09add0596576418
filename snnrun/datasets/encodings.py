"""From values to spike times."""

from __future__ import annotations

import numpy as np

from snnrun.errors import DataError


def latency_ms(values: np.ndarray, trial_ms: float, dt_ms: float) -> np.ndarray:
    """Return the time of the one spike that stands for each value in [0, 1], in ms.

        t = v (T - 4 d) + 2 d          T: trial_ms, d: dt_ms

    so that the first and the last two steps of a trial stay free, as in genn_eventprop. Raises
    DataError where a trial has no more than four steps.
    """
    if not trial_ms > 4 * dt_ms:
        raise DataError(
            f"TRIAL_MS={trial_ms:g} with DT_MS={dt_ms:g} is too short for the latency code, which "
            "needs more than four steps"
        )
    return np.asarray(values, np.float64) * (trial_ms - 4 * dt_ms) + 2 * dt_ms
