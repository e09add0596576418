"""What is learned: weights by projection and as images, time constants by population, delays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from snnrun.datasets import find
from snnrun.network.network import Network
from snnrun.plots.delays import DelayCourse, courses, histograms_of_delays
from snnrun.plots.histograms import bins_of, panels, size_of
from snnrun.plots.network import network_picture
from snnrun.plots.style import BLUE, GREY, SKY, VERMILION, Picture, colour_bar, legend_of_all, tidy
from snnrun.schema import DATASETS

MS = "ms"
MOST_FIELDS = 100  # fields in a picture
MOST_CHANNELS = 32  # of a kernel, on either side
FIELD_COLUMNS = 20


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What a network has learned.

    ``weights``: projection -> the array of its weights, not a number where there is no synapse.
    """

    network: Network
    weights: Mapping[str, np.ndarray]
    time_constants: list[TimeConstant]
    delays: list[DelayCourse]


@dataclass(frozen=True, kw_only=True)
class TimeConstant:
    """A time constant that differs from neuron to neuron, now and at the start (ms)."""

    population: str
    name: str
    values: np.ndarray  # [neurons]
    start: np.ndarray  # [neurons]


def histograms_of_weights(weights: Mapping[str, np.ndarray], title: str) -> Picture:
    """Return a histogram of the weights of each projection."""

    def paint(figure: Figure) -> None:
        for axes, (name, values) in zip(panels(figure, len(weights)), weights.items(), strict=True):
            there = values[np.isfinite(values)]
            axes.hist(there, bins=bins_of(there), color=BLUE)
            axes.axvline(float(there.mean()), color=VERMILION, linewidth=1.2)
            tidy(axes, name, x=f"weight (mean {there.mean():.3g}, std {there.std():.3g})")
            axes.set_ylabel("synapses" if values.ndim == 2 else "weights that synapses share")

    return Picture("weights", size_of(len(weights)), title, paint)


def histograms_of_taus(found: list[TimeConstant], title: str) -> Picture:
    """Return a histogram of each time constant; where it began as an outline, or a line."""

    def paint(figure: Figure) -> None:
        grid = panels(figure, len(found))
        for axes, tau in zip(grid, found, strict=True):
            bins = bins_of(np.concatenate([tau.values, tau.start]))
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
        legend_of_all(figure, grid)

    return Picture("time_constants", size_of(len(found)), title, paint)


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
        colour_bar(shown, axes, "weight", fraction=0.03, pad=0.01)
        axes.set_axis_off()

    total = weights.shape[1]
    which = f"the first {neurons} of {total}" if total > neurons else f"all {total}"
    size = 0.5 * FIELD_COLUMNS + 0.2, max(2.4, 0.5 * rows + 0.7)
    return Picture("fields", size, f"{title}: {which} neurons", paint)


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
            colour_bar(shown, axes, "weight", fraction=0.03, pad=0.01)
            axes.set_facecolor(to_rgba(SKY, 0.35))  # between kernels
            ins, outs = found[name].shape[-2:]
            ends = f"from {_first(ins)} (rows) to {_first(outs)} (columns)"
            tidy(axes, f"{name}: {ends}")
            axes.grid(visible=False)
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
    network: Network,
    tensors: Mapping[str, np.ndarray],
    recorded: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> Learned:
    """Return what is learned; of weights those that are, and of time constants that differ.

    Args:
        network: The network.
        tensors: Its tensors by name, or some of them.
        recorded: When -> projection -> delays that were recorded.
    """
    found = []
    for layer in network.layers:
        population = layer.population
        rows = tensors.get(f"{population.name}_parameters", np.empty(0))
        for name, values in zip(population.per_neuron, rows, strict=False):
            if population.neuron is not None and population.neuron.parameter(name).unit == MS:
                start = np.broadcast_to(population.values[name], values.shape)
                found.append(
                    TimeConstant(population=population.name, name=name, values=values, start=start)
                )
    return Learned(
        network=network,
        weights=dict(_weights(network, tensors)),
        time_constants=found,
        delays=courses(network, tensors, recorded or {}),
    )


def _weights(
    network: Network, tensors: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the weights by projection; pooling has none to speak of."""
    for projection in network.projections:
        weights, synapses = tensors.get(projection.name), projection.synapses
        if weights is None:  # not recorded
            continue
        if synapses is None:
            yield projection.name, weights
        elif not synapses.shared and len(synapses.pre):
            yield projection.name, np.where(synapses.mask, weights, np.nan)
        elif projection.trained and synapses.shared:
            yield projection.name, weights


def pictures_of(found: Learned, of: str, when: str, dataset: str = "") -> Iterator[Picture]:
    """Yield the network, histograms, receptive fields on images, and kernels.

    Args:
        found: What is shown.
        of: Which run, in words.
        when: In words.
        dataset: Its name.
    """
    network = found.network
    pixels = dataset in DATASETS and find(dataset).pixels
    seen = (found.weights.get(p.name) for p in network.projections if p.source == "input")
    first = next((w for w in seen if w is not None and w.ndim == 2), np.empty((0, 0)))
    if pixels and first.size and math.isqrt(len(first)) ** 2 == len(first):
        yield fields(first, f"{of}: weights from the pixels {when}")
    convolved = {name: array for name, array in found.weights.items() if array.ndim in (3, 4)}
    if convolved:
        yield kernels(convolved, f"{of}: kernels {when}")
    if found.weights:
        yield histograms_of_weights(found.weights, f"{of}: weights {when}")
    if found.time_constants:
        yield histograms_of_taus(found.time_constants, f"{of}: time constants {when}")
    if found.delays:
        yield histograms_of_delays(found.delays, f"{of}: delays {when}")
    now = {course.projection: course.now for course in found.delays}
    yield network_picture(network, now, f"{of}: network {when}")
