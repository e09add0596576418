"""One example in the network: spikes of inputs and layers, and what the outputs make of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnrun.datasets.spikes import Targets
from snnrun.plots.style import BLACK, BLUE, GREY, ORANGE, TEXT, VERMILION, Picture, tidy

SIZE_PER_PANEL = 2.1
OUTPUT = "output"
FRAMES = 40
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
    return Spikes(population=OUTPUT, size=outputs, times_ms=(steps + 1.0) * dt, ids=ids)


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
    until_ms: float = math.inf  # what comes later is not shown yet

    def name_of(self, label: int) -> str:
        """Return the name of a class, its number where it has none."""
        return self.class_names[label] if self.class_names else str(label)


def raster(example: Example) -> Picture:
    """Return one panel for each population, above each other, over the time of the trial."""
    count = len(example.spikes) + (example.potentials is not None)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
        for axes, spikes in zip(panels, example.spikes, strict=False):
            _draw_spikes(axes, spikes, example)
        if example.potentials is not None:
            _draw_potentials(panels[-1], example)
        for axes in panels:
            if math.isfinite(example.until_ms):
                axes.axvline(example.until_ms, color=VERMILION, linewidth=1.2)
        panels[-1].set_xlabel("time (ms)", fontsize=TEXT)
        panels[-1].set_xlim(0, example.trial_ms)

    return Picture("raster", (8.5, SIZE_PER_PANEL * count + 1.0), example.title, paint)


def raster_over_time(example: Example) -> Iterator[Picture]:
    """Yield the pictures of an animation that runs through the trial."""
    for until in np.linspace(0, example.trial_ms, FRAMES + 1)[1:]:
        yield raster(replace(example, until_ms=float(until)))


def _draw_spikes(axes: Axes, spikes: Spikes, example: Example) -> None:
    """Draw spikes as dashes; of outputs, the label's row is marked."""
    height = float(np.clip(72 * 0.7 * SIZE_PER_PANEL / spikes.size, _SHORTEST, _TALLEST))
    is_output = spikes.population == OUTPUT
    if is_output and example.target is not None:
        wanted = example.target
        axes.plot(wanted.times_ms, wanted.ids, "|", color=ORANGE, markersize=height, mew=2.0)
    now = spikes.times_ms <= example.until_ms
    axes.plot(spikes.times_ms[now], spikes.ids[now], "|", color=BLACK, markersize=height, mew=0.8)
    unit = "channel" if spikes.population == "input" else "neuron"
    title = f"{spikes.population}: {len(spikes.ids)} spikes of {spikes.size} {unit}s"
    if is_output and example.target is not None:
        title += "; the target in orange"
    elif is_output:
        for k, colour in _marked(example).items():
            axes.axhspan(k - 0.4, k + 0.4, color=colour, alpha=0.25, lw=0)
        title += _meaning(example)
    tidy(axes, title, y=unit)
    axes.set_ylim(-0.5, spikes.size - 0.5)
    axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _draw_potentials(axes: Axes, example: Example) -> None:
    """Draw the potential of each output, the label's and a wrong choice in colour."""
    assert example.potentials is not None
    steps, outputs = example.potentials.shape
    times = (np.arange(steps) + 1) * example.trial_ms / steps
    now, marked = times <= example.until_ms, _marked(example)
    for k in sorted(range(outputs), key=lambda k: k in marked):
        width = 2.0 if k in marked else 1.0
        colour = marked.get(k, GREY)
        axes.plot(times[now], example.potentials[now, k], color=colour, linewidth=width)
    tidy(axes, OUTPUT + _meaning(example), y="potential V")


def titled(example: Example) -> Example:
    """Return an example with its label and prediction in the title, where there are classes."""
    if example.label < 0:
        return example
    names = [
        f"{k} ({name})" if k >= 0 and (name := example.name_of(k)) != str(k) else str(k)
        for k in (example.label, example.prediction)
    ]
    predicted = "none" if example.prediction < 0 else names[1]
    return replace(example, title=f"{example.title}: class {names[0]}, predicted {predicted}")


def _marked(example: Example) -> dict[int, str]:
    """Return the colours of the outputs of the label and of a wrong prediction."""
    found = {example.prediction: VERMILION, example.label: BLUE}
    return {k: colour for k, colour in found.items() if k >= 0 and example.label >= 0}


def _meaning(example: Example) -> str:
    words = {BLUE: "the label's in blue", VERMILION: "the prediction's in red"}
    found = [words[colour] for colour in reversed(_marked(example).values())]
    return f"; {', '.join(found)}" if found else ""
