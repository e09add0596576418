"""One example in the network: spikes of inputs and layers, and what the outputs make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnrun.datasets.spikes import Targets
from snnrun.plots.style import BLACK, BLUE, GREY, ORANGE, VERMILION, Picture, tidy

SIZE_PER_PANEL = 1.9
_TALLEST, _SHORTEST = 8.0, 2.5  # points, of the dash that is a spike


@dataclass(frozen=True, kw_only=True)
class Spikes:
    """Spikes of a population in one trial."""

    population: str
    size: int
    times_ms: np.ndarray  # [spikes]
    ids: np.ndarray  # [spikes]


def target_spikes(targets: Targets | None, example: int, outputs: int, dt: float) -> Spikes | None:
    """Return the target spikes of an example, at the ends of their steps of ``dt`` ms, if known."""
    if targets is None:
        return None
    steps, ids = targets.of(example)
    return Spikes(population="output", size=outputs, times_ms=(steps + 1.0) * dt, ids=ids)


@dataclass(frozen=True, kw_only=True)
class Example:
    """What happened in a trial; ``potentials`` are those of outputs that do not spike."""

    title: str
    trial_ms: float
    label: int  # -1: the task has target spikes and no classes
    prediction: int  # -1: none
    spikes: Sequence[Spikes]  # input first; the output too where it spikes
    potentials: np.ndarray | None = None  # [steps, outputs], at the end of each step
    class_names: Sequence[str] = ()
    target: Spikes | None = None  # of the outputs


def raster(example: Example) -> Picture:
    """Return one panel for each population, above each other, over the time of the trial."""
    count = len(example.spikes) + (example.potentials is not None)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
        outputs_spike = example.potentials is None
        for axes, spikes in zip(panels, example.spikes, strict=False):
            is_output = outputs_spike and spikes is example.spikes[-1]
            _draw_spikes(axes, spikes, example if is_output else None)
        if example.potentials is not None:
            _draw_potentials(panels[-1], example)
        panels[-1].set_xlabel("time (ms)")
        panels[-1].set_xlim(0, example.trial_ms)

    return Picture("raster", (8.5, SIZE_PER_PANEL * count + 0.8), example.title, paint)


def _draw_spikes(axes: Axes, spikes: Spikes, output_of: Example | None) -> None:
    """Draw spikes as dashes; of outputs, the label's row is marked."""
    height = float(np.clip(72 * 0.7 * SIZE_PER_PANEL / spikes.size, _SHORTEST, _TALLEST))
    if output_of is not None and output_of.target is not None:
        wanted = output_of.target
        axes.plot(wanted.times_ms, wanted.ids, "|", color=ORANGE, markersize=height, mew=2.0)
    axes.plot(spikes.times_ms, spikes.ids, "|", color=BLACK, markersize=height, mew=0.8)
    unit = "channel" if spikes.population == "input" else "neuron"
    title = f"{spikes.population}: {len(spikes.ids)} spikes of {spikes.size} {unit}s"
    if output_of is not None and output_of.target is not None:
        title += "; the target in orange"
    elif output_of is not None:
        label, prediction = output_of.label, output_of.prediction
        if prediction not in (-1, label):
            axes.axhspan(prediction - 0.4, prediction + 0.4, color=VERMILION, alpha=0.25, lw=0)
        axes.axhspan(label - 0.4, label + 0.4, color=BLUE, alpha=0.25, lw=0)
        title += "; the label's in blue" + _wrong_one(output_of)
    tidy(axes, title, y=unit)
    axes.set_ylim(-0.5, spikes.size - 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _draw_potentials(axes: Axes, example: Example) -> None:
    """Draw the potential of each output, the label's and a wrong choice in colour."""
    assert example.potentials is not None
    steps, outputs = example.potentials.shape
    times = (np.arange(steps) + 1) * example.trial_ms / steps
    order = sorted(range(outputs), key=lambda k: (k == example.label, k == example.prediction))
    for k in order:
        colour = GREY
        if k == example.label:
            colour = BLUE
        elif k == example.prediction:
            colour = VERMILION
        width = 1.0 if colour == GREY else 2.0
        axes.plot(times, example.potentials[:, k], color=colour, linewidth=width, label=f"{k}")
    tidy(axes, "output: the label's in blue" + _wrong_one(example), y="potential V")


def _wrong_one(example: Example) -> str:
    return "" if example.prediction in (-1, example.label) else ", the prediction's in red"
