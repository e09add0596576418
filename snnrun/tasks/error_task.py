"""What tasks have in common whose score is 1 minus an error, relative to that of no learning."""

from __future__ import annotations

import numpy as np

from snnrun.numbers import number
from snnrun.tasks.task import Task


class ErrorTask(Task):
    """A task whose score is 1 minus a relative error: 0 of who has learned nothing, 1 at best."""

    def cell(self, score: float | None) -> str:
        return number(None if score is None else 1.0 - score)

    def in_text(self, score: float) -> str:
        return f"{score:.4f}"

    def chance(self, labels: np.ndarray) -> float | None:
        return 0.0

    def spread(self, score: float, examples: int) -> None:
        return None
