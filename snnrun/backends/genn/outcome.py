"""Loss and prediction of each example, on the host, from what the output population left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from snnrun.compile.loss import NEVER_MS, bind_loss
from snnrun.compile.program import Program

Outputs = Mapping[str, np.ndarray]  # variable -> [B, K]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Loss (float64) and prediction (int32, -1: none) of B examples."""

    loss: np.ndarray
    prediction: np.ndarray


def outcome_of(program: Program) -> Callable[[Outputs, np.ndarray], Outcome]:
    """Return the function of (outputs, labels [B]) that evaluates the program's loss."""
    bound = bind_loss(program)

    def of_number(outputs: Outputs, labels: np.ndarray) -> Outcome:
        y = outputs["y"].astype(float)
        return _outcome(bound.values(y, labels), bound.scores(y).argmax(axis=1))

    def of_steps(outputs: Outputs, labels: np.ndarray) -> Outcome:
        loss = outputs["loss"][np.arange(len(labels)), labels] / bound.steps_counted
        return _outcome(loss, outputs["mean_score"].argmax(axis=1))

    def of_first_spike(outputs: Outputs, labels: np.ndarray) -> Outcome:
        step, late = outputs["first_step"], program.duration + 1
        rows = np.arange(len(labels))
        silent = NEVER_MS if program.loss.silent_excluded else late
        y = np.where(step < 0, silent, (step + 1) * program.dt)
        y[rows, labels] = np.minimum(y[rows, labels], late)
        prediction = np.where((step >= 0).any(axis=1), bound.scores(y).argmax(axis=1), -1)
        return _outcome(bound.values(y, labels, latest=program.duration), prediction)

    if program.loss.readout.of_steps:
        return of_steps
    return of_first_spike if program.loss.spiking else of_number


def _outcome(loss: np.ndarray, prediction: np.ndarray) -> Outcome:
    return Outcome(loss=loss.astype(float), prediction=prediction.astype(np.int32))
