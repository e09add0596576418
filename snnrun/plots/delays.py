"""Delays of projections over the training, as histograms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from snnrun.network.delays import DelayKind
from snnrun.network.network import Network
from snnrun.plots.histograms import bins_of, panels, size_of
from snnrun.plots.style import BLUE, GREY, SCALE, VERMILION, Picture, evenly, legend_of_all, tidy

COUNTED = {
    DelayKind.AXONAL: "presynaptic neurons",
    DelayKind.DENDRITIC: "postsynaptic neurons",
    DelayKind.SYNAPTIC: "synapses",
}
MOST_BETWEEN = 4  # recorded moments between start and end; more outlines could not be told apart


@dataclass(frozen=True, kw_only=True)
class DelayCourse:
    """The delays of a projection now, and what they were.

    Args:
        projection: Its name.
        kind: Which synapses share a delay.
        trained: Whether they learn.
        now: In ms, [delays].
        before: When and what they were, from the start on; empty where they do not learn.
    """

    projection: str
    kind: DelayKind
    trained: bool
    now: np.ndarray
    before: Sequence[tuple[str, np.ndarray]]


def courses(
    network: Network,
    tensors: Mapping[str, np.ndarray],
    recorded: Mapping[str, Mapping[str, np.ndarray]],
) -> list[DelayCourse]:
    """Return the delays of those projections in which they learn or differ.

    Args:
        network: Of which they are.
        tensors: What is learned, by name.
        recorded: When -> projection -> delays, in the order of the training.
    """
    found = []
    for projection in network.projections:
        delays, now = projection.delays, tensors.get(f"{projection.name}_delays")
        if delays is None or now is None:
            continue
        name, synapses = projection.name, projection.synapses
        exist = np.ones(delays.start.shape, bool)
        if synapses is not None and delays.kind is DelayKind.SYNAPTIC:
            exist = synapses.mask
        now = now[exist]
        if not len(now) or not (delays.trained or np.ptp(now) > 0):
            continue
        before: list[tuple[str, np.ndarray]] = []
        if delays.trained:
            before = [("at the start", delays.start[exist])]
            moments = [(when, of[name][exist]) for when, of in recorded.items() if name in of]
            before += evenly(moments, MOST_BETWEEN)
        found.append(
            DelayCourse(
                projection=name, kind=delays.kind, trained=delays.trained, now=now, before=before
            )
        )
    return found


def histograms_of_delays(found: Sequence[DelayCourse], title: str) -> Picture:
    """Return a histogram of the delays of each projection; earlier ones as outlines, or lines."""

    def paint(figure: Figure) -> None:
        grid = panels(figure, len(found))
        for axes, course in zip(grid, found, strict=True):
            bins = bins_of(np.concatenate([course.now, *(values for _, values in course.before)]))
            axes.hist(course.now, bins, color=BLUE, alpha=0.6, label="now")
            colours = matplotlib.colormaps[SCALE](np.linspace(0.95, 0.25, len(course.before)))
            for k, (when, values) in enumerate(course.before):
                if np.ptp(values) > 0:
                    colour = colours[k] if k else GREY
                    axes.hist(values, bins, color=colour, histtype="step", lw=1.4, label=when)
                else:
                    axes.axvline(float(values[0]), color=VERMILION, linewidth=1.2, label=when)
            kind = f"{course.kind.value}, {'trained' if course.trained else 'fixed'}"
            tidy(axes, course.projection, x=f"delay (ms), {kind}", y=COUNTED[course.kind])
        if any(course.before for course in found):
            legend_of_all(figure, grid)

    return Picture("delays", size_of(len(found)), title, paint)
