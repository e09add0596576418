"""Curves of several runs in one picture; of runs that differ by seeds only, mean and spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from snnrun.plots.style import COLOURS, by_epoch, logarithmic_if_wide, marker, tidy
from snnrun.plots.training import Columns
from snnrun.tasks import Task

SIZE = (10.0, 7.0)
LINES = ("-", "--", ":", "-.")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs of one configuration, but for seeds: the tables of their epochs."""

    label: str
    task: Task
    runs: Sequence[Columns]

    def mean_and_spread(self, column: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return epochs, mean and standard deviation (n - 1) of a column over the runs.

        The curve ends with the shortest run: a mean over fewer runs would jump.
        """
        length = min(len(run["epoch"]) for run in self.runs)
        curves = np.stack([np.asarray(run[column][:length], float) for run in self.runs])
        spread = curves.std(axis=0, ddof=1) if len(curves) > 1 else np.zeros(length)
        return self.runs[0]["epoch"][:length], curves.mean(axis=0), spread


def draw_comparison(figure: Figure, groups: Sequence[Group]) -> None:
    """Draw score and loss of training and validation, one colour per group."""
    grid = figure.subplots(2, 2)
    tasks = list(dict.fromkeys(group.task for group in groups))
    score = " or ".join(task.score for task in tasks)
    for row, quantity in zip(grid, (score, "loss"), strict=True):
        for axes, (split, name) in zip(
            row, {"train": "training", "validation": "validation"}.items(), strict=True
        ):
            for number, group in enumerate(groups):
                column = f"{split}_loss" if quantity == "loss" else group.task.column(split)
                _draw_group(axes, group, column, number)
            labels = [task.loss_axis if quantity == "loss" else task.score_axis for task in tasks]
            y = " or ".join(labels)
            tidy(axes, f"{quantity} in {name}".capitalize(), y=y)
            by_epoch(axes, np.concatenate([r["epoch"] for g in groups for r in g.runs]))
            if quantity == score:
                axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
            else:
                logarithmic_if_wide(axes)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    columns = 130 // (max(map(len, labels)) + 8)  # that the width of the figure has room for
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=max(1, min(len(labels), columns)),
        frameon=False,
        fontsize=9,
    )


def _draw_group(axes: Axes, group: Group, column: str, number: int) -> None:
    """Draw the mean curve with its spread as a band, and each run as a faint line."""
    colour, dashes = COLOURS[number % len(COLOURS)], LINES[number // len(COLOURS) % len(LINES)]
    epochs, mean, spread = group.mean_and_spread(column)
    count = len(group.runs)
    more = f" ({count} runs, mean ± standard deviation)" if count > 1 else ""
    axes.plot(
        epochs,
        mean,
        dashes,
        color=colour,
        label=group.label + more,
        marker=marker(len(epochs)),
        markersize=3,
    )
    if count > 1:
        axes.fill_between(epochs, mean - spread, mean + spread, color=colour, alpha=0.2, lw=0)
        for run in group.runs:
            axes.plot(run["epoch"], run[column], color=colour, alpha=0.35, linewidth=0.7)
