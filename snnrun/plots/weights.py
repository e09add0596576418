"""Histograms of what is learned: weights by projection, time constants by population."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnrun.plots.style import BLUE, GREY, VERMILION, tidy

COLUMNS = 3
BINS = 50


@dataclass(frozen=True, kw_only=True)
class TimeConstant:
    """A time constant that differs from neuron to neuron, now and at the start (ms)."""

    population: str
    name: str
    values: np.ndarray  # [neurons]
    start: np.ndarray  # [neurons]


def size_of(panels: int) -> tuple[float, float]:
    """Return width and height of a figure with so many histograms, in inches."""
    return 3.4 * min(COLUMNS, max(2, panels)), 2.8 * -(-panels // COLUMNS) + 0.4


def draw_weights(figure: Figure, weights: Mapping[str, np.ndarray], title: str = "") -> None:
    """Draw a histogram of the weights of each projection, given as [pre, post]."""
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    for axes, (name, values) in zip(panels(figure, len(weights)), weights.items(), strict=True):
        axes.hist(values.ravel(), bins=_bins(values), color=BLUE)
        axes.axvline(float(values.mean()), color=VERMILION, linewidth=1.2)
        tidy(axes, name, x=f"weight (mean {values.mean():.3g}, std {values.std():.3g})")
        axes.set_ylabel("synapses")


def draw_time_constants(figure: Figure, found: list[TimeConstant], title: str = "") -> None:
    """Draw a histogram of each time constant; where it began as an outline, or a line."""
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    for axes, tau in zip(panels(figure, len(found)), found, strict=True):
        bins = _bins(np.concatenate([tau.values, tau.start]))
        axes.hist(tau.values, bins=bins, color=BLUE, label="now")
        if np.ptp(tau.start) > 0:
            axes.hist(tau.start, bins, color=GREY, histtype="step", lw=1.4, label="at the start")
        else:
            axes.axvline(float(tau.start[0]), color=VERMILION, linewidth=1.2, label="at the start")
        tidy(axes, f"{tau.population}: {tau.name}", x=f"{tau.name} (ms)", y="neurons")
        axes.legend(frameon=False, fontsize=8)


def panels(figure: Figure, count: int) -> list[Axes]:
    """Return ``count`` axes in rows."""
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    return [figure.add_subplot(rows, columns, k + 1) for k in range(count)]


def _bins(values: np.ndarray) -> list[float]:
    """Return edges of bins over all values, no more bins than values."""
    low, high = float(values.min()), float(values.max())
    margin = 0.0 if high > low else 0.05 * abs(low) + 1e-3
    count = int(np.clip(np.sqrt(values.size), 8, BINS))
    return [float(edge) for edge in np.linspace(low - margin, high + margin, count + 1)]
