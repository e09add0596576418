"""How often neurons spike in a trial: each of them now, and populations by epoch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnrun.plots.histograms import COLUMNS, panels, size_of
from snnrun.plots.style import (
    BLUE,
    VERMILION,
    Picture,
    by_epoch,
    legend,
    legend_of_all,
    marker,
    tidy,
)

BARS = 30
PHASES = {"": ("training", BLUE), "validation_": ("validation", VERMILION)}
Columns = Mapping[str, np.ndarray]


def activity(per_trial: Mapping[str, np.ndarray], title: str) -> Picture:
    """Return a histogram for each population: mean spikes per trial of each neuron, [neurons].

    Silent neurons have a bar of their own, left of 0.
    """

    def paint(figure: Figure) -> None:
        for axes, (name, means) in zip(
            panels(figure, len(per_trial)), per_trial.items(), strict=True
        ):
            width = max(1.0, float(means.max())) / BARS
            silent = int((means == 0).sum())
            axes.hist(means[means > 0], bins=[width * k for k in range(BARS + 1)], color=BLUE)
            axes.bar(-width, silent, width, color=VERMILION, label=f"without a spike: {silent}")
            tidy(
                axes,
                f"{name}: {silent} of {len(means)} silent",
                "spikes per trial, mean",
                "neurons",
            )
            if silent:
                legend(axes)

    return Picture("activity", size_of(len(per_trial)), title, paint)


def activity_by_epoch(epochs: Columns, sizes: Mapping[str, int], title: str) -> Picture:
    """Return spikes per trial and silent neurons of each population, by epoch.

    Args:
        epochs: The table of epochs (snnrun.record.columns.EPOCHS); where it has deviations over the
            neurons (DEBUG_HIDDEN_N), these are bands.
        sizes: Population -> how many neurons, as far as they are known.
        title: Above everything.
    """
    names = [c.partition("/")[2] for c in epochs if c.startswith("spikes_per_neuron/")]
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(2 * rows, columns, sharex=True, squeeze=False)
        pairs = grid.reshape(rows, 2, columns).swapaxes(1, 2).reshape(-1, 2)
        for axes in pairs[len(names) :].ravel():
            axes.set_axis_off()
        for (spikes, silent), name in zip(pairs, names, strict=False):
            _curves(spikes, epochs, "spikes_per_neuron", name)
            _curves(silent, epochs, "silent_neurons", name)
            of = f" of {sizes[name]}" if name in sizes else ""
            tidy(spikes, name, y="spikes per trial, mean")
            tidy(silent, y=f"silent neurons{of}")
            for axes in (spikes, silent):
                axes.set_ylim(0, max(1.1 * axes.get_ylim()[1], 1e-3 if axes is spikes else 1.0))
            silent.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
            by_epoch(silent, epochs["epoch"])
            silent.tick_params(labelbottom=True)
        legend_of_all(figure, grid.ravel())

    return Picture("activity_by_epoch", (max(7.0, 4.0 * columns), 0.8 + 5.2 * rows), title, paint)


def _curves(axes: Axes, epochs: Columns, quantity: str, name: str) -> None:
    """Draw a quantity of a population in training and, where it is known, in validation."""
    for phase, (label, colour) in PHASES.items():
        values = epochs.get(f"{phase}{quantity}/{name}")
        if values is None or not np.isfinite(values).any():
            continue
        dots = marker(len(values))
        axes.plot(epochs["epoch"], values, color=colour, label=label, marker=dots, markersize=4)
        spread = epochs.get(f"{phase}{quantity}_std/{name}")
        if spread is not None:
            edges = np.maximum(values - spread, 0), values + spread
            what = f"{label} ± standard deviation"
            axes.fill_between(epochs["epoch"], *edges, color=colour, alpha=0.2, lw=0, label=what)
