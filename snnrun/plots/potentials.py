"""Variables of neurons in one trial, as traces and as an image of all neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from snnrun.plots.raster import Spikes
from snnrun.plots.style import (
    BLACK,
    COLOURS,
    GREY,
    SCALE,
    TEXT,
    Picture,
    colour_bar,
    legend_of_all,
    tidy,
)

MOST_TRACES = len(COLOURS)
HEIGHT = 2.6  # of a row, in inches


@dataclass(frozen=True, kw_only=True)
class Course:
    """A variable of a population in one trial.

    Args:
        population: Its name.
        variable: Its name.
        values: At the end of each step, [steps, neurons].
        threshold: At which neurons spike, where it is one number for all and known.
        spikes: Of the population, where they are known.
        targets: The courses that they should have, alike, where they are known.
    """

    population: str
    variable: str
    values: np.ndarray
    threshold: float | None = None
    spikes: Spikes | None = None
    targets: np.ndarray | None = None


def potentials(courses: Sequence[Course], trial_ms: float, title: str) -> Picture:
    """Return a row for each variable: traces of some neurons, and beside them all as an image."""
    images = any(course.values.shape[1] > MOST_TRACES for course in courses)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(len(courses), 1 + images, sharex=True, squeeze=False)
        for row, course in zip(grid, courses, strict=True):
            _traces(row[0], course, trial_ms)
            if images:
                _image(row[1], course, trial_ms)
        for axes in grid[-1]:
            axes.set_xlabel("time (ms)", fontsize=TEXT)
            axes.set_xlim(0, trial_ms)
        legend_of_all(figure, grid[:, 0])

    size = (12.0 if images else 8.5), HEIGHT * len(courses) + 1.2
    return Picture("potentials", size, title, paint)


def liveliest(values: np.ndarray) -> list[int]:
    """Return the neurons whose variable moves most, in their order; ``values`` [steps, neurons]."""
    return sorted(np.argsort(-np.ptp(values, axis=0), kind="stable")[:MOST_TRACES].tolist())


def _traces(axes: Axes, course: Course, trial_ms: float) -> None:
    steps, neurons = course.values.shape
    times = (np.arange(steps) + 1) * trial_ms / steps
    shown = liveliest(course.values)
    for k, colour in zip(shown, COLOURS, strict=False):
        axes.plot(times, course.values[:, k], color=colour, linewidth=1.3)
        if course.targets is not None:
            axes.plot(times, course.targets[:, k], color=colour, linewidth=1.3, linestyle=":")
    some = f"the {len(shown)} of {neurons} neurons that move most"
    which = f"{neurons} neurons" if neurons == len(shown) else some
    tidy(axes, f"{course.population}: {which}", y=course.variable)
    if course.targets is not None:
        axes.plot([], [], color=BLACK, linestyle=":", linewidth=1.3, label="target")
    if course.threshold is not None:
        line: dict[str, Any] = {
            "color": GREY,
            "linestyle": "--",
            "linewidth": 1.2,
            "label": "threshold",
        }
        axes.axhline(course.threshold, **line)
    if course.spikes is not None:
        high = axes.get_ylim()[1]
        for k, colour in zip(shown, COLOURS, strict=False):
            at = course.spikes.times_ms[course.spikes.ids == k]
            axes.plot(at, np.full(len(at), high), "|", color=colour, markersize=9, mew=1.6)
        axes.plot([], [], "|", color=BLACK, markersize=9, mew=1.6, label="spike, at the upper edge")


def _image(axes: Axes, course: Course, trial_ms: float) -> None:
    neurons = course.values.shape[1]
    extent = (0.0, trial_ms, -0.5, neurons - 0.5)
    options: dict[str, Any] = {
        "cmap": SCALE,
        "aspect": "auto",
        "origin": "lower",
        "interpolation": "nearest",
    }
    shown = axes.imshow(course.values.T, extent=extent, **options)
    colour_bar(shown, axes, course.variable)
    tidy(axes, f"{course.population}: all {neurons} neurons", y="neuron")
    axes.grid(visible=False)
    axes.yaxis.set_major_locator(MaxNLocator("auto", integer=True))
