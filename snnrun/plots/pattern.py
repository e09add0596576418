"""Recorded trials of a pattern task side by side: input, hidden neurons, and outputs on the target.

One column for each recorded trial, as in the figures of Zenke & Ganguli 2018; the target stands
behind the spikes of the outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnrun.plots.raster import Spikes
from snnrun.plots.style import BLACK, ORANGE, TEXT, Picture, tidy

MOST_COLUMNS = 6  # more would leave none of them readable
WIDTH, HEIGHT = 4.6, 2.6  # of a panel, in inches
_DOT = 900.0  # area of the dots of a population, shared among its neurons


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One recorded trial: the spikes of its populations, input first."""

    title: str
    spikes: Sequence[Spikes]


def patterns(
    columns: Sequence[Shown], trial_ms: float, target: Spikes | None, title: str
) -> Picture:
    """Return the populations above each other, a column for each trial.

    Args:
        target: Spikes that the outputs should emit, or None where its file is gone.
    """
    rows = len(columns[0].spikes)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(rows, len(columns), sharex=True, sharey="row", squeeze=False)
        for k, column in enumerate(columns):
            for row, spikes in enumerate(column.spikes):
                axes = panels[row, k]
                if target is not None and spikes.population == target.population:
                    _dots(axes, target, ORANGE, 3.0)
                _dots(axes, spikes, BLACK, 1.0)
                name = f"{spikes.population}: {len(spikes.ids):,} spikes"
                if target is not None and spikes.population == target.population:
                    name += f", target {len(target.ids):,} (orange)"
                tidy(axes, f"{column.title}\n{name}" if row == 0 else name)
                axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
                axes.set_ylim(-0.5, spikes.size - 0.5)
            panels[-1, k].set_xlabel("time (ms)", fontsize=TEXT)
            panels[-1, k].set_xlim(0, trial_ms)
        for row in range(rows):
            panels[row, 0].set_ylabel("channel" if row == 0 else "neuron", fontsize=TEXT)

    size = 1.0 + WIDTH * min(len(columns), MOST_COLUMNS), 0.8 + HEIGHT * rows
    return Picture("pattern", size, title, paint)


def _dots(axes: Axes, spikes: Spikes, colour: str, wider: float) -> None:
    area = min(20.0, max(1.0, _DOT / spikes.size)) * wider
    axes.scatter(spikes.times_ms, spikes.ids, s=area, color=colour, linewidths=0)
