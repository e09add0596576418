"""The course of a training: accuracy, loss, learning rate and hidden activity by epoch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from snnrun.plots.style import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    LINES,
    VERMILION,
    Picture,
    by_epoch,
    legend,
    legend_of_all,
    marker,
    tidy,
)
from snnrun.plots.style import logarithmic_if_wide as log_if_wide
from snnrun.tasks import Task

SIZE = (10.5, 7.4)
FALLEN = 0.25  # of the rates: what a schedule that ends at 0 comes to last would fill a log axis
Columns = Mapping[str, np.ndarray]
SPLITS = {"train": ("training", BLUE), "validation": ("validation", VERMILION)}


def course(
    epochs: Columns, task: Task, test: Mapping[str, float] | None = None, title: str = ""
) -> Picture:
    """Return the columns of a run's table of epochs as curves (snnrun.record.columns.EPOCHS).

    Args:
        epochs: Column -> one entry per epoch, one epoch at least.
        task: Of the run.
        test: The figures of the test, shown at the last epoch; empty or None before it.
        title: Above everything.
    """
    activity = {
        label: {name: values for name, values in epochs.items() if name.startswith(f"{column}/")}
        for column, label in (("spikes_per_neuron", "spikes"), ("silent_neurons", "silent"))
    }

    def paint(figure: Figure) -> None:
        grid = figure.add_gridspec(2, 6, height_ratios=[3, 2])
        score, loss = figure.add_subplot(grid[0, :3]), figure.add_subplot(grid[0, 3:])
        _draw_splits(score, epochs, task.score, test or {})
        tidy(score, task.score.capitalize(), y=task.score_axis)
        score.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        legend(score)
        _draw_splits(loss, epochs, "loss", test or {})
        tidy(loss, "Loss", y=task.loss_axis)
        log_if_wide(loss)
        legend(loss)
        below = [figure.add_subplot(grid[1, 2 * k : 2 * k + 2]) for k in range(3)]
        below[0].plot(
            epochs["epoch"],
            epochs["learning_rate"],
            color=GREY,
            marker=marker(_n(epochs)),
            markersize=3,
        )
        tidy(below[0], "Learning rate", y="rate")
        log_if_wide(below[0], least=FALLEN)
        _draw_populations(below[1], epochs, activity["spikes"])
        tidy(below[1], "Activity", y="spikes per neuron")
        legend_of_all(figure, below[1:])
        _draw_populations(below[2], epochs, activity["silent"])
        tidy(below[2], "Silent neurons", y="neurons")
        for axes in (score, loss, *below):
            by_epoch(axes, epochs["epoch"])

    return Picture("training", SIZE, title, paint)


def _n(epochs: Columns) -> int:
    return len(epochs["epoch"])


def _draw_splits(axes: Axes, epochs: Columns, quantity: str, test: Mapping[str, float]) -> None:
    """Draw a quantity of training and validation as curves, of the test as a star."""
    for split, (label, colour) in SPLITS.items():
        values = epochs.get(f"{split}_{quantity}", np.empty(0))
        if np.isfinite(values).any():
            axes.plot(
                epochs["epoch"],
                values,
                color=colour,
                label=label,
                marker=marker(_n(epochs)),
                markersize=4,
            )
    if quantity in test:
        axes.plot(
            epochs["epoch"][-1:],
            [test[quantity]],
            "*",
            color=GREEN,
            markersize=13,
            label="test",
            markeredgecolor="white",
            zorder=3,
        )


def _draw_populations(axes: Axes, epochs: Columns, columns: Columns) -> None:
    """Draw one curve per population; ``columns`` are named QUANTITY/POPULATION."""
    for k, (name, values) in enumerate(columns.items()):
        axes.plot(
            epochs["epoch"],
            values,
            LINES[k // len(COLOURS) % len(LINES)],
            color=COLOURS[k % len(COLOURS)],
            label=name.partition("/")[2],
            marker=marker(_n(epochs)),
            markersize=3,
        )
    top = max((np.nanmax(values) for values in columns.values()), default=1.0)
    axes.set_ylim(0, 1.1 * top or 1.0)
