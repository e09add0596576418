"""Which of the last steps of a trial a neuron spiked in, for counts of activations."""

from __future__ import annotations

import numpy as np

from snnrun.backends.genn.description import Table


class LateSpikes:
    """The table that ``Settings.late_steps`` asks for, and the code that fills it.

    Row r of a neuron is 1 where it spiked r steps before the last one.

    Args:
        neurons: Of all trials that run at once.
        late_steps: Rows; None or 0: there is nothing.
        steps: Of a trial.
    """

    def __init__(self, neurons: int, late_steps: int | None, steps: int) -> None:
        self.tables: list[Table] = []
        self.start: list[str] = []  # of a trial
        self.spike: list[str] = []  # in step n
        if late_steps:
            rows, last = late_steps, steps - 1
            values = np.zeros(neurons * rows, np.uint8)
            self.tables = [Table(name="late", type="uint8_t", values=values)]
            self.start = [f"for (int r = 0; r < {rows}; r++) late[own * {rows} + r] = 0;"]
            self.spike = [f"if (n > {last - rows}) late[own * {rows} + {last} - n] = 1;"]
