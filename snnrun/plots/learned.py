"""What is learned: weights by projection, time constants by population, receptive fields."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from snnrun.datasets import find
from snnrun.network.network import Network
from snnrun.plots.style import BLUE, GREY, VERMILION, Picture, tidy
from snnrun.schema import DATASETS

MS = "ms"
COLUMNS = 3
BINS = 50
MOST_FIELDS = 100  # fields in a picture
FIELD_COLUMNS = 20


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


def fields_size(neurons: int) -> tuple[float, float]:
    """Return width and height of a figure with so many fields, in inches."""
    rows = -(-min(neurons, MOST_FIELDS) // FIELD_COLUMNS)
    return 0.5 * FIELD_COLUMNS + 0.2, 0.5 * rows + 0.5


def draw_fields(figure: Figure, weights: np.ndarray, title: str = "") -> None:
    """Draw the weights [pixels, neurons] into the first neurons, all in one scale of greys.

    Args:
        figure: An empty figure.
        weights: From the pixels of a square image, row by row.
        title: Stands above.
    """
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    side, neurons = math.isqrt(len(weights)), min(weights.shape[1], MOST_FIELDS)
    rows = -(-neurons // FIELD_COLUMNS)
    sheet = np.full((rows * (side + 1), FIELD_COLUMNS * (side + 1)), np.nan)
    for k in range(neurons):
        top, left = (k // FIELD_COLUMNS) * (side + 1), (k % FIELD_COLUMNS) * (side + 1)
        sheet[top : top + side, left : left + side] = weights[:, k].reshape(side, side)
    axes = figure.add_subplot()
    shown = axes.imshow(sheet, cmap="gray_r", interpolation="nearest")
    figure.colorbar(shown, ax=axes, label="weight", fraction=0.03, pad=0.01)
    axes.set_axis_off()


def learned(
    network: Network, tensors: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], list[TimeConstant]]:
    """Return projection -> [pre, post], and the time constants in which neurons differ."""
    weights = {projection.name: tensors[projection.name] for projection in network.projections}
    found = []
    for layer in network.layers:
        population = layer.population
        rows = tensors.get(f"{population.name}_parameters", ())
        for name, values in zip(population.per_neuron, rows, strict=True):
            if population.neuron is not None and population.neuron.parameter(name).unit == MS:
                start = np.broadcast_to(population.values[name], values.shape)
                found.append(
                    TimeConstant(population=population.name, name=name, values=values, start=start)
                )
    return weights, found


def pictures_of(
    weights: Mapping[str, np.ndarray], taus: list[TimeConstant], after: str, dataset: str = ""
) -> Iterator[Picture]:
    """Yield the histograms, and receptive fields on images."""
    first = next(iter(weights.values()))
    pixels = dataset in DATASETS and find(dataset).pixels
    if pixels and math.isqrt(len(first)) ** 2 == len(first):
        title = f"Weights from the pixels into each neuron {after}"
        yield Picture("fields", fields_size(first.shape[1]), lambda f: draw_fields(f, first, title))
    size = size_of(len(weights))
    yield Picture("weights", size, lambda f: draw_weights(f, weights, f"Weights {after}"))
    if taus:
        title_taus, size_taus = f"Time constants {after}", size_of(len(taus))
        yield Picture(
            "time_constants", size_taus, lambda f: draw_time_constants(f, taus, title_taus)
        )
