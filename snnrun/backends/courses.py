"""How close the outputs come to target courses: the figures of each trial."""

from __future__ import annotations

import numpy as np

from snnrun.compile.loss import bind_loss
from snnrun.compile.program import Program
from snnrun.datasets.spikes import SpikeData

AT_ONCE = 64  # examples whose targets are held in float64


class CourseFigures:
    """Figures of trials whose loss compares potentials with target courses."""

    def __init__(self, program: Program) -> None:
        self._loss, self._bound = program.loss, bind_loss(program)
        self._weights = self._bound.weights(program.steps, program.dt)
        self._known: tuple[np.ndarray, float] | None = None  # the courses it is of, held

    @classmethod
    def for_loss(cls, program: Program) -> CourseFigures | None:
        """Return them for the loss of a program; None where it has no target courses."""
        return cls(program) if program.loss.readout.courses else None

    def of(self, data: SpikeData, loss: np.ndarray) -> dict[str, np.ndarray]:
        """Return the columns of snnrun.tasks.regression for examples of ``data`` of these losses.

        They are NaN where all courses are constant, so that there is nothing to explain.
        """
        courses = data.courses
        assert courses is not None  # require_fitting
        if self._known is None or self._known[0] is not courses.values:
            self._known = courses.values, self._loss_of_the_mean(courses.values)
        mean = self._known[1]
        return {"nmse": loss / mean if mean > 0 else np.full(len(loss), np.nan)}

    def _loss_of_the_mean(self, values_NTK: np.ndarray) -> float:
        """Return the mean loss of outputs that hold the mean of all courses, each its own."""
        counted = self._bound.counted
        mean = values_NTK[:, counted].mean(axis=(0, 1), dtype=np.float64)
        total = 0.0
        for first in range(0, len(values_NTK), AT_ONCE):
            some = values_NTK[first : first + AT_ONCE, counted].astype(np.float64)
            cost, _ = self._bound.course_costs(mean - some)
            total += float(np.einsum("t,ntk->", self._weights[counted], cost))
        return total / (len(values_NTK) * values_NTK.shape[2])
