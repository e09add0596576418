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
MOST_CHANNELS = 32  # of a kernel, on either side
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


def histograms_of_weights(weights: Mapping[str, np.ndarray], title: str) -> Picture:
    """Return a histogram of the weights of each projection."""

    def paint(figure: Figure) -> None:
        for axes, (name, values) in zip(panels(figure, len(weights)), weights.items(), strict=True):
            axes.hist(values.ravel(), bins=_bins(values), color=BLUE)
            axes.axvline(float(values.mean()), color=VERMILION, linewidth=1.2)
            tidy(axes, name, x=f"weight (mean {values.mean():.3g}, std {values.std():.3g})")
            axes.set_ylabel("synapses")

    return Picture("weights", size_of(len(weights)), title, paint)


def histograms_of_taus(found: list[TimeConstant], title: str) -> Picture:
    """Return a histogram of each time constant; where it began as an outline, or a line."""

    def paint(figure: Figure) -> None:
        for axes, tau in zip(panels(figure, len(found)), found, strict=True):
            bins = _bins(np.concatenate([tau.values, tau.start]))
            axes.hist(tau.values, bins=bins, color=BLUE, label="now")
            if np.ptp(tau.start) > 0:
                axes.hist(
                    tau.start, bins, color=GREY, histtype="step", lw=1.4, label="at the start"
                )
            else:
                axes.axvline(
                    float(tau.start[0]), color=VERMILION, linewidth=1.2, label="at the start"
                )
            tidy(axes, f"{tau.population}: {tau.name}", x=f"{tau.name} (ms)", y="neurons")
            axes.legend(frameon=False, fontsize=8)

    return Picture("time_constants", size_of(len(found)), title, paint)


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


def fields(weights: np.ndarray, title: str) -> Picture:
    """Return the weights into the first neurons as images, all in one scale of greys.

    ``weights`` [pixels, neurons] are from the pixels of a square image, row by row.
    """
    side, neurons = math.isqrt(len(weights)), min(weights.shape[1], MOST_FIELDS)
    rows = -(-neurons // FIELD_COLUMNS)

    def paint(figure: Figure) -> None:
        sheet = np.full((rows * (side + 1), FIELD_COLUMNS * (side + 1)), np.nan)
        for k in range(neurons):
            top, left = (k // FIELD_COLUMNS) * (side + 1), (k % FIELD_COLUMNS) * (side + 1)
            sheet[top : top + side, left : left + side] = weights[:, k].reshape(side, side)
        axes = figure.add_subplot()
        shown = axes.imshow(sheet, cmap="gray_r", interpolation="nearest")
        figure.colorbar(shown, ax=axes, label="weight", fraction=0.03, pad=0.01)
        axes.set_axis_off()

    return Picture("fields", (0.5 * FIELD_COLUMNS + 0.2, 0.5 * rows + 0.5), title, paint)


def kernels(found: Mapping[str, np.ndarray], title: str) -> Picture:
    """Return the kernels of convolutions as images, those into a channel below each other.

    ``found``: projection -> weights [rows, columns, c_in, c_out] or [places, c_in, c_out].
    """
    sheets = {name: _sheet(weights) for name, weights in found.items()}
    cells = max(max(sheet.shape) for sheet in sheets.values())
    width = float(np.clip(0.12 * cells, 4, 14))
    heights = [float(np.clip(width * len(s) / s.shape[1], 1, 14)) for s in sheets.values()]

    def paint(figure: Figure) -> None:
        rows = figure.subplots(len(sheets), squeeze=False, height_ratios=heights)
        for axes, (name, sheet) in zip(rows[:, 0], sheets.items(), strict=True):
            shown = axes.imshow(sheet, cmap="gray_r", interpolation="nearest")
            figure.colorbar(shown, ax=axes, label="weight", fraction=0.03, pad=0.01)
            ins, outs = found[name].shape[-2:]
            axes.set_title(f"{name}: from {_first(ins)} (rows) to {_first(outs)} (columns)")
            axes.set_xticks([])
            axes.set_yticks([])

    return Picture("kernels", (width + 1.5, sum(heights) + 0.6 * len(heights)), title, paint)


def _first(channels: int) -> str:
    if channels > MOST_CHANNELS:
        return f"the first {MOST_CHANNELS} of {channels} channels"
    return "1 channel" if channels == 1 else f"{channels} channels"


def _sheet(weights: np.ndarray) -> np.ndarray:
    """Return kernels beside and below each other, with empty lines between them."""
    images = weights if weights.ndim == 4 else weights[None]
    images = images[:, :, :MOST_CHANNELS, :MOST_CHANNELS]
    spaced = np.pad(images, ((0, 1), (0, 1), (0, 0), (0, 0)), constant_values=np.nan)
    rows, columns, ins, outs = spaced.shape
    return spaced.transpose(2, 0, 3, 1).reshape(ins * rows, outs * columns)[:-1, :-1]


def learned(
    network: Network, tensors: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], list[TimeConstant]]:
    """Return the weights by projection, and the time constants in which neurons differ.

    Pooling has no weights to speak of.
    """
    weights = {
        projection.name: tensors[projection.name]
        for projection in network.projections
        if projection.trained or projection.synapses is None or not projection.synapses.shared
    }
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
    """Yield the histograms, receptive fields on images, and kernels."""
    first = next(iter(weights.values()), np.empty(0))
    pixels = dataset in DATASETS and find(dataset).pixels and first.ndim == 2
    if pixels and math.isqrt(len(first)) ** 2 == len(first):
        yield fields(first, f"Weights from the pixels into each neuron {after}")
    if convolved := {name: array for name, array in weights.items() if array.ndim in (3, 4)}:
        yield kernels(convolved, f"Kernels {after}")
    if weights:
        yield histograms_of_weights(weights, f"Weights {after}")
    if taus:
        yield histograms_of_taus(taus, f"Time constants {after}")
